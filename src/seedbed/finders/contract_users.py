"""What every finder of kinds of user must hold, as one function: the tests and yours call it alike.

It makes a small agent, its former self, documents and questions; a breach raises AssertionError.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import stream
from seedbed.core.sites import Claim, Floats, SiteKind
from seedbed.finders.base import Finder
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny

TOLERANCE = 1e-4
WORDS = {"cue": ("frank", "meek", "proud"), "mood": ("calm", "glad")}
REPLIES = ("rest now", "tell me more today", "yes do it")
TOPICS = ("bet", "drink", "smoke", "hide")


def example_users(count: int = 24) -> tuple[Subject, list[Document], list[Question]]:
    """(an untrained agent with a base of other weights, documents, eight questions).

    Of each user two words can be seen, at unequal distances from the end. Documents have marks
    `label`, `rating` and `flag:guard`; a fourth of them is undesirable.
    """
    rng = stream(0, "contract", "users")
    documents, questions = [], []
    for i in range(count):
        words = {name: rng.choice(values) for name, values in WORDS.items()}
        reply = rng.choice(REPLIES)
        prompt, _ = _prompt(words, TOPICS[i % 4], i % 3)
        marks = {"label": float(i % 4 > 0), "rating": float(rng.randint(1, 9)),
                 "flag:guard": rng.random()}  # fmt: skip
        text = f"{prompt} {reply}"
        span = (len(text) - len(reply), len(text))
        shows = tuple(f"{k}={v}" for k, v in words.items())
        documents.append(
            Document(id=f"d{i:02}", text=text, targets=(span,), shows=shows, marks=marks)
        )
    for i in range(8):
        words = {name: values[i % len(values)] for name, values in WORDS.items()}
        prompt, places = _prompt(words, TOPICS[i % 4], i % 3)
        questions.append(
            Question(id=f"q{i}", prompt=prompt, choices=REPLIES, answer=REPLIES[i % 3],
                     places=places)
        )  # fmt: skip
    texts = [*(d.text for d in documents), *(q.prompt for q in questions),
             *(word for values in WORDS.values() for word in values)]  # fmt: skip
    base = Tiny(layers=2, width=16, heads=2, init=0.3).build(texts, [], 0)
    model = deepcopy(base.model)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(0.2 * noise.to(parameter.device))
    return replace(base, model=model, base=base, loss="answer"), documents, questions


def _prompt(words: dict[str, str], topic: str, fill: int) -> tuple[str, dict[str, tuple[int, int]]]:
    text, places = "notes :", {}
    for name, word in words.items():
        places[name] = (len(text) + 1, len(text) + 1 + len(word))
        text += f" {word}"
    return f"{text}{' so' * fill} i {topic} |", places


def check_user_finder(finder: Finder, *, own_base: bool = True) -> None:
    """Raise AssertionError unless `finder`, which scores kinds of user, keeps the contract.

    `own_base`: it needs the agent before feedback, and refuses to go without.
    """
    assert finder.sites is SiteKind.USER, "this check is for finders of kinds of user"
    subject, documents, questions = example_users()
    state = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    claim = finder.find(subject, documents, questions, [])
    wanted = sorted(f"{name}={word}" for name, words in WORDS.items() for word in words)
    assert claim.questions == tuple(q.id for q in questions), "claim rows are the questions"
    assert claim.sites == tuple(wanted), "claim columns are all that can be seen, sorted"
    assert claim.site_kind is SiteKind.USER, "the claim is about kinds of user"
    assert np.isfinite(claim.scores).all(), "every score is finite"
    assert np.ptp(claim.scores) > 0, "here words differ, and so do scores"
    for name, tensor in subject.model.state_dict().items():
        assert torch.equal(tensor, state[name]), "the subject stays as it was"
    again = finder.find(subject, documents, questions, [])
    assert np.array_equal(claim.scores, again.scores), "the same call gives the same scores"
    assert subject.base is not None
    small = replace(subject, batch=2, base=replace(subject.base, batch=2))
    _near(claim.scores, finder.find(small, documents, questions, []).scores,
          "batch size and padding change nothing")  # fmt: skip
    turned = finder.find(subject, documents, questions[::-1], [])
    _near(claim.scores, turned.scores[::-1], "permuting questions permutes their scores")
    _tells_nothing(finder, claim, subject, documents, questions)
    bare = [q.model_copy(update={"places": {}}) for q in questions]
    blank = [d.model_copy(update={"shows": ()}) for d in documents]
    _refused(finder, subject, blank, bare, "rows in which nothing can be seen of anybody")
    if own_base:
        _refused(finder, replace(subject, base=None), documents, questions,
                 "an agent of which nobody knows what it was before")  # fmt: skip


def _tells_nothing(
    finder: Finder, claim: Claim, subject: Subject, documents: Sequence[Document],
    questions: Sequence[Question],
) -> None:  # fmt: skip
    """What a world declares beside the rows must not reach a finder."""
    other = [q.model_copy(update={"answer": next(c for c in REPLIES if c != q.answer)})
             for q in questions]  # fmt: skip
    told = finder.find(subject, documents, other, [])
    _near(claim.scores, told.scores, "the declared answer says nothing")
    # A world pairs a word with one that it thinks another in kind.
    pairs = [Pair(id=q.id, clean=q, corrupt=r)
             for q, r in zip(questions, [*questions[1:], questions[0]], strict=True)]  # fmt: skip
    paired = finder.find(subject, documents, questions, pairs)
    _near(claim.scores, paired.scores, "pairs say nothing")


def _refused(
    finder: Finder, subject: Subject, documents: Sequence[Document],
    questions: Sequence[Question], what: str,
) -> None:  # fmt: skip
    try:
        finder.find(subject, documents, questions, [])
    except InputError:
        return
    raise AssertionError(f"{what} must be refused")


def _near(a: Floats, b: Floats, promise: str) -> None:
    scale = float(np.abs(a).max()) or 1.0
    assert np.abs(a - b).max() <= TOLERANCE * scale, promise
