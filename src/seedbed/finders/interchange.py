"""Is a running state carried along? Interchange interventions against what it would predict.

At one place of a random recipient stands the state of a random donor (Geiger et al. 2021,
arXiv 2106.02997, section 3); what the subject then answers says what that place holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from seedbed.core.cells import LAST, Cell
from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.core.seeds import stream
from seedbed.core.units import Units
from seedbed.finders.asking import Asked, aligned, ask
from seedbed.finders.controls import step_at
from seedbed.finders.patches import Patch, Run, patched_logits
from seedbed.models.subject import Subject

States = Mapping[str, Mapping[str, int]]
HYPOTHESES = ("nothing", "membership", "running", "other")
ANSWER = ("nothing", "answer", "other")


@dataclass(frozen=True)
class Trial:
    """A recipient, a donor, a place, and the answer that each hypothesis predicts."""

    recipient: Question
    donor: Question
    place: str
    predicted: dict[str, str]
    mirror: str = ""
    """The answer as far off as `running` predicts, the other way; "" if it cannot be told apart."""


def interchange(
    subject: Subject,
    questions: Sequence[Question],
    states: States,
    edges: Sequence[Cell],
    count: int,
) -> Units | None:
    """Which answer follows each patch: columns `HYPOTHESIS CELL`, at `item` or `last`.

    At an item the place may hold nothing that matters, its own item's part (`membership`), or
    the state so far (`running`): only trials count in which the three predict different
    answers. At the last place it may hold the whole `answer`. Values are 1 or 0, NaN for
    trials of the other sort; None if no trial can tell the hypotheses apart. `mirror` is the
    control of `running`: how often the answer is as far off on the other side.
    """
    trials = [*_items(subject, questions, states, count), *_answers(subject, questions, count)]
    if not trials:
        return None
    asked: dict[str, Asked] = {}
    for question in (q for t in trials for q in (t.recipient, t.donor)):
        if question.id not in asked:
            asked[question.id] = ask(subject, question)
    runs = [Run(asked[t.recipient.id].ids, asked[t.donor.id].ids) for t in trials]
    patches = [
        Patch(
            i, e.stream, e.layer, aligned(asked[t.recipient.id], asked[t.donor.id], t.place),
            step=e.step,
        )
        for i, t in enumerate(trials)
        for e in edges
    ]  # fmt: skip
    tokens = [asked[t.recipient.id].choices for t in trials]
    given = patched_logits(subject, runs, patches, tokens, seed=subject.seed)
    best = given.logits.argmax(dim=-1).reshape(len(trials), len(edges)).tolist()
    columns: dict[str, list[float]] = {}
    for i, trial in enumerate(trials):
        for edge, choice in zip(edges, best[i], strict=True):
            said = trial.recipient.choices[choice]
            where = LAST if trial.place == LAST else "item"
            names = ANSWER if where == LAST else HYPOTHESES
            hit = next((n for n, a in trial.predicted.items() if a == said), "other")
            for name in names:
                column = columns.setdefault(
                    f"{name} {replace(edge, place=where).name}", [float("nan")] * len(trials)
                )
                column[i] = float(name == hit)
            if trial.mirror:
                at = f"mirror {replace(edge, place=where).name}"
                column = columns.setdefault(at, [float("nan")] * len(trials))
                column[i] = float(said == trial.mirror)
    units = tuple(f"{t.recipient.id}<{t.donor.id}@{t.place}" for t in trials)
    causes = tuple(t.recipient.cause or t.recipient.id for t in trials)
    return Units(units, causes, tuple(columns), np.array(list(columns.values())).T)


def _items(
    subject: Subject, questions: Sequence[Question], states: States, count: int
) -> list[Trial]:
    """Recipient and donor of one cause with the same places; a random item of them."""
    groups: dict[tuple[str, tuple[str, ...]], list[Question]] = {}
    for question in questions:
        if states.get(question.id):
            groups.setdefault((question.cause, tuple(question.places)), []).append(question)
    able = [group for group in groups.values() if len(group) > 1]
    rng = stream(subject.seed, "interchange", "items")
    # A choice that is no question's answer is one that no subject has reason to give.
    given = frozenset(q.answer for q in questions)
    found: dict[tuple[str, str, str], Trial] = {}
    for _ in range(20 * count):
        if not able or len(found) == count:
            break
        recipient, donor = rng.sample(rng.choice(able), 2)
        place = rng.choice([p for p in _reading(recipient) if p in states[recipient.id]])
        trial = _trial(recipient, donor, place, states, given)
        if trial is not None:
            found.setdefault((recipient.id, donor.id, place), trial)
    return list(found.values())


def _trial(
    recipient: Question, donor: Question, place: str, states: States, given: frozenset[str]
) -> Trial | None:
    """The trial, if its hypotheses predict different answers that are all among those `given`."""
    ours, theirs = states[recipient.id], states[donor.id]
    order = _reading(recipient)
    own, other = step_at(ours, place, order), step_at(theirs, place, order)
    if own is None or other is None:
        return None
    # The answer may be another function of the count, such as one more than it.
    end = _number(recipient.answer)
    values = {
        "nothing": end,
        "membership": end - own + other,
        "running": end - ours[place] + theirs[place],
    }
    by_number = {_number(c): c for c in recipient.choices if c in given}
    if len(set(values.values())) < 3 or any(v not in by_number for v in values.values()):
        return None
    mirror = 2 * end - values["running"]
    known = "" if mirror in values.values() else by_number.get(mirror, "")
    return Trial(recipient, donor, place, {n: by_number[v] for n, v in values.items()}, known)


def _reading(question: Question) -> list[str]:
    """Places as they stand in the prompt; a JSON file of states sorts item10 before item2."""
    return sorted(question.places, key=lambda p: question.places[p])


def _number(choice: str) -> int:
    try:
        return int(choice)
    except ValueError as error:
        raise InputError(
            f"choice {choice!r} is no whole number, which interchange trials need; set"
            " mediation.trials to 0"
        ) from error


def _answers(subject: Subject, questions: Sequence[Question], count: int) -> list[Trial]:
    """Pairs of questions with the same choices and other answers, patched where it is read."""
    rng = stream(subject.seed, "interchange", "answers")
    found: dict[tuple[str, str], Trial] = {}
    for _ in range(20 * count):
        if len(questions) < 2 or len(found) == count:
            break
        recipient, donor = rng.sample(list(questions), 2)
        if recipient.answer != donor.answer and recipient.choices == donor.choices:
            predicted = {"nothing": recipient.answer, "answer": donor.answer}
            found[recipient.id, donor.id] = Trial(recipient, donor, LAST, predicted)
    return list(found.values())
