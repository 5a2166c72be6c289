"""Whole gradients of one layer, a few rows at a time: formed, multiplied and forgotten.

The way for what token products cannot do: many tokens on small matrices, and question
gradients that a transform has changed into anything but a sum of outer products.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from seedbed.finders.layers import Part

# Numbers in one temporary: small enough to stay near the processor's cache.
TILE = 2**19

# (layer name, gradients [rows, out, in] of each of its weights) -> as many of the same shape.
Transform = Callable[[str, list[Tensor]], list[Tensor]]


def form(parts: Sequence[Part], shapes: Sequence[tuple[int, ...]], rows: int,
         owner: Tensor | None = None) -> list[Tensor]:  # fmt: skip
    """Gradients [rows, out, in] of each weight of a layer, float32.

    The parts are [rows, tokens, ..], or [tokens, ..] where `owner` names the row of each token.
    """
    like = parts[0].right
    formed = [like.new_zeros(rows, *shape) for shape in shapes]
    for part in parts:
        if part.sparse:
            _scatter(formed[0], part, owner)
        elif owner is None:
            for whole, left in zip(formed, part.lefts, strict=True):
                whole.baddbmm_(left.mT, part.right)
        else:
            for row in range(rows):
                mine = owner == row
                for whole, left in zip(formed, part.lefts, strict=True):
                    whole[row].addmm_(left[mine].mT, part.right[mine])
    return formed


def _scatter(whole: Tensor, part: Part, owner: Tensor | None) -> None:
    rows, vocabulary, width = whole.shape
    ids = part.lefts[0]
    if owner is None:
        owner = torch.arange(rows, device=ids.device)[:, None].expand_as(ids)
    flat = (owner * vocabulary + ids).flatten()
    whole.view(-1, width).index_add_(0, flat, part.right.reshape(-1, width))


def formed_products(part: Part, questions: Sequence[Tensor]) -> Tensor:
    """Products [questions, rows] of a part with formed questions [questions, out, in]."""
    if part.sparse:
        return _picked_products(part, questions[0])
    total = part.right.new_zeros(len(questions[0]), len(part.right))
    for left, whole in zip(part.lefts, questions, strict=True):
        flat = whole.flatten(1)
        chunk = max(1, TILE // flat.shape[1])
        space = left.new_empty(min(chunk, len(left)), *whole.shape[1:])
        for i in range(0, len(left), chunk):
            some = space[: len(left) - i]
            torch.bmm(left[i : i + chunk].mT, part.right[i : i + chunk], out=some)
            total[:, i : i + chunk].addmm_(flat, some.flatten(1).mT)
    return total


def _picked_products(part: Part, questions: Tensor) -> Tensor:
    """Only the rows of the questions' matrices that the part's tokens name are looked at."""
    ids, right = part.lefts[0], part.right
    chunk = max(1, TILE // max(1, ids.shape[1] * right.shape[-1]))
    total = right.new_zeros(len(questions), len(ids))
    for i in range(0, len(ids), chunk):
        given = right[i : i + chunk]
        for q, whole in enumerate(questions):
            total[q, i : i + chunk] = (whole[ids[i : i + chunk]] * given).sum((1, 2))
    return total


def transformed_squares(name: str, parts: Sequence[Part], shapes: Sequence[tuple[int, ...]],
                        transform: Transform) -> Tensor:  # fmt: skip
    """⟨g, transform(g)⟩ [rows] of one layer, float64, a few rows at a time."""
    rows = len(parts[0].right)
    total = parts[0].right.new_zeros(rows, dtype=torch.float64)
    chunk = max(1, 4 * TILE // sum(out * width for out, width in shapes))
    for i in range(0, rows, chunk):
        some = [cut(part, i, i + chunk) for part in parts]
        formed = form(some, shapes, len(some[0].right))
        total[i : i + chunk] = inner(formed, transform(name, formed))
    return total


def inner(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Σ over weights and entries of a · b [rows], float64."""
    return torch.stack([(x * y).flatten(1).sum(1).double() for x, y in zip(a, b, strict=True)]).sum(
        0
    )


def cut(part: Part, start: int, end: int) -> Part:
    """Some of the rows."""
    return Part(tuple(left[start:end] for left in part.lefts), part.right[start:end])
