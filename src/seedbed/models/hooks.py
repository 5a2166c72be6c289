"""The only hook code: read a model's streams, replace them, add to them, resume at a block.

Hooks live as long as a `with` block; the model itself is never changed. Positions are absolute
(0 is a row's first real token), under padding, in prefill and in cached decoding alike.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.models.blocks import Blocks, Site, Spot, blocks_of, plain
from seedbed.models.logits import logits_at
from seedbed.models.tokens import Batch

# Takes a stream [rows, length, width]; returns what goes on in its place, or None.
Change = Callable[[Tensor], Tensor | None]


@dataclass(frozen=True)
class Replace:
    """Put `values` in place of a site's own at absolute `positions`.

    `values` is [width], [positions, width] or [rows, positions, width].
    """

    site: Site | str
    positions: Sequence[int]
    values: Tensor


@dataclass(frozen=True)
class Add:
    """Add `vector` [width] (or [rows, width]) to a site at absolute `positions`.

    A range may be open-ended, such as `range(5, 2**31)`; None: at every token.
    """

    site: Site | str
    vector: Tensor
    positions: Sequence[int] | range | None = None


Edit = Replace | Add


@contextmanager
def hooked(blocks: Blocks, changes: Mapping[Site, Change]) -> Iterator[None]:
    """Call each site's function on its stream in every forward pass inside the block."""
    with ExitStack() as stack:
        for site, change in changes.items():
            spot, block = blocks.spot(site), blocks.modules[site.layer]
            rows = _Rows()
            stack.callback(block.register_forward_pre_hook(rows.look, with_kwargs=True).remove)
            stack.callback(_attach(spot, change, rows).remove)
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
    places = _Positions()
    by_site: dict[Site, list[Edit]] = {}
    for edit in edits:
        if edit.positions is not None and any(p < 0 for p in _ends(edit.positions)):
            raise InputError("positions of edits count from 0, the first real token")
        by_site.setdefault(_site(blocks, edit.site), []).append(edit)

    def change(mine: Sequence[Edit]) -> Change:
        def apply(hidden: Tensor) -> Tensor:
            for edit in mine:
                hidden = _apply(edit, hidden, places.now)
            return hidden

        return apply

    handle = plain(model).register_forward_pre_hook(places.look, with_kwargs=True)
    try:
        with hooked(blocks, {site: change(mine) for site, mine in by_site.items()}):
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


class _Positions:
    """Absolute positions [rows, length] of the tokens of the current forward pass; padding −1."""

    def __init__(self) -> None:
        self.now = torch.zeros(0, 0, dtype=torch.long)
        self._state: Any = None

    def look(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = kwargs.get("input_ids")
        given = kwargs.get("inputs_embeds") if given is None else given
        given = args[0] if given is None else given
        rows, length = given.shape[:2]
        mask, where = kwargs.get("attention_mask"), kwargs.get("position_ids")
        if mask is not None and mask.dim() == 2:
            counted = mask.long().cumsum(1) - 1
            self.now = counted.masked_fill(mask == 0, -1)[:, -length:]
        elif where is not None and where.dim() == 2:
            self.now = where.expand(rows, length)
        else:
            start = self._past(kwargs)
            self.now = start + torch.arange(length, device=given.device).expand(rows, length)

    def _past(self, kwargs: dict[str, Any]) -> int | Tensor:
        if (cache := kwargs.get("past_key_values")) is not None:
            return int(cache.get_seq_length())
        state, known = kwargs.get("cache_params"), self._state
        self._state = state
        if state is None or not state.has_previous_state():
            return 0
        if state is not known:
            raise InputError("edits: a recurrent state does not tell how many tokens it has seen;"
                             " begin the sequence within the same `edited` block")  # fmt: skip
        return self.now[:, -1:] + 1


def _apply(edit: Edit, hidden: Tensor, now: Tensor) -> Tensor:
    now = now.to(hidden.device)
    rows, width = hidden.shape[0], hidden.shape[2]
    if isinstance(edit, Add):
        vector = edit.vector.to(hidden)
        if vector.shape not in {(width,), (rows, width)}:
            raise InputError(f"vector of shape {tuple(vector.shape)}; the site needs {width}")
        where = _chosen(edit.positions, now).unsqueeze(-1)
        return torch.where(where, hidden + vector.view(-1, 1, width), hidden)
    values, count = edit.values.to(hidden), len(edit.positions)
    if values.shape not in {(width,), (count, width), (rows, count, width)}:
        raise InputError(f"values of shape {tuple(values.shape)} do not fit {count} positions"
                         f" of width {width}")  # fmt: skip
    values = values.expand(rows, count, width)
    hidden = hidden.clone()
    for i, position in enumerate(edit.positions):
        row, column = (now == position).nonzero(as_tuple=True)
        hidden[row, column] = values[row, i]
    return hidden


def _chosen(positions: Sequence[int] | range | None, now: Tensor) -> Tensor:
    if positions is None:
        return now >= 0
    if isinstance(positions, range) and positions.step > 0:
        inside = (now >= positions.start) & (now < positions.stop)
        return inside & ((now - positions.start) % positions.step == 0)
    return torch.isin(now, torch.tensor(list(positions), device=now.device))


def _ends(positions: Sequence[int]) -> Sequence[int]:
    return [positions[0], positions[-1]] if isinstance(positions, range) else positions


def _site(blocks: Blocks, site: Site | str) -> Site:
    return blocks.site(site) if isinstance(site, str) else site


class _Rows:
    """How many rows the batch of the current pass of a block has."""

    def __init__(self) -> None:
        self.now = 0

    def look(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.now = (args[0] if args else kwargs["hidden_states"]).shape[0]


def _attach(spot: Spot, change: Change, rows: _Rows) -> Any:
    def changed(value: Tensor) -> Tensor:
        # OPT's MLP runs on all tokens in one line.
        hidden = value.view(rows.now, -1, value.shape[-1]) if value.dim() == 2 else value
        part = hidden if spot.columns is None else hidden[..., spot.columns]
        new = change(part)
        if new is None:
            return value
        if spot.columns is not None:
            whole = hidden.clone()
            whole[..., spot.columns] = new
            new = whole
        return new.flatten(0, 1) if value.dim() == 2 else new

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
