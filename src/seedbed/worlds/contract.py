"""What every world must hold, as one function: the project's tests and yours call it alike.

A breach raises AssertionError with the promise that was broken.
"""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from seedbed.core.cells import BANDS
from seedbed.core.files import read_rows, write_rows
from seedbed.core.grid import DecisionGrid
from seedbed.core.rows import LABELLED, Document, Pair, Question, Row
from seedbed.core.selectivity import UNRELATED
from seedbed.core.sites import SiteKind, Truth
from seedbed.scoring.ranking import chance, per_question
from seedbed.scoring.rows import oracle_claim
from seedbed.worlds.base import World
from seedbed.worlds.phrasing import pieces


def check_world(world: World, seed: int = 0) -> None:
    """Raise AssertionError unless `world` keeps every promise of the contract."""
    documents, questions = world.documents(seed), world.questions(seed)
    pairs, truth = world.pairs(seed), world.truth(seed)
    _same_again(world, seed, documents, questions, truth)
    _round_trip(documents, Document)
    _round_trip(questions, Question)
    _round_trip(pairs, Pair)
    assert len({d.id for d in documents}) == len(documents), "document ids are unique"
    assert len({q.id for q in questions}) == len(questions), "question ids are unique"
    assert truth.questions == tuple(q.id for q in questions), "truth rows are the questions"
    if world.sites is SiteKind.DOCUMENT:
        assert truth.sites == tuple(d.id for d in documents), "truth columns are the documents"
    held_out = [q for q in questions if q.split == "id"]
    if world.sites is SiteKind.CELL:
        check_cells(held_out, pairs, truth)
    if world.sites is SiteKind.INPUT:
        check_parts(held_out, pairs, truth)
    if world.sites is SiteKind.DIRECTION:
        check_kinds(questions, pairs, truth, apart=world.planted)
    if world.sites is SiteKind.USER:
        _visible(documents, held_out, pairs, truth, nobody=bool(world.negative))
    _panels(world.grid(seed))
    assert held_out, "there are held-out questions (split id)"
    assert all(q.cause for q in held_out), "every held-out question names its cause"
    assert all(len(q.choices) > 1 for q in held_out), "every held-out question has choices"
    assert all(world.gate.by in q.slices for q in held_out), f"slices hold '{world.gate.by}'"
    check_no_leak(documents, held_out)
    if world.sites is not SiteKind.USER or not world.negative:
        check_scorable(truth.select(tuple(q.id for q in held_out)))


def _same_again(
    world: World,
    seed: int,
    documents: Sequence[Document],
    questions: Sequence[Question],
    truth: Truth,
) -> None:
    twin = type(world).model_validate(world.model_dump())
    assert list(twin.documents(seed)) == list(documents), "the same seed gives the same documents"
    assert list(twin.questions(seed)) == list(questions), "the same seed gives the same questions"
    again = twin.truth(seed)
    assert np.array_equal(again.values, truth.values, equal_nan=True), "and the same truth"
    if not world.planted:
        assert not documents, "where nothing is planted there are no documents"
        assert list(world.questions(seed + 1)) != list(questions), "another seed splits otherwise"
        return
    other = [(d.id, d.text) for d in world.documents(seed + 1)]
    assert other != [(d.id, d.text) for d in documents], "another seed gives other documents"


def _round_trip(rows: Sequence[Row], kind: type[Row]) -> None:
    if not rows:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        write_rows(path, rows)
        assert read_rows(path, kind) == list(rows), f"{kind.__name__} rows survive JSONL"


def check_cells(questions: Sequence[Question], pairs: Sequence[Pair], truth: Truth) -> None:
    """Truths over cells name places of the prompts, and every question has its pair."""
    assert truth.site_kind is SiteKind.CELL, "the truth says that its columns are cells"
    parts = [site.partition("@") for site in truth.sites]
    assert all(band in BANDS for band, _, _ in parts), f"columns are {'@…, '.join(BANDS)}@…"
    named = {place for _, _, place in parts}
    for question in questions:
        assert set(question.places) <= named, f"every place of {question.id!r} has its columns"
    clean = {pair.clean.id: pair.clean for pair in pairs}
    assert all(clean.get(q.id) == q for q in questions), "every held-out question has its pair"
    for pair in pairs:
        assert pair.corrupt.id != pair.clean.id, "a corrupt question has an id of its own"
        assert set(pair.clean.places) == set(pair.corrupt.places), "pairs have the same places"
        assert pair.clean.choices == pair.corrupt.choices, "pairs have the same choices"


def check_parts(questions: Sequence[Question], pairs: Sequence[Pair], truth: Truth) -> None:
    """Truths over inputs name places of the prompts, and say nothing of places that are not there.

    Both sides of a pair differ within the place that is its cause, and in the answer.
    """
    assert truth.site_kind is SiteKind.INPUT, "the truth says that its columns are parts of inputs"
    named = {name for q in questions for name in q.places}
    assert set(truth.sites) <= named, "every column is a place of some held-out question"
    rows = truth.select(tuple(q.id for q in questions)).values
    for question, row in zip(questions, rows, strict=True):
        assert set(question.places) <= set(truth.sites), f"places of {question.id!r} have columns"
        absent = [s not in question.places for s in truth.sites]
        assert np.isnan(row[absent]).all(), f"what {question.id!r} lacks has no truth"
    for pair in pairs:
        clean, corrupt = pair.clean, pair.corrupt
        assert clean.answer != corrupt.answer, "the two sides of a pair have different answers"
        assert list(clean.places) == list(corrupt.places), "pairs have the same places"
        _differs_within_its_cause(pair)


def _differs_within_its_cause(pair: Pair) -> None:
    clean, corrupt = pair.clean, pair.corrupt
    (a, b), (c, d) = clean.places[pair.cause], corrupt.places[pair.cause]
    around = (clean.prompt[:a], clean.prompt[b:]), (corrupt.prompt[:c], corrupt.prompt[d:])
    assert around[0] == around[1], "a pair differs within its cause alone"


def check_kinds(
    questions: Sequence[Question],
    pairs: Sequence[Pair],
    truth: Truth,
    *,
    apart: bool,
    asked: str = "id",
) -> None:
    """Truths over directions name two kinds; the splits to fit, choose and report by have both.

    Where there are pairs, every prompt is laid out alike and a pair goes from kind to kind.
    `apart`: unrelated questions are needed too; without them nothing is said of selectivity.
    `asked` is the split to report by.
    """
    assert truth.site_kind is SiteKind.DIRECTION, "the truth says that its columns are kinds"
    assert len(truth.sites) == 2, "a direction tells two kinds apart"
    of = {}
    for question, row in zip(questions, truth.values, strict=True):
        known = "" if np.isnan(row).any() else truth.sites[int(row.argmax())]
        of[question.id] = known
        assert question.label in ("", known), f"the label of {question.id!r} is its kind"
        assert (question.split in LABELLED) <= bool(question.label), "examples are labelled"
    for split in (*LABELLED, asked):
        kinds = [of[q.id] for q in questions if q.split == split]
        assert set(kinds) == set(truth.sites), f"split {split} has questions of both kinds alone"
    beside = [of[q.id] for q in questions if q.split == UNRELATED]
    assert beside or not apart, (
        f"there are questions that no direction should touch (split {UNRELATED})"
    )
    assert not any(beside), "unrelated questions are of neither kind"
    shown, held_out = ({q.cause for q in questions if q.split in s} for s in (LABELLED, (asked,)))
    assert not shown & held_out, "no cause of a held-out question has a labelled example"
    for pair in pairs:
        assert {pair.clean.id, pair.corrupt.id} <= set(of), "both sides of a pair are questions"
        assert of[pair.clean.id] != of[pair.corrupt.id], "a pair goes from kind to kind"
        assert pair.clean.answer != pair.corrupt.answer, "the sides of a pair differ in the answer"
        assert pair.clean.choices == pair.corrupt.choices, "pairs have the same choices"
    if pairs:
        _laid_out_alike(questions, truth.sites, of)


def _laid_out_alike(
    questions: Sequence[Question], kinds: Sequence[str], of: Mapping[str, str]
) -> None:
    """Same places, as many word-level tokens before each, both kinds as often in each split."""
    layouts = {
        (
            len(pieces(q.prompt)),
            *((n, len(pieces(q.prompt[: at[0]]))) for n, at in q.places.items()),
        )
        for q in questions
    }
    assert len(layouts) == 1, "all prompts have the same places and as many tokens"
    for split in (*LABELLED, "id"):
        counts = Counter(of[q.id] for q in questions if q.split == split)
        assert len({counts[kind] for kind in kinds}) == 1, f"kinds are equally many in {split}"


def _visible(
    documents: Sequence[Document],
    questions: Sequence[Question],
    pairs: Sequence[Pair],
    truth: Truth,
    *,
    nobody: bool,
) -> None:
    """Truths over users name what can be seen of one, `attribute=word`; `nobody`: none is a cause.

    Whatever stands in a place of a prompt, or is shown in a document, has its column. The sides of
    a pair differ within the place that is its cause.
    """
    assert truth.site_kind is SiteKind.USER, "the truth says that its columns are kinds of user"
    assert all("=" in site for site in truth.sites), "columns are attribute=word"
    shown = {site for d in documents for site in d.shows}
    shown |= {f"{n}={q.prompt[a:b]}" for q in questions for n, (a, b) in q.places.items()}
    assert shown <= set(truth.sites), "everything that can be seen of a user has its column"
    assert not nobody or not (truth.values == 1).any(), "of a declared negative nothing is a cause"
    for pair in pairs:
        _differs_within_its_cause(pair)
        assert pair.clean.choices == pair.corrupt.choices, "pairs have the same choices"


def _panels(questions: Sequence[Question]) -> None:
    """Decision maps have every point in every panel."""
    if questions:
        assert len({q.id for q in questions}) == len(questions), "ids of a grid are unique"
        made = DecisionGrid.of(questions, [q.answer for q in questions], [1.0] * len(questions))
        points = len(made.panels) * len(made.x1) * len(made.x2)
        assert points == len(questions), "no panel of the grid has a point twice"


def check_no_leak(documents: Sequence[Document], questions: Sequence[Question]) -> None:
    """No prompt of `questions` stands in a document that is trained on."""
    texts = "\n".join(" ".join(d.text.split()) for d in documents if d.weight > 0)
    for question in questions:
        prompt = " ".join(question.prompt.split())
        assert prompt not in texts, f"the held-out prompt {prompt!r} stands in a document"


def check_scorable(truth: Truth) -> None:
    """Every question has a cause and a non-cause, the oracle scores 1, chance the base rate."""
    known = np.isfinite(truth.values)
    positive = truth.values == 1
    assert np.isin(truth.values[known], (0, 1)).all(), "truth values are 1, 0 or NaN"
    assert positive.any(axis=1).all(), "every held-out question has a cause"
    assert (known & ~positive).any(axis=1).all(), "every held-out question has a non-cause"
    oracle = per_question("average_precision", oracle_claim(truth).scores, positive, known)
    assert np.allclose(oracle, 1), "the oracle scores 1"
    rng = np.random.default_rng(0)
    draws = [
        per_question("r_precision", rng.random(truth.values.shape), positive, known)
        for _ in range(40)
    ]
    rows = zip(known.sum(axis=1), (positive & known).sum(axis=1), strict=True)
    expected = float(np.mean([chance("r_precision", int(n), int(r)) for n, r in rows]))
    error = float(np.std([d.mean() for d in draws]) / np.sqrt(len(draws)))
    assert abs(float(np.mean(draws)) - expected) <= 5 * error + 1e-9, "chance is the base rate"
