"""Patching as the measured truth beside steering: which sites carry what tells a pair apart?

The corrupt run's state at one place is put into the clean run, at every site that is steered.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seedbed.core.cells import MEAN, Cell
from seedbed.core.rows import Pair
from seedbed.core.selectivity import Column
from seedbed.core.units import Units
from seedbed.finders.asking import Asked, aligned, ask_pair
from seedbed.finders.patches import Patch, Run, patched_logits
from seedbed.finders.pushes import Spent, last_logits, states_of
from seedbed.models.blocks import Blocks, Site, blocks_of, site_of
from seedbed.models.hooks import Change, evaluating, hooked
from seedbed.models.subject import Subject

Floats = NDArray[np.float64]
Map = tuple[tuple[int, int], ...]
Sides = tuple[Asked, Asked]


@torch.no_grad()
def patched_pairs(
    subject: Subject, pairs: Sequence[Pair], kinds: Mapping[str, str], cells: Sequence[Cell]
) -> tuple[dict[str, Units], Spent]:
    """Tables `patching:all` and `patching:CLASS` (of the clean question), columns by site.

    `flipped`: the patched run says the corrupt side's answer, and the clean run did not. `moved`:
    how much of the log-odds of the corrupt answer against the clean one came over, as a share of
    the mean whole effect, so that its mean is a ratio of means (Wang et al. 2022, section 3.1).
    NaN where a pair lacks the place. Raises InputError for a pair that cannot be asked.
    """
    sides = [ask_pair(subject, pair) for pair in pairs]
    where = [(i, c) for i in range(len(sides)) for c, cell in enumerate(cells)
             if _map(*sides[i], cell.place)]  # fmt: skip
    jobs = [(i, cells[c], _map(*sides[i], cells[c].place)) for i, c in where]
    blocks = blocks_of(subject.model)
    run = _by_hooks if blocks.recurrent else _by_patches
    with evaluating(subject.model):
        base, donor, logits, spent = run(subject, blocks, sides, jobs)
    flipped, moved = (np.full((len(sides), len(cells)), np.nan) for _ in range(2))
    start = np.array([_odds(s, x) for s, x in zip(sides, base, strict=True)])
    whole = np.array([_odds(s, x) for s, x in zip(sides, donor, strict=True)]) - start
    for (i, c), row in zip(where, logits, strict=True):
        says, said = int(row.argmax()), int(base[i].argmax())
        flipped[i, c] = says == sides[i][1].answer != said
        moved[i, c] = _odds(sides[i], row) - start[i]
    causes = tuple(p.cause or p.clean.cause or p.id for p in pairs)
    ids = tuple(p.clean.id for p in pairs)
    of = np.array([kinds.get(key, "") for key in ids])
    chosen = {"all": np.arange(len(pairs))}
    chosen |= {kind: np.flatnonzero(of == kind) for kind in sorted({*of} - {""})}
    return {
        f"patching:{name}": _table(ids, causes, cells, (flipped, moved, whole), rows)
        for name, rows in chosen.items()
    }, spent


def _table(
    ids: Sequence[str], causes: Sequence[str], cells: Sequence[Cell],
    found: tuple[Floats, Floats, Floats], rows: NDArray[np.intp],
) -> Units:  # fmt: skip
    flipped, moved, whole = (x[rows] for x in found)
    total = float(whole.mean()) if len(rows) else 0.0
    shares = moved / total if total else np.full_like(moved, np.nan)
    columns = [Column(name, "", c.name).key for name in ("flipped", "moved") for c in cells]
    return Units(tuple(ids[i] for i in rows), tuple(causes[i] for i in rows), tuple(columns),
                 np.concatenate([flipped, shares], 1))  # fmt: skip


def _map(clean: Asked, corrupt: Asked, place: str) -> Map:
    if place != MEAN:
        return aligned(clean, corrupt, place)
    same = len(clean.ids) == len(corrupt.ids)
    return tuple((i, i) for i in range(len(clean.ids))) if same else ()


def _odds(sides: Sides, logits: Tensor) -> float:
    """Log-odds of the corrupt answer against the clean one, of the choices' logits."""
    return float(logits[sides[1].answer].double() - logits[sides[0].answer].double())


_Jobs = Sequence[tuple[int, Cell, Map]]
_Found = tuple[Tensor, Tensor, Tensor, Spent]


def _by_patches(subject: Subject, _: Blocks, sides: Sequence[Sides], jobs: _Jobs) -> _Found:
    runs = [Run(clean.ids, corrupt.ids) for clean, corrupt in sides]
    patches = [Patch(i, c.stream, c.layer, positions, c.head) for i, c, positions in jobs]
    given = patched_logits(subject, runs, patches, _tokens(sides), seed=subject.seed)
    ran = int((~given.noop).sum())
    return (given.base, given.donor, given.logits,
            Spent(len(jobs), ran, given.tier, given.checked))  # fmt: skip


def _by_hooks(subject: Subject, blocks: Blocks, sides: Sequence[Sides], jobs: _Jobs) -> _Found:
    sites = [site_of(c) for _, c, _ in jobs]
    donors = [corrupt.ids for _, corrupt in sides]
    states = states_of(subject, donors, list(dict.fromkeys(sites)))

    def putting(index: list[int]) -> AbstractContextManager[None]:
        rows: dict[Site, list[tuple[int, int]]] = {}
        for row, number in enumerate(index):
            rows.setdefault(sites[number], []).append((row, number))
        return hooked(blocks, {site: change(site, mine) for site, mine in rows.items()})

    def change(site: Site, mine: Sequence[tuple[int, int]]) -> Change:
        flat = [(row, jobs[n][0], here, there) for row, n in mine for here, there in jobs[n][2]]
        rows, pairs, here, there = (list(column) for column in zip(*flat, strict=True))

        def put(hidden: Tensor) -> Tensor:
            new = hidden.clone()
            new[rows, here] = states[site][pairs, there].to(new)
            return new

        return put

    clean = [c.ids for c, _ in sides]
    logits = last_logits(subject, [clean[i] for i, _, _ in jobs], putting)
    base, donor = (_chosen(last_logits(subject, ids), sides) for ids in (clean, donors))
    of_jobs = _chosen(logits, [sides[i] for i, _, _ in jobs])
    return base, donor, of_jobs, Spent(len(jobs), len(jobs), "hooks")


def _chosen(logits: Tensor, sides: Sequence[Sides]) -> Tensor:
    """The logits of the choices [rows, choices]."""
    if not sides:
        return logits
    return logits.gather(1, torch.tensor(_tokens(sides)))


def _tokens(sides: Sequence[Sides]) -> list[tuple[int, ...]]:
    """The choices of each pair, equally many: the first one again where there are fewer."""
    most = max((len(clean.choices) for clean, _ in sides), default=0)
    return [c.choices + c.choices[:1] * (most - len(c.choices)) for c, _ in sides]
