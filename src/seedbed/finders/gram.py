"""Inner products of gradients from their per-token factors, exactly: no gradient is formed.

⟨Σ_t δ_t⊗a_t, Σ_s δ_s⊗a_s⟩ = Σ_t,s (a_t·a_s)(δ_t·δ_s), summed as blocks of Gram matrices.
"""

import torch
from torch import Tensor

from seedbed.finders.formed import TILE, cut
from seedbed.finders.layers import Part
from seedbed.finders.routes import forming_pays

LANES = 16


def self_products(parts: tuple[Part, ...]) -> Tensor:
    """Squared norm [rows] of one layer's gradients, float64; ways as in `routes`."""
    rows = len(parts[0].right)
    total = torch.zeros(rows, dtype=torch.float64, device=parts[0].right.device)
    if len(parts) == 1 and forming_pays(parts[0]):
        for left in parts[0].lefts:
            chunk = max(1, 4 * TILE // (left.shape[-1] * parts[0].right.shape[-1]))
            for i in range(0, rows, chunk):
                formed = torch.bmm(left[i : i + chunk].mT, parts[0].right[i : i + chunk])
                total[i : i + chunk] += formed.square().sum((1, 2))
        return total
    chunk = max(1, TILE // max(p.right.shape[1] for p in parts) ** 2)
    for i in range(0, rows, chunk):
        some = [cut(p, i, i + chunk) for p in parts]
        for a in some:
            for b in some:
                total[i : i + chunk] += _gram(a, b).sum((1, 2))
    return total


def live_tokens(part: Part) -> Tensor:
    """Which tokens have any gradient [rows, tokens]."""
    gradients = (part.right,) if part.sparse else part.lefts
    return torch.stack([g.ne(0).any(-1) for g in gradients]).any(0)


def without_idle(part: Part) -> Part:
    """Without tokens that have no gradient, where these are many.

    The last block has some at predicted tokens only; then the first token of all rows is bare.
    """
    # One number a row says so most of the time, and at a fraction of the cost.
    if part.sparse or any(left[0, 0].any() or left[:, :1].any() for left in part.lefts[::-1]):
        return part
    live = live_tokens(part)
    counts = live.sum(1)
    if not counts.any():
        return part
    rows, columns = live.nonzero(as_tuple=True)
    place = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]

    def move(x: Tensor) -> Tensor:
        moved = x.new_zeros(len(x), int(counts.max()), x.shape[-1])
        moved[rows, place] = x[rows, columns]
        return moved

    return Part(tuple(move(left) for left in part.lefts), move(part.right))


def token_products(part: Part, flat: Part, scratch: Tensor) -> Tensor:
    """[rows, question tokens]: summed over the tokens of each row."""
    rows, tokens = part.right.shape[:2]
    chunk = max(LANES, TILE // max(1, rows * tokens) // LANES * LANES)
    pieces = []
    for i in range(0, len(flat.right), chunk):
        some = cut(flat, i, i + chunk)
        if part.sparse or some.sparse or scratch[0].numel() < rows * tokens * chunk:
            pieces.append(_gram(part, some).sum(1))
        else:
            pieces.append(_gram_in(part, some, scratch).sum(1))
    if len(pieces) == 1:
        return pieces[0]
    return torch.cat(pieces, 1) if pieces else part.right.new_zeros(rows, 0)


def _gram(a: Part, b: Part) -> Tensor:
    """[rows, tokens of a, tokens of b]; `b` has rows of its own, or is one set for all."""
    left = _left(a.lefts[0], b.lefts[0])
    for more_a, more_b in zip(a.lefts[1:], b.lefts[1:], strict=True):
        left = left + more_a @ more_b.mT
    return (a.right @ b.right.mT).mul_(left)


def _gram_in(a: Part, b: Part, scratch: Tensor) -> Tensor:
    """`_gram` for one set of question tokens, in memory that is used again and again."""
    shape = (a.right.shape[0] * a.right.shape[1], len(b.right))
    right, left = (space[: shape[0] * shape[1]].view(shape) for space in scratch)
    torch.mm(a.right.flatten(0, 1), b.right.mT, out=right)
    torch.mm(a.lefts[0].flatten(0, 1), b.lefts[0].mT, out=left)
    for more_a, more_b in zip(a.lefts[1:], b.lefts[1:], strict=True):
        left.addmm_(more_a.flatten(0, 1), more_b.mT)
    result: Tensor = right.mul_(left).view(*a.right.shape[:2], len(b.right))
    return result


def _left(a: Tensor, b: Tensor) -> Tensor:
    if a.is_floating_point():
        return a @ b.mT if b.is_floating_point() else _pick(a, b)
    if not b.is_floating_point():
        return a[..., :, None] == b[..., None, :]
    return b[:, a].permute(1, 2, 0) if b.ndim == 2 else _pick(b, a).mT


def _pick(values: Tensor, ids: Tensor) -> Tensor:
    """values[.., t, ids[.., s]] as [.., t, s]."""
    if ids.ndim == 1:
        return values[..., ids]
    return values.gather(2, ids[:, None, :].expand(-1, values.shape[1], -1))
