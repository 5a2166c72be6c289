"""What a data loop reports: what was made, kept and pruned, how flat, how varied, what it cost."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from seedbed.core.rows import Row
from seedbed.worlds.counting.chatting import Cost
from seedbed.worlds.counting.checks import (
    Diversity,
    Flatness,
    disputed,
    diversity,
    flatness,
    independence,
    majority,
    told_by,
)
from seedbed.worlds.counting.examples import Example, Method
from seedbed.worlds.counting.wanted import Wanted, span

SHOWN = 30
"""So many disputed words are listed, the most frequent first."""
FLAT = 0.05
"""A χ² p value at or below this is warned of."""


class Pruned(Row):
    """Something that was not kept, and why."""

    category: str
    words: list[str]
    num_target: int | None
    method: Method
    outcome: str
    why: str
    by: Literal["lists", "chat", ""] = ""
    reasons: dict[str, str] = Field(default_factory=dict)


class Round(Row):
    """One round: how many examples were asked for, came, and were kept."""

    method: Method
    asked: int
    made: int
    kept: int


class Made(Row):
    """What became of the examples of one method; `valid` is the share with the right number.

    The share counts everything that was written, `unfit` rows too.
    """

    made: int
    valid: float
    kept: int
    pruned: dict[str, int]


class Disputed(Row):
    """A word that nobody could place, in how many examples, and the last reason."""

    category: str
    word: str
    times: int
    reason: str


class Report(Row):
    """The diagnostics of a loop."""

    settings: Wanted
    seed: int
    kept: int
    complete: bool
    methods: dict[str, Made]
    rounds: list[Round]
    disputed_labels: int
    disputed_words: list[Disputed]
    distributions: dict[str, Flatness]
    count_and_length: float
    majority: float
    length_only: float
    diversity: Diversity
    costs: dict[str, Cost]
    warnings: list[str]


def diagnose(
    wanted: Wanted,
    seed: int,
    kept: Sequence[Example],
    pruned: Sequence[Pruned],
    rounds: Sequence[Round],
    costs: dict[str, Cost],
) -> Report:
    """The report on a finished loop."""
    counts, lengths = [e.num_target for e in kept], [len(e.words) for e in kept]
    flat = {
        "count": flatness(counts, span(wanted.counts)),
        "length": flatness(lengths, span(wanted.lengths)),
        "category": flatness([e.category for e in kept], wanted.names),
    }
    apart = independence(counts, lengths)
    # A chat model's words need not be in any list; what a validator said stands for them.
    by_lists = [e for e in kept if e.generation_method == "systematic"]
    report = Report(
        settings=wanted,
        seed=seed,
        kept=len(kept),
        complete=len(kept) >= wanted.examples,
        methods=_methods(kept, pruned),
        rounds=list(rounds),
        disputed_labels=len(disputed(by_lists)),
        disputed_words=_words(pruned),
        distributions=flat,
        count_and_length=apart,
        majority=majority(counts),
        length_only=told_by(lengths, counts),
        diversity=diversity(kept),
        costs=costs,
        warnings=[],
    )
    return report.model_copy(update={"warnings": _warnings(report)})


def _methods(kept: Sequence[Example], pruned: Sequence[Pruned]) -> dict[str, Made]:
    found = {}
    for method in ("systematic", "llm"):
        mine = sum(e.generation_method == method for e in kept)
        fates = Counter(p.outcome for p in pruned if p.method == method)
        made = mine + fates.total()
        wrong = fates["wrong count"] + fates["undecided"] + fates["unfit"]
        if made:
            found[method] = Made(
                made=made,
                valid=(made - wrong) / made,
                kept=mine,
                pruned=dict(sorted(fates.items())),
            )
    return found


def _words(pruned: Sequence[Pruned]) -> list[Disputed]:
    times: Counter[tuple[str, str]] = Counter()
    reasons: defaultdict[tuple[str, str], str] = defaultdict(str)
    for one in pruned:
        for word, why in one.reasons.items():
            times[one.category, word] += 1
            reasons[one.category, word] = why
    order = sorted(times, key=lambda key: (-times[key], key))[:SHOWN]
    return [Disputed(category=c, word=w, times=times[c, w], reason=reasons[c, w]) for c, w in order]


def _warnings(report: Report) -> list[str]:
    found = []
    costs, wanted = report.costs, report.settings
    if not report.complete:
        found.append(
            f"{report.kept} of {wanted.examples} examples stand after {wanted.rounds} rounds"
        )
    if wanted.generator != "systematic":
        if "validator" not in costs:
            found.append("no validator: a list with a word that the lists cannot place was pruned")
        elif costs["validator"].model == costs["generator"].model:
            found.append(
                f"generator and validator are the same model ({costs['generator'].model}), which"
                " agrees with its own mistakes"
            )
        llm = report.methods.get("llm")
        asked = wanted.examples if wanted.generator == "chat" else None
        target = asked or round(wanted.chat_share * wanted.examples)
        if llm is None or llm.kept < target:
            found.append(f"{llm.kept if llm else 0} of {target} examples are the chat model's")
    for name, one in report.distributions.items():
        if one.p <= FLAT:
            found.append(f"{name} is not flat (χ² {one.chi2:.1f}, p = {one.p:.2g})")
    if report.count_and_length <= FLAT:
        found.append(f"count and length are not independent (p = {report.count_and_length:.2g})")
    return found
