"""A subject beside the model it was fine-tuned from: what finders of layers compare.

Both must be the same architecture, tensor for tensor, or a block of one means nothing in the
other.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.core.sites import Claim, Floats, SiteKind
from seedbed.finders.base import Finder
from seedbed.models.adapters import is_wrapped
from seedbed.models.blocks import blocks_of, plain
from seedbed.models.subject import Subject


class Comparison(Finder):
    """Base of finders of layers that compare a subject with its base by some `measure`."""

    measure: str = ""
    sites = SiteKind.LAYER

    @property
    def name(self) -> str:
        """The label, or the kind with its measure."""
        return self.label or f"{self.kind}-{self.measure}"


@dataclass(frozen=True)
class Lineage:
    """The model before and after further training, and the decoder blocks of each."""

    base: Subject
    tuned: Subject
    before: nn.ModuleList
    after: nn.ModuleList

    @classmethod
    def of(cls, subject: Subject, finder: str) -> "Lineage":
        """That of `subject`; raises InputError without a base or with one that does not fit."""
        base = subject.base
        if base is None:
            raise InputError(
                f"finder '{finder}': needs the model that the subject was fine-tuned from,"
                " and this subject names no base"
            )
        for which, one in (("subject", subject), ("base", base)):
            if is_wrapped(one.model):
                raise InputError(
                    f"finder '{finder}': the {which} carries a LoRA adapter; merge it first,"
                    " so that blocks can be compared"
                )
        lineage = cls(base, subject, _blocks(base.model), _blocks(subject.model))
        if problem := lineage._problem():
            raise InputError(f"finder '{finder}': the base is another architecture: {problem}")
        base.model.eval()
        subject.model.eval()
        return lineage

    def _problem(self) -> str:
        if len(self.before) != len(self.after):
            return f"it has {len(self.before)} blocks, the subject {len(self.after)}"
        old, new = _layout(self.base.model), _layout(self.tuned.model)
        for name in sorted({*old, *new}):
            if old.get(name) != new.get(name):
                there, here = old.get(name, "not there"), new.get(name, "not there")
                return f"{name} is {there} in it and {here} in the subject"
        return ""

    @property
    def sites(self) -> tuple[str, ...]:
        """The blocks, counted from 0."""
        return tuple(str(layer) for layer in range(len(self.before)))

    def claim(self, questions: Sequence[Question], scores: Floats) -> Claim:
        """Scores [questions, blocks] as a claim."""
        return Claim(tuple(q.id for q in questions), self.sites,
                     np.asarray(scores, dtype=np.float64), SiteKind.LAYER)  # fmt: skip


@contextmanager
def exchanged(blocks: nn.ModuleList, others: Mapping[int, nn.Module]) -> Iterator[None]:
    """The model of `blocks` with some of its blocks replaced; its own return afterwards."""
    own = {layer: blocks[layer] for layer in others}
    try:
        for layer, block in others.items():
            blocks[layer] = block
        yield
    finally:
        for layer, block in own.items():
            blocks[layer] = block


def _blocks(model: Any) -> nn.ModuleList:
    blocks = blocks_of(model)
    found = plain(model).get_submodule(blocks.path)
    if len(blocks) > len(found):
        raise InputError(
            f"{type(plain(model)).__name__}: its blocks stand in several lists, which cannot be"
            " compared block by block"
        )
    assert isinstance(found, nn.ModuleList)
    return found


def _layout(model: Any) -> dict[str, str]:
    return {name: _described(tensor) for name, tensor in model.named_parameters()}


def _described(tensor: Tensor) -> str:
    shape = " × ".join(str(size) for size in tensor.shape)
    return f"{shape} {str(tensor.dtype).removeprefix('torch.')} on {tensor.device}"
