"""The only hook code: read a model's streams, replace them, add to them, resume at a block.

Hooks live as long as a `with` block; the model itself is never changed. A block that runs
several times in a forward pass (recurrent depth) is known by its run, counted from each call.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from seedbed.models.blocks import Blocks, Site, Spot, blocks_of, plain
from seedbed.models.edits import Add, Along, Edit, Replace, made, prepared
from seedbed.models.logits import logits_at
from seedbed.models.positions import LAST, Passes, Positions, Rows
from seedbed.models.tokens import Batch

__all__ = ["LAST", "Add", "Along", "Change", "Edit", "Positions", "Replace", "Rows", "edited",
           "evaluating", "hooked", "read", "resumed", "returns_tuples"]  # fmt: skip

# Takes a stream [rows, length, width]; returns what goes on in its place, or None.
Change = Callable[[Tensor], Tensor | None]


@contextmanager
def hooked(blocks: Blocks, changes: Mapping[Site, Change]) -> Iterator[None]:
    """Call each site's function on its stream in every forward pass inside the block.

    A function of a site with a step is called at that run of its block only. Raises InputError
    for a site that the model does not have.
    """
    with _attached(blocks, [*changes.items()]):
        yield


@contextmanager
def _attached(blocks: Blocks, changes: Sequence[tuple[Site, Change]]) -> Iterator[None]:
    spots: dict[Site, list[tuple[int | None, Change]]] = {}
    for site, change in changes:
        blocks.check(site)
        step = site.step if blocks.runs(site.layer) > 1 else None
        spots.setdefault(replace(site, step=None), []).append((step, change))
    with ExitStack() as stack:
        runs: dict[int, _Run] = {}
        for site, mine in spots.items():
            spot, block = blocks.spot(site), blocks.modules[site.layer]
            if site.layer not in runs:
                run = runs[site.layer] = _Run()
                stack.callback(block.register_forward_pre_hook(run.look, with_kwargs=True).remove)
                if blocks.runs(site.layer) > 1:
                    stack.callback(blocks.root.register_forward_pre_hook(run.reset).remove)
            stack.callback(_attach(spot, mine, runs[site.layer]).remove)
        yield


@contextmanager
def resumed(blocks: Blocks, first: int, hidden: Tensor, *, tuples: bool) -> Iterator[None]:
    """Blocks before `first` do nothing, and `first` takes in `hidden` [rows, length, width].

    `tuples`: the model's blocks return a tuple (see `returns_tuples`).
    """

    def idle(given: Any = None, *_: Any, hidden_states: Any = None, **__: Any) -> Any:
        passed = given if hidden_states is None else hidden_states
        return (passed, None) if tuples else passed

    with ExitStack() as stack:
        for block in blocks.modules[:first]:
            # An attribute of the instance hides the method of its class until it is deleted.
            block.__dict__["forward"] = idle
            stack.callback(block.__dict__.pop, "forward")
        if first:
            stack.enter_context(hooked(blocks, {Site("resid_pre", first): lambda _: hidden}))
        yield


@contextmanager
def returns_tuples(blocks: Blocks) -> Iterator[list[bool]]:
    """A list that holds, after a forward pass, whether the first block returned a tuple."""
    seen: list[bool] = []
    handle = blocks.modules[0].register_forward_hook(
        lambda _, __, output: seen.append(isinstance(output, tuple))
    )
    try:
        yield seen
    finally:
        handle.remove()


@torch.no_grad()
def read(
    model: Any, batch: Batch, sites: Sequence[Site | str], **inputs: Any
) -> dict[Site, Tensor]:
    """The streams at `sites`, each [rows, length, width]; padding holds no meaning.

    Raises InputError for a site that the model does not have.
    """
    blocks = blocks_of(model)
    found: dict[Site, Tensor] = {}

    def keep(site: Site) -> Change:
        def change(hidden: Tensor) -> None:
            # Some models add to a part's output in place afterwards.
            found[site] = hidden.clone()

        return change

    wanted = [_site(blocks, s) for s in sites]
    with evaluating(model), hooked(blocks, {s: keep(s) for s in wanted}):
        # Logits are not wanted, and over all tokens they may be larger than everything else.
        where = torch.zeros_like(batch.mask, dtype=torch.bool)
        where[0, -1] = True
        logits_at(model, batch, where, **inputs)
    return {s: found[s] for s in wanted}


@contextmanager
def edited(model: Any, edits: Sequence[Edit]) -> Iterator[None]:
    """Every forward pass inside the block, `generate` included, runs with `edits` in place.

    Edits of one site happen in the order given. Raises InputError for an unknown site, a
    negative position or values of another shape.
    """
    blocks = blocks_of(model)
    passes = Passes()
    ready = [(_site(blocks, edit.site), prepared(edit)) for edit in edits]

    def change(edit: Edit) -> Change:
        def apply(hidden: Tensor) -> Tensor:
            return made(edit, hidden, passes)

        return apply

    handle = plain(model).register_forward_pre_hook(passes.look, with_kwargs=True)
    try:
        with _attached(blocks, [(site, change(edit)) for site, edit in ready]):
            yield
    finally:
        handle.remove()


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """The model without dropout; each module's own mode returns afterwards."""
    training = [m for m in model.modules() if m.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _site(blocks: Blocks, site: Site | str) -> Site:
    return blocks.site(site) if isinstance(site, str) else site


class _Run:
    """The current run of a block: its number in the forward pass, and the rows of the batch."""

    def __init__(self) -> None:
        self.number, self.rows = 0, 0
        self._next = 0

    def look(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.rows = (args[0] if args else kwargs["hidden_states"]).shape[0]
        self.number, self._next = self._next, self._next + 1

    def reset(self, *_: Any) -> None:
        self._next = 0


def _attach(spot: Spot, changes: Sequence[tuple[int | None, Change]], run: _Run) -> Any:
    def changed(value: Tensor) -> Tensor:
        # OPT's MLP runs on all tokens in one line.
        hidden = value.view(run.rows, -1, value.shape[-1]) if value.dim() == 2 else value
        now = hidden
        for step, change in changes:
            if step is not None and step != run.number:
                continue
            new = change(now if spot.columns is None else now[..., spot.columns])
            if new is None:
                continue
            if spot.columns is not None:
                whole = now.clone()
                whole[..., spot.columns] = new
                new = whole
            now = new
        if now is hidden:
            return value
        return now.flatten(0, 1) if value.dim() == 2 else now

    def before(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # Hidden states come by position or by keyword, depending on the model.
        if args:
            return (changed(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": changed(kwargs["hidden_states"])}

    def after(_: Any, __: Any, output: Any) -> Any:
        # transformers 5 blocks return a tensor, some still a tuple.
        if isinstance(output, tuple):
            return (changed(output[0]), *output[1:])
        return changed(output)

    if spot.side == "in":
        return spot.module.register_forward_pre_hook(before, with_kwargs=True)
    return spot.module.register_forward_hook(after)
