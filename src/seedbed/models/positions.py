"""Which tokens of a forward pass an intervention means, under padding and cached decoding alike.

Positions are absolute: 0 is a row's first real token, whatever stands before it in the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from seedbed.core.errors import InputError


class Last(Enum):
    """The type of `LAST`."""

    LAST = "last"


LAST = Last.LAST
"""The last real token of each row in a pass; in cached decoding the token that is being run."""


@dataclass(frozen=True)
class Rows:
    """Absolute positions of each row of the batch: one range, or some numbers, a row."""

    rows: tuple[range | tuple[int, ...], ...]


Positions = Sequence[int] | range | Rows | Last | None
"""None: every real token; numbers or a range (may be open-ended, `range(5, 2**31)`): alike for
all rows."""


def check_positions(positions: Positions) -> None:
    """Raise InputError for a negative position."""
    if positions is None or isinstance(positions, Last):
        return
    rows = positions.rows if isinstance(positions, Rows) else (positions,)
    for row in rows:
        ends = [row[0], row[-1]] if isinstance(row, range) and row else row
        if any(p < 0 for p in ends):
            raise InputError("positions of edits count from 0, the first real token")


class Passes:
    """The forward passes of a model since this was made, looked at as they begin.

    `now` holds the absolute positions [rows, length] of the tokens of the current pass, −1 at
    padding; `number` counts the passes from 0.
    """

    def __init__(self) -> None:
        self.now = torch.zeros(0, 0, dtype=torch.long)
        self.number = -1
        self._state: Any = None
        self._known: dict[tuple[int, torch.device], Tensor | bool] = {}

    def look(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A forward pre-hook of the model (with its keyword arguments)."""
        given = kwargs.get("input_ids")
        given = kwargs.get("inputs_embeds") if given is None else given
        given = args[0] if given is None else given
        self.number += 1
        self._known.clear()
        self.now = self._positions(given, kwargs)

    def chosen(self, positions: Positions, device: torch.device) -> Tensor | bool:
        """Where `positions` are in this pass [rows, length]; True or False: everywhere, nowhere.

        Raises InputError for positions of another number of rows, and for `LAST` where tokens
        of several sequences share a row.
        """
        # Whoever asks holds on to the positions, so that nothing else can have their number.
        key = id(positions), device
        if key not in self._known:
            where = _chosen(positions, self.now)
            # Nothing to do, or nothing to leave out, is worth knowing: most passes are so.
            some = bool(where.any())
            self._known[key] = where.to(device) if some and not bool(where.all()) else some
        return self._known[key]

    def _positions(self, given: Tensor, kwargs: dict[str, Any]) -> Tensor:
        rows, length = given.shape[:2]
        mask: Tensor | None = kwargs.get("attention_mask")
        where: Tensor | None = kwargs.get("position_ids")
        mask = mask if mask is not None and mask.dim() == 2 else None
        if where is not None and where.dim() == 2:
            # Prompts that share a row say here, and only here, where each token stands.
            where = where.expand(rows, length)
            return where if mask is None else where.masked_fill(mask[:, -length:] == 0, -1)
        if mask is not None:
            counted = mask.long().cumsum(1) - 1
            return counted.masked_fill(mask == 0, -1)[:, -length:]
        start = self._past(kwargs)
        return start + torch.arange(length, device=given.device).expand(rows, length)

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


def _chosen(positions: Positions, now: Tensor) -> Tensor:
    if positions is None:
        return now >= 0
    if isinstance(positions, Last):
        real = now >= 0
        if bool(((now[:, 1:] <= now[:, :-1]) & real[:, 1:] & real[:, :-1]).any()):
            raise InputError("LAST: tokens of several sequences share a row of this pass")
        return real & (now == now.max(dim=1, keepdim=True).values)
    if isinstance(positions, Rows):
        if len(positions.rows) != len(now):
            raise InputError(f"positions of {len(positions.rows)} rows in a batch of {len(now)}")
        return torch.stack([_among(p, row) for p, row in zip(positions.rows, now, strict=True)])
    return _among(positions, now)


def _among(positions: Sequence[int], now: Tensor) -> Tensor:
    if isinstance(positions, range) and positions.step > 0:
        inside = (now >= positions.start) & (now < positions.stop)
        return inside & ((now - positions.start) % positions.step == 0)
    return torch.isin(now, torch.tensor(list(positions), dtype=now.dtype, device=now.device))
