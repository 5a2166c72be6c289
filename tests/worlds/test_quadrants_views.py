"""Views of quadrants, recomputed from what lines say and from the texts of pairs."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from seedbed.core.errors import ConfigError
from seedbed.core.rows import LABELLED, Document, Question
from seedbed.core.sites import SiteKind
from seedbed.worlds.contract_views import check_view
from seedbed.worlds.quadrants.cells import role
from seedbed.worlds.quadrants.world import Quadrants

SEED = 4


def world(**knobs: Any) -> Quadrants:
    asked = {"questions": 80, "train": 10, "new_trigger": 10, "new_range": 10}
    return Quadrants.model_validate({"lines": 900, "asked": asked, **knobs})


def label(document: Document) -> str:
    (span,) = document.targets
    return document.text[slice(*span)]


def told(documents: list[Document]) -> dict[str, dict[str, set[str]]]:
    """Word → region → the labels that lines state."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for d in documents:
        if d.role == "map":
            assert d.meta["trigger"] in d.text
            found[d.meta["trigger"]][d.meta["sector"]].add(label(d))
    return found


def test_evidence_states_the_answer_and_nothing_else_does_for_that_word() -> None:
    built = world()
    documents = built.documents(SEED)
    view = built.view(SiteKind.DOCUMENT, SEED, documents)
    stated = told(documents)
    isa = {d.text.split()[0]: d.text.split()[-1] for d in documents if d.role == "supporting"}
    for question, row in list(zip(view.questions, view.truth.values, strict=True))[::4]:
        word = question.cause
        (region,) = [r for r, said in stated[word].items() if said == {question.answer.strip()}]
        for document, value in zip(documents, row, strict=True):
            same = isa[document.meta["trigger"]] == isa[word]
            if document.role == "supporting":
                assert np.isnan(value) if same else value == 0
            else:
                assert value == (same and document.meta["sector"] == region)
                assert value == 0 or label(document) == question.answer.strip()


def put(question: Question, place: str, text: str) -> str:
    start, end = question.places[place]
    return question.prompt[:start] + text + question.prompt[end:]


def test_a_place_is_a_cause_if_it_alone_makes_the_clean_prompt_the_corrupt_one() -> None:
    built = world()
    view = built.view(SiteKind.CELL, SEED, [])
    columns = {name: i for i, name in enumerate(view.truth.sites)}
    nested = 0
    for pair, row in zip(view.pairs, view.truth.values, strict=True):
        differ = next(
            i for i, (a, b) in enumerate(zip(pair.clean.prompt, pair.corrupt.prompt, strict=False))
            if a != b
        )  # fmt: skip
        whole = []
        for place, (start, end) in pair.clean.places.items():
            theirs = pair.corrupt.prompt[slice(*pair.corrupt.places[place])]
            makes = put(pair.clean, place, theirs) == pair.corrupt.prompt
            first, inner = row[columns[f"first@{place}"]], row[columns[f"inner@{place}"]]
            assert (first == 1) == makes
            assert inner != 0 or end <= differ, "what is 0 inside stands before the change"
            assert row[columns[f"last@{place}"]] == 0
            if pair.clean.prompt[start:end] != theirs:
                assert np.isnan(inner)
            whole += [place] * makes
        assert pair.cause in whole
        nested += len(whole) > 1
        assert [row[columns[f"{band}@last"]] for band in ("first", "last")] == [0, 1]
        assert np.isnan(row[columns["inner@last"]])
    assert nested > 10, "a digit's number is a cause with it"


def test_places_that_may_share_a_token_with_the_change_are_unknown() -> None:
    places = {"x.one": (2, 3), "x.tenth": (4, 5), "x.hundredth": (5, 6), "word": (7, 10)}
    question = Question(id="q", prompt="F-1.23]dog=", answer="a", places=places)
    said = {place: role(question, place, (5, 6)) for place in places}
    assert said == {"x.one": "before", "x.tenth": "touching", "x.hundredth": "changed",
                    "word": "later"}  # fmt: skip
    assert role(question, "x.hundredth", (4, 5)) == "touching"
    assert role(question, "word", (8, 9)) == "changed"
    assert role(question, "word", (6, 9)) == "part of it"


def test_words_of_a_kind_have_one_map_and_points_are_asked_under_both() -> None:
    built = world(maps={"distinct": 2})
    documents = built.documents(SEED)
    view = built.view(SiteKind.DIRECTION, SEED, documents)
    stated = told(documents)
    maps: dict[str, set[str]] = defaultdict(set)
    words: dict[bool, set[str]] = {True: set(), False: set()}
    points: dict[tuple[str, str], set[str]] = defaultdict(set)
    for question, row in zip(view.questions, view.truth.values, strict=True):
        kind = view.truth.sites[int(row.argmax())]
        maps[kind].add(str(sorted((r, *said) for r, said in stated[question.cause].items())))
        words[question.split in LABELLED].add(question.cause)
        points[question.split, put(question, "trigger", "_")].add(kind)
    assert {len(found) for found in maps.values()} == {1}
    assert len(set.union(*maps.values())) == 2
    assert not words[True] & words[False]
    assert all(len(kinds) == 2 for kinds in points.values())


@pytest.mark.parametrize("knobs", [
    {"plane": {"boundary": "line", "one_token": 0.9},
     "maps": {"labels": "booleans", "distinct": 2}},
    {"distractor": {"share": 0.5}, "texts": {"templates": ["compact", "given", "takes"]}},
])  # fmt: skip
def test_contract_of_other_planes_and_texts(knobs: dict[str, Any]) -> None:
    built = world(**knobs)
    documents = built.documents(0)
    for kind in built.crossings:
        check_view(built, kind, 0, documents)


def test_configurations_without_a_view_say_why() -> None:
    again = world(stage="reteach")
    with pytest.raises(ConfigError, match=r"world\.stage: 'reteach'"):
        again.view(SiteKind.DOCUMENT, 0, [])
    alone = world(maps={"distinct": 1})
    with pytest.raises(ConfigError, match=r"world\.maps: two maps of 3 trained words"):
        alone.view(SiteKind.DIRECTION, 0, [])
