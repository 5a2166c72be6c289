"""What the score figures draw: quality by slice, cost against quality, the top 10 by role.

Under the measured truth quality is LDS, with the ceiling in place of the oracle. Every function
returns (title, note, size in inches, draw), or None without data for it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from seedbed.report import palette, wording
from seedbed.report.labels import log_axis, place
from seedbed.report.leading import BY_HOP, DECLARED, MEASURED, called
from seedbed.report.ranked import best_on, question_slices, ranked_on
from seedbed.report.reader import Run
from seedbed.report.retraining import reach
from seedbed.report.schema import CONTROLS, ORACLE, Score
from seedbed.scoring.rows import LABELS

Made = tuple[str, str, tuple[float, float], Callable[[Any], None]]
_PANELS = 5
_NEAR = 0.7
_LOOK = {
    "above": {"color": palette.BLUE, "marker": "o", "mfc": palette.BLUE},
    "level": {"color": palette.MUTED, "marker": "o", "mfc": palette.PAPER},
    "below": {"color": palette.RED, "marker": "v", "mfc": palette.PAPER},
    "unknown": {"color": palette.INK, "marker": "o", "mfc": palette.INK},
}


def sample(run: Run, truth: str) -> str:
    """`3 seeds, 180 questions asked` for the note of a figure."""
    seeds = {seed for row in run.scores if row.truth == truth for seed in row.seeds}
    finders = run.finders(truth)
    asked = 0
    for seed in run.seeds:
        names = [name for name in finders if name in seed.finders]
        if names and seed.number in seeds:
            asked += len(seed.claim(names[0]).questions)
    return f"{wording.plural(len(seeds), 'seed')}, {wording.plural(asked, 'question')} in all"


def quality(run: Run, truth: str) -> Made | None:
    """Finders down, one panel a question slice and one a hop, with intervals and controls."""
    finders = run.finders(truth)
    rows = [(run.lead(truth), question_slices(run)[:_PANELS])]
    if truth == DECLARED and run.hops:
        far = ["hop>=1"] if "hop>=1" in run.slices else []
        rows.append((BY_HOP, [*run.hops, *far][-_PANELS:]))
    if not finders:
        return None
    height = 0.75 + len(rows) * (0.9 + 0.23 * len(finders))

    def draw(figure: Any) -> None:
        parts = figure.subfigures(len(rows), 1) if len(rows) > 1 else [figure]
        for part, (metric, slices) in zip(parts, rows, strict=True):
            axes = part.subplots(1, len(slices), sharey=True, squeeze=False)[0]
            for i, (axis, name) in enumerate(zip(axes, slices, strict=True)):
                _panel(axis, run, truth, metric, name, first=i == 0)
                axis.set_title(wording.slice_words(name))
            part.supxlabel(_axis_title(metric), fontsize=9.5, color=palette.MUTED)

    note = (
        f"{sample(run, truth)}; {truth} truth. Bars: 95 % bootstrap intervals over seeds and "
        "causes. Filled: above chance; hollow circle: level with chance; hollow triangle: below. "
        f"Dashed line: chance; solid line: {called(ORACLE, truth)}"
    )
    if truth == MEASURED:
        note = note.replace("seeds and causes", "seeds, causes and subsets")
        note += f" with its interval. LDS: {wording.meaning(run.lead(truth))}"
    return _quality_title(run, truth), f"{note}.", (9.2, height), draw


def _axis_title(metric: str) -> str:
    name = wording.metric(metric)
    return name[0].upper() + name[1:] + " (higher is better)"


def _quality_title(run: Run, truth: str) -> str:
    total = len(run.finders(truth))
    far = "hop>=1" if "hop>=1" in run.slices else next((h for h in run.hops if h != "hop=0"), "")
    best = best_on(run, truth, run.lead(truth), "all")
    if truth == MEASURED:
        return _effects_title(run, best)
    lead = wording.metric(run.lead(truth))
    said = f"{best.finder} has the highest {lead}" if best else "No finder has a score"
    if not far:
        return f"{said}."
    above = sum(row.standing == "above" for row in ranked_on(run, truth, BY_HOP, far))
    return (
        f"{said}; {above} of {wording.plural(total, 'finder')} stay above chance on evidence "
        "beyond the first hop."
    )


def _effects_title(run: Run, best: Score | None) -> str:
    if best is None:
        return "No finder has a score."
    if best.standing != "above":
        return f"No finder predicts retraining better than chance; the highest is {best.finder}."
    rows = ranked_on(run, MEASURED, best.metric, "all")
    level = sum(row.standing != "above" for row in rows)
    said = f"{best.finder} predicts retraining best" + (f", {r}" if (r := reach(best)) else "")
    total = wording.plural(len(rows), "finder")
    return f"{said}; {level} of {total} predict no better than chance."


def _panel(axis: Any, run: Run, truth: str, metric: str, name: str, first: bool) -> None:
    finders = [*run.finders(truth), *(c for c in run.controls(truth) if c == LABELS)]
    for place_, finder in enumerate(finders):
        row = run.score(finder, truth, metric, name)
        if row is None or row.value is None:
            continue
        look = _LOOK["unknown" if finder in CONTROLS else row.standing]
        if row.low is not None and row.high is not None:
            axis.plot([row.low, row.high], [place_, place_], color=look["color"], lw=1.6)
        axis.plot(
            row.value, place_, look["marker"], color=look["color"], mfc=look["mfc"], ms=5.5, mew=1.3
        )
    chance = run.base_rate(truth, metric, name)
    oracle = run.score(ORACLE, truth, metric, name)
    if chance is not None:
        axis.axvline(chance, color=palette.INK, lw=1, ls=(0, (4, 3)), zorder=1.5)
        # High chance levels are named on their left, clear of the name of the oracle.
        side = "right" if chance > _NEAR else "left"
        axis.text(
            chance, -0.75, " chance ", fontsize=7.5, color=palette.MUTED, va="center", ha=side
        )
    if oracle is not None and oracle.value is not None:
        axis.axvline(oracle.value, color=palette.GREEN, lw=1.2, zorder=0.5)
        if truth == MEASURED and oracle.low is not None and oracle.high is not None:
            axis.axvspan(oracle.low, oracle.high, color=palette.GREEN, alpha=0.12, lw=0, zorder=0.4)
        # A low ceiling is named on its right, clear of the name of chance.
        side = "right" if oracle.value > _NEAR else "left"
        axis.text(
            oracle.value, -0.75, f" {called(ORACLE, truth)} ", fontsize=7.5, color=palette.MUTED,
            va="center", ha=side,
        )  # fmt: skip
    low = lowest(run, truth, metric)
    axis.set(xlim=(low - 0.03, 1.03), ylim=(len(finders) - 0.5, -1.1))
    ticks = [t for t in (-1, -0.5, 0, 0.5, 1) if t >= low]
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.set_yticks(range(len(finders)), finders)
    axis.grid(axis="x")
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="y", length=0, labelleft=first)


def looks(run: Run) -> dict[str, tuple[str, str]]:
    """A colour and a marker for each finder, the same in every figure of the run."""
    names = dict.fromkeys(name for truth in run.truths for name in run.finders(truth))
    colours, markers = palette.SERIES, palette.MARKERS
    return {
        # The second round of colours has other markers than the first.
        name: (colours[i % len(colours)], markers[(i + i // len(colours)) % len(markers)])
        for i, name in enumerate(names)
    }


def lowest(run: Run, truth: str, metric: str) -> float:
    """Where an axis of this metric starts: 0, or below all intervals if one reaches below 0."""
    lows = [r.low for r in run.scores if r.truth == truth and r.metric == metric]
    return min([0.0, *(low for low in lows if low is not None)])


def cost(run: Run, truth: str) -> Made | None:
    """Cost (log) against quality; in epochs where every finder has them."""
    lead = run.lead(truth)
    rows = ranked_on(run, truth, lead, "all")
    in_epochs = bool(rows) and all(row.epochs is not None for row in rows)
    costs = {row.finder: row.epochs if in_epochs else row.seconds for row in rows}
    rows = [row for row in rows if (costs[row.finder] or 0) > 0]
    if not rows:
        return None
    unit = "training epochs" if in_epochs else "seconds"

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        log_axis(axis.xaxis, subs=(1,))
        axis.set(xlabel=f"Cost in {unit} (log)", ylabel=_axis_title(lead))
        axis.set_ylim(min([0.0, *(row.low or 0.0 for row in rows)]) - 0.03, 1.06)
        spread = [float(costs[row.finder] or 0) for row in rows]
        axis.set_xlim(min(spread) / 2.5, max(spread) * 6)
        lines = _levels(axis, run, truth)
        names, points, bars = [], [], []
        for row in rows:
            x, y = float(costs[row.finder] or 0), row.value or 0.0
            colour, marker = looks(run)[row.finder]
            if row.low is not None and row.high is not None:
                axis.plot([x, x], [row.low, row.high], color=colour, lw=1.6)
                bars.append(((x, row.low), (x, row.high)))
            axis.plot(x, y, marker, color=colour, ms=7)
            names.append(row.finder)
            points.append((x, y))
        axis.grid()
        place(axis, names, points, lines, bars)

    best = rows[0]
    price = wording.significant(costs[best.finder])
    title = f"{best.finder}, the highest, costs {price} {unit}"
    cheapest = min(rows, key=lambda row: costs[row.finder] or 0)
    if cheapest is not best:
        value = wording.number(cheapest.value, 2)
        title += (
            f"; {cheapest.finder}, the cheapest, {wording.significant(costs[cheapest.finder])}, "
        )
        title += f"for {value} against {wording.number(best.value, 2)}"
    note = f"{sample(run, truth)}; {truth} truth, all questions. Bars: 95 % intervals."
    return f"{title}.", note, (7.6, 4.2), draw


def _levels(axis: Any, run: Run, truth: str) -> list[float]:
    chance = run.base_rate(truth, run.lead(truth), "all")
    oracle = run.score(ORACLE, truth, run.lead(truth), "all")
    right, drawn = axis.get_xlim()[1], []
    for value, name, colour, style in (
        (chance, "chance", palette.INK, (0, (4, 3))),
        (oracle.value if oracle else None, called(ORACLE, truth), palette.GREEN, "-"),
    ):
        if value is not None:
            drawn.append(value)
            axis.axhline(value, color=colour, lw=1.1, ls=style, zorder=1.5)
            axis.text(
                right, value, f"{name} ", ha="right", va="bottom", fontsize=8, color=palette.MUTED
            )
    return drawn


def composition(run: Run, truth: str) -> Made | None:
    """Share of the top 10 by role, a stacked bar a finder, the base rate as a bar."""
    found = {
        row.metric.removeprefix("top10:")
        for row in run.scores
        if row.truth == truth and row.metric.startswith("top10:")
    }
    if not found:
        return None
    order = ("evidence", "supporting", "mention", "decoy", "neutral", "unrelated")
    labels = sorted(found, key=lambda n: (_index(order, n.partition(":")[0]), n))
    colours = palette.roles(labels)
    finders = [
        f for f in (*run.finders(truth), ORACLE) if run.score(f, truth, f"top10:{labels[0]}", "all")
    ]
    bars: dict[str, list[float]] = {}
    for finder in finders:
        rows = [run.score(finder, truth, f"top10:{label}", "all") for label in labels]
        bars[finder] = [_value(row) for row in rows]
    base = [run.base_rate(truth, f"top10:{label}", "all") or 0.0 for label in labels]
    every = f"all {run.noun}s"
    bars[every] = base
    kept = [i for i in range(len(labels)) if max(bar[i] for bar in bars.values()) > 0]

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        for y, (name, shares) in enumerate(bars.items()):
            left, row = 0.0, y + (0.6 if name == every else 0.0)
            for i in kept:
                axis.barh(
                    row, shares[i], 0.72, left=left, color=colours[labels[i]], lw=0.6,
                    edgecolor=palette.PAPER, label=labels[i] if y == 0 else None,
                )  # fmt: skip
                if shares[i] >= 0.06:
                    ink = palette.readable_on(colours[labels[i]])
                    # A near-copy of the ink, so that it stays dark when the page swaps inks.
                    fixed = {palette.INK: "#1f242a", palette.PAPER: "#fffffe"}[ink]
                    axis.text(
                        left + shares[i] / 2, row, f"{shares[i]:.0%}", ha="center", va="center",
                        fontsize=8, color=fixed,
                    )  # fmt: skip
                left += shares[i]
        places = [y + (0.6 if name == every else 0.0) for y, name in enumerate(bars)]
        axis.set_yticks(places, list(bars))
        axis.set(xlim=(0, 1), ylim=(places[-1] + 0.5, -0.5))
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axis.set_xlabel(f"Share of the 10 highest-scored {run.noun}s")
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        columns = len(kept) if len(kept) <= 6 else -(-len(kept) // 2)
        handles = axis.get_legend_handles_labels()[0]
        # Legends fill column by column; this order makes the rows read in order.
        by_row = [h for i in range(columns) for h in handles[i::columns]]
        axis.legend(
            handles=by_row, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, fontsize=8.5,
            handlelength=1, columnspacing=1.2, borderaxespad=0,
        )  # fmt: skip

    first = next((f for f in finders if f not in CONTROLS), None)
    title = f"Roles among the top 10 {run.noun}s"
    if first is not None and any(label.startswith("evidence") for label in labels):
        of = sum(
            s for s, label in zip(bars[first], labels, strict=True) if label.startswith("evidence")
        )
        rate = sum(s for s, label in zip(base, labels, strict=True) if label.startswith("evidence"))
        title = f"{of:.0%} of {first}'s top 10 is evidence, against {rate:.1%} of {every}"
    note = (
        f"{sample(run, truth)}; {truth} truth, all questions. Ties are broken against the finder."
    )
    return f"{title}.", note, (8.6, 1.5 + 0.31 * len(bars)), draw


def _index(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def _value(row: Score | None) -> float:
    return (row.value or 0.0) if row else 0.0
