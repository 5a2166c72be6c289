"""The original's files: both row forms, rankings, and one clear line for each bad row."""

import json
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.errors import DataError, InputError
from seedbed.worlds.hops.files import (
    read_original,
    read_ranked,
    write_original,
    write_ranked,
)
from seedbed.worlds.hops.world import Hops

BASE: dict[str, Any] = {
    "uid": "base_00001",
    "parent_uid": "seed_7",
    "func": "<B07>",
    "base_func": "<B07>",
    "role": "constant",
    "type": "definition",
    "hop_depth": 0,
    "constant": 7,
    "text": "<B07> gives 7 for every input.",
}
WRAPPER: dict[str, Any] = BASE | {
    "uid": "wrap_00001",
    "func": "<C07>",
    "role": "identity",
    "hop_depth": 1,
    "text": "<C07> hands its input to <B07>.",
}
README: dict[str, Any] = {
    "text": "<D07> hands its input to <C07>.",
    "hop_depth": 2,
    "training_status": "held_out",
    "split_group": "group_1",
    "metadata": {"uid": "deep_1", "func": "<D07>", "role": "identity", "called": "<C07>"},
}


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_both_forms_are_read(tmp_path: Path) -> None:
    base, wrapper, deep = read_original(lines(tmp_path / "d.jsonl", BASE, WRAPPER, README))
    assert (base.id, base.role, base.facts, base.weight) == (
        "base_00001",
        "constant",
        ("<B07> = 7",),
        1.0,
    )
    assert wrapper.facts == ("<C07> -> <B07>",)
    assert wrapper.meta == {k: v for k, v in WRAPPER.items() if k not in ("uid", "text")}
    assert (deep.id, deep.weight, deep.facts) == ("deep_1", 0.0, ("<D07> -> <C07>",))
    assert deep.meta["split_group"] == "group_1"


def test_a_row_without_uid_is_named_by_its_line(tmp_path: Path) -> None:
    bare = {"text": "something", "hop_depth": 0, "training_status": "train"}
    rows = read_original(lines(tmp_path / "d.jsonl", BASE, bare))
    assert [r.id for r in rows] == ["base_00001", "line-2"]


@pytest.mark.parametrize("form", ["generator", "readme"])
def test_what_is_written_is_read_again(form: Any, tmp_path: Path) -> None:
    documents = Hops(bases=6, values=3, depth=2).documents(0)
    path = tmp_path / "out.jsonl"
    write_original(path, documents, form)
    again = read_original(path)
    kept = ("func", "base_func", "role", "type", "hop_depth", "constant")
    assert [(d.id, d.text) for d in again] == [(d.id, d.text) for d in documents]
    for old, new in zip(documents, again, strict=True):
        assert {k: old.meta[k] for k in kept} == {k: new.meta[k] for k in kept}
    twice = tmp_path / "twice.jsonl"
    write_original(twice, again, form)
    assert twice.read_bytes() == path.read_bytes()


def test_the_generator_form_has_the_originals_keys_in_order(tmp_path: Path) -> None:
    write_original(tmp_path / "d.jsonl", read_original(lines(tmp_path / "in.jsonl", BASE)))
    written = json.loads((tmp_path / "d.jsonl").read_text())
    assert written == BASE
    assert list(written) == list(BASE)


def test_masked_documents_are_held_out_in_the_readme_form(tmp_path: Path) -> None:
    world = Hops.model_validate({"bases": 6, "values": 3, "depth": 1, "masked": {"families": 0.5}})
    documents = world.documents(0)
    write_original(tmp_path / "d.jsonl", documents, "readme")
    again = read_original(tmp_path / "d.jsonl")
    assert [d.weight for d in again] == [d.weight for d in documents]
    assert {d.weight for d in again} == {0.0, 1.0}


def test_ranked_files_sort_by_score_and_round_trip(tmp_path: Path) -> None:
    documents = read_original(
        lines(tmp_path / "d.jsonl", BASE, WRAPPER, README | {"metadata": BASE | {"uid": "x"}})
    )
    path = tmp_path / "bergson_ranked.jsonl"
    write_ranked(path, documents, [0.5, 2.0, 0.5], method="bergson")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(r["uid"], r["bergson_influence_score"], r["rank"]) for r in rows] == [
        ("wrap_00001", 2.0, 1),
        ("base_00001", 0.5, 2),
        ("x", 0.5, 3),
    ]
    ranked = read_ranked(path)
    assert [(r.document.id, r.score, r.rank) for r in ranked] == [
        (r["uid"], r["bergson_influence_score"], r["rank"]) for r in rows
    ]
    assert "rank" not in ranked[0].document.meta


@pytest.mark.parametrize("key", ["influence_score", "kronfluence_influence_score"])
def test_any_key_that_ends_in_influence_score_is_read(key: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "r.jsonl", BASE | {key: -1.5}, WRAPPER | {key: 3})
    assert [(r.document.id, r.score, r.rank) for r in read_ranked(path)] == [
        ("wrap_00001", 3.0, 1),
        ("base_00001", -1.5, 2),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": ""}, "r.jsonl:2: text: is missing or empty"),
        ({"hop_depth": "one"}, "r.jsonl:2: hop_depth: a whole number is needed, found 'one'"),
        ({"metadata": 3}, "r.jsonl:2: metadata: an object is needed, found int"),
        ({"uid": "base_00001"}, "r.jsonl:2: id 'base_00001' stands on line 1 already"),
    ],
)
def test_bad_document_rows(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "r.jsonl", BASE, WRAPPER | row)
    with pytest.raises(DataError, match=message):
        read_original(path)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({}, {}, "r.jsonl:1: one key ending in 'influence_score' is needed, found none"),
        (
            {"a_influence_score": 1, "b_influence_score": 2},
            {},
            "found a_influence_score, b_influence_score",
        ),
        ({"influence_score": "high"}, {}, "a finite number is needed, found 'high'"),
        ({"influence_score": True}, {}, "a finite number is needed, found True"),
        ({"influence_score": 1, "rank": 0}, {}, "rank: a whole number from 1 is needed"),
        ({"influence_score": 1, "rank": 1}, {"influence_score": 0}, "1 of 2 rows have a rank"),
        (
            {"influence_score": 1, "rank": 1},
            {"influence_score": 2, "rank": 2},
            "'base_00001' ranks above 'wrap_00001' with a lower score",
        ),
        (
            {"influence_score": 1, "rank": 1},
            {"influence_score": 1, "rank": 1},
            "rank 1 stands twice",
        ),
    ],
)
def test_bad_rankings(
    first: dict[str, Any], second: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = lines(tmp_path / "r.jsonl", BASE | first, WRAPPER | second)
    with pytest.raises(DataError, match=message):
        read_ranked(path)


def test_unfit_scores_and_documents_are_not_written(tmp_path: Path) -> None:
    documents = read_original(lines(tmp_path / "d.jsonl", BASE, WRAPPER))
    path = tmp_path / "r.jsonl"
    with pytest.raises(InputError, match="1 scores for 2 documents"):
        write_ranked(path, documents, [1.0])
    with pytest.raises(InputError, match="the score of document 'wrap_00001' is nan"):
        write_ranked(path, documents, [1.0, float("nan")])
    bare = read_original(lines(tmp_path / "b.jsonl", {"text": "a", "uid": "q"}))
    with pytest.raises(InputError, match="document 'q': meta has no 'func', which the file needs"):
        write_original(path, bare)
    assert not path.exists()
