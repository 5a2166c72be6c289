"""A control: another finder on the subject with its weights shuffled (Adebayo et al. 2018, 3.2).

What a finder still says then, it reads from the words or the architecture, not from training.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

import torch
from pydantic import BeforeValidator, SerializeAsAny

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import derive
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.base import FINDERS, Finder
from seedbed.finders.gradients import Gradients
from seedbed.models.folders import trainable_state
from seedbed.models.subject import Subject, SubjectConfig
from seedbed.training.config import Training


class Randomised(Finder):
    """The finder `of`, on last weights whose entries are permuted within each tensor."""

    kind: str = "randomised"
    of: SerializeAsAny[Annotated[Finder, BeforeValidator(FINDERS.build)]] = Gradients()

    @property
    def sites(self) -> SiteKind:  # type: ignore[override]  # each finder's own, not the class's
        """What the other finder scores."""
        return self.of.sites

    @property
    def name(self) -> str:
        """The label, or the other finder's name with this kind before it."""
        return self.label or f"{self.kind}-{self.of.name}"

    def variants(self) -> tuple[Finder, ...]:
        """Those of the other finder, each by itself under this control."""
        inner = self.of.variants()
        if len(inner) == 1:
            return (self,)
        own = len(self.of.name)
        ends = [v.name[own:] for v in inner]
        return tuple(
            Randomised(of=v, label=self.label and f"{self.label}{end}")
            for v, end in zip(inner, ends, strict=True)
        )

    def unavailable(self) -> str:
        """As the other finder."""
        return self.of.unavailable()

    def placed(self, subject: SubjectConfig, training: Training | None) -> Finder:
        """With the other finder placed."""
        return self.model_copy(update={"of": self.of.placed(subject, training)})

    def unsuited(self, subject: SubjectConfig, training: Training | None) -> str:
        """As the other finder."""
        return self.of.unsuited(subject, training)

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """The other finder's claim [questions, sites] about the shuffled subject."""
        return self.find_all(subject, documents, questions, pairs)[0]

    def find_all(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> list[Claim]:
        """The claims of the other finder's variants about the shuffled subject.

        Raises what the other finder raises; the subject has no checkpoints here.
        """
        with shuffled(subject) as broken:
            return self.of.find_all(broken, documents, questions, pairs)


@contextmanager
def shuffled(subject: Subject) -> Iterator[Subject]:
    """The subject with every trainable tensor's entries permuted; its weights return after.

    Permutations draw from the stream "randomised" of the subject's seed. Scale and shape of
    each tensor stay as training made them, what it computes does not.
    """
    state = trainable_state(subject.model)
    kept = {name: tensor.clone() for name, tensor in state.items()}
    try:
        for name, tensor in state.items():
            generator = torch.Generator().manual_seed(derive(subject.seed, "randomised", name))
            order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
            tensor.copy_(kept[name].reshape(-1)[order].view_as(tensor))
        yield replace(subject, checkpoints=())
    finally:
        for name, tensor in state.items():
            tensor.copy_(kept[name])
