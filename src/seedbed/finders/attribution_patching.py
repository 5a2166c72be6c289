"""Attribution patching: patching effects of all cells at once, from gradients.

A first-order guess, so a filter before exact patching: it says in its notes how well it agrees
with exact patching on a random sample of cells.
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from seedbed.core.cells import Cell
from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import generator
from seedbed.core.sites import Claim, Floats, SiteKind
from seedbed.finders.asking import uneven
from seedbed.finders.base import Finder
from seedbed.finders.outcomes import Outcome
from seedbed.finders.pairs import Direction, Sides, pairs_for, places_in, sides_of
from seedbed.finders.patches import Patch, Run, can_matter, patched_logits
from seedbed.models.blocks import Site, blocks_of, plain, site_of
from seedbed.models.hooks import Change, evaluating, hooked, read
from seedbed.models.layout import scattered
from seedbed.models.logits import logits_at
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence, pad

Ids = tuple[int, ...]
# The share of cells that a filter must keep to be worth its name.
TOP = 0.02


class AttributionPatching(Finder):
    """`steps` 1: gradients at the recipient; more: at points on the way to the donor."""

    kind: str = "attribution-patching"
    sites = SiteKind.CELL
    direction: Direction = "noising"
    outcome: Outcome = "logit-difference"
    steps: int = Field(default=1, ge=1, description="1: AtP; more: integrated gradients")
    sample: int = Field(default=200, ge=0, description="cells patched exactly, to compare; 0: none")

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, cells]: |(donor − recipient) · gradient of the outcome| of each cell.

        With one step the gradient is the recipient's (attribution patching: Nanda 2023; Syed et
        al. 2023, arXiv 2310.10348, section 3). With more it is averaged over midpoints of the
        straight line between both runs' embeddings (integrated gradients: Sundararajan et al.
        2017, section 3; on inner activations: Hanna et al. 2024, arXiv 2403.17806, section 3).
        Cells that cannot matter, and places that a question lacks, score 0. Raises InputError
        for a question without a pair, for a model that cuts gradients off, and with more steps
        for one whose embeddings go to other blocks than the first.
        """
        if self.steps > 1 and scattered(subject.model):
            raise InputError(f"{self.kind}: steps: no line from one embedding to the other goes"
                             f" through {type(plain(subject.model)).__name__}'s first block alone;"
                             " take steps: 1")  # fmt: skip
        sides = sides_of(subject, pairs_for(questions, pairs))
        cells = blocks_of(subject.model).cells(places_in(sides))
        patches, where = _patches(sides, cells, self.direction)
        runs = [s.run(self.direction) for s in sides]
        alive = can_matter(subject, runs, patches)
        signed = np.zeros((len(sides), len(cells)))
        with evaluating(subject.model):
            for part in _parts(sides, subject.batch):
                signed[part] = self._attributed(subject, [sides[i] for i in part], cells)
        for (i, c), matters in zip(where, alive, strict=True):
            signed[i, c] *= matters
        notes = {"gradients": f"{self.steps} forward and backward passes of each pair"}
        if note := uneven([(s.clean, s.corrupt) for s in sides]):
            notes["alignment"] = note
        if self.sample and any(alive):
            notes["agreement"] = self._agreement(subject, sides, patches, where, alive, signed)
        names = tuple(c.name for c in cells)
        return Claim(tuple(q.id for q in questions), names, np.abs(signed), SiteKind.CELL, notes)

    def _attributed(
        self, subject: Subject, sides: Sequence[Sides], cells: Sequence[Cell]
    ) -> Floats:
        """Signed first-order effects [sides, cells] of a few pairs."""
        runs = [s.run(self.direction) for s in sides]
        passes = _Passes(subject, self.outcome, sides, [r.ids for r in runs])
        ours = passes.streams()
        theirs = _Passes(subject, self.outcome, sides, [r.donor for r in runs]).streams()
        target = ours[0].clone()
        for i, (side, run) in enumerate(zip(sides, runs, strict=True)):
            here, there = _everywhere(side, run, self.direction)
            target[i, here] = theirs[0][i, there]
        slopes = [torch.zeros_like(x) for x in ours]
        for step in range(self.steps):
            share = 0.0 if self.steps == 1 else (step + 0.5) / self.steps
            found = passes.slopes(ours[0] + share * (target - ours[0]))
            slopes = [a + b / self.steps for a, b in zip(slopes, found, strict=True)]
        values = np.zeros((len(sides), len(cells)))
        edge = {site: n for n, site in enumerate(passes.sites)}
        for i, side in enumerate(sides):
            for c, cell in enumerate(cells):
                here, there = _columns(side.map(cell.place, self.direction))
                n = edge[site_of(cell)]
                change = theirs[n][i, there] - ours[n][i, here]
                values[i, c] = float((change * slopes[n][i, here]).double().sum())
        return values

    def _agreement(
        self, subject: Subject, sides: Sequence[Sides], patches: Sequence[Patch],
        where: Sequence[tuple[int, int]], alive: Sequence[bool], signed: Floats,
    ) -> str:  # fmt: skip
        """How well the scores agree with exact patching on a sample of cells that can matter."""
        among = np.flatnonzero(alive)
        rng = generator(subject.seed, self.kind, "sample")
        drawn = sorted(rng.choice(among, min(self.sample, len(among)), replace=False).tolist())
        some = [patches[n] for n in drawn]
        runs = [s.run(self.direction) for s in sides]
        given = patched_logits(
            subject, runs, some, [s.clean.choices for s in sides], seed=subject.seed
        )
        exact = np.array([
            float(sides[p.run].value(logits, self.outcome)
                  - sides[p.run].value(given.base[p.run], self.outcome))
            for p, logits in zip(some, given.logits, strict=True)
        ])  # fmt: skip
        guessed = np.array([signed[where[n]] for n in drawn])
        return (
            f"with exact patching of {len(drawn)} of {len(among)} cells that can matter:"
            f" Pearson {_pearson(exact, guessed):.3f}, recall of the top {TOP:.0%}"
            f" {recall(exact, guessed):.2f}"
        )


class _Passes:
    """Passes of one side of a few pairs through the model, padded on the right."""

    def __init__(
        self, subject: Subject, outcome: Outcome, sides: Sequence[Sides], ids: Sequence[Ids]
    ) -> None:
        last = [(*(False for _ in row[1:]), True) for row in ids]
        rows = [TokenSequence(row, end) for row, end in zip(ids, last, strict=True)]
        self.batch = pad(rows).to(subject.device)
        self.model, self.blocks = subject.model, blocks_of(subject.model)
        self.outcome, self.sides = outcome, sides
        self.sites = self.blocks.residual()

    @torch.no_grad()
    def streams(self) -> list[Tensor]:
        """What every block takes in and the last one hands on, each [rows, length, width]."""
        found = read(self.model, self.batch, self.sites, use_cache=False)
        return [found[site] for site in self.sites]

    def slopes(self, embedded: Tensor) -> list[Tensor]:
        """Gradients of the outcomes at each stream when the first block takes in `embedded`."""
        passed: dict[Site, Tensor] = {}
        start = embedded.detach().requires_grad_()

        def keep(site: Site) -> Change:
            def change(hidden: Tensor) -> Tensor | None:
                passed[site] = start if site == self.sites[0] else hidden
                return start if site == self.sites[0] else None

            return change

        with torch.enable_grad(), hooked(self.blocks, {s: keep(s) for s in self.sites}):
            logits = logits_at(self.model, self.batch, self.batch.predicted, use_cache=False)
            rows = zip(self.sides, logits, strict=True)
            total = sum(
                (side.value(row[list(side.clean.choices)], self.outcome) for side, row in rows),
                start=logits.new_zeros((), dtype=torch.float64),
            )
            if cut := [s.name for s in self.sites if not passed[s].requires_grad]:
                raise InputError(f"{type(self.model).__name__}: no gradient reaches {cut[0]}, since"
                                 " the model cuts it off")  # fmt: skip
            return list(torch.autograd.grad(total, [passed[s] for s in self.sites]))


def recall(exact: Floats, guessed: Floats) -> float:
    """The share of the largest 2 % of |exact| that are among the largest 2 % of |guessed|."""
    count = max(1, round(TOP * len(exact)))
    best, found = (set(np.argsort(-np.abs(x), kind="stable")[:count]) for x in (exact, guessed))
    return len(best & found) / count


def _pearson(a: Floats, b: Floats) -> float:
    # Equal effects everywhere correlate with nothing.
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) > 0 and np.ptp(b) > 0 else 0.0


def _patches(
    sides: Sequence[Sides], cells: Sequence[Cell], direction: Direction
) -> tuple[list[Patch], list[tuple[int, int]]]:
    """A patch for every pair and cell whose place both runs have, and (pair, cell) of each."""
    found = [
        ((i, c), Patch(i, cell.stream, cell.layer, positions, cell.head, step=cell.step))
        for i, side in enumerate(sides)
        for c, cell in enumerate(cells)
        if (positions := side.map(cell.place, direction))
    ]
    return [patch for _, patch in found], [place for place, _ in found]


def _everywhere(side: Sides, run: Run, direction: Direction) -> tuple[list[int], list[int]]:
    """(recipient, donor) positions of all tokens, or of all places if the lengths differ."""
    if len(run.ids) == len(run.donor):
        return list(range(len(run.ids))), list(range(len(run.ids)))
    return _columns(sorted({pair for place in side.places for pair in side.map(place, direction)}))


def _columns(pairs: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [a for a, _ in pairs], [b for _, b in pairs]


def _parts(sides: Sequence[Sides], rows: int) -> list[list[int]]:
    """Pairs of similar length together."""
    order = sorted(range(len(sides)), key=lambda i: len(sides[i].clean.ids))
    return [order[i : i + rows] for i in range(0, len(order), rows)]
