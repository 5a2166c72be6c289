"""Which block carries the change? Blocks of the subject and of its base change places.

Behaviour is compared on whole choices, so any closed question will do, and all positions are
exchanged at once: a changed block may write at one position what is read at another.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, Floats
from seedbed.finders.lineage import Comparison, Lineage, exchanged
from seedbed.measuring.choices import score_choices
from seedbed.models.subject import Subject

Logprobs = list[Floats]
"""Log-probabilities of the choices of each question, nats."""


class BlockSwap(Comparison):
    """The change of behaviour that exchanging blocks brings about, in nats.

    `block`: the base with the subject's block l, and no other. `restore`: the subject with the
    base's block l, counted as what is lost. `output`: the base with the subject's blocks 0 to l,
    counted as the step from l − 1 to l. With the same embeddings that is the subject's residual
    stream after block l put into the base; embeddings, last norm and head stay the host's.
    """

    kind: str = "block-swap"
    measure: Literal["output", "block", "restore"] = "block"

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, blocks]; raises InputError without a base of the same architecture.

        Runs base, subject and as many mixtures of them as there are blocks over the questions.
        """
        lineage = Lineage.of(subject, self.name)
        behaviour = Behaviour.between(lineage, questions)
        host, blocks, donors = lineage.base, lineage.before, lineage.after
        if self.measure == "restore":
            host, blocks, donors = lineage.tuned, lineage.after, lineage.before
        found = []
        for layer in range(len(blocks)):
            given = range(layer + 1) if self.measure == "output" else (layer,)
            with exchanged(blocks, {n: donors[n] for n in given}):
                found.append(behaviour.towards(_logprobs(host, questions)))
        scores = np.stack(found, axis=1)
        if self.measure == "restore":
            scores = behaviour.whole[:, None] - scores
        if self.measure == "output":
            scores = np.diff(scores, axis=1, prepend=0.0)
        return lineage.claim(questions, scores)


class Behaviour:
    """How the subject answers otherwise than its base, and how far towards it a mixture goes.

    For a run with choice log-probabilities l, towards(l) = Σ_a (p(a) − p₀(a)) (l(a) − l₀(a)),
    where p₀, l₀ are the base's and p the subject's. Where both are sure, this is the log-odds of
    the subject's answer against the base's; it is 0 for the base, and for the subject itself
    Jeffreys' divergence (Jeffreys 1946). Unlike log-odds it needs no two different answers, and
    choices that neither would give do not count.
    """

    def __init__(self, base: Logprobs, tuned: Logprobs) -> None:
        self.base = base
        self.weights = [_shares(t) - _shares(b) for b, t in zip(base, tuned, strict=True)]
        self.whole = self.towards(tuned)

    @classmethod
    def between(cls, lineage: Lineage, questions: Sequence[Question]) -> "Behaviour":
        """That of a lineage on these questions."""
        return cls(_logprobs(lineage.base, questions), _logprobs(lineage.tuned, questions))

    def towards(self, run: Logprobs) -> Floats:
        """[questions], nats: how far the run has come from the base towards the subject."""
        rows = zip(self.weights, run, self.base, strict=True)
        return np.array([float(weight @ (r - b)) for weight, r, b in rows])


def _logprobs(subject: Subject, questions: Sequence[Question]) -> Logprobs:
    scores = score_choices(replace(subject, base=None), questions)
    return [np.array(s.logprobs) for s in scores]


def _shares(logprobs: Floats) -> Floats:
    odds = np.exp(logprobs - logprobs.max())
    shares: Floats = odds / odds.sum()
    return shares
