"""The verdict in plain sentences, each computed from the files of the run.

Order: was it learned, who found it, who is level with chance, what it cost, what was left out.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seedbed.core.sites import ANNOTATED
from seedbed.report import (
    attribution,
    axes,
    crossed,
    directions_words,
    incentives_words,
    mediation,
    organisms,
    rules,
    spread_words,
    trade_off,
    wording,
)
from seedbed.report.gate import accuracies, advice, mistakes
from seedbed.report.leading import BY_HOP, DECLARED, LDS, MEASURED, top_name
from seedbed.report.ranked import best_on, overlap, question_slices, ranked_on
from seedbed.report.reader import Run
from seedbed.report.retraining import disagreements, reach
from seedbed.report.schema import Score
from seedbed.report.spread import unasked

Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Finding:
    """One topic of the verdict: a heading of a few words and its sentences."""

    topic: str
    text: tuple[str, ...]
    tone: Tone = "plain"


def headline(run: Run) -> str:
    """The one sentence that a reader takes away: what feedback taught, else one for each truth."""
    if run.stopped:
        failed = [wording.slice_words(group.slice) for group in accuracies(run) if not group.passed]
        where = f" at {wording.listed(failed)}" if failed else ""
        return f"The subject did not learn what was planted{where}, so no finder was run."
    if fed := incentives_words.headline(run):
        return fed
    found = [best_on(run, truth, run.lead(truth), "all") for truth in run.truths]
    best = [row for row in found if row is not None]
    said = [_lead(run, row) for row in best]
    said += [spread_words.headline(run.spreading), trade_off.headline(run.spreading)]
    said.append(directions_words.headline(run))
    return " ".join(part for part in said if part) or "No finder has a score."


def _lead(run: Run, best: Score) -> str:
    measured = best.truth == MEASURED
    value = f"{wording.metric(best.metric)} {wording.valued(best)}"
    limit = f" of a possible {wording.number(best.oracle, 2)}" if best.oracle is not None else ""
    chance = f" against {wording.number(best.chance, 2)} by chance"
    against = value + (limit if measured else chance)
    if best.standing == "above":
        ranked = ranked_on(run, best.truth, best.metric, "all")
        level = [row.finder for row in ranked if row.value == best.value]
        if len(level) > 1:
            did = "predict retraining" if measured else "found the cause"
            return f"{wording.listed(level)} {did} equally well: {against}."
        did = "predicts retraining best" if measured else f"{_found(run)} best"
        return f"{best.finder} {did}: {against}."
    which = "predicts retraining" if measured else "is distinguishable from chance"
    return f"No finder {which}; the highest is {best.finder}, {against}."


def _found(run: Run) -> str:
    return "named the kind" if run.noun == "kind" else "found the cause"


def findings(run: Run) -> list[Finding]:
    """The verdict, topic by topic."""
    lines, apart = axes.word_findings(run)
    found = [_learned(run), Finding("Axes apart", tuple(axes.findings(run)))]
    found.append(Finding("In words", tuple(lines), "bad" if apart else "plain"))
    found.append(_annotated(run))
    found += [Finding(*one) for one in incentives_words.findings(run)]
    found += [Finding(*one) for one in attribution.findings(run)]
    if run.stopped:
        found.append(Finding("What went wrong", tuple(mistakes(run)), "bad"))
        found.append(Finding("What to change", tuple(advice(run))))
    for truth in run.truths:
        found += [_best(run, truth), _level(run, truth), _cost(run, truth)]
    if len(run.truths) > 1:
        found.append(Finding("Declared against measured", tuple(disagreements(run))))
    ran = any(engine.ran for engine in run.engines)
    found.append(
        Finding(
            "Mediation",
            tuple(mediation.findings(run.mediation, run.engines)),
            "good" if ran else "bad",
        )
    )
    lost = any(row.left_out for row in run.sides)
    sides = tuple(directions_words.side_findings(run))
    found.append(Finding("Sides", sides, "bad" if lost else "good"))
    for topic, text, good in directions_words.findings(run):
        found.append(Finding(topic, text, "good" if good else "bad"))
    scored = run.organisms is not None and not run.organisms.stopped
    said = tuple(organisms.findings(run))
    found.append(Finding("Planted layer", said, "good" if scored else "bad"))
    failed = run.spreading is not None and any(not f.fitted for f in run.spreading.fits)
    learned = tuple(spread_words.fit_findings(run.spreading))
    tone: Tone = "plain" if unasked(run.spreading) else "good"
    found += [
        Finding("Second stage", learned, "bad" if failed else tone),
        Finding("Spread", tuple(spread_words.findings(run.spreading))),
        Finding("Protection", tuple(spread_words.protection_findings(run.spreading))),
        Finding("Methods", tuple(trade_off.findings(run.spreading))),
        Finding("Rules", tuple(rules.findings(run))),
        *(Finding(*one) for one in crossed.findings(run)),
        _warnings(run),
        _excluded(run),
    ]
    return [f for f in found if f.text]


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


def _annotated(run: Run) -> Finding:
    """Says so where the truth is nobody's construction."""
    if ANNOTATED not in run.seeds[0].truth.names:
        return Finding("Truth", ())
    said = "Nothing was planted: the truth is an annotation, which may itself be wrong."
    return Finding("Truth", (said,))


def how_answered(run: Run) -> str:
    """`at once` or `in steps`, if the world's configuration says it."""
    world = run.config.get("world")
    texts = world.get("texts") if isinstance(world, dict) else None
    said = texts.get("answers") if isinstance(texts, dict) else None
    return {"at_once": "at once", "steps": "in steps"}.get(str(said), "")


def _best(run: Run, truth: str) -> Finding:
    lead = run.lead(truth)
    rows = ranked_on(run, truth, lead, "all")
    if not rows:
        return Finding("Best finder", ())
    best = rows[0]
    if truth == MEASURED:
        share = f", {said}" if (said := reach(best)) else ""
        opening = f"{best.finder} predicts retraining best"
        if best.standing != "above":
            opening = f"No finder predicts retraining; the highest is {best.finder}"
        lines = [
            f"{opening}: {wording.metric(lead)} {wording.valued(best)}{share}; chance "
            f"{wording.number(best.chance, 2)}.",
            f"{wording.metric(LDS)} is the {wording.meaning(LDS)}.",
        ]
    else:
        lines = [
            f"{best.finder}: {wording.metric(lead)} {wording.valued(best)}; chance "
            f"{wording.number(best.chance, 2)}, {top_name(truth, lead)} "
            f"{wording.number(best.oracle, 2)}."
        ]
    close = [row.finder for row in rows[1:] if overlap(best, row)]
    if close:
        lines.append(f"Not settled: its interval overlaps those of {wording.listed(close)}.")
    elif len(rows) > 1:
        lines.append(f"Its interval lies above every other; next is {_named(rows[1])}.")
    lines += _by(run, truth, lead, question_slices(run)[1:], "By question")
    if truth == DECLARED:
        lines += _by(run, truth, BY_HOP, run.hops, "By hop of the evidence")
    tone: Tone = "good" if truth == DECLARED or best.standing == "above" else "bad"
    return Finding(_titled("Best finder", run, truth), tuple(lines), tone)


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
    places = [(run.lead(truth), "all")]
    if truth == DECLARED:
        places += [(BY_HOP, hop) for hop in run.hops]
    else:
        places += [(LDS, name) for name in question_slices(run)[1:]]
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
    ranked = ranked_on(run, truth, run.lead(truth), "all")
    rows = [row for row in ranked if row.seconds is not None]
    if not rows:
        return Finding("Cost", ())
    best = rows[0]
    lines = [f"{best.finder} took {_price(best)}."]
    equal = [row for row in rows[1:] if overlap(best, row) and row.standing != "level"]
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
            f"({wording.metric(cheapest.metric)} {wording.valued(cheapest)})."
        )
    return Finding(_titled("Cost", run, truth), tuple(lines))


def _warnings(run: Run) -> Finding:
    lines = [f"{wording.listed(names)}: {text}." for text, names in run.warnings.items()]
    return Finding("Warnings", tuple(lines), "bad")


def _excluded(run: Run) -> Finding:
    lacking = [row.finder for row in run.missing]
    more = (f"Could not run here: {wording.listed(lacking)}; why stands below.",) if lacking else ()
    if not run.excluded:
        return Finding("Left out", ("No question was left out.", *more))
    reasons = Counter(row.reason for row in run.excluded).most_common()
    counted = "; ".join(f"{count:,} × {reason}" for reason, count in reasons)
    total = wording.plural(len(run.excluded), "question")
    return Finding("Left out", (f"{total} left out over all seeds: {counted}.", *more))


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
