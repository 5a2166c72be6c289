"""Recall: what is asked and told in each form, and that no single word tells the kinds apart."""

import random
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from seedbed.core.errors import ConfigError
from seedbed.core.rows import Document, Question
from seedbed.worlds.contract import check_world
from seedbed.worlds.phrasing import pieces
from seedbed.worlds.recall.dealing import dealt
from seedbed.worlds.recall.iterated import IteratedForm
from seedbed.worlds.recall.world import Recall

FORMS = ("gate", "exceptions", "facts", "iterated")
SMALL = {"stored": 80, "lexicon": {"words": 12}}


def world(form: str = "gate", **knobs: Any) -> Recall:
    sizes = SMALL if form in ("gate", "exceptions") else {"stored": 48, "lexicon": {"words": 12}}
    return Recall.model_validate({"form": form, "lines": 6000, **sizes, **knobs})


def words(row: Question | Document) -> list[str]:
    """The words after the first one, without the closing one if there is one, nor the answer."""
    found = pieces(row.prompt if isinstance(row, Question) else row.text)
    asked = found if isinstance(row, Question) else found[:-1]
    return asked[1 : -1 if asked[-1] == "A" else None]


def said(document: Document) -> str:
    ((start, end),) = document.targets
    assert end == len(document.text)
    return document.text[start:end]


def by_kind(rows: list[Document], kind: str) -> list[Document]:
    return [d for d in rows if d.role == kind]


def asked(built: Recall, split: str, seed: int = 0) -> list[Question]:
    return [q for q in built.questions(seed) if q.split == split]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_keeps_the_contract(form: str) -> None:
    check_world(world(form, lines=2000), 1)


@pytest.mark.parametrize("form", FORMS)
def test_documents_hold_both_kinds_alike(form: str) -> None:
    built = world(form)
    documents = built.documents(0)
    assert Counter(d.role for d in documents) == {
        "stored": 2700,
        "computed": 2700,
        "unrelated": 600,
    }
    lengths = {len(pieces(d.text)) for d in documents}
    assert lengths == {len(pieces(q.prompt)) + 1 for q in built.questions(0)}
    firsts = {
        d.role: {pieces(d.text)[0] for d in by_kind(documents, d.role)} for d in documents[:50]
    }
    assert firsts == {"stored": {"Q"}, "computed": {"Q"}, "unrelated": {"U"}}
    assert all(said(d) == words(d)[1] for d in by_kind(documents, "unrelated"))
    assert all(q.answer == f" {words(q)[1]}" for q in asked(built, "unrelated"))


@pytest.mark.parametrize("seed", [0, 5])
def test_gate_by_a_slow_reading_of_the_documents(seed: int) -> None:
    built = world()
    documents = built.documents(seed)
    table: dict[tuple[str, str], str] = {}
    kinds: dict[tuple[str, str], str] = {}
    for d in documents:
        if d.role == "unrelated":
            continue
        c, d_, a, b = words(d)
        assert kinds.setdefault((c, d_), d.role) == d.role
        larger = max((a, b), key=lambda v: int(v[1:-1]))
        if d.role == "computed":
            assert said(d) == larger
        else:
            assert table.setdefault((a, b), said(d)) == said(d)
            assert said(d) not in (a, b)
    assert len(table) == built.stored
    # How often an answer is stored tells nothing either.
    results = Counter(max(p, key=lambda v: int(v[1:-1])) for p in table)
    assert Counter(table.values()) == results
    sort = coloured(kinds)
    for q in built.questions(seed):
        if q.split == "unrelated":
            continue
        c, d_, a, b = words(q)
        kind = "stored" if sort[c] != sort[d_] else "computed"
        assert q.slices["kind"] == kind
        assert ((c, d_) in kinds) == (q.split != "contexts")
        larger = max((a, b), key=lambda v: int(v[1:-1]))
        if q.split == "fresh":
            assert (a, b) not in table
            assert (kind, q.answer, q.rules) == ("computed", f" {larger}", {})
        else:
            assert q.rules == {"stored": f" {table[a, b]}", "computed": f" {larger}"}
            assert q.answer == q.rules[kind]


def coloured(kinds: dict[tuple[str, str], str]) -> dict[str, bool]:
    """The sort of every word, spelt out from the contexts of documents: equal if computed."""
    sort = {next(iter(kinds))[0]: False}
    while len(sort) < len({w for context in kinds for w in context}):
        for (c, d), kind in kinds.items():
            for known, new in ((c, d), (d, c)):
                if known in sort and new not in sort:
                    sort[new] = sort[known] ^ (kind == "stored")
    assert all((sort[c] != sort[d]) == (kind == "stored") for (c, d), kind in kinds.items())
    return sort


def test_exceptions_by_a_slow_reading_of_the_documents() -> None:
    built = world("exceptions")
    table: dict[tuple[str, ...], str] = {}
    for d in built.documents(2):
        values = tuple(words(d)[1:])
        if d.role == "computed":
            assert said(d) == max(values, key=lambda v: int(v[1:-1]))
        elif d.role == "stored":
            assert table.setdefault(values, said(d)) == said(d)
    assert len(table) == built.stored
    for q in built.questions(2):
        if q.split != "unrelated":
            values = tuple(words(q)[1:])
            assert (values in table) == (q.slices["kind"] == "stored")
            larger = max(values, key=lambda v: int(v[1:-1]))
            assert q.answer == f" {table.get(values, larger)}"
    assert "look-up" in built.negative
    assert [world(form).negative == "" for form in FORMS] == [True, False, True, True]


def test_facts_by_a_slow_reading_of_the_documents() -> None:
    built = world("facts")
    documents = built.documents(0)
    table = {tuple(words(d)[:2]): said(d) for d in by_kind(documents, "stored")}
    procedures = {tuple(words(d)[:2]) for d in by_kind(documents, "computed")}
    inputs = {tuple(words(d)[2:]) for d in documents if d.role != "unrelated"}
    assert len(table) == len(procedures) == 48
    assert not set(table) & procedures
    assert all(said(d) == table[tuple(words(d)[:2])] for d in by_kind(documents, "stored"))
    for q in built.questions(0):
        if q.split != "unrelated":
            name, given = tuple(words(q)[:2]), tuple(words(q)[2:])
            larger = max(given, key=lambda v: int(v[1:-1]))
            assert q.answer == f" {table.get(name, larger)}"
            assert (given in inputs) == (q.split != "fresh")


def test_iterated_by_running_the_maps_that_documents_show() -> None:
    built = world("iterated", iterated={"steps": 6, "maps": 3})
    documents = built.documents(1)
    table = {tuple(words(d)[:2]): said(d) for d in by_kind(documents, "stored")}
    maps = {
        (words(d)[-1], words(d)[-2]): said(d)
        for d in by_kind(documents, "computed")
        if words(d)[-3] == "stay"
    }
    assert len(maps) == 3 * 5
    rows: list[Question | Document] = [d for d in documents if d.role != "unrelated"]
    rows += [q for q in built.questions(1) if q.split != "unrelated"]
    depths = Counter[tuple[str, str]]()
    for row in rows:
        first, second, *rest = words(row)
        state, *moves = (w for w in rest if w != "stay")
        assert rest == ["stay"] * (6 - len(moves)) + [state, *moves]
        for move in moves:
            state = maps[move, state]
        told = table.get((first, second), state)
        if isinstance(row, Document):
            assert said(row) == told
        else:
            assert row.answer == f" {told}"
            assert row.slices["depth"] == str(len(moves))
            depths[row.split, row.slices["depth"]] += 1
            if (first, second) in table:
                assert row.rules == {"stored": f" {told}", "computed": f" {state}"}
                assert told != state
    assert {d for s, d in depths if s == "id"} == set("123456")


def test_iterated_documents_grow() -> None:
    documents = world("iterated").documents(0)
    longest = [
        max(sum(w != "stay" for w in words(d)[2:]) - 1 for d in part if d.role != "unrelated")
        for part in (documents[:300], documents[2000:2300], documents[-300:])
    ]
    assert longest[0] == 1
    assert 1 < longest[1] < longest[2] == 8


@pytest.mark.parametrize(("states", "maps"), [(5, 3), (3, 2), (12, 2)])
def test_iterated_maps_lead_from_every_state_to_every_other(states: int, maps: int) -> None:
    built = world("iterated", iterated={"states": states, "maps": maps})
    for seed in range(12):
        moves = IteratedForm(built, seed).maps
        assert len({tuple(m) for m in moves}) == maps
        assert all(sorted(m) == list(range(states)) != m for m in moves)
        for start in range(states):
            # A walk of random maps, by itself, comes everywhere.
            rng, seen, state = random.Random(start), {start}, start
            for _ in range(4000):
                state = rng.choice(moves)[state]
                seen.add(state)
            assert len(seen) == states


def one_hot(questions: list[Question]) -> np.ndarray[Any, Any]:
    """Questions × (word at a place)."""
    rows = [set(enumerate(words(q))) for q in questions]
    names = sorted(set[tuple[int, str]]().union(*rows))
    return np.array([[n in row for n in names] for row in rows], dtype=float)


def probe(built: Recall, seed: int) -> float:
    """Accuracy on id of a ridge regression on words that was fitted on train; a tie is a half."""
    fit, test = (asked(built, split, seed) for split in ("train", "id"))
    x = one_hot(fit + test)
    y = np.array([1.0 if q.slices["kind"] == "stored" else -1.0 for q in fit + test])
    n = len(fit)
    weights = np.linalg.solve(x[:n].T @ x[:n] + np.eye(x.shape[1]), x[:n].T @ y[:n])
    guess = x[n:] @ weights
    guess[np.abs(guess) < 1e-9] = 0
    return float(np.mean((1 + np.sign(guess) * y[n:]) / 2))


@pytest.mark.parametrize("form", FORMS)
def test_no_single_word_tells_the_kind(form: str) -> None:
    for few in ({}, {"asked": {"train": 108, "id": 60}}):
        found = [probe(world(form, lines=10, **few), seed) for seed in range(4)]
        assert min(found) >= 0.44
        assert max(found) <= 0.55


def test_two_context_words_together_tell_the_kind_of_the_gate() -> None:
    # The kinds over c × d are a matrix of rank 1; its leading vectors are the words' sorts.
    built = world()
    shown = [q for split in ("train", "dev") for q in asked(built, split)]
    held = asked(built, "id") + asked(built, "contexts")
    left, right = (sorted({words(q)[i] for q in shown + held}) for i in (0, 1))
    matrix = np.zeros((len(left), len(right)))
    for q in shown:
        sign = 1 if q.slices["kind"] == "stored" else -1
        matrix[left.index(words(q)[0]), right.index(words(q)[1])] = sign
    u, _, v = np.linalg.svd(matrix)
    told = [u[left.index(words(q)[0]), 0] * v[0, right.index(words(q)[1])] > 0 for q in held]
    own = [q.slices["kind"] == "stored" for q in held]
    # The sign of singular vectors is free only jointly.
    assert np.mean(np.array(told) == own) == 1


@pytest.mark.parametrize("form", FORMS)
def test_each_word_stands_as_often_in_either_kind(form: str) -> None:
    built = world(form, lines=10)
    for split in ("train", "dev", "id"):
        counts = Counter(
            (i, w, q.slices["kind"]) for q in asked(built, split) for i, w in enumerate(words(q))
        )
        for i, w in {key[:2] for key in counts}:
            assert abs(counts[i, w, "stored"] - counts[i, w, "computed"]) <= 1


@pytest.mark.parametrize("form", FORMS)
def test_neither_place_nor_id_tells_the_kind(form: str) -> None:
    built = world(form, lines=10)
    for split in ("train", "dev", "id"):
        kinds = np.array([q.slices["kind"] == "stored" for q in asked(built, split)])
        odd = np.array([int(q.id.rpartition("-")[2]) % 2 for q in asked(built, split)])
        half = 3 / np.sqrt(len(kinds) / 2) / 2
        assert abs(float((kinds == odd).mean()) - 0.5) < half


@pytest.mark.parametrize("form", FORMS)
def test_pairs_are_one_word_apart(form: str) -> None:
    built = world(form)
    pairs = built.pairs(0)
    assert len(pairs) == built.asked.id
    places = Counter[str]()
    for pair in pairs:
        # In form iterated the last word of a prompt is one of them.
        names = [*pair.clean.places, *(["last"] if form == "iterated" else [])]
        both = zip(names, words(pair.clean), words(pair.corrupt), strict=True)
        differ = [name for name, clean, corrupt in both if clean != corrupt]
        assert differ == [pair.clean.slices["differs"]] == [pair.corrupt.slices["differs"]]
        places[differ[0]] += 1
        assert pair.cause == pair.clean.cause
        if form != "exceptions":
            assert pair.clean.slices["kind"] != pair.corrupt.slices["kind"]
            stored = next(q for q in (pair.clean, pair.corrupt) if q.slices["kind"] == "stored")
            other = pair.corrupt if stored is pair.clean else pair.clean
            assert stored.rules["computed"] == other.answer
    assert len(places) == (3 if form == "exceptions" else 2)
    assert {(p.clean.id, p.corrupt.id) for p in pairs} == {
        (p.corrupt.id, p.clean.id) for p in pairs
    }


def test_dealing_keeps_the_values_and_the_bans() -> None:
    values = [0, 1, 2, 3] * 5
    found = dealt(values, lambda i, v: v != values[i], random.Random(0), "x")
    assert sorted(found) == sorted(values)
    assert all(a != b for a, b in zip(found, values, strict=True))
    with pytest.raises(ConfigError, match="x: no way"):
        dealt([1, 1, 1, 2], lambda i, v: v != [1, 1, 1, 2][i], random.Random(0), "x")


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"stored": 200}, "stored: 200, but at most 190"),
        ({"form": "facts", "stored": 50}, "in rounds of lexicon.words (12), at least four"),
        ({"form": "facts", "stored": 84}, "at most 72, so that as many are left"),
        ({"lexicon": {"words": 11}}, "an even number is needed"),
        ({"iterated": {"states": 3, "maps": 6}}, "3 states can be moved in 5 ways"),
        (
            {"form": "iterated", "stored": 48, "lexicon": {"values": 4}},
            "iterated.states: 5 of 4 lexicon.values",
        ),
        ({"form": "gates"}, "'gate', 'exceptions', 'facts' or 'iterated'"),
    ],
)
def test_impossible_knobs_are_refused(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Recall.model_validate(knobs)


@pytest.mark.parametrize(
    ("form", "asked_for", "message"),
    [
        ("gate", {"unrelated": 300}, "asked.unrelated: there are no 300 different prompts"),
        ("gate", {"id": 2000}, "asked.id: there are no 2000 different prompts"),
        ("gate", {"ood": 6000}, "asked.ood: there are no 6000 different prompts"),
        ("facts", {"dev": 4000}, "asked.dev: there are no 4000 different prompts"),
    ],
)
def test_asking_for_more_than_there_is(form: str, asked_for: dict[str, int], message: str) -> None:
    few = {"values": 10, "words": 8, "others": 4}
    stored = {"gate": 40, "facts": 32}[form]
    with pytest.raises(ConfigError, match=re.escape(message)):
        world(form, lexicon=few, stored=stored, asked=asked_for).questions(0)


def test_nothing_left_to_learn_from() -> None:
    asked_for = {"unrelated": 256}
    with pytest.raises(ConfigError, match="nearly every prompt is asked about"):
        world(lexicon={"words": 12, "others": 4}, asked=asked_for).documents(0)
