"""What is done to a stream at some tokens: values put in place, a vector added, a direction scaled.

Each edit says where (a site and absolute positions) and in which forward passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.models.blocks import Site
from seedbed.models.positions import Last, Passes, Positions, Rows, check_positions


@dataclass(frozen=True)
class Replace:
    """Put `values` in place of a site's own at absolute `positions`.

    `values` is [width], [positions, width] or [rows, positions, width]; where positions are
    not numbered one by one (None) only [width], with `LAST` one position a row.
    `passes` are the forward passes since the `edited` block was entered (in decoding: 0 the
    prompt, k the k-th written token); None: all.
    """

    site: Site | str
    positions: Positions
    values: Tensor
    passes: range | None = None


@dataclass(frozen=True)
class Add:
    """Add `vector` [width] (or [rows, width]) to a site at absolute `positions`; h += v.

    `scaled`: times the norm of each token's own state, h += ‖h‖·v. `passes` as in Replace.
    """

    site: Site | str
    vector: Tensor
    positions: Positions = None
    scaled: bool = False
    passes: range | None = None


@dataclass(frozen=True)
class Along:
    """Scale what lies along a direction [width] of any length > 0: h += factor·(h·d)·d, d unit.

    Factor −1 takes the direction out (ablation), +1 doubles it. `passes` as in Replace.
    """

    site: Site | str
    direction: Tensor
    factor: float
    positions: Positions = None
    passes: range | None = None


Edit = Replace | Add | Along


def prepared(edit: Edit) -> Edit:
    """The edit, ready to be made often.

    Raises InputError for a negative position and for a direction without length.
    """
    check_positions(edit.positions)
    if isinstance(edit, Along):
        length = torch.linalg.vector_norm(edit.direction.detach().float())
        if not bool(length > 0):
            raise InputError("Along: the direction has no length")
        return replace(edit, direction=edit.direction / length)
    return edit


def made(edit: Edit, hidden: Tensor, passes: Passes) -> Tensor:
    """The stream [rows, length, width] after a prepared edit, in the current pass.

    Raises InputError for values of another shape.
    """
    if edit.passes is not None and passes.number not in edit.passes:
        return hidden
    where = passes.chosen(edit.positions, hidden.device)
    if where is False:
        return hidden
    if isinstance(edit, Replace):
        return _replaced(edit, hidden, where, passes)
    new = hidden + (_added(edit, hidden) if isinstance(edit, Add) else _scaled(edit, hidden))
    return new if isinstance(where, bool) else torch.where(where.unsqueeze(-1), new, hidden)


def _added(edit: Add, hidden: Tensor) -> Tensor:
    rows, width = hidden.shape[0], hidden.shape[2]
    vector = edit.vector.to(hidden)
    if vector.shape not in {(width,), (rows, width)}:
        raise InputError(f"vector of shape {tuple(vector.shape)}; the site needs {width}")
    vector = vector.view(-1, 1, width)
    if not edit.scaled:
        return vector
    norms: Tensor = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True, dtype=_exact(hidden))
    return norms.to(hidden) * vector


def _scaled(edit: Along, hidden: Tensor) -> Tensor:
    width = hidden.shape[2]
    if edit.direction.shape != (width,):
        shape = tuple(edit.direction.shape)
        raise InputError(f"direction of shape {shape}; the site needs {width}")
    exact = _exact(hidden)
    direction = edit.direction.to(hidden.device, exact)
    part = (hidden.to(exact) @ direction).unsqueeze(-1)
    pushed: Tensor = (edit.factor * part * direction).to(hidden)
    return pushed


def _exact(hidden: Tensor) -> torch.dtype:
    """At least float32: sums over the width of fewer bits would show."""
    return torch.promote_types(hidden.dtype, torch.float32)


def _replaced(edit: Replace, hidden: Tensor, where: Tensor | bool, passes: Passes) -> Tensor:
    values, width = edit.values.to(hidden), hidden.shape[2]
    if values.shape == (width,):
        return values.expand_as(hidden) if isinstance(where, bool) else torch.where(
            where.unsqueeze(-1), values, hidden)  # fmt: skip
    rows, now = hidden.shape[0], passes.now.to(hidden.device)
    listed = _listed(edit.positions, now)
    counts = {len(row) for row in listed}
    count = counts.pop() if len(counts) == 1 else -1
    if values.shape not in {(count, width), (rows, count, width)}:
        many = f"{count} positions" if count >= 0 else "positions of unequal number"
        raise InputError(f"values of shape {tuple(values.shape)} do not fit {many}"
                         f" of width {width}")  # fmt: skip
    values = values.expand(rows, count, width)
    # As if every position had a column of the pass, those that are elsewhere one of their own.
    wanted = torch.tensor(listed, device=now.device)
    row, column, which = (now.unsqueeze(-1) == wanted.unsqueeze(1)).nonzero(as_tuple=True)
    hidden = hidden.clone()
    hidden[row, column] = values[row, which]
    return hidden


def _listed(positions: Positions, now: Tensor) -> list[Sequence[int]]:
    """The positions of each row, one by one."""
    if positions is None:
        return [[] for _ in now]
    if isinstance(positions, Last):
        return [[p] for p in now.max(dim=1).values.tolist()]
    if isinstance(positions, Rows):
        return list(positions.rows)
    return [positions] * len(now)
