"use strict";
// Filters, sorts, searches, and opens what is behind a number. Data comes as calls of scripts,
// as pages from a folder may not fetch. Text only ever enters as text nodes.
const ROOT = document.documentElement.dataset.root;
const waiting = new Map();
const runs = new Map();
const at = (id) => document.getElementById(id);
const all = (selector, of = document) => [...of.querySelectorAll(selector)];

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}
function load(path) {
  if (!waiting.has(path)) {
    waiting.set(path, new Promise((done, failed) => {
      const node = el("script", { src: ROOT + path });
      node.onload = done;
      node.onerror = () => { waiting.delete(path); failed(new Error(`${path} is not there`)); };
      document.head.append(node);
    }));
  }
  return waiting.get(path);
}
let findable = null;
window.seedbed = {
  found: (rows) => { findable = rows.map((row) => [...row, `${row[1]} ${row[3]} ${row[0]}`.toLowerCase()]); },
  run: (data) => { runs.set(data.slug, data); },
  // Rows are made by the same template as the page, which escapes every text.
  rows: (id, html) => {
    at(id).tBodies[0].insertAdjacentHTML("beforeend", html);
    all("td[data-p]", at(id)).forEach(plot);
  },
};

/* ---- what the address says: filters and the open number ---- */
const told = () => new URLSearchParams(location.hash.slice(1));
function tell(change, push) {
  const now = told();
  for (const [key, value] of Object.entries(change)) {
    if (value) now.set(key, value); else now.delete(key);
  }
  const hash = now.toString();
  if (hash === location.hash.slice(1)) return;
  const url = hash ? `#${hash}` : location.pathname + location.search;
  history[push ? "pushState" : "replaceState"](null, "", url);
}

/* ---- tables: the rest of the rows, sorting ---- */
async function complete(table) {
  const { more } = table.dataset;
  if (!more) return;
  await load(more.slice(ROOT.length));
  delete table.dataset.more;
  all(`[data-show="${table.id}"]`).forEach((button) => button.closest("p").remove());
}
function key(row, column) {
  const { v } = row.cells[column].dataset;
  if (v === undefined) return null;
  const number = Number(v);
  return v !== "" && Number.isFinite(number) ? number : v.toLowerCase();
}
async function sort(table, column, words) {
  await complete(table);
  const heads = [...table.tHead.rows[0].cells];
  const was = heads[column].getAttribute("aria-sort");
  const down = was ? was === "ascending" : !words;
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row.classList.contains("control"), row]);
  rows.sort(([a, x], [b, y]) => {
    if (x !== y) return x ? 1 : -1;
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
    const order = typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
    return down ? -order : order;
  });
  table.tBodies[0].append(...rows.map(([, , row]) => row));
}
function sortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const words = head.classList.contains("text");
    const button = el("button", { type: "button", onclick: () => sort(table, column, words) });
    button.append(...head.childNodes);
    if (button.textContent.trim()) head.append(button);
  });
}

/* ---- filters ---- */
const form = document.querySelector("form.filters");
const fields = () => [...form.elements].filter((field) => field.name);
async function filter() {
  const wanted = Object.fromEntries(fields().map((field) => [field.name, field.value.trim()]).filter(([, v]) => v));
  if (Object.keys(wanted).length) await Promise.all(all("table[data-more]").map(complete));
  const words = (wanted.text || "").toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (node, names) => names.every((name) =>
    !wanted[name] || node.dataset[name] === undefined || node.dataset[name] === wanted[name]
    || (["kind", "world"].includes(name) && node.dataset[name].split(" ").includes(wanted[name])));
  let shown = 0, total = 0;
  for (const row of all("tr[data-t]")) {
    const yes = words.every((word) => row.dataset.t.includes(word)) && fits(row, ["kind", "truth", "world", "study", "state", "run"]);
    row.hidden = !yes;
    shown += yes; total += 1;
  }
  for (const matrix of all("table.matrix")) {
    for (const head of all("th[data-kind]", matrix)) head.hidden = !fits(head, ["kind"]);
    for (const row of all("tr[data-world]", matrix)) {
      let some = false;
      for (const cell of all("td.cell", row)) {
        cell.hidden = !fits(cell, ["kind"]);
        const yes = fits(cell, ["state"]) && words.every((word) => cell.dataset.t.includes(word));
        cell.classList.toggle("off", !yes);
        if (!cell.hidden && yes) some = true;
      }
      row.hidden = !some || !fits(row, ["world"]);
    }
  }
  for (const group of all(".group")) {
    const named = (name) => !wanted[name] || !group.dataset[name] || group.dataset[name] === wanted[name];
    const empty = all("tbody tr", group).every((row) => row.hidden);
    group.hidden = !named("truth") || !(group.classList.contains("matrix-section") || named("kind")) || empty;
  }
  const cells = all("table.matrix").length;
  const left = cells ? all(".group:not([hidden]) td.cell:not(.off):not([hidden])").filter((c) => !c.closest("tr").hidden).length : shown;
  const of = cells ? all("td.cell").length : total;
  form.querySelector("output").textContent = Object.keys(wanted).length ? `${left.toLocaleString("en")} of ${of.toLocaleString("en")} ${cells ? "cells" : "rows"}` : "";
}
function fromAddress() {
  const now = told();
  let some = false;
  for (const field of fields()) {
    const value = now.get(field.name) || "";
    if (field.value !== value) field.value = value;
    some = some || Boolean(value);
  }
  return some;
}
if (form) {
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    tell(Object.fromEntries(fields().map((field) => [field.name, field.value.trim()])));
    filter();
  });
  form.addEventListener("reset", () => setTimeout(() => {
    tell(Object.fromEntries(fields().map((field) => [field.name, ""])));
    filter();
  }));
  if (fromAddress()) filter();
}
all("table.sortable").forEach(sortable);
all("[data-show]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => complete(at(button.dataset.show)));
});
all("[data-copy]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => copy(at(button.dataset.copy).textContent, button));
});
async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    const range = document.createRange();
    range.selectNodeContents(button.parentNode.querySelector("pre"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

/* ---- the panel behind a number ---- */
const panel = at("panel");
let opener = null;
const fixed = (value, places = 3) => (value === null || value === undefined ? "–" : (Number(value.toFixed(places)) + 0).toFixed(places));
// One unit alone has no interval, and a width of 0 says so; at an end of the scale all may agree.
const spread = (value, low, high) => (low === null || high === null || (low === high && ![0, 1, -1].includes(value)) ? "no interval" : `[${fixed(low)}, ${fixed(high)}]`);
function figure3(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return Math.abs(value) < 0.001 ? "<0.001" : String(Number(value.toPrecision(3)));
}
function shape(name, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(attributes).forEach(([k, v]) => node.setAttribute(k, v));
  if (text) node.textContent = text;
  return node;
}
// The small plot of a row that came later, as the page's own rows have it.
function plot(cell) {
  const [value, low, high, chance, oracle, first, last] = cell.dataset.p.split(",").map((v) => (v === "" ? null : Number(v)));
  const x = (v) => (5 + ((v - first) / (last - first)) * 110).toFixed(1);
  const row = cell.closest("tr"), css = row.classList.contains("control") ? "c" : "v";
  const known = spread(value, low, high) !== "no interval";
  const svg = shape("svg", { class: "spark", role: "img", width: 120, height: 18 });
  svg.append(shape("title", {}, `${row.cells[0].firstChild.textContent}: ${fixed(value, 2)} ${spread(value, low, high)}, chance ${fixed(chance, 2)}, oracle ${fixed(oracle, 2)}`),
    shape("line", { x1: 5, x2: 115, y1: 9, y2: 9, class: "g" }));
  if (chance !== null) svg.append(shape("line", { x1: x(chance), x2: x(chance), y1: 2, y2: 16, class: "d" }));
  if (oracle !== null) svg.append(shape("path", { d: `M${x(oracle)} 4l4.5 5l-4.5 5l-4.5 -5z`, class: "o" }));
  if (known && low < high) svg.append(shape("line", { x1: x(low), x2: x(high), y1: 9, y2: 9, class: css }));
  svg.append(shape("circle", { cx: x(value), cy: 9, r: 4, class: known ? css : `${css} h` }));
  cell.append(svg);
  delete cell.dataset.p;
}
function range(line, top) {
  const [, , , , metric, value, low, high, chance, oracle] = line;
  if (value === null) return null;
  const known = [value, low, high, chance, oracle].filter((v) => v !== null);
  const signed = Math.min(...known) < 0 || ["lds", "group_r", "single_r", "pearson"].includes(metric);
  const first = Math.min(signed ? -1 : 0, ...known), last = Math.max(1, ...known);
  const wide = innerWidth < 700 ? 340 : 600;
  const x = (v) => 8 + ((v - first) / (last - first || 1)) * (wide - 16);
  const svg = shape("svg", { viewBox: `0 0 ${wide} 62`, class: "range", role: "img", "aria-label": `value ${fixed(value)}, interval ${spread(value, low, high)}, chance ${fixed(chance)}, ${top} ${fixed(oracle)}` });
  svg.append(shape("line", { x1: x(first), x2: x(last), y1: 30, y2: 30, stroke: "var(--line)", "stroke-width": 2 }));
  const tick = (v, words, y) => {
    if (v === null) return;
    const anchor = x(v) < 60 ? "start" : x(v) > wide - 60 ? "end" : "middle";
    svg.append(shape("line", { x1: x(v), x2: x(v), y1: 19, y2: 41, stroke: "var(--muted)", "stroke-width": 1.5 }),
      shape("text", { x: x(v), y, "text-anchor": anchor }, `${words} ${fixed(v, 2)}`));
  };
  tick(chance, "chance", 12);
  tick(oracle, top, 56);
  if (low !== null && high !== null) svg.append(shape("line", { x1: x(low), x2: x(high), y1: 30, y2: 30, stroke: "var(--accent)", "stroke-width": 5, "stroke-linecap": "round" }));
  svg.append(shape("circle", { cx: x(value), cy: 30, r: 6, fill: "var(--accent)", stroke: "var(--panel)", "stroke-width": 1.5 }));
  return svg;
}
function siteList(rows, words) {
  if (!rows.length) return null;
  return [el("p", { class: "sites-of" }, words), el("ol", { class: "sites" }, rows.map((row) =>
    el("li", {}, el("span", { class: "place" }, `#${row.place}`),
      row.value === 1 ? el("span", { class: "yes", title: "a cause" }, "✓") : el("span", { class: "quiet", title: row.value === 0 ? "no cause" : "nobody knows" }, row.value === 0 ? "·" : "?"),
      el("span", { class: "about" }, row.words, row.role ? el("span", { class: "quiet" }, ` · ${row.role}`) : null, row.text ? el("q", {}, row.text) : null),
      el("span", { class: "score" }, figure3(row.score)))))];
}
function example(one, same) {
  const ask = el("p", { class: "ask" }, one.pieces.length ? one.pieces.map((piece) => piece.name
    ? el("span", { class: piece.cause === 1 ? "cause" : null, title: `${piece.name}${piece.cause === 1 ? ": a cause" : ""}` }, piece.text, piece.place ? el("sup", {}, `#${piece.place}`) : null)
    : piece.text) : one.prompt);
  const answers = el("p", { class: "answers" }, "Right answer ", el("code", {}, one.answer),
    one.said ? [" · the subject said ", el("code", {}, one.said), one.correct ? el("span", { class: "yes" }, " ✓") : el("span", { class: "no" }, " ✗")] : " · no answer was kept",
    one.probability === null ? null : ` · probability of the right answer ${fixed(one.probability, 2)}`,
    one.choices.length ? el("span", { class: "quiet" }, ` · choices ${one.choices.slice(0, 12).join(" ")}${one.choices.length > 12 ? " …" : ""}`) : null);
  const hidden = one.causes.filter((c) => !one.top.some((t) => t.site === c.site));
  return el("div", { class: "example" },
    el("h4", {}, `${same ? "Marked" : one.end === "best" ? "Among the best marked" : "Among the worst marked"}${one.mark === null ? "" : `: ${fixed(one.mark)}`}`, el("span", {}, `seed ${one.seed} · question ${one.question}`)),
    ask, answers,
    siteList(one.top, "Ranked first by the finder (✓ a cause, · none, ? nobody knows)"),
    siteList(hidden, `Causes further down${one.more_causes ? `, and ${one.more_causes} more` : ""}`));
}
function fact(words, ...value) {
  return value.every((v) => v === null || v === "") ? [] : [el("dt", {}, words), el("dd", {}, ...value)];
}
function draw(data, index) {
  const line = data.lines[index];
  const [sites, finder, kind, truth, metric, value, low, high, chance, oracle, seconds, epochs] = line;
  const [name, meaning] = data.metrics[metric];
  const who = data.called[`${finder} ${truth}`] || finder;
  const behind = data.behind[`${sites} ${finder}`];
  const same = Boolean(behind) && behind.examples.every((one) => one.mark === behind.examples[0].mark);
  const page = `${ROOT}runs/${data.slug}.html`;
  const command = el("pre", {}, el("code", {}, data.replay));
  const others = data.lines.map((other, i) => [other, i]).filter(([other, i]) => i !== index && other[0] === sites && other[1] === finder && other[3] === truth);
  const top = truth === "declared" ? "oracle" : "ceiling";
  const close = el("button", { type: "button", onclick: () => panel.close(), "aria-label": "Close" }, "Close");
  const copier = el("button", { type: "button" }, "Copy");
  copier.addEventListener("click", () => copy(data.replay, copier));
  panel.replaceChildren(
    el("div", { class: "panel-head" },
      el("div", {}, el("h2", { id: "panel-title", tabindex: "-1" }, `${name} of ${who}`),
        el("p", {}, `${data.world} · ${data.nouns[sites]} · ${truth} truth`)), close),
    el("p", { class: "value" }, el("b", {}, fixed(value)), el("span", {}, spread(value, low, high) === "no interval" ? "no interval" : `95 % interval ${spread(value, low, high)}`)),
    range(line, top) || "",
    el("dl", { class: "panel-facts" },
      fact("metric", meaning ? `${name}: ${meaning}` : name),
      fact("exactly", value === null ? "not defined" : String(value)),
      fact("chance", fixed(chance)), fact(top, fixed(oracle)),
      fact("computed", data.computed[`${truth} ${metric}`]),
      fact("over", `all questions, ${data.seeds.length === 1 ? "seed" : "seeds"} ${data.seeds.join(", ")} (n = ${data.seeds.length})${behind && behind.asked ? `; ${behind.asked.toLocaleString("en")} questions${behind.site_count ? ` × ${behind.site_count.toLocaleString("en")} sites` : ""} in seed ${behind.seed}` : ""}`),
      fact("cost", seconds === null && epochs === null ? "none kept" : `${figure3(seconds)} s, ${figure3(epochs)} training epochs (mean over seeds)`),
      fact("finder", el("a", { href: ROOT + data.finders[finder] }, who), kind === finder ? null : `, of kind ${kind}`),
      fact("run", el("a", { href: page }, data.slug), ` · ${data.state} · seedbed ${data.version} · ${data.started.slice(0, 10)}`),
      fact("files", data.links.flatMap(([words, link], i) => [i ? " · " : "", el("a", { href: ROOT + link }, words)]))),
    el("h3", {}, "The command"), el("div", { class: "copy" }, command, copier),
    data.made ? el("p", { class: "quiet" }, "First made by ", el("code", {}, data.made)) : "",
    el("h3", {}, "Examples behind it"),
    behind && behind.examples.length
      ? el("div", {}, el("p", { class: "quiet read" }, `Questions of seed ${behind.seed} with ${same ? "the same mark" : "the highest and the lowest marks"} by ${data.metrics[behind.metric] ? data.metrics[behind.metric][0] : behind.metric}, read from ${behind.files.join(", ")}.`), behind.examples.map((one) => example(one, same)))
      : el("p", { class: "quiet" }, (behind && behind.reason) || "No claim of this finder was kept in the run folder."),
    behind && Object.keys(behind.notes).length ? el("dl", { class: "panel-facts" }, Object.entries(behind.notes).flatMap(([words, text]) => fact(words, text))) : "",
    others.length ? el("details", {}, el("summary", {}, `Its other metrics (${others.length})`), el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Its other metrics" }, el("table", {}, el("tbody", {}, others.map(([other, i]) => el("tr", {}, el("th", { scope: "row" }, data.metrics[other[4]][0]),
      el("td", {}, el("a", { class: "n", href: `${page}#n=${data.slug}.${i}` }, fixed(other[5]))), el("td", { class: "quiet" }, spread(other[5], other[6], other[7])), el("td", { class: "quiet" }, `chance ${fixed(other[8], 2)}`))))))) : "");
}
async function follow() {
  const name = told().get("n");
  if (!name) { if (panel.open) panel.close(); return; }
  const dot = name.lastIndexOf(".");
  const slug = name.slice(0, dot), index = Number(name.slice(dot + 1));
  try {
    await load(`data/runs/${encodeURIComponent(slug)}.js`);
    const data = runs.get(slug);
    if (!data || !data.lines[index]) throw new Error(`there is no number ${name}`);
    draw(data, index);
  } catch (error) {
    panel.replaceChildren(el("div", { class: "panel-head" }, el("h2", { id: "panel-title", tabindex: "-1" }, "Not found"),
      el("button", { type: "button", onclick: () => panel.close() }, "Close")), el("p", { class: "value" }, `Nothing of this name here: ${error.message}.`));
  }
  if (!panel.open) panel.showModal();
  panel.scrollTop = 0;
  at("panel-title").focus();
}
document.addEventListener("click", (event) => {
  const link = event.target.closest("a.n");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  if (!panel.contains(link)) opener = link;
  tell({ n: link.getAttribute("href").split("#n=")[1] }, true);
  follow();
});
panel.addEventListener("click", (event) => { if (event.target === panel) panel.close(); });
panel.addEventListener("close", () => {
  tell({ n: "" });
  if (opener && document.contains(opener)) opener.focus();
  opener = null;
});
const readdress = () => { if (form) { fromAddress(); filter(); } follow(); };
addEventListener("hashchange", readdress);
addEventListener("popstate", readdress);
follow();

/* ---- search ---- */
const box = at("search"), list = at("found");
let chosen = -1;
function matches(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length || !findable) return [];
  const found = findable.filter((row) => words.every((word) => row[4].includes(word)));
  // Names that begin with the words first; worlds, finders and studies stand before runs already.
  return [...found.filter((row) => row[1].toLowerCase().startsWith(words[0])), ...found.filter((row) => !row[1].toLowerCase().startsWith(words[0]))];
}
function choose(index) {
  const items = all("[role=option]", list);
  chosen = items.length ? (index + items.length) % items.length : -1;
  items.forEach((item, i) => item.setAttribute("aria-selected", i === chosen));
  if (chosen >= 0) { box.setAttribute("aria-activedescendant", items[chosen].id); items[chosen].scrollIntoView({ block: "nearest" }); }
  else box.removeAttribute("aria-activedescendant");
}
async function look() {
  await load("data/search.js");
  const found = matches(box.value);
  const open = Boolean(box.value.trim());
  list.hidden = !open;
  box.setAttribute("aria-expanded", open);
  list.replaceChildren(...(found.length ? found.slice(0, 30).map(([what, name, page], i) => el("li", { role: "option", id: `found-${i}`, "data-page": page }, el("small", {}, what), el("span", {}, name)))
    : [el("li", { class: "none", role: "presentation" }, "Nothing of this name here.")]));
  if (found.length > 30) list.append(el("li", { class: "none", role: "presentation" }, `and ${(found.length - 30).toLocaleString("en")} more`));
  choose(0);
}
box.closest(".search").hidden = false;
box.addEventListener("focus", () => load("data/search.js"));
box.addEventListener("input", look);
box.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") { event.preventDefault(); choose(chosen + 1); }
  else if (event.key === "ArrowUp") { event.preventDefault(); choose(chosen - 1); }
  else if (event.key === "Enter" && chosen >= 0 && !list.hidden) location.href = ROOT + all("[role=option]", list)[chosen].dataset.page;
  else if (event.key === "Escape") { box.value = ""; list.hidden = true; box.setAttribute("aria-expanded", false); }
});
list.addEventListener("mousedown", (event) => {
  const item = event.target.closest("[role=option]");
  if (item) location.href = ROOT + item.dataset.page;
});
box.addEventListener("blur", () => { list.hidden = true; box.setAttribute("aria-expanded", false); });
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || panel.open || event.target.closest("input, select, textarea")) return;
  event.preventDefault();
  box.focus();
});
