// Asks for the state of all running studies and draws them.
const shown = new Map();
function study(one) {
  const title = one.address ? el("a", { href: one.address }, one.folder) : one.folder;
  const words = standing(one).split(" · ");
  const more = [one.study && one.study !== one.folder ? one.study : "", one.world ? `world ${one.world}` : "", one.seeds.length ? `seeds ${one.seeds.join(", ")}` : ""].filter(Boolean);
  const links = one.report ? [" · ", el("a", { href: one.report }, "report")] : [];
  return el("section", { class: "study", "aria-label": one.folder }, el("h2", {}, title),
    el("p", { class: `state ${one.state}` }, el("b", {}, words[0]), ` · ${[...words.slice(1), ...more].join(" · ")}`, ...links), ...about(one));
}
function drawAll(state) {
  const running = state.studies.filter((one) => one.state === "running").length;
  at("status").textContent = running ? `${running === 1 ? "1 study is" : `${running} studies are`} running.` : "Nothing runs now. A study that is started under this folder appears here.";
  at("built").textContent = state.building ? "is being built…" : state.trouble ? `could not be built: ${state.trouble}` : state.built ? `built ${state.built}, of ${plural(state.runs, "run")}` : "is not built yet";
  const parts = state.studies.map((one) => {
    const text = JSON.stringify({ ...one, seconds: 0, age: 0 });
    const old = shown.get(one.folder);
    // What did not change stays, so that nobody's selection or focus is lost.
    const node = old && old.text === text ? old.node : study(one);
    if (old && node === old.node && one.seconds) node.querySelector(".state").replaceWith(study(one).querySelector(".state"));
    shown.set(one.folder, { text, node });
    return node;
  });
  const here = at("studies");
  if (parts.length !== here.children.length || parts.some((node, i) => here.children[i] !== node)) here.replaceChildren(...parts);
}
async function ask() {
  try {
    const answer = await fetch("state.json");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    drawAll(await answer.json());
  } catch (error) {
    at("status").textContent = `No answer (${error.message}): seedbed view has ended.`;
  }
  setTimeout(ask, EVERY);
}
ask();
