"""The figures of a benchmark: marks beside trivial answers, accuracy by slice, answers by truth.

Every function returns a `figures.Plan`, or None without data for it.
"""

from collections.abc import Callable
from typing import Any

from seedbed.report import palette, wording
from seedbed.report.benchmark import WAY_NAMES, baseline_words, ordered, rows_of, verdict
from seedbed.report.figures import Plan
from seedbed.scoring.benchmark import Benchmark, SubjectNumbers
from seedbed.scoring.numbers import Mark, Way

MOST_VALUES = 16  # of a slice that is drawn
OTHER = "other"
PAIR: tuple[Way, Way] = ("choices", "written")
_SHADES = ("#f3f6f8", "#a6cfe8", palette.BLUE, "#00395a")


def plans(bench: Benchmark) -> list[Plan]:
    """The figures that there is data for, in reading order."""
    made = [marks(bench), by_slice(bench), answers(bench), expected(bench)]
    return [plan for plan in made if plan is not None]


def look(bench: Benchmark, subject: SubjectNumbers) -> dict[str, Any]:
    """Colour and marker of a subject, the same in every figure."""
    i = [s.name for s in ordered(bench)].index(subject.name)
    return {
        "color": palette.SERIES[i % len(palette.SERIES)],
        "marker": palette.MARKERS[i % len(palette.MARKERS)],
    }


def marks(bench: Benchmark) -> Plan:
    """Accuracy, mean error, bias and correlation of every subject and way, with intervals."""
    rows = rows_of(bench)
    trivial = [b for b in bench.baselines if b.slice == "all"]
    labels = [f"{s.name}, {WAY_NAMES[m.way]}" for s, m in rows]
    labels += [baseline_words(b) for b in trivial]
    panels: list[tuple[str, Callable[[Any], Mark], list[float | None]]] = [
        ("accuracy", lambda m: m.accuracy, [b.accuracy for b in trivial]),
        ("mean error", lambda m: m.mae, [b.mae for b in trivial]),
        ("bias", lambda m: m.bias, []),
        ("correlation", lambda m: m.pearson, []),
    ]

    def draw(figure: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots(1, len(panels), sharey=True)
        for axis, (title, of, grey) in zip(axes, panels, strict=True):
            for place, (subject, m) in enumerate(rows):
                _interval(axis, of(m), place, look(bench, subject))
            for place, value in enumerate(grey, start=len(rows)):
                if value is not None:
                    axis.plot(value, place, "|", color=palette.MUTED, ms=11, mew=2)
            if title in ("bias", "correlation"):
                axis.axvline(0, color=palette.INK, lw=1, ls=(0, (4, 3)), zorder=1.5)
            axis.set_title(title)
            axis.xaxis.set_major_locator(MaxNLocator(4, prune="upper"))
            axis.set_yticks(range(len(labels)), labels)
            axis.set_ylim(len(labels) - 0.5, -0.5)
            axis.grid(axis="x")
            axis.spines["left"].set_visible(False)
            axis.tick_params(axis="y", length=0)
        axes[0].axvline(bench.best.accuracy, color=palette.INK, lw=1, ls=(0, (4, 3)), zorder=1.5)
        axes[0].set_xlim(left=0)
        axes[1].set_xlim(left=0)

    note = (
        f"{wording.plural(bench.questions, 'question')}. Bars: 95 % intervals (Wilson for accuracy,"
        " else a bootstrap over causes). Dashed: best trivial answer; 0 for bias and correlation."
        " Error, bias and correlation are of answers that are numbers."
    )
    height = 0.8 + 0.3 * len(labels)
    return Plan("marks", _marks_title(bench), note, (9.2, height), draw)


def _marks_title(bench: Benchmark) -> str:
    verdicts = [verdict(bench, s) for s in ordered(bench)]
    above = sum(v.tone != "bad" for v in verdicts)
    best = f"the best trivial answer, {baseline_words(bench.best)}"
    if len(verdicts) == 1:
        return f"{verdicts[0].name} is {'above' if above else 'not above'} {best}"
    return f"{above} of {wording.plural(len(verdicts), 'subject')} above {best}"


def _interval(axis: Any, mark: Mark, place: float, style: dict[str, Any]) -> None:
    if mark.value is None:
        return
    if mark.low is not None and mark.high is not None:
        axis.plot([mark.low, mark.high], [place, place], color=style["color"], lw=1.6)
    axis.plot(mark.value, place, style["marker"], color=style["color"], ms=5.5)


def by_slice(bench: Benchmark) -> Plan | None:
    """Accuracy over the values of each slice, one line a subject, and the majority's answer."""
    keys = {k: v for k, v in bench.slices.items() if len(v) <= MOST_VALUES}
    if not keys:
        return None
    subjects = ordered(bench)
    columns = min(2, len(keys))
    lines = -(-len(keys) // columns)

    def draw(figure: Any) -> None:
        axes = figure.subplots(lines, columns, squeeze=False).flatten()
        for axis in axes[len(keys) :]:
            axis.set_visible(False)
        for axis, (key, names) in zip(axes, keys.items(), strict=False):
            values = [name.partition("=")[2] for name in names]
            step = 0.5 / max(1, len(subjects))
            for i, subject in enumerate(subjects):
                style = look(bench, subject)
                shift = (i - (len(subjects) - 1) / 2) * step
                found = [subject.mark(subject.first, name) for name in names]
                for x, m in enumerate(found):
                    if m and m.accuracy.low is not None and m.accuracy.high is not None:
                        axis.plot([x + shift] * 2, [m.accuracy.low, m.accuracy.high],
                                  color=style["color"], lw=1.2, alpha=0.6)  # fmt: skip
                heights = [m.accuracy.value if m else None for m in found]
                axis.plot([x + shift for x in range(len(names))], heights, color=style["color"],
                          marker=style["marker"], ms=4.5, lw=1.2, label=subject.name)  # fmt: skip
            trivial = [bench.baseline("majority", name) for name in names]
            axis.step(range(len(names)), [b.accuracy if b else None for b in trivial],
                      where="mid", color=palette.MUTED, lw=1, ls=(0, (4, 3)),
                      label=_majority(bench))  # fmt: skip
            long = max(len(v) for v in values) > 4
            axis.set_xticks(range(len(names)), values, rotation=40 if long else 0,
                            ha="right" if long else "center")  # fmt: skip
            axis.set(xlabel=key, ylabel="accuracy", ylim=(-0.03, 1.03))
            axis.grid(axis="y")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=3,
                      fontsize=8.5)  # fmt: skip

    note = (
        f"{wording.plural(bench.questions, 'question')}; {_first_ways(bench)}. Bars: 95 % Wilson"
        " intervals. Dashed: what always the commonest answer would get."
    )
    title = f"Accuracy by {wording.listed(list(keys))}"
    return Plan("slices", title, note, (9.2, 0.5 + 2.7 * lines), draw)


def _majority(bench: Benchmark) -> str:
    row = bench.baseline("majority")
    return baseline_words(row) if row else ""


def _first_ways(bench: Benchmark) -> str:
    ways = {s.first for s in bench.subjects}
    return " or ".join(WAY_NAMES[w] for w in sorted(ways))


def answers(bench: Benchmark) -> Plan | None:
    """A matrix a subject and way: which share of the questions of each truth got which answer."""
    subjects = ordered(bench)
    shown = [(s, w) for s in subjects for w in s.ways]
    truths = [str(t) for t in bench.truths]
    if not shown:
        return None
    both = len(shown) > len(subjects)
    # A line a subject where some answer in two ways, so that columns can be compared.
    grid = [(s, s.told(w)) for s in subjects for w in PAIR] if both else list(shown)
    most = max(map(int, truths)) + 3
    given = {a for _, w in shown for row in w.table.values() for a in row}
    numbers = sorted({*map(int, truths), *(int(a) for a in given if a != "none")})
    inside = [str(n) for n in numbers if 0 <= n <= most]
    names = [*inside, *([OTHER] if len(inside) < len(numbers) else []),
             *(["none"] if "none" in given else [])]  # fmt: skip
    wide = 2.6 + 0.1 * len(names)
    columns = len(PAIR) if both else max(1, min(len(grid), int(9.4 // wide)))
    lines = -(-len(grid) // columns)

    def draw(figure: Any) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        shades = LinearSegmentedColormap.from_list("shares", _SHADES)
        axes = figure.subplots(lines, columns, squeeze=False, sharey=True).flatten()
        for axis in axes[len(grid) :]:
            axis.set_visible(False)
        for k, (axis, (subject, told)) in enumerate(zip(axes, grid, strict=False)):
            if told is None:
                axis.set_visible(False)
                continue
            _matrix(axis, told.table, truths, names, shades)
            axis.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(truths) - 0.5, -0.5))
            axis.set_xticks(range(len(names)), names, fontsize=7.5)
            axis.set_yticks(range(len(truths)), truths, fontsize=8)
            axis.set_title(f"{subject.name}\n{WAY_NAMES[told.way]}", fontsize=9)
            axis.tick_params(length=0)
            if k % columns == 0 or grid[k - 1][1] is None:
                axis.set_ylabel("true number")
                axis.tick_params(labelleft=True)
            if k >= len(grid) - columns:
                axis.set_xlabel("answer")
            for side in axis.spines.values():
                side.set_visible(False)

    note = (
        "Per cent of the questions with that true number; shares under 5 % are coloured but not"
        " written. Red frames: right answers. A subject that counts is dark on the frames; one"
        " that always says the same is dark in one column."
    )
    if "none" in names:
        note += " none: a reply without a number that can be read."
    title = "Which answers are given to which true numbers"
    return Plan("answers", title, note, (9.2, 0.3 + lines * (0.9 + 0.22 * len(truths))), draw)


def _matrix(
    axis: Any, table: dict[int, dict[str, int]], truths: list[str], names: list[str], shades: Any
) -> None:
    """Cells shaded by share of their row; `other` is what no column of its own counts."""
    from matplotlib.colors import to_hex
    from matplotlib.patches import Rectangle

    for y, truth in enumerate(truths):
        row = table.get(int(truth), {})
        total = sum(row.values()) or 1
        counts = {name: row.get(name, 0) for name in names}
        if OTHER in names:
            counts[OTHER] = total - sum(counts.values())
        for x, name in enumerate(names):
            share = counts[name] / total
            colour = to_hex(shades(share))
            axis.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fc=colour, lw=0))
            if name == truth:
                axis.add_patch(Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fc="none",
                                         ec=palette.RED, lw=1.1, zorder=3))  # fmt: skip
            if share >= 0.05:
                # A cell keeps its colour in the dark, so its ink may not be the page's.
                light = palette.readable_on(colour) == palette.PAPER
                axis.text(x, y, f"{100 * share:.0f}", ha="center", va="center", fontsize=6.5,
                          color="#fefefe" if light else "#101418")  # fmt: skip


def expected(bench: Benchmark) -> Plan | None:
    """The mean answer at each true number, one line a subject, beside the diagonal."""
    names = bench.slices.get("answer") or bench.slices.get("count", [])
    points = [int(n.partition("=")[2]) for n in names if n.partition("=")[2].lstrip("-").isdigit()]
    if len(points) < 2 or len(points) != len(names):
        return None
    subjects = ordered(bench)

    def draw(figure: Any) -> None:
        axis = figure.subplots()
        axis.plot([points[0], points[-1]], [points[0], points[-1]], color=palette.MUTED, lw=1,
                  ls=(0, (4, 3)), label="the truth")  # fmt: skip
        for i, subject in enumerate(subjects):
            way: Way = "expected" if subject.mark("expected") else "written"
            style = look(bench, subject)
            shift = (i - (len(subjects) - 1) / 2) * 0.08
            xs, ys = [], []
            for x, name in zip(points, names, strict=True):
                m = subject.mark(way, name)
                if m is None or m.bias.value is None:
                    continue
                xs.append(x + shift)
                ys.append(x + m.bias.value)
                if m.bias.low is not None and m.bias.high is not None:
                    axis.plot([xs[-1]] * 2, [x + m.bias.low, x + m.bias.high],
                              color=style["color"], lw=1.2, alpha=0.6)  # fmt: skip
            label = f"{subject.name}, {WAY_NAMES[way]}"
            axis.plot(xs, ys, color=style["color"], marker=style["marker"], ms=4.5, lw=1.2,
                      label=label)  # fmt: skip
        axis.set(xlabel="true number", ylabel="mean answer")
        axis.set_xticks(points)
        axis.grid(axis="y")
        figure.legend(*axis.get_legend_handles_labels(), loc="outside right upper", fontsize=8.5)

    note = (
        "Expected count: Σ n p(n) under the softmax over the choices; mean of written numbers for"
        " subjects without it. Bars: 95 % bootstrap intervals over causes. A flat line does not"
        " look at the question, however right its level."
    )
    return Plan("expected", "The mean answer against the true number", note, (9.2, 3.6), draw)
