"use strict";
// Filters and shows episodes. Text only ever enters as text nodes.
const PAGE = 200;
const ROLES = { agent: "agent", environment: "user", system: "system", tool: "tool" };
const FILTERS = [
  ["environment", "Environment", (e) => [e.environment]],
  ["condition", "Condition", (e) => [e.condition]],
  ["arm", "Arm", (e) => [e.arm]],
  ["seed", "Seed", (e) => [e.seed]],
  ["round", "Iteration", (e) => [e.round]],
  ["act", "Act", (e) => e.turns.map((t) => t.act || "(unread)")],
  ["outcome", "Outcome", (e) => [e.end, ...e.turns.map((t) => t.moved).filter(Boolean).map((m) => `to ${m}`)]],
  ["vetoed", "Vetoed", (e) => [e.vetoed ? "yes" : "no"]],
  ["trained", "Trained", (e) => [e.trained || "not"]],
  ["kind", "Kind of user", (e) => [e.kind || "unknown"]],
  ["harm", "Harm", (e) => [e.turns.some((t) => t.harm) ? "yes" : "no"]],
];
const TRUTHS = new Set(["kind", "harm"]);
const at = (id) => document.getElementById(id);
const state = { all: [], found: [], shown: PAGE, current: null, truth: false };

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}
const number = (value) => value.toLocaleString("en");
const share = (value) => (Number.isInteger(value) ? String(value) : value.toFixed(3).replace(/0$/, ""));
const signed = (value) => (value > 0 ? "+" : "") + String(Number(value.toPrecision(4)));

async function unpack() {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("This browser cannot unpack the page's data; any browser of 2023 or later can.");
  }
  const bytes = Uint8Array.from(atob(at("data").textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/* ---- filters ---- */
function textOf(episode) {
  const said = [...episode.said, ...episode.turns.flatMap((t) => [["agent", t.said || ""], ...(t.after || [])])];
  return said.map(([, text]) => text).join("\n").toLowerCase();
}
function addFilters() {
  for (const [key, label, of] of FILTERS) {
    const counts = new Map();
    for (const e of state.all) for (const v of new Set(of(e))) counts.set(v, (counts.get(v) || 0) + 1);
    const values = [...counts.keys()].sort((a, b) => (typeof a === "number" ? a - b : String(a).localeCompare(String(b))));
    if (values.length < 2 && !TRUTHS.has(key)) continue;
    const select = el("select", { id: `f-${key}`, "data-key": key }, el("option", { value: "" }, "all"),
      ...values.map((v) => el("option", { value: String(v) }, `${v} (${number(counts.get(v))})`)));
    at("selects").append(el("label", { class: TRUTHS.has(key) ? "of-truth" : null, hidden: TRUTHS.has(key) }, label, select));
  }
}
function wanted() {
  const found = [];
  for (const [key, , of] of FILTERS) {
    const select = at(`f-${key}`);
    if (select && select.value && (state.truth || !TRUTHS.has(key))) found.push((e) => of(e).some((v) => String(v) === select.value));
  }
  const text = at("text").value.trim().toLowerCase();
  if (text) found.push((e) => (e.text ??= textOf(e)).includes(text));
  return found;
}
function filter() {
  const tests = wanted();
  state.found = state.all.filter((e) => tests.every((test) => test(e)));
  state.shown = PAGE;
  at("count").textContent = `${number(state.found.length)} of ${number(state.all.length)} episodes`;
  drawList();
  if (state.current && !state.found.includes(state.current)) state.current = null;
  open(state.current || state.found[0] || null, false);
}

/* ---- the list ---- */
const address = (e) => "#" + encodeURIComponent(e.id);
function drawList() {
  at("list").replaceChildren(...state.found.slice(0, state.shown).map(line));
  at("more").hidden = state.found.length <= state.shown;
  at("more").textContent = `Show more of ${number(state.found.length)}`;
}
function line(e) {
  const acts = [...new Set(e.turns.map((t) => t.act || "unread"))].join(", ") || "no turn";
  const first = e.turns.length ? e.turns[0].said : e.failure;
  const about = `${e.condition} · ${e.arm} · round ${e.round} · seed ${e.seed}`;
  return el("li", {}, el("a", { href: address(e), "aria-current": e === state.current ? "true" : null },
    el("span", { class: "first" }, first || "(nothing said)"),
    el("small", {}, `${e.environment} / ${e.sub}: ${acts}`), el("small", {}, about),
    e.vetoed ? el("span", { class: "flag" }, "vetoed") : null,
    e.end === "failed" ? el("span", { class: "flag" }, "failed") : null,
    state.truth && e.kind ? el("span", { class: "truth" }, e.kind) : null));
}
function mark(scroll) {
  for (const link of at("list").querySelectorAll("a")) {
    const here = state.current !== null && link.getAttribute("href") === address(state.current);
    if (here) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    if (here && scroll) link.scrollIntoView({ block: "nearest" });
  }
}

/* ---- one episode ---- */
function open(e, name = true) {
  state.current = e;
  draw(e);
  mark(name);
  if (name && e) history.replaceState(null, "", address(e));
}
function draw(e) {
  const place = at("episode");
  if (!e) return place.replaceChildren(el("p", { class: "quiet" }, "No episode fits the filters."));
  const fact = (label, value, cls = null) => el("li", { class: cls }, `${label} `, el("b", {}, String(value)));
  const facts = el("ul", { class: "facts-line" }, fact("condition", e.condition), fact("arm", e.arm),
    fact("iteration", e.round), fact("seed", e.seed), ...e.shows.map((s) => fact("shows", s)), fact("end", e.end),
    e.trained ? fact("trained", e.trained) : null, e.vetoed ? el("li", { class: "flag" }, "vetoed") : null,
    state.truth && e.kind ? fact("kind", e.kind, "truth") : null);
  place.replaceChildren(
    el("h2", {}, el("a", { href: address(e) }, `${e.environment} / ${e.sub}`)), facts,
    e.failure ? el("p", {}, el("span", { class: "flag" }, "failed"), ` ${e.failure}`) : null ?? "",
    ...e.said.map(([role, text]) => said(role, text)), ...e.turns.map(turn),
    el("p", { class: "quiet" }, el("code", {}, e.id)));
}
function said(role, text) {
  return el("div", { class: `said ${role}` }, el("b", {}, ROLES[role]), ...highlighted(text));
}
function highlighted(text) {
  const wanted = at("text").value.trim().toLowerCase();
  if (!wanted) return [text];
  const parts = [];
  let from = 0;
  const low = text.toLowerCase();
  for (let i = low.indexOf(wanted); i >= 0; i = low.indexOf(wanted, from)) {
    parts.push(text.slice(from, i), el("mark", {}, text.slice(i, i + wanted.length)));
    from = i + wanted.length;
  }
  return [...parts, text.slice(from)];
}
function turn(t, i) {
  const head = [`Turn ${i + 1}, state ${t.state}`];
  const node = el("section", { class: "turn" }, el("h3", {}, head.join(" · ")), said("agent", t.said || ""));
  for (const c of t.calls || []) {
    node.append(said("tool", `${c.tool} ${c.arguments} → ${c.ok ? "ok" : "failed"}${c.result ? `: ${c.result}` : ""}${c.fault ? ` (${c.fault})` : ""}`));
  }
  const measures = el("div", { class: "measures" }, act(t), verdict("Rating by the user", t.rating), verdict("Rating by a third person", t.third),
    t.moves ? el("div", {}, el("h4", {}, `Moves${t.moved ? ` (to ${t.moved})` : ""}`), bars(t.moves, t.moved)) : null,
    ...Object.entries(t.flags || {}).map(([name, v]) => verdict(`Detector ${name}`, v)));
  node.append(measures);
  for (const [role, text] of t.after || []) node.append(said(role, text));
  return node;
}
function act(t) {
  const rows = [el("div", {}, t.act || `unread: ${t.unread || "nothing was recognised"}`)];
  for (const [name, value] of Object.entries(t.claims || {})) rows.push(el("div", {}, `claims ${name}: ${value}`));
  if (t.vetoed) rows.push(el("div", {}, el("span", { class: "flag" }, "vetoed")));
  if (state.truth && t.harm !== undefined) {
    rows.push(el("div", {}, el("span", { class: "truth" }, `harm ${share(t.harm)}${t.welfare !== undefined ? `, welfare ${signed(t.welfare)}` : ""}`)));
  }
  return el("div", {}, el("h4", {}, "Act"), ...rows);
}
function verdict(title, v) {
  if (!v) return null;
  if (v.error) return el("div", {}, el("h4", {}, title), el("div", { class: "error" }, `no verdict: ${v.error}`));
  const value = v.value === null ? "" : `: ${share(v.value)}`;
  const mass = v.mass < 1 ? el("div", { class: "quiet" }, `mass on the options ${share(v.mass)}`) : null;
  return el("div", {}, el("h4", {}, title + value), bars(v.options), mass);
}
function bars(options, taken) {
  // Options that nobody chose would hide the others.
  const rows = Object.entries(options).filter(([name, p]) => p >= 0.0005 || name === taken);
  if (rows.every(([name]) => !Number.isNaN(Number(name)))) rows.sort((a, b) => Number(a[0]) - Number(b[0]));
  return el("table", { class: "bars" }, el("tbody", {}, ...rows.map(([name, p]) => {
    const bar = el("i", { "aria-hidden": "true" });
    bar.style.width = `${100 * p}%`;
    return el("tr", { class: name === taken ? "taken" : null }, el("th", { scope: "row" }, name), el("td", { class: "n" }, share(p)), el("td", { class: "of" }, bar));
  })));
}

/* ---- keys and addresses ---- */
function step(by) {
  const i = state.found.indexOf(state.current) + by;
  if (i < 0 || i >= state.found.length) return;
  if (i >= state.shown) { state.shown += PAGE; drawList(); }
  open(state.found[i]);
}
function setTruth(on) {
  state.truth = on;
  at("truth").checked = on;
  for (const label of document.querySelectorAll(".of-truth")) label.hidden = !on;
  filter();
}
function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input[type=search], select");
  if (event.key === "Escape" && typing) return event.target.blur();
  if (typing) return;
  if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "t") setTruth(!state.truth);
  else if (event.key === "/") { event.preventDefault(); at("text").focus(); }
}
function named() {
  const id = decodeURIComponent(location.hash.slice(1));
  return id ? state.all.find((e) => e.id === id) || null : null;
}
function follow() {
  const e = named();
  if (!e) return;
  if (!state.found.includes(e)) { at("filters").reset(); setTruth(state.truth); }
  while (state.found.indexOf(e) >= state.shown) state.shown += PAGE;
  drawList();
  open(e);
}

unpack().then((data) => {
  state.all = data.episodes;
  addFilters();
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("filters").addEventListener("input", (event) => (event.target.id === "truth" ? setTruth(event.target.checked) : filter()));
  at("filters").addEventListener("reset", () => setTimeout(() => setTruth(false)));
  at("more").addEventListener("click", () => { state.shown += PAGE; drawList(); });
  at("list").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    open(state.all.find((e) => address(e) === link.getAttribute("href")));
    if (matchMedia("(max-width: 52rem)").matches) at("episode").scrollIntoView();
  });
  document.addEventListener("keydown", keys);
  addEventListener("hashchange", follow);
  filter();
  follow();
}).catch((error) => { at("count").textContent = error.message; throw error; });
