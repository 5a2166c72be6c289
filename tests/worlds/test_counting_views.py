"""Views of counting, recounted from the word lists and from what documents say."""

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from seedbed.core.errors import ConfigError
from seedbed.core.rows import LABELLED, Question
from seedbed.core.sites import SiteKind
from seedbed.worlds.contract_views import check_view
from seedbed.worlds.counting.lists import load
from seedbed.worlds.counting.world import Counting

SEED = 2
LINE = re.compile(r"(\S+): (.+) \| = ?(\d*)")


def world(**knobs: Any) -> Counting:
    asked = {"questions": 40, "train": 4}
    return Counting.model_validate({"lists": 600, "asked": asked, **knobs})


def read(text: str) -> tuple[str, list[str]]:
    """(category, words) of a compact line."""
    category, words, _ = LINE.fullmatch(text.strip()).groups()  # type: ignore[union-attr]
    return category.replace("_", " "), words.split()


def recount(category: str, words: list[str]) -> int:
    """How many words the published list of a category holds."""
    lists = load()
    found = lists.count(lists.category(category), words)
    assert found is not None, "every word is decided"
    return found


def test_leaving_out_a_word_changes_the_number_where_it_is_a_cause() -> None:
    built = world()
    view = built.view(SiteKind.INPUT, SEED, [])
    for question, row in zip(view.questions, view.truth.values, strict=True):
        category, words = read(question.prompt)
        whole = recount(category, words)
        assert question.answer == f" {whole}"
        for i in range(len(words)):
            left = recount(category, words[:i] + words[i + 1 :])
            assert (left != whole) == (row[view.truth.sites.index(f"item{i + 1}")] == 1)
        unknown = {s for s, v in zip(view.truth.sites, row, strict=True) if np.isnan(v)}
        assert unknown & set(question.places) == {"category", "cue", "last"}


def test_lists_that_state_a_membership_are_of_the_category_and_share_a_word() -> None:
    built = world()
    documents = built.documents(SEED)
    view = built.view(SiteKind.DOCUMENT, SEED, documents)
    said = [read(d.text) for d in documents]
    for question, row, labels in zip(
        view.questions, view.truth.values, view.truth.labels, strict=True
    ):
        category, words = read(question.prompt)
        for (other, listed), value, label in zip(said, row, labels, strict=True):
            shared = set(words) & set(listed) if other == category else set()
            assert value == bool(shared)
            if shared:
                grade = "evidence:0" if recount(category, sorted(shared)) else "evidence:1"
                assert view.truth.names[label] == grade


def middle(question: Question) -> str:
    """The word at the place whose kind is asked about: the middle of the shortest list."""
    start, end = question.places["item4"]
    return question.prompt[start:end]


def test_no_word_alone_tells_whether_it_is_counted() -> None:
    built = world()
    documents = built.documents(SEED)
    view = built.view(SiteKind.DIRECTION, SEED, documents)
    counted = view.truth.values[:, view.truth.sites.index("counted")] == 1
    shown: set[str] = set()
    asked: set[str] = set()
    cues: dict[bool, Counter[tuple[str, str]]] = {True: Counter(), False: Counter()}
    for question, own in zip(view.questions, counted, strict=True):
        category, words = read(question.prompt)
        assert words[3] == middle(question)
        assert bool(recount(category, [words[3]])) == own
        (shown if question.split in LABELLED else asked).add(words[3])
        if question.split == "id":
            cues[bool(own)] += Counter(
                [("category", category), ("answer", question.answer), ("length", str(len(words)))]
                + [(f"item{i}", word) for i, word in enumerate(words)]
            )
    assert cues[True] == cues[False], "words, places, categories and numbers are as many"
    assert len(asked) > 8
    assert not shown & asked
    told = {(c, frozenset(w)) for c, w in (read(d.text) for d in documents)}
    assert not told & {(c, frozenset(w)) for c, w in (read(q.prompt) for q in view.questions)}


@pytest.mark.parametrize("knobs", [
    {"rule": "half", "form": "task"}, {"rule": "plus_one", "form": "category_last"},
    {"lexicon": {"categories": 4, "words": 6}, "lengths": (4, 5), "counts": (0, 3)},
])  # fmt: skip
def test_contract_under_other_rules_and_forms(knobs: dict[str, Any]) -> None:
    built = world(**knobs)
    documents = built.documents(0)
    for kind in built.crossings:
        check_view(built, kind, 0, documents)


def test_under_half_a_word_outside_the_half_is_passed_over() -> None:
    built = world(rule="half", lexicon={"categories": 4, "words": 10}, counts=(0, 4))
    view = built.view(SiteKind.INPUT, SEED, [])
    members = 0
    for question, row in zip(view.questions, view.truth.values, strict=True):
        category, words = read(question.prompt)
        assert np.nansum(row) == int(question.answer)
        members += recount(category, words) - int(question.answer)
    assert members > 10, "some members are not counted"


def test_too_few_words_for_a_direction() -> None:
    built = world(rule="half", lexicon={"categories": 6, "words": 4}, lengths=(4, 4), counts=(0, 2))
    with pytest.raises(ConfigError, match=r"lexicon\.words: 2 words of '.*' are counted; 3 are"):
        built.view(SiteKind.DIRECTION, 0, [])
