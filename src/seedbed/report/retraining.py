"""What retraining says, in plain sentences: its bank and ceiling, and where the truths disagree.

Each sentence is computed from the rows of the run; "clearly" means that intervals do not touch.
"""

from collections import Counter
from itertools import combinations
from statistics import correlation

from seedbed.report import wording
from seedbed.report.leading import DECLARED, LDS, LEADING, MEASURED
from seedbed.report.ranked import (
    ceiling,
    clearly_above,
    ranked_on,
    share_of_ceiling,
    under_both,
)
from seedbed.report.reader import Run
from seedbed.report.schema import Score
from seedbed.scoring.rows import LABELS

_PAIRS = 3
_NOUNS = {
    "none": "with nothing left out",
    "subset": "random subsets",
    "group": "facts left out",
    "single": "single documents left out",
    "top": "finders' top documents left out",
}


def bank_line(run: Run) -> str:
    """How many subjects were retrained, how long that took, and the ceiling they leave."""
    banks = [seed.bank for seed in run.seeds if seed.bank is not None]
    counts: Counter[str] = Counter()
    repeats = 0
    for seed in run.seeds:
        if seed.outcomes is not None:
            counts.update(seed.outcomes.kinds)
            repeats = seed.outcomes.outputs.shape[1]
    if not banks:
        return ""
    kinds = wording.listed([f"{n:,} {_NOUNS[kind]}" for kind, n in counts.items()])
    parts = [
        f"{wording.plural(sum(b.subjects for b in banks), 'subject')} retrained: {kinds}, each "
        f"under {wording.plural(repeats, 'seed')}",
        f"{wording.seconds(sum(b.seconds for b in banks))} of processes summed, as much as "
        f"{wording.significant(sum(b.epochs for b in banks))} training epochs of the full subject",
    ]
    if (top := ceiling(run)) is not None:
        parts.append(f"ceiling that the noise between seeds leaves: LDS {wording.valued(top)}")
    return "; ".join(parts) + ". From seeds/*/effects/outcomes.npz and cost.json."


def output_words(run: Run) -> str:
    """What was read from a retrained subject, in nats."""
    asked = run.config.get("measured")
    kind = asked.get("output") if isinstance(asked, dict) else None
    return "log-odds of the answer" if kind == "odds" else "log p(answer)"


def reach(row: Score) -> str:
    """`74 % of the ceiling 0.95`; empty without a ceiling."""
    share = share_of_ceiling(row)
    return "" if share is None else f"{share:.0%} of the ceiling {wording.number(row.oracle, 2)}"


def labels_line(run: Run) -> str:
    """How well the declared truth itself predicts retraining; empty if it was not marked."""
    labels, top = run.score(LABELS, MEASURED, LDS, "all"), ceiling(run)
    if labels is None or labels.value is None:
        return ""
    said = f"The declared labels, taken as scores, reach LDS {wording.valued(labels)}"
    if share := reach(labels):
        said += f", {share}"
    if clearly_above(top, labels):
        said += ": clearly below it, so being evidence is not the same as having mattered"
    elif top is not None and (labels.value or 0) < (top.value or 0):
        said += ": not clearly below it"
    elif top is not None:
        said += ": the evidence is what mattered, as far as seeds agree"
    ahead = [r.finder for r in ranked_on(run, MEASURED, LDS, "all") if clearly_above(r, labels)]
    if ahead:
        verb = "predicts" if len(ahead) == 1 else "predict"
        said += f". {wording.listed(ahead)} {verb} retraining clearly better than they do"
    return f"{said}."


def disagreements(run: Run) -> list[str]:
    """Where declared and measured truth part: standings, orders, the labels themselves."""
    pairs = under_both(run)
    lines = [labels_line(run)]
    finds = [a.finder for a, b in pairs if a.standing == "above" and b.standing != "above"]
    moves = [a.finder for a, b in pairs if a.standing != "above" and b.standing == "above"]
    if finds:
        lines.append(
            f"Above chance on the declared truth but not on the measured one: "
            f"{wording.listed(finds)}."
        )
    if moves:
        lines.append(
            f"Above chance on the measured truth but not on the declared one: "
            f"{wording.listed(moves)}."
        )
    turned = _turned(pairs)
    lines += [f"{_turn(*pair)}." for pair in turned[:_PAIRS]]
    if len(turned) > _PAIRS:
        lines.append(f"{len(turned) - _PAIRS} more pairs are clearly in opposite orders.")
    if (agreement := order_agreement(run)) is not None:
        lines.append(
            f"Over {len(pairs)} finders the two orders have a rank correlation of "
            f"{wording.number(agreement, 2)}."
        )
    if not (finds or moves or turned):
        lines.append("No two finders are clearly in opposite orders under the two truths.")
    return [line for line in lines if line]


def order_agreement(run: Run) -> float | None:
    """Rank correlation of finders between the truths; None for fewer than three."""
    order = {
        truth: [r.finder for r in ranked_on(run, truth, LEADING[truth], "all")]
        for truth in (DECLARED, MEASURED)
    }
    both = [f for f in order[DECLARED] if f in order[MEASURED]]
    if len(both) < 3:
        return None
    other = [f for f in order[MEASURED] if f in both]
    return correlation([float(both.index(f)) for f in both], [other.index(f) for f in both])


def _turned(pairs: list[tuple[Score, Score]]) -> list[tuple[Score, Score, Score, Score]]:
    """(a, b) by declared truth, then the same two by measured truth, clearly the other way."""
    found = []
    for (a, own), (b, its) in combinations(pairs, 2):
        if clearly_above(a, b) and clearly_above(its, own):
            found.append((a, b, own, its))
    return sorted(found, key=lambda p: (p[2].value or 0) - (p[3].value or 0))


def _turn(a: Score, b: Score, own: Score, its: Score) -> str:
    metric = wording.metric(a.metric)
    return (
        f"{a.finder} is clearly ahead of {b.finder} on the declared truth ({metric} "
        f"{wording.number(a.value, 2)} against {wording.number(b.value, 2)}), {b.finder} of "
        f"{a.finder} on the measured one (LDS {wording.number(its.value, 2)} against "
        f"{wording.number(own.value, 2)})"
    )
