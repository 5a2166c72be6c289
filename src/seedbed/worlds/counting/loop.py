"""The data loop: generate, validate, prune, top up, until as many examples stand as are wanted.

Everything follows from settings, seed and replies, so a loop that was killed runs again to the
same bytes, and asks nothing twice where the chat models keep their replies.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from seedbed.core.chat import Chat
from seedbed.core.errors import InputError
from seedbed.core.files import write_json, write_rows
from seedbed.core.seeds import stream
from seedbed.worlds.counting.chatting import Asked
from seedbed.worlds.counting.composing import compose
from seedbed.worlds.counting.diagnosis import Pruned, Report, Round, diagnose
from seedbed.worlds.counting.examples import Example, Method, Overlaps
from seedbed.worlds.counting.judging import Judge, Verdict
from seedbed.worlds.counting.systematic import Systematic
from seedbed.worlds.counting.wanted import Wanted, missing

EXAMPLES, PRUNED, REPORT = "examples.jsonl", "pruned.jsonl", "report.json"
SPARE = 1.25
"""So many more examples are asked of a chat model as are missing, because some will be pruned."""


@dataclass
class Loop:
    """One loop under way: what was kept, what was pruned and why, and its rounds."""

    wanted: Wanted
    seed: int
    generator: Asked | None
    validator: Asked | None
    kept: list[Example] = field(default_factory=list)
    pruned: list[Pruned] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.judge = Judge(self.validator)
        self.overlaps = Overlaps()
        self.full: Counter[str] = Counter()

    def run(self, start: Sequence[Example] = ()) -> None:
        """What there is to start with, chat rounds up to the share wanted of a chat model, then
        systematic ones.
        """
        known = [e for e in start if e.category in self.wanted.names]
        self.pruned += [
            _pruned(e, "unfit", f"category: '{e.category}' is not among those wanted")
            for e in start
            if e.category not in self.wanted.names
        ]
        for method in get_args(Method):
            if mine := [e for e in known if e.generation_method == method]:
                self._take(mine, method, len(mine), self.wanted.examples - len(self.kept))
        for number in range(self.wanted.rounds if self.generator else 0):
            made = sum(e.generation_method == "llm" for e in self.kept)
            short = self.wanted.from_chat - made
            if short <= 0:
                break
            self._chat_round(number, short)
        if self.wanted.generator != "chat":
            writer = Systematic(self.wanted, self.seed)
            for number in range(self.wanted.rounds):
                short = self.wanted.examples - len(self.kept)
                if short <= 0:
                    break
                rng = stream(self.seed, "counting", "plans", "systematic", number)
                plans = missing(self.wanted, self.kept, short, rng)
                self._take(writer.write(plans, self.kept), "systematic", len(plans))
        stream(self.seed, "counting", "order").shuffle(self.kept)

    def _chat_round(self, number: int, short: int) -> None:
        assert self.generator is not None
        rng = stream(self.seed, "counting", "plans", "chat", number)
        plans = missing(self.wanted, self.kept, round(short * SPARE), rng)
        found, refused = compose(self.generator, plans, f"{self.seed}/{number}")
        self.pruned += [
            Pruned(category=r.category, words=r.words, num_target=r.num_target, method="llm",
                   outcome="unfit", why=r.why)
            for r in refused
        ]  # fmt: skip
        self._take(found, "llm", len(plans), short)

    def _take(
        self, examples: Sequence[Example], method: Method, asked: int, room: int | None = None
    ) -> None:
        """Judge examples, keep those that stand, prune the others with the reason."""
        before = len(self.kept)
        for example, verdict in zip(examples, self.judge.verdicts(examples), strict=True):
            outcome, why = self._fate(example, verdict)
            if outcome == "valid" and room is not None and len(self.kept) - before >= room:
                outcome, why = "surplus", "as many as were wanted stood already"
            if outcome == "valid":
                self._keep(example, verdict)
            else:
                self.pruned.append(_pruned(example, outcome, why, verdict))
        self.rounds.append(
            Round(method=method, asked=asked, made=len(examples), kept=len(self.kept) - before)
        )

    def _fate(self, example: Example, verdict: Verdict) -> tuple[str, str]:
        wanted, size = self.wanted, len(example.words)
        if verdict.outcome != "valid":
            return verdict.outcome, verdict.why
        for name, value, (low, high) in (
            ("length", size, wanted.lengths), ("count", example.num_target, wanted.counts),
        ):  # fmt: skip
            if not low <= value <= high:
                return "unfit", f"{name} {value} is outside {low} to {high}"
        limit = wanted.alike if example.generation_method == "systematic" else wanted.chat_alike
        if (most := self.overlaps.most(example.words)) > limit:
            return "duplicate", f"Jaccard {most:.2f} to a kept list, at most {limit}"
        if self.full[example.category] >= wanted.most:
            return "category full", f"{wanted.most} of '{example.category}' are kept already"
        return "valid", ""

    def _keep(self, example: Example, verdict: Verdict) -> None:
        self.kept.append(example.model_copy(update={"members": verdict.members}))
        self.overlaps.add(example.words)
        self.full[example.category] += 1


def _pruned(example: Example, outcome: str, why: str, verdict: Verdict | None = None) -> Pruned:
    return Pruned(
        category=example.category,
        words=list(example.words),
        num_target=example.num_target,
        method=example.generation_method,
        outcome=outcome,
        why=why,
        by=verdict.by if verdict else "",
        reasons=verdict.reasons if verdict else {},
    )


def run_loop(
    wanted: Wanted,
    seed: int,
    folder: Path,
    generator: Chat | None = None,
    validator: Chat | None = None,
    start: Sequence[Example] = (),
) -> Report:
    """Run (or go on with) the loop in `folder`: examples.jsonl, pruned.jsonl, report.json.

    `start` are examples that somebody has made; they are checked and pruned like any other.
    Raises InputError if a chat generator is wanted and none is given.
    """
    if wanted.generator != "systematic" and generator is None:
        raise InputError(f"the generator '{wanted.generator}' needs a chat model: give --model")
    if wanted.generator == "systematic":
        generator = None
    writing = Asked(generator) if generator else None
    judging = Asked(validator) if validator else None
    loop = Loop(wanted, seed, writing, judging)
    loop.run(start)
    roles = {"generator": writing, "validator": judging}
    costs = {role: one.cost for role, one in roles.items() if one is not None}
    report = diagnose(wanted, seed, loop.kept, loop.pruned, loop.rounds, costs)
    write_rows(folder / EXAMPLES, [e.record() for e in loop.kept])
    write_rows(folder / PRUNED, loop.pruned)
    write_json(folder / REPORT, report.model_dump(mode="json"))
    return report
