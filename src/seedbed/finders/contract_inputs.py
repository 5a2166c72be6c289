"""What every finder on parts of the input and on rules must hold: the tests and yours call it.

It makes a small subject and questions of its own; a breach raises AssertionError.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.core.sites import Claim, Floats, SiteKind
from seedbed.finders.base import Finder
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny

TOLERANCE = 1e-4
WORDS = ("ant", "bee", "cat", "cow")
COLOURS = (" red", " green", " blue")


def example_inputs(reads: Sequence[str] = ()) -> tuple[Subject, list[Question]]:
    """An untrained subject of two blocks that also reads the texts `reads`, and ten questions.

    Their parts are a number and its sign (one part within the other), a word, a place that
    always says the same, and in every third question a second word. Their rules go by the
    sign, by the word, by nothing, and (in nine questions only) by both.
    """
    questions = []
    for i in range(10):
        number, word = f"{'+-'[i % 2]}{i % 3}.{(7 * i) % 10}", WORDS[i % 4]
        second = f" {WORDS[(i + 1) % 4]}" if i % 3 == 0 else ""
        prompt = f"F[{number}] {word}{second} ="
        at = prompt.index(word)
        places = {"number": (2, 2 + len(number)), "number.sign": (2, 3),
                  "word": (at, at + len(word)), "form": (0, 1)}  # fmt: skip
        if second:
            places["second"] = (at + len(word) + 1, at + len(word) + len(second))
        rules = {"sign": COLOURS[i % 2], "word": COLOURS[(i % 4) % 3], "none": COLOURS[0]}
        if i:
            rules["both"] = COLOURS[(i % 2 + i % 4) % 3]
        questions.append(Question(id=f"q{i}", prompt=prompt, choices=COLOURS,
                                  answer=COLOURS[i % 3], places=places, rules=rules))  # fmt: skip
    texts = [*(f"{q.prompt} {c}" for q in questions for c in COLOURS), *reads]
    subject = Tiny(layers=2, width=16, heads=2, context=256, init=0.2).build(texts, [], 0)
    return subject, questions


def check_input_finder(finder: Finder, reads: Sequence[str] = (), *, by_name: bool = False) -> None:
    """Raise AssertionError unless `finder`, which scores parts of the input, keeps the contract.

    `reads` are texts whose words it needs the subject to know; `by_name`: it tells the subject
    what a part is called, so names may change its scores.
    """
    assert finder.sites is SiteKind.INPUT, "this check is for finders on parts of the input"
    names = [name for q in example_inputs()[1] for name in q.places] if by_name else []
    subject, questions = example_inputs([*reads, *names])
    claim = _check(finder, subject, questions, "places", renaming=not by_name)
    wanted = dict.fromkeys(name for q in questions for name in q.places)
    assert claim.sites == tuple(wanted), "claim columns are the places in order of appearance"
    for row, question in zip(claim.scores, questions, strict=True):
        absent = [s for s, part in enumerate(claim.sites) if part not in question.places]
        assert (row[absent] == 0).all(), "a place that a question lacks scores 0"
    bare = [questions[0].model_copy(update={"places": {}}), *questions[1:]]
    _refused(finder, subject, bare, "a question without places")
    closed = [questions[0].model_copy(update={"choices": (), "rules": {}}), *questions[1:]]
    _refused(finder, subject, closed, "a question without choices")


def check_rule_finder(finder: Finder) -> None:
    """Raise AssertionError unless `finder`, which scores rules, keeps the contract."""
    assert finder.sites is SiteKind.RULE, "this check is for finders on rules"
    subject, questions = example_inputs()
    claim = _check(finder, subject, questions, "rules", renaming=True)
    wanted = dict.fromkeys(name for q in questions for name in q.rules)
    assert claim.sites == tuple(wanted), "claim columns are the rules in order of appearance"
    doubled = [q.model_copy(update={"rules": {**q.rules, "twin": q.rules["sign"]}})
               for q in questions]  # fmt: skip
    twin = finder.find(subject, [], doubled, [])
    columns = [twin.sites.index(name) for name in ("sign", "twin")]
    one, other = twin.scores[:, columns].T
    _near(one, other, "rules that always say the same share their score")
    other = [q.model_copy(update={"answer": q.choices[-1]}) for q in questions]
    told = finder.find(subject, [], other, []).scores
    _near(claim.scores, told, "the declared answer, which tells the rule, says nothing")
    bare = [questions[0].model_copy(update={"rules": {}}), *questions[1:]]
    _refused(finder, subject, bare, "a question without rules")
    single = [q.model_copy(update={"rules": {"sign": q.rules["sign"]}}) for q in questions]
    _refused(finder, subject, single, "a single rule")


def _check(
    finder: Finder, subject: Subject, questions: Sequence[Question], names: str, *, renaming: bool
) -> Claim:
    """The promises that both kinds share; returns the claim. `names`: where its sites stand."""
    state = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    hooks = _hooks(subject)
    claim = finder.find(subject, [], questions, [])
    assert claim.questions == tuple(q.id for q in questions), "claim rows are the questions"
    assert claim.site_kind is finder.sites, "the claim says what it is about"
    assert np.isfinite(claim.scores).all(), "every score is finite"
    for name, tensor in subject.model.state_dict().items():
        assert torch.equal(tensor, state[name]), "the subject stays as it was"
    assert _hooks(subject) == hooks, "no hook is left behind"
    again = finder.find(subject, [], questions, [])
    assert np.array_equal(claim.scores, again.scores), "the same call gives the same scores"
    small = finder.find(replace(subject, batch=2), [], questions, [])
    _near(claim.scores, small.scores, "batch size and padding change nothing")
    turned = finder.find(subject, [], questions[::-1], [])
    _near(claim.scores, turned.arranged(claim.sites).scores[::-1],
          "permuting questions permutes their scores")  # fmt: skip
    if renaming:
        other = finder.find(subject, [], [_renamed(q, names) for q in questions], [])
        _near(claim.scores, other.scores, "names say nothing")
    return claim


def _hooks(subject: Subject) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in subject.model.modules())


def _renamed(question: Question, names: str) -> Question:
    # Backwards in the alphabet, where they stood forwards.
    held = getattr(question, names)
    return question.model_copy(
        update={names: {f"{chr(122 - n)}{n}": held[name] for n, name in enumerate(held)}}
    )


def _refused(finder: Finder, subject: Subject, questions: Sequence[Question], what: str) -> None:
    try:
        finder.find(subject, [], questions, [])
    except InputError:
        return
    raise AssertionError(f"{what} is refused")


def _near(a: Floats, b: Floats, promise: str) -> None:
    scale = np.abs(a).max() or 1.0
    assert np.abs(a - b).max() <= TOLERANCE * scale, promise
