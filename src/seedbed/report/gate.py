"""Was it learned? The gate summed over seeds, kinds of mistakes, and what to change.

The advice rests on what a small subject can learn: facts first, then their composition.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from seedbed.report import wording
from seedbed.report.reader import Run
from seedbed.report.slices import Slice

HELD_OUT = "id"
_REPEATED = 1.5
_STILL_FALLING = 0.02


@dataclass(frozen=True)
class Group:
    """One slice of the gate over all seeds; `low` and `high` belong to the weakest seed."""

    slice: str
    seeds: int
    seeds_passed: int
    n: int
    accuracy: float
    low: float
    high: float
    chance: float
    bar: float
    required: bool

    @property
    def passed(self) -> bool:
        """Whether every seed passed."""
        return self.seeds_passed == self.seeds


def accuracies(run: Run) -> list[Group]:
    """The gate's slices in the order of the file, pooled over seeds."""
    groups = []
    for name in dict.fromkeys(row.slice for row in run.gate):
        rows = [row for row in run.gate if row.slice == name]
        weakest = min(rows, key=lambda row: row.low - row.bar)
        total = sum(row.n for row in rows)
        groups.append(
            Group(
                slice=name,
                seeds=len(rows),
                seeds_passed=sum(row.passed for row in rows),
                n=total,
                accuracy=sum(row.accuracy * row.n for row in rows) / max(total, 1),
                low=weakest.low,
                high=weakest.high,
                chance=weakest.chance,
                bar=weakest.bar,
                required=any(row.required for row in rows),
            )
        )
    return groups


def mistakes(run: Run) -> list[str]:
    """For every slice that failed: what the subject answered instead, counted."""
    lines = []
    for group in accuracies(run):
        if group.passed:
            continue
        wanted, kinds, total = Slice.parse(group.slice), Counter[str](), 0
        said, right = Counter[str](), Counter[str]()
        for seed in run.seeds:
            for key, answer in seed.answers.items():
                question = seed.questions.get(key)
                if question is None or question.split != HELD_OUT:
                    continue
                if wanted.covers(question, answer.correct):
                    total += 1
                    kinds[answer.error] += not answer.correct
                    said[answer.prediction.strip()] += 1
                    right[question.answer.strip()] += 1
        shares = [
            f"{count / total:.0%} {kind or 'wrong'}" for kind, count in kinds.most_common() if count
        ]
        if shares:
            where = wording.slice_words(group.slice).capitalize()
            lines.append(
                f"{where}: of {wording.plural(total, 'answer')}, {wording.listed(shares)}."
            )
            (answer_, often), majority = said.most_common(1)[0], right.most_common(1)[0][1]
            lines.append(
                f"It says {answer_} to {often / total:.0%} of them; always giving the commonest "
                f"answer would be right in {majority / total:.0%}, and it is right in "
                f"{group.accuracy:.0%}."
            )
    return lines


def falling(run: Run) -> float | None:
    """How much the loss still fell over the last fifth of training, as a share; mean of seeds."""
    drops = []
    for seed in run.seeds:
        losses = [row.loss for row in seed.history]
        tenth = len(losses) // 10
        if tenth:
            before = sum(losses[-2 * tenth : -tenth]) / tenth
            after = sum(losses[-tenth:]) / tenth
            drops.append((before - after) / before if before else 0.0)
    return sum(drops) / len(drops) if drops else None


def advice(run: Run) -> list[str]:
    """What to change so that the next run passes, in the order to try it."""
    groups = accuracies(run)
    failed = [g for g in groups if not g.passed]
    composed = [g for g in failed if _depth(g.slice) > 0]
    direct = [g for g in failed if g not in composed]
    lines = []
    if failed and run.config.get("training") is None:
        lines.append(
            "The subject was taken as it is: take a larger or an instruction-tuned one, put "
            f"questions through its chat template{_now(run.config, 'subject.chat')}, or train it."
        )
        direct = composed = []
    trained = [s.trained for s in run.seeds if s.trained is not None]
    lists = _now(run.config, "world.lists")
    if failed and lists and trained and trained[0].epochs > _REPEATED:
        lines.append(
            f"Every list was read {trained[0].epochs:.1f} times, so lists can be learned by heart: "
            f"give as many as training reads{lists}."
        )
    drop = falling(run)
    if drop is not None:
        steps = _now(run.config, "training.steps", "training.epochs")
        if drop > _STILL_FALLING:
            lines.append(f"The loss still fell by {drop:.0%} at the end: train longer{steps}.")
        elif direct:
            lines.append(
                f"The loss had settled ({drop:+.1%} at the end): try another learning rate"
                f"{_now(run.config, 'training.optimizer.lr')} or a larger subject."
            )
    if direct and not lists:
        lines.append(
            "What documents state outright was not learned: more documents a fact"
            f"{_now(run.config, 'world.texts.redundancy')}, fewer facts"
            f"{_now(run.config, 'world.bases')}, or more steps"
            f"{_now(run.config, 'training.steps')}."
        )
    if composed and not direct:
        lines += [
            "The stated facts were learned but not put together: give every function more "
            f"wrappers{_now(run.config, 'world.wrappers')}, a larger share of them restating the "
            f"value{_now(run.config, 'world.restated')}. With one wrapper a function, a small "
            "subject memorises and never composes.",
            f"Or let questions be answered in steps{_now(run.config, 'world.texts.answers')}: "
            "each step is then one stated fact.",
        ]
    passed = [wording.slice_words(g.slice) for g in groups if g.passed]
    if failed and passed:
        required = _now(run.config, "world.gate.required")
        lines.append(f"Or require only what was learned, {wording.listed(passed)}{required}.")
    return lines


def _depth(slice_: str) -> int:
    _, _, value = slice_.partition("depth=")
    return int(value) if value.isdigit() else 0


def _now(config: dict[str, Any], *paths: str) -> str:
    """The value of the first path that the configuration has, in brackets."""
    for path in paths:
        found: Any = config
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if found is not None:
            return f" ({path} is {found if found != [] else 'empty'} now)"
    return ""
