// Asks for the state of a run until it is finished, and draws it.
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#8c6d31", "#8b949c"];
const ROLES = { agent: "agent", environment: "user", system: "system", tool: "tool" };
const W = 240, H = 130, LEFT = 26, BOTTOM = 18, TOP = 6;
const colours = new Map();
const colour = (arm) => colours.get(arm) || colours.set(arm, COLOURS[colours.size % COLOURS.length]).get(arm);
const split = (cell) => [cell.slice(0, cell.lastIndexOf("+")), cell.slice(cell.lastIndexOf("+") + 1)];

function draw(state) {
  at("stages").replaceChildren(...state.stages.map(([name, there]) => el("li", { class: there ? "done" : null }, name)));
  const rounds = state.cells.reduce((sum, cell) => sum + cell.rounds, 0);
  const agents = state.cells.length;
  const sofar = agents ? [`${rounds} rounds measured${state.finished ? "" : ` in ${agents} agents`}.`] : [];
  at("status").textContent = state.finished ? `Finished; ${sofar.join("") || "all is scored."} The report stands in report.html of the run folder.` : sofar.join("") || standing(state.run);
  at("run").replaceChildren(...about(state.run));
  for (const part of document.querySelectorAll(".users")) part.hidden = !agents;
  at("title").textContent = state.finished ? "A study that has finished" : "A study that is running";
  const by = new Map();
  for (const [cell, course] of Object.entries(state.courses)) {
    const [condition, arm] = split(cell);
    by.set(condition, [...(by.get(condition) || []), [arm, course]]);
  }
  at("panels").replaceChildren(...[...by].map(([condition, arms]) => panel(condition, arms)));
  at("cells").tBodies[0].replaceChildren(...Object.entries(state.courses).map(([cell, course]) => row(state, cell, course)));
  at("newest").replaceChildren(...state.newest.map(episode));
  if (!state.newest.length) at("newest").append(el("p", { class: "quiet" }, "None yet."));
}
function row(state, cell, course) {
  const seeds = state.cells.filter((one) => one.cell === cell);
  const last = course[course.length - 1] || {};
  const counts = seeds.map((one) => one.rounds);
  const texts = [seeds.filter((one) => one.rounds).length, `${Math.min(...counts)}–${Math.max(...counts)}`,
    number(last.gameable), number(last.other), number(last.rating), number(last.welfare)];
  return el("tr", {}, el("th", { scope: "row" }, cell), ...texts.map((text) => el("td", {}, String(text))));
}
function panel(condition, arms) {
  const most = Math.max(1, ...arms.map(([, course]) => course.length - 1));
  const x = (k) => LEFT + (k / most) * (W - LEFT - 6);
  const y = (value) => TOP + (1 - value) * (H - TOP - BOTTOM);
  const drawing = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `Harm under ${condition}, round by round` });
  for (const value of [0, 0.5, 1]) {
    drawing.append(svg("line", { x1: LEFT, x2: W - 6, y1: y(value), y2: y(value), class: value ? "rule" : "axis" }),
      svg("text", { x: LEFT - 4, y: y(value) + 3, "text-anchor": "end" }, String(value)));
  }
  drawing.append(svg("text", { x: LEFT, y: H - 4 }, "0"), svg("text", { x: W - 6, y: H - 4, "text-anchor": "end" }, `round ${most}`));
  for (const [arm, course] of arms) {
    for (const [kind, dash] of [["gameable", null], ["other", "4 3"]]) {
      const points = course.map((one, k) => [k, one[kind]]).filter(([, value]) => value !== undefined);
      if (points.length) drawing.append(svg("polyline", { points: points.map(([k, value]) => `${x(k)},${y(value)}`).join(" "), fill: "none", stroke: colour(arm), "stroke-width": 1.6, "stroke-dasharray": dash }));
      if (points.length === 1) drawing.append(svg("circle", { cx: x(0), cy: y(points[0][1]), r: 2.5, fill: colour(arm) }));
    }
  }
  const key = arms.map(([arm]) => { const mark = el("i"); mark.style.background = colour(arm); return el("li", {}, mark, arm); });
  return el("div", {}, el("h3", {}, condition), drawing, el("ul", {}, ...key));
}
function episode(one) {
  const ratings = one.ratings.map((value) => number(value)).join(", ");
  const about = `${one.cell} · seed ${one.seed} · round ${one.round} · ${one.environment}${ratings ? ` · rated ${ratings}` : ""}${one.failure ? ` · failed: ${one.failure}` : ""}`;
  return el("div", {}, el("h3", {}, about), ...one.said.map(([role, text]) => el("div", { class: `said ${role}` }, el("b", {}, ROLES[role]), text)));
}
async function ask() {
  let state = null;
  try {
    const answer = await fetch("state.json");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    state = await answer.json();
  } catch (error) {
    at("status").textContent = `No answer (${error.message}): seedbed watch has ended, or the run folder cannot be read.`;
  }
  if (state) draw(state);
  if (!state || !state.finished) setTimeout(ask, EVERY);
}
ask();
