"use strict";
// Draws what any running study has come to. Text enters as text nodes only.
const EVERY = 2000;
const at = (id) => document.getElementById(id);
const el = (name, attributes = {}, ...children) => build(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) => build(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
function build(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== undefined) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
const number = (value, places = 2) => (value === undefined || value === null ? "–" : value.toFixed(places));
function time(seconds) {
  if (seconds === undefined || seconds === null) return "–";
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
function standing(run) {
  const words = { running: "Running", silent: "Silent", idle: "Not running", finished: "Finished", stopped: "Stopped at the gate" };
  const parts = [words[run.state] || run.state];
  if (run.stages) parts.push(`${run.stages.done} of ${run.stages.planned} stages known so far`);
  if (run.seconds) parts.push(run.state === "running" ? `for ${time(run.seconds)}` : time(run.seconds));
  return parts.join(" · ");
}
function about(run) {
  const found = [];
  if (run.trouble) found.push(el("p", { class: "trouble" }, `Cannot be read: ${run.trouble}`));
  if (run.why) found.push(el("p", { class: "why" }, run.why));
  if (run.stages) found.push(...stages(run.stages));
  if (run.gate.length) found.push(scroll("Gate", gate(run.gate)));
  if (run.scores.length) found.push(scroll("Leading scores", scores(run.scores)));
  if (!found.length) found.push(el("p", { class: "quiet" }, "Nothing yet."));
  return found;
}
function stages(state) {
  const left = state.planned - state.done;
  const meter = el("progress", { max: state.planned || 1, value: state.done, "aria-label": "Stages done" });
  const total = el("p", { class: "total" }, meter, ` ${state.done} of ${state.planned} stages`, el("small", {}, `${state.taken} from the store · ${time(state.seconds)} of work in the others`));
  const kinds = el("ul", { class: "kinds" }, ...state.kinds.map(([kind, done, planned]) => el("li", { class: done === planned ? "done" : null }, kind, el("small", {}, ` ${done}/${planned}`))));
  const found = [total, kinds];
  if (state.now.length) found.push(el("h3", {}, "Now"), el("ul", { class: "now" }, ...state.now.slice(0, 12).map(now)));
  else if (left) found.push(el("p", { class: "quiet" }, `${plural(left, "stage")} to do; none says that it is being made.`));
  if (state.newest.length) found.push(el("h3", {}, "Done last"), el("ul", { class: "newest" }, ...state.newest.slice(0, 6).map((one) => el("li", {}, `seed ${one.seed} `, el("b", {}, one.name), el("small", {}, one.taken ? " from the store" : ` ${time(one.seconds)}`)))));
  if (state.lost) found.push(el("h3", { class: "bad" }, `${plural(state.lost, "loss").replace(/losss$/, "losses")}, tried again`), el("ul", { class: "losses" }, ...state.losses.slice(-6).map((line) => el("li", {}, line))));
  return found;
}
function now(one) {
  const meter = one.share === null ? [] : [el("progress", { max: 1, value: one.share, "aria-label": `${one.name} of seed ${one.seed}` })];
  const share = one.share === null ? "" : ` ${Math.round(100 * one.share)} %`;
  return el("li", {}, el("span", {}, `seed ${one.seed} `, el("b", {}, one.name)), ...meter, el("small", {}, `${share} ${one.text}`));
}
function scroll(name, table) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, table);
}
function rows(caption, heads, body) {
  return el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))), el("tbody", {}, ...body));
}
function gate(list) {
  return rows("Gate: accuracy, of which the lower end of the interval must reach the bar", ["seed, group", "accuracy", "95 % interval", "bar", "questions", ""], list.map((row) =>
    el("tr", {}, el("th", { scope: "row" }, `seed ${row.seed}, ${row.slice}`), el("td", {}, number(row.accuracy)), el("td", {}, `[${number(row.low)}, ${number(row.high)}]`), el("td", {}, number(row.bar)), el("td", {}, String(row.n)), el("td", { class: row.passed ? "yes" : "no" }, row.passed ? "learned" : row.required ? "not learned" : "left out"))));
}
function scores(list) {
  return rows("Leading score of each finder over all questions, 95 % intervals", ["finder", "truth", "metric", "value", "95 % interval", "chance", "oracle"], list.map((row) =>
    el("tr", { class: row.finder === "chance" || row.finder === "oracle" ? "control" : null }, el("th", { scope: "row" }, row.finder), el("td", {}, row.truth), el("td", {}, row.metric.replaceAll("_", " ")), el("td", {}, number(row.value)), el("td", {}, row.low === null ? "no interval" : `[${number(row.low)}, ${number(row.high)}]`), el("td", {}, number(row.chance)), el("td", {}, number(row.oracle)))));
}
