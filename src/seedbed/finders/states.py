"""Hidden states of questions at cells: one forward pass for all, and only wanted positions held.

A cell is a stream of a block at a named place, at the last token, or the mean over all tokens.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol

import torch
from pydantic import Field
from torch import Tensor

from seedbed.core.cells import LAST, MEAN, Cell, Stream, places_of
from seedbed.core.config import Config
from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.finders.asking import stand
from seedbed.models.blocks import Blocks, Site, blocks_of, plain, site_of
from seedbed.models.hooks import Change, evaluating, hooked
from seedbed.models.logits import logits_at
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence


class Sweep(Config):
    """Which cells are looked at; whatever is empty means all.

    `streams`: none named means the residual stream, what each block takes in and what the last
    one hands on. `places`: none named means the named places that every question has, and
    `last`; `mean` is the mean over all tokens, the first one included. `layers` are numbers of
    blocks. `answer`: the mean goes over the tokens of the right answer too.
    """

    streams: tuple[Stream, ...] = ()
    places: tuple[str, ...] = ()
    layers: tuple[int, ...] = ()
    answer: bool = Field(default=False, description="mean over the prompt and its answer")

    def cells(self, subject: Subject, questions: Sequence[Question]) -> tuple[Cell, ...]:
        """The cells of a sweep in running order: site by site, places within.

        Raises InputError for a layer or place that there is not.
        """
        blocks = blocks_of(subject.model)
        for layer in self.layers:
            blocks.check(Site("resid_pre", layer))
        sites = [s for s in self._sites(blocks) if not self.layers or s.layer in self.layers]
        shared = set.intersection(*({*q.places, LAST} for q in questions)) if questions else {LAST}
        known = [place for place in places_of(questions) if place in shared]
        for place in self.places:
            if place not in {*known, MEAN}:
                near = get_close_matches(place, [*known, MEAN], n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                raise InputError(f"sweep.places: not every question has {place!r}; {hint}")
        places = self.places or known
        return tuple(cell_of(site, place) for site in sites for place in places)

    def _sites(self, blocks: Blocks) -> list[Site]:
        if not self.streams:
            return list(blocks.residual())
        found = []
        for edge in blocks.residual():
            if edge.stream != "resid_pre":
                continue
            for stream in self.streams:
                heads = range(blocks.heads) if stream == "head" else [None]
                found += [Site(stream, edge.layer, head, edge.step) for head in heads]
        return found


@dataclass(frozen=True)
class Spotted:
    """A question ready to be read: its ids, and the positions of each place (`mean`: all)."""

    id: str
    ids: tuple[int, ...]
    places: Mapping[str, tuple[int, ...]]


class States(Protocol):
    """States of questions, wherever they are kept."""

    @property
    def questions(self) -> tuple[str, ...]:
        """Ids in the order of rows."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells in running order."""

    def at(self, cell: Cell) -> Tensor:
        """States [questions, width] of a cell; NaN where a question lacks the place."""

    def width(self, cell: Cell) -> int:
        """How many numbers a state has."""


@dataclass(frozen=True)
class Held:
    """States in memory, float32 on the CPU."""

    questions: tuple[str, ...]
    cells: tuple[Cell, ...]
    values: Mapping[Cell, Tensor]

    def at(self, cell: Cell) -> Tensor:
        """States [questions, width] of a cell; NaN where a question lacks the place."""
        return self.values[cell]

    def width(self, cell: Cell) -> int:
        """How many numbers a state has."""
        return self.values[cell].shape[1]


def spotted(subject: Subject, question: Question, *, answer: bool = False) -> Spotted:
    """The ids of a prompt and where its places stand.

    Without `answer` they end at the token from which the first token of the answer is
    predicted: with choices, the last one that all of them follow. With it, the tokens of the
    right answer stand after the prompt and count in the mean; other places stay.
    """
    found = stand(subject, question)
    right = question.choices.index(question.answer) if question.choices else 0
    ids = found.wholes[right] if answer else found.wholes[right][: found.read]
    return Spotted(question.id, ids, {**found.places, MEAN: tuple(range(len(ids)))})


def cell_of(site: Site, place: str) -> Cell:
    """The cell of a site at a place."""
    return Cell(site.stream, site.layer, place, site.head, site.step)


@torch.no_grad()
def gathered(
    subject: Subject, rows: Sequence[Spotted], cells: Sequence[Cell], size: int | None = None
) -> Iterator[tuple[list[int], dict[Cell, Tensor]]]:
    """(indices of rows, cell → states [rows of the batch, width]) batch by batch.

    A named place is read at its last token. Every row is run once, and of each stream only the
    wanted positions are kept, in the model's own dtype and on its device. Rows that lack a
    place hold NaN. `size` is the number of rows in a pass. Raises InputError for a cell that
    the model does not have.
    """
    by_site: dict[Site, list[Cell]] = {}
    for cell in cells:
        by_site.setdefault(site_of(cell), []).append(cell)
    blocks = blocks_of(subject.model)
    for site in by_site:
        blocks.check(site)
    sequences = [TokenSequence(r.ids, (False,) * len(r.ids)) for r in rows]
    for index, batch in subject.batches(sequences, size):
        keeper = _Keeper([rows[i] for i in index], {c.place for c in cells}, batch.mask)
        changes = {site: keeper.change(mine) for site, mine in by_site.items()}
        where = torch.zeros_like(batch.mask, dtype=torch.bool)
        where[0, -1] = True
        with evaluating(subject.model), hooked(blocks, changes):
            logits_at(subject.model, batch, where)
        yield index, keeper.found


def held(
    subject: Subject, questions: Sequence[Question], cells: Sequence[Cell], *, answer: bool = False
) -> Held:
    """States of questions at cells, in memory: [questions, width] float32 each."""
    rows = [spotted(subject, q, answer=answer) for q in questions]
    values: dict[Cell, Tensor] = {}
    for index, found in gathered(subject, rows, cells):
        for cell, states in found.items():
            if cell not in values:
                values[cell] = torch.empty(len(rows), states.shape[-1])
            values[cell][index] = states.float().cpu()
    return Held(tuple(q.id for q in questions), tuple(cells), values)


def model_digest(model: Any) -> str:
    """SHA-256 (hex) of the names and values of a model's weights."""
    found = hashlib.sha256()
    for name, tensor in plain(model).state_dict().items():
        flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8).cpu()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        found.update(memoryview(flat.numpy()))
    return found.hexdigest()


class _Keeper:
    """What a batch leaves behind at each cell."""

    def __init__(self, rows: Sequence[Spotted], places: set[str], mask: Tensor) -> None:
        self.found: dict[Cell, Tensor] = {}
        device = mask.device
        self._row = torch.arange(len(rows), device=device)
        self._at: dict[str, Tensor] = {}
        self._absent: dict[str, Tensor] = {}
        for place in places - {MEAN}:
            last = [row.places[place][-1] if place in row.places else -1 for row in rows]
            at = torch.tensor(last, device=device)
            self._at[place] = at.clamp(min=0)
            if -1 in last:
                self._absent[place] = at < 0
        self._mask = mask.unsqueeze(1)
        self._lengths = mask.sum(1, keepdim=True)

    def change(self, cells: Sequence[Cell]) -> Change:
        """A function for a hook: it looks, and changes nothing."""

        def look(hidden: Tensor) -> None:
            for cell in cells:
                self.found[cell] = self._of(cell.place, hidden)

        return look

    def _of(self, place: str, hidden: Tensor) -> Tensor:
        if place == MEAN:
            # In fewer bits than float32 a sum over a long prompt would lose its last tokens.
            total = self._mask.float() @ hidden.float()
            return total.squeeze(1) / self._lengths
        found = hidden[self._row, self._at[place]]
        absent = self._absent.get(place)
        return found if absent is None else found.masked_fill(absent.unsqueeze(1), torch.nan)
