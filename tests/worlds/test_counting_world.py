"""The counting world: lists, pairs, places, rules and the declared truth."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed.core.cells import Cell, at_cells
from seedbed.core.errors import ConfigError, DataError
from seedbed.core.rows import Pair, Question
from seedbed.core.sites import SiteKind
from seedbed.worlds import contract
from seedbed.worlds.base import WORLDS
from seedbed.worlds.counting.asking import Asker, words_of
from seedbed.worlds.counting.checks import flatness, independence, majority, not_minimal, told_by
from seedbed.worlds.counting.world import Counting
from seedbed.worlds.phrasing import pieces, surface_accuracy


def world(**knobs: Any) -> Counting:
    return Counting.model_validate({"lists": 400, **knobs})


def counts_by_hand(built: Counting, seed: int, question: Question) -> int:
    """A slow count from the drawn words."""
    drawn = {d.name: d for d in Asker(built, seed).drawn}[question.cause]
    members = drawn.half if built.rule == "half" else drawn.members
    found = [w for w in words_of(question) if w in list(members)]
    return len(found) + (built.rule == "plus_one")


@pytest.mark.parametrize("form", ["compact", "category_last", "task"])
def test_places_span_their_words(form: str) -> None:
    for question in world(form=form).questions(0):
        texts = {name: question.prompt[a:b] for name, (a, b) in question.places.items()}
        n = int(question.slices["length"])
        assert [k for k in texts if k.startswith("item")] == [f"item{i}" for i in range(1, n + 1)]
        assert all(texts[f"item{i}"].isalpha() for i in range(1, n + 1))
        assert question.cause.replace(" ", "_") in texts["category"].replace(" ", "_")
        assert question.prompt.endswith(texts["last"])
        ends = [question.places[k][0] for k in ("item1", f"item{n}", "cue", "last")]
        assert ends == sorted(ends)
        first = question.places["category"][0] < question.places["item1"][0]
        assert first == (form != "category_last")


def test_a_compact_prompt_has_a_token_a_word() -> None:
    question = world().questions(0)[0]
    assert len(pieces(question.prompt)) == int(question.slices["length"]) + 4


@pytest.mark.parametrize("rule", ["members", "plus_one", "half"])
def test_answers_follow_the_rule_by_a_slow_count(rule: str) -> None:
    built = world(rule=rule)
    for question in built.questions(1):
        assert question.answer == f" {counts_by_hand(built, 1, question)}"
    for document in built.documents(1):
        (start, end), = document.targets  # fmt: skip
        assert document.text[start:end].isdigit()
        assert document.text[start - 1] == " "
        assert end == len(document.text)


def test_rules_share_prompts_pairs_and_choices() -> None:
    def asked(rule: str) -> list[tuple[str, str, tuple[str, ...]]]:
        pairs = world(rule=rule).pairs(0)
        return [(q.id, q.prompt, q.choices) for p in pairs for q in (p.clean, p.corrupt)]

    assert asked("members") == asked("plus_one") == asked("half")
    assert world().questions(0)[0].choices == tuple(f" {n}" for n in range(10))


@pytest.mark.parametrize("rule", ["members", "plus_one", "half"])
@pytest.mark.parametrize("form", ["compact", "task"])
def test_pairs_differ_in_one_word_and_by_one(rule: str, form: str) -> None:
    built = world(rule=rule, form=form)
    pairs = built.pairs(2)
    assert not_minimal(pairs) == []
    steps = Counter(int(p.corrupt.answer) - int(p.clean.answer) for p in pairs)
    assert set(steps) == {-1, 1}
    assert abs(steps[-1] - steps[1]) <= 1
    assert all(len(pieces(p.clean.prompt)) == len(pieces(p.corrupt.prompt)) for p in pairs)
    held = [q for q in built.questions(2) if q.split == "id"]
    assert [p.clean for p in pairs] == held


def test_a_pair_that_is_not_minimal_is_found() -> None:
    pair = world().pairs(0)[0]
    same = Pair(id="same", clean=pair.clean, corrupt=pair.clean)
    assert not_minimal([same]) == ["same: differs at nothing"]
    words = words_of(pair.corrupt)
    twice = pair.corrupt.prompt.replace(words[0], "x" * len(words[0]))
    twice = twice.replace(words[-1], "y" * len(words[-1]))
    wrong = pair.corrupt.model_copy(update={"prompt": twice})
    assert "item1" in not_minimal([Pair(id="p", clean=pair.clean, corrupt=wrong)])[0]


def test_swapped_words_lie_flat_over_the_list_and_are_alike() -> None:
    pairs = world(asked={"questions": 400, "train": 0}).pairs(0)
    depth, lengths = [], []
    for pair in pairs:
        one, other = words_of(pair.clean), words_of(pair.corrupt)
        at = next(i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
        depth.append(int(4 * at / len(one)))
        lengths.append(abs(len(one[at]) - len(other[at])))
    assert flatness(depth, range(4)).p > 0.05
    assert np.mean(lengths) < 1.5


def test_questions_and_documents_are_balanced() -> None:
    built = world(asked={"questions": 450, "train": 0}, lists=2000)
    questions = built.questions(0)
    count, length = ([q.slices[k] for q in questions] for k in ("count", "length"))
    assert flatness(count, [str(n) for n in range(9)]).p > 0.05
    assert flatness(length, [str(n) for n in range(8, 13)]).p > 0.05
    assert independence(count, length) > 0.05
    assert majority(count) < 0.13
    assert told_by(length, count) < 0.2
    assert surface_accuracy(questions, skip=[":", "|", "="]) < 0.35
    metas = [d.meta for d in built.documents(0)]
    assert flatness([m["count"] for m in metas], range(9)).p > 0.05
    names = sorted({m["category"] for m in metas})
    assert len(names) == 8
    assert flatness([m["category"] for m in metas], names).p > 0.05
    assert independence([m["count"] for m in metas], [m["length"] for m in metas]) > 0.05
    used = Counter(w for d in built.documents(0) for w in d.text.split()[1:-3])
    assert max(used.values()) < 4 * np.median(list(used.values()))


def test_balance_checks_see_what_is_not_balanced() -> None:
    assert flatness([0] * 60 + [1] * 20, [0, 1]).p < 1e-4
    assert independence([0, 1] * 50, ["a", "b"] * 50) < 1e-4
    assert told_by(["a", "b"] * 10, [1, 2] * 10) == 1
    assert majority([1, 1, 2]) == pytest.approx(2 / 3)


def test_no_held_out_list_is_learned_in_any_order() -> None:
    built = world(lexicon={"categories": 4, "words": 5}, lengths=[3, 4], counts=[0, 3], lists=3000)
    pairs = built.pairs(0)
    held = {frozenset(words_of(q)) for p in pairs for q in (p.clean, p.corrupt)}
    learned = [frozenset(d.text.split(" |")[0].split()[1:]) for d in built.documents(0)]
    assert not held & set(learned)
    assert len(set(learned)) < len(learned)  # so few words that lists come again
    train = [q for q in built.questions(0) if q.split == "train"]
    assert len(train) == 8
    assert all(frozenset(words_of(q)) in learned for q in train)


@pytest.mark.parametrize("form", ["compact", "category_last"])
def test_the_truth_by_a_slow_reading(form: str) -> None:
    built = world(form=form, asked={"questions": 20, "train": 2})
    questions, truth = built.questions(0), built.truth(0)
    pairs = {p.clean.id: p for p in built.pairs(0)}
    assert len(truth.sites) == 3 * (12 + 3)
    for q, question in enumerate(questions):
        for s, site in enumerate(truth.sites):
            band, place = site.split("@")
            value, label = truth.values[q, s], truth.names[truth.labels[q, s]]
            if question.split == "train" or place not in question.places:
                assert np.isnan(value)
                assert label == ("unpaired" if question.split == "train" else "absent")
                continue
            one, other = pairs[question.id].clean.prompt, pairs[question.id].corrupt.prompt
            start, end = question.places[place]
            swap = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
            if end <= swap:
                assert (value, label) == (0, "before")
            elif start <= swap:
                assert label == "swapped"
                expected = {"first": 1, "last": 0}.get(band)
                assert value == expected or (expected is None and np.isnan(value))
            else:
                assert label == (place if place in ("cue", "last") else "later")
                expected = {"first": 0, "last": int(place == "last")}.get(band)
                assert value == expected or (expected is None and np.isnan(value))


def test_the_truth_spells_out_for_a_model() -> None:
    truth = world().truth(0)
    cells = [Cell("resid_pre", 0, "item1").name, Cell("resid_post", 3, "last").name]
    spelt = at_cells(truth, cells, layers=4)
    assert spelt.values[0, 1] == 1
    assert np.array_equal(
        spelt.values[:, 0], truth.values[:, truth.sites.index("first@item1")], equal_nan=True
    )


def test_examples_become_questions(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    rows: list[dict[str, Any]] = [
        {"category": "fruits", "words": ["hammer", "apple", "pear", "owl"], "num_target": 2},
        {"category": "birds", "words": ["swan", "saw", "snorgle"], "num_target": 1,
         "members": ["swan"], "generation_method": "llm", "notes": "n"},
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)))
    built = world(asked={"examples": str(path), "train": 0}, lengths=[4, 6], counts=[0, 4])
    questions = built.questions(0)
    assert [words_of(q) for q in questions] == [r["words"] for r in rows]
    assert [q.answer for q in questions] == [" 2", " 1"]
    assert not_minimal(built.pairs(0)) == []
    assert {d.meta["category"] for d in built.documents(0)} > {"fruits", "birds"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"category": "fruit"}, "unknown category 'fruit'; did you mean 'fruits'"),
        ({"num_target": 3}, "num_target: 3, but 2 words belong"),
        ({"num_target": 9}, "num_target: 9 of 3 words"),
        ({"words": ["apple", "pear", "blorg"]}, "cannot tell whether 'blorg' belongs to 'fruits'"),
        ({"words": ["apple", "Pear", "saw"]}, "'Pear' is not one lower-case word"),
        ({"words": ["apple", "apple", "saw"]}, "the word 'apple' stands twice"),
        ({"members": ["apple", "saw"]}, "by the word lists 'pear' belongs to 'fruits'"),
        ({"wordz": []}, "wordz: unknown key; did you mean 'words'"),
    ],
)
def test_unfit_examples_are_refused_by_line(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    path = tmp_path / "examples.jsonl"
    good = {"category": "fruits", "words": ["apple", "pear", "saw"], "num_target": 2}
    path.write_text(f"{json.dumps(good)}\n{json.dumps(good | row)}\n")
    built = world(asked={"examples": str(path)}, lengths=[3, 3], counts=[0, 3])
    with pytest.raises(DataError, match=r"examples\.jsonl:2: ") as caught:
        built.questions(0)
    assert message in str(caught.value)


def test_an_empty_file_of_examples_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text("")
    with pytest.raises(DataError, match="is empty"):
        world(asked={"examples": str(path)}).pairs(0)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"counts": [0, 9], "lengths": [9, 12]}, "counts: at most 8"),
        ({"counts": [0, 8], "lengths": [5, 12]}, "do not fit into lists of 5 words"),
        ({"counts": [4, 2]}, "counts: write it as"),
        ({"counts": [2, 2]}, "a single count there is nothing to count"),
        ({"lexicon": {"categories": 2}}, "at least 3 categories"),
    ],
)
def test_impossible_knobs_are_refused(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        WORLDS.build({"kind": "counting", **knobs})


@pytest.mark.parametrize(
    ("lexicon", "message"),
    [
        ({"words": 6}, "6 words of .* too few for counts up to 8; 9 or more"),
        ({"words": 500}, r"500 asked for, .* has \d+"),
        ({"categories": 4000}, "the lists have 118"),
        ({"categories": 3, "words": 9}, "undisputed words of other categories, lists need 13"),
    ],
)
def test_too_few_words_are_refused(lexicon: dict[str, Any], message: str) -> None:
    def of_many_seeds() -> None:
        for seed in range(40):
            world(lexicon=lexicon).pairs(seed)

    with pytest.raises(ConfigError, match=message):
        of_many_seeds()


def test_holding_out_every_list_is_refused() -> None:
    few = world(lexicon={"categories": 4, "words": 4}, lengths=[3, 3], counts=[0, 3], lists=500,
                asked={"questions": 400})  # fmt: skip
    with pytest.raises(ConfigError, match="400 hold out nearly every list with 3 words of"):
        few.documents(0)


def test_the_file_of_examples_is_an_input(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text("{}")
    assert world(asked={"examples": str(path)}).inputs() == (path,)
    assert world().inputs() == ()
    with pytest.raises(DataError, match="no such file"):
        world(asked={"examples": str(tmp_path / "none.jsonl")}).inputs()


@pytest.mark.parametrize(
    ("breach", "promise"),
    [
        (lambda q, p, t: (q, p[1:], t), "every held-out question has its pair"),
        (lambda q, p, t: (q, p, replace(t, site_kind=SiteKind.DOCUMENT)), "columns are cells"),
        (lambda q, p, t: (q, p, replace(t, sites=("all@cue", *t.sites[1:]))), "columns are first@"),
        (lambda q, p, t: (q, p, replace(t, sites=tuple(s + "x" for s in t.sites))), "has its col"),
    ],
)
def test_the_contract_sees_a_broken_truth_over_cells(
    monkeypatch: pytest.MonkeyPatch, breach: Any, promise: str
) -> None:
    built = world(lists=60)
    questions, pairs, truth = breach(built.questions(0), built.pairs(0), built.truth(0))
    monkeypatch.setattr(Counting, "questions", lambda self, seed: questions)
    monkeypatch.setattr(Counting, "pairs", lambda self, seed: pairs)
    monkeypatch.setattr(Counting, "truth", lambda self, seed: truth)
    monkeypatch.setattr(contract, "_same_again", lambda *_: None)
    with pytest.raises(AssertionError, match=promise):
        contract.check_world(built)
