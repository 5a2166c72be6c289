"""What every view of a world must hold, for finders of other kinds of site than the world's own.

Every kind is the world's own, in `crossings` or in `lacking`, with a line that says why.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from seedbed.core.rows import LABELLED, Document, Question
from seedbed.core.sites import SiteKind, Truth
from seedbed.worlds.base import View, World
from seedbed.worlds.contract import (
    check_cells,
    check_kinds,
    check_no_leak,
    check_parts,
    check_scorable,
)

KINDS = (SiteKind.DOCUMENT, SiteKind.CELL, SiteKind.INPUT, SiteKind.DIRECTION)
QUESTIONS, SITES = 12, 400
"""So many questions and sites of a view are marked: a matrix of all would take seconds."""
SIGMAS = 4.0


def check_views(world: World, seed: int = 0) -> None:
    """Raise AssertionError unless `world` accounts for every kind of site and keeps its word."""
    told = {"crossings": world.crossings, "lacking": world.lacking}
    for name, lines in told.items():
        assert set(lines) <= set(KINDS), f"{name} names kinds of site that worlds can have"
        assert all(line and line[-1] not in ".:" for line in lines.values()), f"{name} says a line"
    for kind in KINDS:
        places = [kind is world.sites, kind in world.crossings, kind in world.lacking]
        assert sum(places) == 1, f"{kind} is the world's own, in crossings or in lacking: one"
    documents = world.documents(seed) if world.crossings else []
    for kind in world.crossings:
        check_view(world, kind, seed, documents)


def check_view(world: World, kind: SiteKind, seed: int, documents: Sequence[Document]) -> None:
    """Raise AssertionError unless the view of one kind keeps the promises of such a world."""
    view = world.view(kind, seed, documents)
    _same_again(world, kind, seed, documents, view)
    questions, truth = list(view.questions), view.truth
    assert len({q.id for q in questions}) == len(questions), "question ids are unique"
    assert truth.questions == tuple(q.id for q in questions), "truth rows are the questions"
    assert truth.site_kind is kind, f"the truth says that its columns are {kind}s"
    asked = [q for q in questions if q.split == world.gate.asked]
    assert asked, f"there are questions to ask (split {world.gate.asked})"
    examples = LABELLED if kind is SiteKind.DIRECTION else ()
    assert {q.split for q in questions} <= {world.gate.asked, *examples}, "and examples alone"
    assert all(q.cause for q in asked), "every question that is asked names its cause"
    assert len({q.cause for q in asked}) > 1, "there is more than one cause"
    assert all(len(q.choices) > 1 for q in asked), "every question that is asked has choices"
    assert all(world.gate.by in q.slices for q in asked), f"slices hold '{world.gate.by}'"
    if kind is SiteKind.DOCUMENT:
        assert truth.sites == tuple(d.id for d in documents), "truth columns are the documents"
    if kind is SiteKind.CELL:
        check_cells(asked, view.pairs, truth)
    if kind is SiteKind.INPUT:
        check_parts(asked, view.pairs, truth)
        assert not set(truth.sites) & set(truth.names), "no part is named after a role"
    if kind is SiteKind.DIRECTION:
        check_kinds(questions, view.pairs, truth, apart=False, asked=world.gate.asked)
        _nothing_tells(world, questions, truth)
    check_no_leak(documents, asked)
    check_scorable(_thinned(truth.select(tuple(q.id for q in asked))))


def _same_again(
    world: World, kind: SiteKind, seed: int, documents: Sequence[Document], view: View
) -> None:
    again = type(world).model_validate(world.model_dump()).view(kind, seed, documents)
    assert list(again.questions) == list(view.questions), "the same seed gives the same questions"
    assert list(again.pairs) == list(view.pairs), "and the same pairs"
    assert np.array_equal(again.truth.values, view.truth.values, equal_nan=True), "and truth"
    assert np.array_equal(again.truth.labels, view.truth.labels), "and labels"


def _nothing_tells(world: World, questions: Sequence[Question], truth: Truth) -> None:
    """Kinds are equally many in each split, and neither a row's place nor its id tells the kind."""
    of = dict(zip(truth.questions, truth.values[:, 1] == 1, strict=True))
    for split in (*LABELLED, world.gate.asked):
        here = [q for q in questions if q.split == split]
        counts = Counter(of[q.id] for q in here)
        assert counts[False] == counts[True], f"kinds are equally many in {split}"
        for how in ("order", "ids"):
            rows = here if how == "order" else sorted(here, key=lambda q: q.id)
            kinds = np.array([of[q.id] for q in rows], dtype=float)
            bound = SIGMAS / np.sqrt(len(kinds))
            halves = abs(kinds[: len(kinds) // 2].mean() - kinds[len(kinds) // 2 :].mean())
            turns = abs(kinds[::2].mean() - kinds[1::2].mean())
            assert max(halves, turns) <= bound, f"the {how} of {split} tell nothing of the kind"
    names = {name for q in questions for name in q.places}
    assert not names & {*truth.sites, *truth.names}, "no place is named after a kind or role"


def _thinned(truth: Truth) -> Truth:
    """Some rows, evenly spread, with their causes and some of the other columns."""
    step = -(-len(truth.questions) // QUESTIONS)
    rows = truth.select(truth.questions[::step])
    cause = (rows.values == 1).any(axis=0)
    step = max(1, len(rows.sites) // SITES)
    use = cause | (np.arange(len(rows.sites)) % step == 0)
    sites = tuple(s for s, keep in zip(rows.sites, use, strict=True) if keep)
    return Truth(rows.questions, sites, rows.values[:, use], rows.labels[:, use], rows.names,
                 rows.site_kind, rows.kind)  # fmt: skip
