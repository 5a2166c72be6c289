"""Huginn-0125 and models of its build: its index of layers, and an initial state that is seeded.

It numbers prelude, every recurrence of the core, and coda in running order; its state starts at
random in every pass, which would make two readings of one question differ.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from seedbed.core.cells import Stream
from seedbed.core.errors import InputError
from seedbed.models.blocks import Site, plain
from seedbed.models.layout import core_order
from seedbed.models.positions import Passes
from seedbed.nets.states import marks, normals

# Blocks of Huginn-0125 (arXiv 2502.05171, section 3.2), and its recurrences at test.
PRELUDE, CORE, CODA, RECURRENCES = 2, 4, 2, 32
# Its normal numbers are cut off so many standard deviations from 0.
CUT = 3.0


def huginn_index(
    site: Site, recurrences: int = RECURRENCES, *,
    prelude: int = PRELUDE, core: int = CORE, coda: int = CODA,
) -> int:  # fmt: skip
    """The index of a site's block at its recurrence: `prelude` + `core`·r + b for core block b.

    Blocks of a Site are numbered through prelude, core and coda; which of the block's streams
    it is plays no part. Raises InputError for a core block without a recurrence, and for a
    block or recurrence that such a model lacks.
    """
    inner = prelude <= site.layer < prelude + core
    if inner and site.step is None:
        raise InputError(f"{site.name}: say at which recurrence, such as {site.stream}."
                         f"{site.layer}r0")  # fmt: skip
    order = core_order(prelude, core, coda, recurrences)
    at = (site.layer, site.step or 0)
    if at not in order:
        raise InputError(f"{site.name}: {prelude} + {core} + {coda} blocks whose core runs"
                         f" {recurrences} times have no such place")  # fmt: skip
    return order.index(at)


def huginn_site(
    index: int, recurrences: int = RECURRENCES, *, stream: Stream = "resid_post",
    prelude: int = PRELUDE, core: int = CORE, coda: int = CODA,
) -> Site:  # fmt: skip
    """The site of an index: with 32 recurrences 0–1 prelude, 2 + 4r + b core, 130–131 coda.

    `stream` says whether what the block takes in or hands on is meant. Raises InputError for an
    index out of range.
    """
    order = core_order(prelude, core, coda, recurrences)
    if not 0 <= index < len(order):
        raise InputError(f"index {index}: the model has 0 to {len(order) - 1}")
    block, run = order[index]
    inner = prelude <= block < prelude + core
    return Site(stream, block, None, run if inner and recurrences > 1 else None)


class _Seeded:
    """What a model's `initialize_state` gives while it is not training: drawn by the tokens."""

    def __init__(self, model: Any, seed: int) -> None:
        self.model, self.seed, self.own = model, seed, model.initialize_state
        self.passes = Passes()
        self.sums = torch.zeros(0, 0, dtype=torch.long)

    def look(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A forward pre-hook of the model: which tokens this pass runs, after which others."""
        ids = kwargs.get("input_ids")
        ids = args[0] if ids is None else ids
        before = self.sums
        self.passes.look(module, args, kwargs)
        positions = self.passes.now.to(ids.device)
        sums = marks(ids, positions).cumsum(dim=1)
        if bool((positions[:, 0] > 0).all()) and before.shape[0] == ids.shape[0]:
            # The cache holds what came before; its tokens were seen in the last pass.
            sums = sums + before[:, -1:].to(ids.device)
        self.sums = sums

    def state(self, input_embeds: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Normal numbers of the model's own spread; in training the model's own state."""
        if self.model.training or kwargs.get("deterministic"):
            found: Tensor = self.own(input_embeds, *args, **kwargs)
            return found
        if input_embeds.shape[:2] != self.sums.shape:
            raise InputError("a seeded initial state needs the tokens: run the whole model")
        values = self.model.config.init_values
        spread = float(values["std"]) * float(kwargs.get("scale", 1.0))
        scale = float(getattr(self.model, "emb_scale", values.get("embed_scale", 1.0)))
        drawn = normals(self.sums, input_embeds.shape[-1], self.seed).clamp(-CUT, CUT)
        return (drawn * spread * scale).to(input_embeds)


@contextmanager
def seeded_states(model: Any, seed: int = 0) -> Iterator[None]:
    """The model with an initial state that `seed` and each row's own tokens decide, within.

    Batch, order and padding of rows change nothing. A model that draws no state stays as it is.
    """
    model = plain(model)
    if not hasattr(model, "initialize_state"):
        yield
        return
    seeded = _Seeded(model, seed)
    handle = model.register_forward_pre_hook(seeded.look, with_kwargs=True)
    kept = model.__dict__.get("initialize_state")
    model.__dict__["initialize_state"] = seeded.state
    try:
        yield
    finally:
        handle.remove()
        if kept is None:
            del model.__dict__["initialize_state"]
        else:
            model.__dict__["initialize_state"] = kept


def seed_states(model: Any, seed: int = 0) -> None:
    """`seeded_states` for as long as the model lives."""
    if hasattr(model, "initialize_state"):
        seeded = _Seeded(model, seed)
        model.register_forward_pre_hook(seeded.look, with_kwargs=True)
        model.__dict__["initialize_state"] = seeded.state
