"""The verdict in plain sentences, each computed from the files of the run.

Order: was it learned, who found it, who is level with chance, what it cost, what was left out.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seedbed.report import wording
from seedbed.report.gate import accuracies, advice, mistakes
from seedbed.report.reader import Run
from seedbed.report.schema import Score

Tone = Literal["good", "bad", "plain"]
HEADLINE = "average_precision"
BY_HOP = "roc_auc"


@dataclass(frozen=True)
class Finding:
    """One topic of the verdict: a heading of a few words and its sentences."""

    topic: str
    text: tuple[str, ...]
    tone: Tone = "plain"


def headline(run: Run) -> str:
    """The one sentence that a reader takes away."""
    if run.stopped:
        failed = [wording.slice_words(group.slice) for group in accuracies(run) if not group.passed]
        where = f" at {wording.listed(failed)}" if failed else ""
        return f"The subject did not learn what was planted{where}, so no finder was run."
    best = best_on(run, "declared", HEADLINE, "all") or best_on(run, "measured", HEADLINE, "all")
    if best is None:
        return "No finder has a score."
    against = (
        f"{wording.metric(HEADLINE)} {wording.valued(best)} against "
        f"{wording.number(best.chance, 2)} by chance"
    )
    if best.standing != "above":
        return f"No finder is distinguishable from chance; the highest is {best.finder}, {against}."
    return f"{best.finder} found the cause best: {against}."


def findings(run: Run) -> list[Finding]:
    """The verdict, topic by topic."""
    found = [_learned(run)]
    if run.stopped:
        found.append(Finding("What went wrong", tuple(mistakes(run)), "bad"))
        found.append(Finding("What to change", tuple(advice(run))))
    for truth in run.truths:
        found += [_best(run, truth), _level(run, truth), _cost(run, truth)]
    if len(run.truths) > 1:
        found.append(_between_truths(run))
    found.append(_excluded(run))
    return [f for f in found if f.text]


def best_on(run: Run, truth: str, metric: str, slice_: str) -> Score | None:
    """The finder (no control) with the highest value, or None."""
    rows = ranked_on(run, truth, metric, slice_)
    return rows[0] if rows else None


def ranked_on(run: Run, truth: str, metric: str, slice_: str) -> list[Score]:
    """Finders (no controls) with a value, highest first."""
    found = (run.score(name, truth, metric, slice_) for name in run.finders(truth))
    rows = [row for row in found if row is not None and row.value is not None]
    return sorted(rows, key=lambda row: (-(row.value or 0.0), row.finder))


def _learned(run: Run) -> Finding:
    groups = accuracies(run)
    if not groups:
        return Finding("Learned", ())
    failed = [g for g in groups if not g.passed]
    seeds = len({row.seed for row in run.gate})
    lines = []
    if not failed:
        which = wording.listed([wording.slice_words(g.slice) for g in groups])
        lines.append(
            f"Yes: every one of {wording.plural(seeds, 'seed')} passed the gate at {which}."
        )
    else:
        which = wording.listed(
            [
                f"{wording.slice_words(g.slice)} ({g.seeds_passed} of {g.seeds} seeds)"
                for g in failed
            ]
        )
        lines.append(f"Not everywhere: the gate was not passed at {which}.")
    lines += [
        f"{wording.slice_words(g.slice).capitalize()}: accuracy {g.accuracy:.2f}, lowest interval "
        f"of a seed [{g.low:.2f}, {g.high:.2f}]; the gate asks for {g.bar:.2f} "
        f"(chance {g.chance:.2f}); {wording.plural(g.n, 'question')}."
        for g in groups
    ]
    if way := how_answered(run):
        lines.append(f"Answers were given {way}.")
    return Finding("Learned", tuple(lines), "bad" if failed else "good")


def how_answered(run: Run) -> str:
    """`at once` or `in steps`, if the world's configuration says it."""
    world = run.config.get("world")
    texts = world.get("texts") if isinstance(world, dict) else None
    said = texts.get("answers") if isinstance(texts, dict) else None
    return {"at_once": "at once", "steps": "in steps"}.get(str(said), "")


def _best(run: Run, truth: str) -> Finding:
    rows = ranked_on(run, truth, HEADLINE, "all")
    if not rows:
        return Finding("Best finder", ())
    best = rows[0]
    lines = [
        f"{best.finder}: {wording.metric(HEADLINE)} {wording.valued(best)}; chance "
        f"{wording.number(best.chance, 2)}, oracle {wording.number(best.oracle, 2)}."
    ]
    close = [row.finder for row in rows[1:] if overlap(best, row)]
    if close:
        lines.append(f"Not settled: its interval overlaps those of {wording.listed(close)}.")
    elif len(rows) > 1:
        lines.append(f"Its interval lies above every other; next is {_named(rows[1])}.")
    questions = [s for s in run.slices if "=" in s and "hop" not in s and "," not in s]
    lines += _by(run, truth, HEADLINE, questions, "By question")
    lines += _by(run, truth, BY_HOP, run.hops, "By hop of the evidence")
    return Finding(_titled("Best finder", run, truth), tuple(lines), "good")


def _by(run: Run, truth: str, metric: str, slices: Sequence[str], opening: str) -> list[str]:
    parts = []
    for name in slices:
        top = best_on(run, truth, metric, name)
        if top is None:
            continue
        chance = f"chance {wording.number(top.chance, 2)}"
        where = wording.slice_words(name)
        if top.standing == "above":
            parts.append(f"{where} {_named(top)}, {chance}")
        else:
            parts.append(f"{where} nobody above chance (highest {_named(top)}, {chance})")
    return [f"{opening} ({wording.metric(metric)}): {'; '.join(parts)}."] if parts else []


def _level(run: Run, truth: str) -> Finding:
    lines = []
    places = [(HEADLINE, "all"), *((BY_HOP, hop) for hop in run.hops)]
    for metric, name in places:
        rows = ranked_on(run, truth, metric, name)
        if not rows:
            continue
        level = [row.finder for row in rows if row.standing == "level"]
        below = [row.finder for row in rows if row.standing == "below"]
        said = []
        if level:
            said.append(f"level with chance: {wording.listed(level)}")
        if below:
            said.append(f"below chance: {wording.listed(below)}")
        where = f"{wording.slice_words(name).capitalize()} ({wording.metric(metric)})"
        lines.append(f"{where}: {'; '.join(said) or 'every finder is above chance'}.")
    quiet = all(line.endswith("every finder is above chance.") for line in lines)
    return Finding(_titled("Against chance", run, truth), tuple(lines), "plain" if quiet else "bad")


def _cost(run: Run, truth: str) -> Finding:
    rows = [row for row in ranked_on(run, truth, HEADLINE, "all") if row.seconds is not None]
    if not rows or truth != run.truths[0]:
        return Finding("Cost", ())
    best = rows[0]
    lines = [f"{best.finder} took {_price(best)}."]
    equal = [row for row in rows[1:] if overlap(best, row)]
    cheaper = min(equal, key=lambda row: row.seconds or 0.0, default=None)
    if cheaper is not None and (cheaper.seconds or 0.0) < (best.seconds or 0.0):
        lines.append(
            f"The cheapest that is not clearly worse: {cheaper.finder}, {_price(cheaper)}."
        )
    above = [row for row in rows if row.standing == "above" and row is not best]
    cheapest = min(above, key=lambda row: row.seconds or 0.0, default=None)
    if cheapest is not None and cheapest is not cheaper:
        lines.append(
            f"The cheapest above chance: {cheapest.finder}, {_price(cheapest)} "
            f"({wording.metric(HEADLINE)} {wording.valued(cheapest)})."
        )
    return Finding("Cost", tuple(lines))


def _between_truths(run: Run) -> Finding:
    lines = []
    for name in run.finders("declared"):
        declared = run.score(name, "declared", HEADLINE, "all")
        measured = run.score(name, "measured", HEADLINE, "all")
        if declared and measured and not overlap(declared, measured):
            lines.append(
                f"{name}: declared {wording.valued(declared)}, measured {wording.valued(measured)}."
            )
    text = tuple(lines) or ("No finder's intervals differ between the two truths.",)
    return Finding("Declared against measured", text)


def _excluded(run: Run) -> Finding:
    if not run.excluded:
        return Finding("Left out", ("No question was left out.",))
    reasons = Counter(row.reason for row in run.excluded).most_common()
    counted = "; ".join(f"{count:,} × {reason}" for reason, count in reasons)
    total = wording.plural(len(run.excluded), "question")
    return Finding("Left out", (f"{total} left out over all seeds: {counted}.",))


def overlap(a: Score, b: Score) -> bool:
    """Whether two intervals share a point; False if one is not defined."""
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return False
    return a.low <= b.high and b.low <= a.high


def _named(row: Score) -> str:
    return f"{row.finder} {wording.valued(row)}"


def _titled(topic: str, run: Run, truth: str) -> str:
    return f"{topic} ({truth} truth)" if len(run.truths) > 1 else topic


def _price(row: Score) -> str:
    parts = [wording.seconds(row.seconds)]
    if row.epochs is not None:
        parts.append(f"{wording.significant(row.epochs)} of a training epoch")
    if row.peak_mib is not None:
        parts.append(f"{wording.significant(row.peak_mib)} MiB at the peak")
    return ", ".join(parts)
