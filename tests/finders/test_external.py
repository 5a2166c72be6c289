"""Scores of other tools: every form gives the same claim, every mistake one line."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seedbed.core.errors import ConfigError, DataError, InputError
from seedbed.core.rows import Document, Question
from seedbed.core.sites import Claim
from seedbed.core.tables import write_claim
from seedbed.finders.base import FINDERS
from seedbed.finders.contract import check_finder, example
from seedbed.finders.external import Scores
from seedbed.models.subject import Subject

Array = NDArray[np.float64]
Rows = tuple[Subject, list[Document], list[Question]]
Q, D = tuple(f"q{i}" for i in range(3)), tuple(f"d{i}" for i in range(12))


@pytest.fixture(scope="module")
def given() -> Rows:
    return example()


@pytest.fixture
def scores() -> Array:
    return np.random.default_rng(0).normal(size=(3, 12))


def find(given: Rows, **options: object) -> Claim:
    subject, documents, questions = given
    return Scores.model_validate(options).find(subject, documents, questions, [])


def as_array(folder: Path, scores: Array) -> dict[str, str]:
    # Another order than the study's, so that ids must be minded.
    np.save(folder / "s.npy", scores[::-1, ::-1])
    (folder / "q.txt").write_text("\n".join(Q[::-1]) + "\n")
    (folder / "d.json").write_text(json.dumps(D[::-1]))
    names = {"path": "s.npy", "questions": "q.txt", "documents": "d.json"}
    return {key: str(folder / name) for key, name in names.items()}


def as_claim(folder: Path, scores: Array) -> dict[str, str]:
    Claim(Q, D, scores).save(folder / "c.npz")
    return {"path": str(folder / "c.npz")}


def as_long_jsonl(folder: Path, scores: Array) -> dict[str, str]:
    write_claim(folder / "c.jsonl", Claim(Q, D, scores))
    return {"path": str(folder / "c.jsonl")}


def as_wide_jsonl(folder: Path, scores: Array) -> dict[str, str]:
    rows = [json.dumps({"question": q, "scores": dict(zip(D, s.tolist(), strict=True))})
            for q, s in zip(Q, scores, strict=True)]  # fmt: skip
    (folder / "w.jsonl").write_text("\n".join(rows))
    return {"path": str(folder / "w.jsonl")}


def as_lists(folder: Path, scores: Array) -> dict[str, str]:
    rows = [json.dumps({"query": q, "documents": D, "scores": s.tolist()})
            for q, s in zip(Q, scores, strict=True)]  # fmt: skip
    (folder / "l.jsonl").write_text("\n".join(rows))
    return {"path": str(folder / "l.jsonl")}


def as_long_csv(folder: Path, scores: Array) -> dict[str, str]:
    with (folder / "c.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(["score", "document", "question"])
        writer.writerows([scores[i, j], d, q] for i, q in enumerate(Q) for j, d in enumerate(D))
    return {"path": str(folder / "c.csv")}


def as_wide_csv(folder: Path, scores: Array) -> dict[str, str]:
    with (folder / "w.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", *D])
        writer.writerows([q, *s] for q, s in zip(Q, scores, strict=True))
    return {"path": str(folder / "w.csv")}


def as_rankings(folder: Path, scores: Array) -> dict[str, str]:
    for q, s in zip(Q, scores, strict=True):
        order = np.argsort(-s)
        rows = [json.dumps({"uid": D[d], "text": "…", "bm25_influence_score": s[d], "rank": r})
                for r, d in enumerate(order, start=1)]  # fmt: skip
        (folder / f"{q}_ranked.jsonl").write_text("\n".join(rows))
    return {"path": str(folder / "{question}_ranked.jsonl")}


FORMS = [as_array, as_claim, as_long_jsonl, as_wide_jsonl, as_lists, as_long_csv, as_wide_csv,
         as_rankings]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_scores(
    given: Rows, tmp_path: Path, scores: Array,
    form: Callable[..., dict[str, str]],
) -> None:  # fmt: skip
    claim = find(given, **form(tmp_path, scores))
    assert (claim.questions, claim.sites) == (Q, D)
    np.testing.assert_array_equal(claim.scores, scores)


def test_it_keeps_the_contract_of_finders(tmp_path: Path, scores: Array) -> None:
    check_finder(Scores.model_validate(as_wide_csv(tmp_path, scores)), by_text=False)


def test_the_seed_names_the_file(given: Rows, tmp_path: Path, scores: Array) -> None:
    for seed in (0, 7):
        Claim(Q, D, scores + seed).save(tmp_path / f"{seed}.npz")
    finder = Scores.model_validate({"path": str(tmp_path / "{seed}.npz")})
    subject, documents, questions = given
    claim = finder.find(replace(subject, seed=7), documents, questions, [])
    np.testing.assert_array_equal(claim.scores, scores + 7)
    with pytest.raises(DataError, match=r"3\.npz: no such file"):
        finder.find(replace(subject, seed=3), documents, questions, [])


def test_rows_and_columns_can_stand_as_the_study_has_them(
    given: Rows, tmp_path: Path, scores: Array
) -> None:
    np.save(tmp_path / "s.npy", scores.astype(np.float32))
    claim = find(given, path=str(tmp_path / "s.npy"), in_order=True)
    np.testing.assert_array_equal(claim.scores, scores.astype(np.float32))
    with pytest.raises(DataError, match=r"a \.npy has no ids"):
        find(given, path=str(tmp_path / "s.npy"))
    np.save(tmp_path / "t.npy", scores.T)
    with pytest.raises(DataError, match=r"shape \(12, 3\), but .* it looks transposed"):
        find(given, path=str(tmp_path / "t.npy"), in_order=True)


def test_more_than_asked_is_allowed_and_noted(given: Rows, tmp_path: Path, scores: Array) -> None:
    Claim((*Q, "other"), (*D, "x", "y"), np.pad(scores, ((0, 1), (0, 2)))).save(tmp_path / "c.npz")
    claim = find(given, path=str(tmp_path / "c.npz"))
    np.testing.assert_array_equal(claim.scores, scores)
    assert claim.notes["unused"] == "1 questions, 2 documents"


def test_cells_that_are_not_listed(given: Rows, tmp_path: Path) -> None:
    rows = [
        {"question": q, "document": d, "score": 1.0}
        for q in Q
        for d in D
        if (q, d) != Q[:1] + D[3:4]
    ]
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match="1 cells of 3 × 12 lack a score"):
        find(given, path=str(tmp_path / "c.jsonl"))
    claim = find(given, path=str(tmp_path / "c.jsonl"), absent=-5)
    assert claim.scores[0, 3] == -5
    assert claim.scores.sum() == 35 - 5


def test_missing_ids_are_counted_and_the_nearest_named(
    given: Rows, tmp_path: Path, scores: Array
) -> None:
    Claim(Q, tuple(d.replace("d1", "d_1") for d in D), scores).save(tmp_path / "c.npz")
    words = r"c\.npz: lacks 3 of 12 documents, such as 'd1'; did you mean 'd_1'\?"
    with pytest.raises(DataError, match=words):
        find(given, path=str(tmp_path / "c.npz"))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("s.txt", "x", "scores are read from .npy, .npz, .jsonl and .csv files"),
        ("s.npy", "x", "not a NumPy array"),
        ("s.csv", "question,document,score\nq0,d0,high\n", ":2: score: a number is needed"),
        ("s.csv", "question,document,score\nq0,d0,nan\n", ":2: score: a finite number"),
        ("s.csv", "question,d0\nq0,1,2\n", ":2: 3 fields, but the first line has 2"),
        ("s.csv", "", "a first line with at least two column names"),
        ("s.jsonl", '{"question": "q0", "document": "d0"}', ":1: one key 'score'"),
        ("s.jsonl", '{"document": "d0", "score": 1}', ":1: has no question"),
        ("s.jsonl", '{"question": "q0", "scores": [1, 2]}', ":1: documents: a list of 2 ids"),
    ],
)
def test_each_mistake_is_one_line(
    given: Rows, tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        find(given, path=str(tmp_path / name))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_score_that_is_not_finite_is_named(given: Rows, tmp_path: Path, scores: Array) -> None:
    scores[1, 4] = np.nan
    np.save(tmp_path / "s.npy", scores)
    with pytest.raises(DataError, match=r"1 scores .* question 'q1' and document 'd4'"):
        find(given, path=str(tmp_path / "s.npy"), in_order=True)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("d.txt", "a\nb\na\n", ":3: id 'a' stands on line 1 already"),
        ("d.txt", "\n", "holds no ids"),
        ("d.jsonl", '{"name": "a"}', ":1: has no id"),
        ("d.json", '{"a": 1}', "a JSON list of ids is needed"),
    ],
)
def test_unfit_lists_of_ids_are_named(
    given: Rows, tmp_path: Path, scores: Array,
    name: str, text: str, words: str,
) -> None:  # fmt: skip
    (tmp_path / name).write_text(text)
    np.save(tmp_path / "s.npy", scores)
    with pytest.raises(DataError) as caught:
        find(given, path=str(tmp_path / "s.npy"), documents=str(tmp_path / name), in_order=True)
    assert words in str(caught.value)


def test_the_files_belong_to_the_configuration(tmp_path: Path, scores: Array) -> None:
    path = tmp_path / "0.npz"
    Claim(Q, D, scores).save(path)
    first = FINDERS.build({"kind": "scores", "path": str(tmp_path / "{seed}.npz")})
    resolved = first.model_dump(mode="json")
    assert FINDERS.build(resolved) == first
    Claim(Q, D, scores + 1).save(path)
    again = FINDERS.build({"kind": "scores", "path": str(tmp_path / "{seed}.npz")})
    assert again != first
    with pytest.raises(ValueError, match="not the ones that this configuration was made with"):
        FINDERS.build(resolved)


def test_a_name_with_brackets_is_no_pattern(tmp_path: Path, scores: Array) -> None:
    folder = tmp_path / "run [1]"
    folder.mkdir()
    values = {"kind": "scores", "path": str(folder / "{seed}.npz")}
    Claim(Q, D, scores).save(folder / "0.npz")
    first = FINDERS.build(values)
    Claim(Q, D, scores + 1).save(folder / "0.npz")
    assert FINDERS.build(values) != first


def test_a_kind_of_its_own(given: Rows) -> None:
    assert FINDERS.resolve("scores") is Scores
    assert Scores().unavailable() == "scores: needs 'path', the file with the scores"
    with pytest.raises(InputError, match="needs 'path'"):
        find(given)
    with pytest.raises(ConfigError, match="did you mean 'scores'"):
        FINDERS.resolve("score")
