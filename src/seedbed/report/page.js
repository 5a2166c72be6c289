"use strict";
// Draws the tables and the lists behind each number. Text only ever enters as text nodes.
const data = JSON.parse(document.getElementById("data").textContent);
const report = document.getElementById("report");
const drill = document.getElementById("drill");
const pageTitle = document.title;
const index = new Map(data.rows.map((row) => [row.slice(0, 4).join("\n"), row]));
const MARK = { level: "≈", below: "↓" };

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "onclick" || key === "onchange") node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
const hash = (...parts) => "#/" + parts.map((part) => encodeURIComponent(part)).join("/");
// Adding 0 turns a rounded -0 into 0.
const fixed = (value, places) => (Number(value.toFixed(places)) + 0).toFixed(places);
const share = (value, places = 3) => (value === null || value === undefined ? "–" : fixed(value, places));
const interval = (low, high) => (low === null || high === null ? null : `${fixed(low, 2)} – ${fixed(high, 2)}`);
function figure3(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return Math.abs(value) < 0.001 ? "<0.001" : String(Number(value.toPrecision(3)));
}
const signed = (value) => (value === null ? "–" : String(Number(value.toPrecision(4))));
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

function parseSlice(name) {
  const parsed = { correct: false, wanted: [], hop: "" };
  for (const part of name.split(",")) {
    if (part === "correct") parsed.correct = true;
    else if (/^hop(=|>=)\d+$/.test(part)) parsed.hop = part;
    else if (part !== "all") {
      const at = part.indexOf("=");
      parsed.wanted.push([part.slice(0, at), part.slice(at + 1)]);
    }
  }
  return parsed;
}
const covers = (slice, question) =>
  (!slice.correct || question.correct === true) &&
  slice.wanted.every(([key, value]) => (key === "split" ? question.split : question.slices[key] ?? "") === value);

/* ---- tables that sort ---- */
// columns: {label, title, text}; rows: {cells: [node], keys: [number|string|null], control}
function sortable(columns, rows, caption, initial) {
  const body = el("tbody");
  const controls = el("tbody", { class: "controls-body" });
  rows.filter((row) => row.control).forEach((row) => controls.append(row.node));
  const heads = columns.map((column, i) =>
    el("th", { scope: "col", class: column.text ? "text" : null, title: column.title },
      el("button", { type: "button", onclick: () => sort(i) }, column.label.replace("R-", "R\u2011").replace("-AUC", "\u2011AUC"))));
  let state = initial || { column: -1, down: true };
  function sort(column, down) {
    const fallback = !columns[column].text;
    const turn = state.column === column ? !state.down : fallback;
    state = { column, down: down === undefined ? turn : down };
    draw();
  }
  function draw() {
    const plain = rows.filter((row) => !row.control);
    if (state.column >= 0) {
      const sign = state.down ? -1 : 1;
      plain.sort((a, b) => {
        const x = a.keys[state.column], y = b.keys[state.column];
        if (x === y) return 0;
        if (x === null || x === undefined) return 1;
        if (y === null || y === undefined) return -1;
        return x < y ? -sign : sign;
      });
    }
    heads.forEach((head, i) => {
      if (i === state.column) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    body.replaceChildren(...plain.map((row) => row.node));
  }
  draw();
  return el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, ...heads)), body, controls);
}

/* ---- the score table ---- */
const view = { show: "main", slice: "all" };
const nameOf = (finder, truth) => data.called[truth][finder] || finder;

function linked(finder, truth, metric, slice) {
  if (truth !== "declared") return false;
  const hop = parseSlice(slice).hop;
  return data.seeds.some((seed) => seed.claims[finder]?.values[hop]?.[metric]);
}

function strip(row) {
  const [low, high, value, chance] = [row[5], row[6], row[4], row[7]];
  if (value === null) return null;
  const space = "http://www.w3.org/2000/svg", width = 84;
  const svg = document.createElementNS(space, "svg");
  const put = (name, attributes) => {
    const node = document.createElementNS(space, name);
    Object.entries(attributes).forEach(([key, v]) => node.setAttribute(key, v));
    svg.append(node);
  };
  const [first, last] = data.spans[row[2]];
  const x = (v) => 4 + ((Math.min(Math.max(v, first), last) - first) / (last - first || 1)) * (width - 8);
  Object.entries({ width, height: 10, viewBox: `0 0 ${width} 10`, class: "strip", "aria-hidden": "true" })
    .forEach(([key, v]) => svg.setAttribute(key, v));
  put("line", { x1: x(first), x2: x(last), y1: 5, y2: 5, stroke: "var(--line)", "stroke-width": 2 });
  if (chance !== null) put("line", { x1: x(chance), x2: x(chance), y1: 0, y2: 10, stroke: "var(--muted)", "stroke-width": 1.2 });
  const colour = row[9] === "above" ? "var(--accent)" : "var(--muted)";
  if (low !== null && high !== null) put("line", { x1: x(low), x2: x(high), y1: 5, y2: 5, stroke: colour, "stroke-width": 2.4 });
  put("circle", { cx: x(value), cy: 5, r: 3, fill: colour });
  return svg;
}

function scoreCell(finder, truth, metric, slice, wide) {
  const row = index.get([finder, truth, metric, slice].join("\n"));
  if (!row) return el("td", {}, "–");
  const control = data.controls.includes(finder);
  const standing = control ? "unknown" : row[9];
  const text = share(row[4]);
  const what = `${nameOf(finder, truth)}, ${data.words[metric]}, ${data.sliceWords[slice]}`;
  const number = row[4] !== null && linked(finder, truth, metric, slice)
    ? el("a", { href: hash("list", finder, truth, metric, slice), "aria-label": `${text}: ${what}` }, text) : text;
  const mark = MARK[standing] ? el("span", { class: "mark", title: standing === "level" ? "level with chance" : "below chance" }, MARK[standing] + " ") : null;
  const range = interval(row[5], row[6]);
  return el("td", { class: standing, title: `chance ${share(row[7])}, ${data.tops[truth][metric]} ${share(row[8])}` },
    mark, number, wide ? strip(row) : null, range ? el("small", {}, range) : null);
}

function drawScores() {
  document.querySelectorAll(".score-table[data-truth]").forEach((place) => drawTable(place, place.dataset.truth));
}

function drawTable(place, truth) {
  const main = view.show === "main";
  let columns;
  if (main) columns = data.columns[truth][view.slice];
  else if (view.show === "top10") columns = data.metrics.filter((metric) => metric.startsWith("top10:"))
    .map((metric) => [metric, view.slice, data.words[metric].replace(" in the top 10", "")]);
  else columns = data.slices.map((slice) => [view.show, slice, data.sliceWords[slice]]);
  columns = columns.filter(([metric, slice]) =>
    data.rows.some((row) => row[1] === truth && row[2] === metric && row[3] === slice));
  place.hidden = !columns.length;
  if (place.hidden) return;
  const heads = columns.map(([metric, , label]) => ({ label, title: data.meaning[metric] }));
  const rows = data.finders[truth].map((finder) => {
    const found = columns.map(([metric, slice]) => index.get([finder, truth, metric, slice].join("\n")));
    const costs = Object.values(data.costs[truth][finder]);
    const node = el("tr", { class: data.controls.includes(finder) ? "control" : null },
      el("th", { scope: "row" }, nameOf(finder, truth)),
      ...columns.map(([metric, slice], i) => scoreCell(finder, truth, metric, slice, i === 0 || !main)),
      ...(main ? costs.map((cost) => el("td", {}, figure3(cost))) : []));
    return { node, control: data.controls.includes(finder),
      some: found.some(Boolean), keys: [nameOf(finder, truth), ...found.map((row) => (row ? row[4] : null)), ...costs] };
  }).filter((row) => row.some);
  const told = { epochs: "seconds over those of one training epoch" };
  const costHeads = main ? Object.keys(Object.values(data.costs[truth])[0]).map((label) => ({ label, title: told[label] })) : [];
  const caption = main || view.show === "top10"
    ? `${data.sliceWords[view.slice]} · ${truth} truth`
    : `${data.words[view.show]} · ${truth} truth · ${data.meaning[view.show]}`;
  place.querySelector(".scroll").replaceChildren(
    sortable([{ label: "finder", text: true }, ...heads, ...costHeads], rows, caption, { column: -1, down: true }));
}

function choice(label, options, value, change) {
  const select = el("select", { onchange: (event) => change(event.target.value) },
    ...options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)));
  return el("label", {}, label, select);
}

function drawControls() {
  const place = document.getElementById("controls");
  if (!place) return;
  const shows = [["main", "All metrics"],
    ...data.metrics.filter((metric) => !metric.startsWith("top10:")).map((metric) => [metric, `${data.words[metric]}, by slice`]),
    ...(data.metrics.some((metric) => metric.startsWith("top10:")) ? [["top10", "Roles in the top 10"]] : [])];
  const parts = [];
  parts.push(choice("Show", shows, view.show, (v) => {
    view.show = v;
    slices.querySelector("select").disabled = v !== "main" && v !== "top10";
    drawScores();
  }));
  const slices = choice("Slice", data.slices.map((s) => [s, data.sliceWords[s]]), view.slice, (v) => { view.slice = v; drawScores(); });
  place.replaceChildren(...parts, slices);
  place.hidden = false;
  drawScores();
}

/* ---- the questions behind a number ---- */
const seedOf = (number) => data.seeds.find((seed) => String(seed.seed) === String(number));
// The best rank of a question's evidence, of all of it or of what stands at one hop.
function firstRank(seed, claim, q, hop) {
  const at = (label) => {
    if (!hop) return true;
    const [, how, number] = hop.match(/^hop(=|>=)(\d+)$/);
    const own = Number(label.split(":")[1]);
    return how === "=" ? own === Number(number) : own >= Number(number);
  };
  const ranks = claim.ranks[q].filter((_, i) => at(seed.evidence[q][i][1]));
  return ranks.length ? Math.min(...ranks) : null;
}

function answered(question) {
  if (question.correct === undefined) return el("td", { class: "text" }, "–");
  return el("td", { class: "text" }, question.correct
    ? el("span", { class: "yes" }, `✓ ${question.said}`)
    : el("span", {}, el("span", { class: "no" }, `✗ ${question.said}`), el("span", { class: "aside" }, question.error || "wrong")));
}
const crumbs = (...links) => el("p", { class: "crumbs" }, el("a", { href: "#scores" }, "← Back to the report"), ...links);

function filtered(items, draw) {
  const chosen = { seed: "", outcome: "" };
  const seeds = [...new Set(items.map((item) => item.seed))];
  const table = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Questions" });
  const redraw = () => table.replaceChildren(draw(items.filter((item) =>
    (!chosen.seed || String(item.seed) === chosen.seed) &&
    (!chosen.outcome || String(item.question.correct) === chosen.outcome))));
  const pick = (key) => (value) => { chosen[key] = value; redraw(); };
  redraw();
  return [el("div", { class: "controls" },
    seeds.length > 1 ? choice("Seed", [["", "all"], ...seeds.map((s) => [String(s), String(s)])], "", pick("seed")) : null,
    choice("Answered", [["", "all"], ["true", "right"], ["false", "wrong"]], "", pick("outcome"))), table];
}

function showList(finder, truth, metric, name) {
  const slice = parseSlice(name);
  const row = index.get([finder, truth, metric, name].join("\n"));
  const items = [];
  const means = [];
  for (const seed of data.seeds) {
    const claim = seed.claims[finder];
    const values = claim?.values[slice.hop]?.[metric];
    if (!values) continue;
    const mine = [];
    values.forEach((value, q) => {
      const question = seed.questions[q];
      if (!covers(slice, question)) return;
      items.push({ seed: seed.seed, question, value, rank: firstRank(seed, claim, q, slice.hop) });
      if (value !== null) mine.push(value);
    });
    if (mine.length) means.push(mine.reduce((a, b) => a + b, 0) / mine.length);
  }
  const mean = means.length ? means.reduce((a, b) => a + b, 0) / means.length : null;
  const undefined_ = items.filter((item) => item.value === null).length;
  const keys = data.keys;
  const agrees = row && row[4] !== null && mean !== null && Math.abs(row[4] - mean) < 0.002;
  const note = `${plural(items.length, "question")}; mean over seeds of the mean over questions: ${share(mean)}` +
    (agrees ? ", as in the table." : `; the table says ${share(row ? row[4] : null)}.`) +
    (undefined_ ? ` For ${plural(undefined_, "question")} the metric is not defined (no such evidence).` : "");
  const draw = (kept) => sortable(
    [{ label: "question", text: true }, { label: "seed" }, ...keys.map((key) => ({ label: key })),
      { label: "answered", text: true }, { label: slice.hop ? `first evidence (${data.sliceWords[slice.hop] || slice.hop}) at rank` : "first evidence at rank" }, { label: data.words[metric], title: data.meaning[metric] }],
    kept.map(({ seed, question, value, rank }) => ({
      keys: [question.prompt, seed, ...keys.map((key) => question.slices[key] ?? null), String(question.correct), rank, value],
      node: el("tr", {},
        el("td", { class: "wrap" }, el("a", { href: hash("question", seed, question.id, finder) }, el("q", {}, question.prompt))),
        el("td", {}, String(seed)), ...keys.map((key) => el("td", {}, question.slices[key] ?? "–")),
        answered(question), el("td", {}, rank === null ? "–" : rank.toLocaleString("en")), el("td", {}, share(value))),
    })), `${finder}, question by question`, { column: keys.length + 4, down: true });
  return [crumbs(), el("h2", { tabindex: "-1" }, `${finder} · ${data.words[metric]} · ${data.sliceWords[name]}`),
    el("p", {}, el("strong", {}, row ? share(row[4]) : "–"), ` [${row ? interval(row[5], row[6]) : "–"}], chance ${share(row?.[7])}, ${data.tops[truth][metric]} ${share(row?.[8])}, ${truth} truth. `,
      el("span", { class: "quiet" }, data.meaning[metric] + ".")),
    el("p", { class: "quiet" }, note), ...filtered(items, draw)];
}

function showGate(number, name) {
  const slice = parseSlice(name);
  const seed = seedOf(number);
  const keys = data.keys;
  const items = seed.questions.filter((q) => q.split === "id" && covers(slice, q)).map((question) => ({ seed: seed.seed, question }));
  const asked = Object.values(seed.claims)[0]?.ranks.length || 0;
  const finder = Object.keys(seed.claims)[0];
  const draw = (kept) => sortable(
    [{ label: "question", text: true }, ...keys.map((key) => ({ label: key })), { label: "right answer", text: true },
      { label: "subject said", text: true }, { label: "probability of the answer" }],
    kept.map(({ question }) => ({
      keys: [question.prompt, ...keys.map((key) => question.slices[key] ?? null), question.answer, question.said ?? null, question.probability ?? null],
      node: el("tr", {}, el("td", { class: "wrap" }, seed.questions.indexOf(question) < asked
        ? el("a", { href: hash("question", seed.seed, question.id, finder) }, el("q", {}, question.prompt)) : el("q", {}, question.prompt)),
        ...keys.map((key) => el("td", {}, question.slices[key] ?? "–")), el("td", { class: "text" }, question.answer),
        answered(question), el("td", {}, share(question.probability))),
    })), `Seed ${seed.seed}, question by question`, { column: -1, down: true });
  const more = seed.notShown ? ` The page holds the first ${plural(seed.questions.length, "question")} of this seed; ${seed.notShown.toLocaleString("en")} more are in answers.jsonl.` : "";
  return [crumbs(), el("h2", { tabindex: "-1" }, `Answers · seed ${seed.seed} · ${data.sliceWords[name]}`),
    el("p", { class: "quiet" }, `${plural(items.length, "question")} shown.${more}`), ...filtered(items, draw)];
}

/* ---- one question and its documents ---- */
function role(label) {
  const [back, ink] = data.colours[label] || ["#c3c9cf", "#1f2429"];
  return el("span", { class: "role", style: `background:${back};color:${ink}` }, label.replace(":", " hop ") || "no role");
}
function documentItem(seed, [number, label, score, truth], rank) {
  const [id, text] = seed.documents[number];
  return el("li", {}, el("div", { class: "document-head" }, el("span", { class: "rank" }, `#${rank.toLocaleString("en")}`), role(label),
    truth === null ? el("span", { class: "quiet" }, "truth unknown") : null, el("span", { class: "quiet" }, id),
    score === undefined ? null : el("span", { class: "score" }, `score ${signed(score)}`)), el("span", { class: "text-of" }, text));
}

function showQuestion(number, id, finder) {
  const seed = seedOf(number);
  const q = seed.questions.findIndex((question) => question.id === id);
  const question = seed.questions[q];
  const claim = seed.claims[finder];
  const asked = claim.ranks.length;
  const groups = new Map();
  seed.evidence[q].forEach(([document_, label], i) => {
    if (!groups.has(label)) groups.set(label, []);
    groups.get(label).push([document_, label, claim.ranks[q][i]]);
  });
  const wanted = [...groups.keys()].sort().flatMap((label) => {
    const rows = groups.get(label).sort((a, b) => a[2] - b[2]);
    const items = rows.map(([document_, , rank]) => documentItem(seed, [document_, label, undefined, 1], rank));
    const inTop = rows.filter((row) => row[2] <= 10).length;
    return [el("div", { class: "hop-head" }, el("h4", {}, label.replace(":", " at hop ")),
      el("span", { class: "quiet" }, `${inTop} of ${rows.length} in the top 10, best rank ${rows[0][2].toLocaleString("en")}`)),
      el("ol", { class: "documents" }, ...items.slice(0, 3)),
      items.length > 3 ? el("details", {}, el("summary", {}, `${items.length - 3} more`), el("ol", { class: "documents" }, ...items.slice(3))) : null];
  });
  const near = (step) => seed.questions[(q + step + asked) % asked];
  const finders = Object.keys(data.finders).length ? data.finders[data.truths[0]].filter((name) => seed.claims[name]) : [];
  const tabs = finders.map((name) => {
    const rank = firstRank(seed, seed.claims[name], q, "");
    return el("li", {}, el("a", { href: hash("question", number, id, name), "aria-current": name === finder ? "page" : null },
      name, el("small", {}, rank === null ? "" : `#${rank.toLocaleString("en")}`)));
  });
  const said = question.correct === undefined ? "" : question.correct ? "The subject answered it; " : `The subject answered ${question.said} (${question.error || "wrong"}); `;
  const facts = [`seed ${seed.seed}`, question.id, ...Object.entries(question.slices).map(([key, value]) => `${key} ${value}`), question.cause ? `cause ${question.cause}` : null];
  const notes = Object.entries(claim.notes || {});
  return [crumbs(el("a", { href: hash("question", number, near(-1).id, finder) }, "‹ Previous question"), el("a", { href: hash("question", number, near(1).id, finder) }, "Next question ›")),
    el("h2", { class: "prompt", tabindex: "-1" }, question.prompt),
    el("p", {}, "Right answer ", el("strong", {}, question.answer), ` among ${plural(question.choices, "choice")}. ${said}probability of the right answer ${share(question.probability)}.`),
    el("p", { class: "quiet" }, facts.filter(Boolean).join(" · ")),
    el("h3", {}, "Finder ", el("span", { class: "quiet" }, "with the rank of the first that should be found")),
    el("ul", { class: "tabs" }, ...tabs),
    notes.length ? el("details", { class: "notes" }, el("summary", {}, `What ${finder} notes about itself`),
      ...notes.map(([key, value]) => el("p", { class: "quiet" }, `${key}: ${value}`))) : null,
    el("div", { class: "pair" },
      el("div", {}, el("h3", {}, `Top ${claim.top[q].length} of ${plural(seed.documentCount, data.noun)} by ${finder}`),
        el("ol", { class: "documents" }, ...claim.top[q].map((entry, i) => documentItem(seed, entry, i + 1)))),
      el("div", {}, el("h3", {}, `What should have been found: ${plural(seed.evidence[q].length, data.noun)}`),
        el("p", { class: "quiet" }, `Evidence with its rank by ${finder}, among ${data.noun}s whose truth is known.`), ...wanted))];
}

/* ---- which view ---- */
const VIEWS = { list: [showList, 4], gate: [showGate, 2], question: [showQuestion, 3] };
let scrolled = 0;
function route() {
  const parts = location.hash.startsWith("#/") ? location.hash.slice(2).split("/").map(decodeURIComponent) : [];
  const [show, count] = VIEWS[parts[0]] || [null, 0];
  const open = show !== null && parts.length === count + 1;
  if (!report.hidden && open) scrolled = window.scrollY;
  const returning = report.hidden && !open;
  report.hidden = open;
  drill.hidden = !open;
  document.querySelector(".page-head").hidden = open;
  if (!open) {
    document.title = pageTitle;
    drill.replaceChildren();
    if (returning) window.scrollTo({ top: scrolled, behavior: "instant" });
    return;
  }
  let nodes;
  try {
    nodes = show(...parts.slice(1));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    nodes = [crumbs(), el("h2", { tabindex: "-1" }, "Nothing here"), el("p", {}, "This address names a finder, question or slice that this report does not hold.")];
  }
  drill.replaceChildren(...nodes.filter(Boolean));
  const title = drill.querySelector("h2");
  document.title = `${title.textContent} · ${pageTitle}`;
  window.scrollTo({ top: 0, behavior: "instant" });
  title.focus({ preventScroll: true });
}
drawControls();
window.addEventListener("hashchange", route);
route();
