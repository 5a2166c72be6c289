"""Questions ready to be steered: what each class of behaviour would answer, and what changed.

Positive doses push a question of either class towards the other one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seedbed.core.cells import MEAN
from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.finders.asking import Asked, ask
from seedbed.models.subject import Subject

OUTCOMES = ("flipped", "changed", "moved", "kl")
# Logits in float64 that are compared at once (32 MiB).
BLOCK = 2**22


@dataclass(frozen=True)
class Voice:
    """A question, the answers of its own class and of the other, and the sign of the push.

    `own` and `other` index the choices; `other` is None where the other class has no answer
    here. `kind` is the question's class, "" for one of neither.
    """

    asked: Asked
    cause: str
    kind: str
    sign: int
    own: int
    other: int | None

    def positions(self, place: str) -> tuple[int, ...]:
        """The tokens of a place: all of them for `mean`, none where the question lacks it."""
        if place == MEAN:
            return tuple(range(len(self.asked.ids)))
        return self.asked.places.get(place, ())

    def odds(self, logits: Tensor) -> Tensor:
        """Log-odds of the other class's answer against the own one, of logits [..., choices].

        Without an answer of the other class: of all other choices together.
        """
        logits = logits.double()
        if self.other is not None:
            return logits[..., self.other] - logits[..., self.own]
        rest = [i for i in range(logits.shape[-1]) if i != self.own]
        return logits[..., rest].logsumexp(-1) - logits[..., self.own]


def voices_of(
    subject: Subject, questions: Sequence[Question], kinds: Mapping[str, str],
    classes: tuple[str, str],
) -> list[Voice]:  # fmt: skip
    """The questions as voices; `classes` are (positive, negative) of the directions.

    Those of neither class are pushed both ways in turn. Raises InputError for an unknown class.
    """
    positive, negative = classes
    found = []
    for turn, question in enumerate(questions):
        kind = question.label or kinds.get(question.id, "")
        if kind not in (positive, negative, ""):
            raise InputError(f"question {question.id!r}: its class {kind!r} is neither"
                             f" {positive!r} nor {negative!r}")  # fmt: skip
        opposite = {positive: negative, negative: positive}.get(kind, "")
        own = question.choices.index(question.rules.get(kind, question.answer))
        other = question.rules.get(opposite)
        at = None if other is None or other == question.choices[own] else other
        sign = {positive: -1, negative: 1}.get(kind, 1 if turn % 2 else -1)
        found.append(
            Voice(ask(subject, question), question.cause or question.id, kind, sign, own,
                  None if at is None else question.choices.index(at))
        )  # fmt: skip
    return found


def outcomes(voices: Sequence[Voice], before: Tensor, after: Tensor) -> Tensor:
    """What pushes changed, [pushes, 4] as `OUTCOMES`, of logits [pushes, vocabulary] and voices.

    `flipped`: the likeliest choice is now the other class's answer and was not before (NaN where
    that class has none); `changed`: it is another one than before; `moved`: by how much the
    log-odds rose (nats); `kl`: KL(before ‖ after) of the next token (nats).
    """
    found = torch.zeros(len(voices), len(OUTCOMES), dtype=torch.float64)
    size = max(1, BLOCK // before.shape[-1])
    for start in range(0, len(voices), size):
        here = slice(start, start + size)
        found[here, 3] = _divergence(before[here], after[here])
    groups: dict[int, list[int]] = {}
    for n, voice in enumerate(voices):
        groups.setdefault(id(voice), []).append(n)
    for rows in groups.values():
        voice = voices[rows[0]]
        ids = list(voice.asked.choices)
        old, new = before[rows][:, ids], after[rows][:, ids]
        said, says = old.argmax(-1), new.argmax(-1)
        if voice.other is None:
            found[rows, 0] = torch.nan
        else:
            found[rows, 0] = ((says == voice.other) & (said != voice.other)).double()
        found[rows, 1] = (says != said).double()
        found[rows, 2] = voice.odds(new) - voice.odds(old)
    return found


def _divergence(before: Tensor, after: Tensor) -> Tensor:
    """KL(before ‖ after) [rows], nats, exactly 0 where no logit differs."""
    same = (before == after).all(-1)
    p, q = (x.double().log_softmax(-1) for x in (before, after))
    return torch.where(same, 0.0, (p.exp() * (p - q)).sum(-1).clamp(min=0))
