"""Trigger words, labels and label maps: what is drawn and what is refused."""

import re
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.config import validate
from seedbed.core.errors import ConfigError
from seedbed.worlds.phrasing import pieces
from seedbed.worlds.quadrants.lists import BESIDE, BOOLEANS, COLOURS, OWN
from seedbed.worlds.quadrants.world import Quadrants

MAP = {"Q1": "red", "Q2": "green", "Q3": "blue", "Q4": "orange"}


def categories(**changes: dict[str, Any]) -> dict[str, Any]:
    plain = {
        "pets": {"words": ["dog", "cat", "cow"], "labels": MAP},
        "tools": {"words": ["saw", "axe", "nail"], "labels": MAP},
    }
    return {"categories": {n: v | changes.get(n, {}) for n, v in plain.items()}, "trained": 2}


def test_every_word_of_the_own_lists_stands_once() -> None:
    words = [*OWN, *BESIDE, *COLOURS, *BOOLEANS, *(w for ws in OWN.values() for w in ws)]
    assert len(set(words)) == len(words)
    assert all(w.isalpha() and w.islower() and len(pieces(w)) == 1 for w in words)
    assert {len(ws) for ws in OWN.values()} == {15}


def test_given_words_and_maps_are_kept() -> None:
    given = categories(pets={"trained": ["cow"]}, tools={"labels": {}})
    built = Quadrants.model_validate({"words": given, "lines": 40})
    drawn = built.drawn(0)
    assert list(drawn.maps) == ["pets", "tools"]
    assert drawn.maps["pets"] == ("red", "green", "blue", "orange")
    assert drawn.trained["pets"] == ("cow",)
    assert set(drawn.held["pets"]) == {"dog", "cat"}
    assert len(drawn.trained["tools"]) == 2
    one = Quadrants.model_validate({"words": categories(pets={"trained": 1})}).drawn(0)
    assert [len(words) for words in one.trained.values()] == [1, 2]
    maps = {Quadrants.model_validate({"words": given}).drawn(s).maps["tools"] for s in range(9)}
    assert len(maps) > 3
    other = dict(reversed(given["categories"].items()))
    same = Quadrants.model_validate({"words": {**given, "categories": other}, "lines": 40})
    assert same.documents(0) == built.documents(0)


def test_labels_in_use_are_the_choices() -> None:
    third = categories(tools={"labels": {**MAP, "Q4": "gold"}})
    questions = Quadrants.model_validate({"words": third, "lines": 40}).questions(0)
    assert questions[0].choices == (" red", " green", " blue", " orange", " gold")
    yes = {"plane": {"boundary": "line", "one_token": 0.85}, "maps": {"labels": "booleans"}}
    built = Quadrants.model_validate(yes)
    assert built.questions(0)[0].choices == (" yes", " no")
    assert [built.drawn(0).distinct[m] for m in built.drawn(0).maps.values()] == list("AAAABBB")


def test_labels_of_two_lengths_are_refused_by_a_tokenizers_lengths() -> None:
    built = Quadrants()
    built.check_labels({" red": 1, " green": 1, "other": 4})
    with pytest.raises(ConfigError, match=r"maps\.labels: 'gold' has 2 tokens and 'red' 1; their"):
        built.check_labels({" red": 1, " blue": 1, " gold": 2})


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        (categories(tools={"words": ["saw", "dog", "axe"]}),
         "the word 'dog' stands twice, in 'tools' and 'pets'"),
        (categories(tools={"words": ["saw", "axe", "saw"]}), "'saw' stands twice, in 'tools'"),
        (categories(tools={"words": ["saw", "isa"]}), "'isa' is kept for the form"),
        (categories(tools={"words": ["saw", "red"]}),
         "words.categories: 'red' of 'tools' is also a label"),
        (categories(tools={"words": ["saw"]}), "trained: 2 of 'tools', which has 1 words"),
        (categories(tools={"trained": ["swa"]}),
         "trained: 'swa' is not among the words; did you mean 'saw'?"),
        (categories(tools={"trained": "saw"}),
         "a list of words is needed, or how many (found 'saw')"),
        (categories(pets={"labels": MAP | {"Q2": "gren"}}),
         "words.categories.pets.labels.Q2: unknown label 'gren'; did you mean 'green'?"),
        (categories(pets={"labels": {"Q1": "red", "Q2": "blue", "Q4": "pink"}}),
         "words.categories.pets.labels: lacks the region 'Q3' of Q1, Q2, Q3, Q4"),
        (categories(pets={"labels": MAP | {"Q5": "red"}}), "there is no region 'Q5'"),
        ({"withheld": ["animal"]}, "no category 'animal'; did you mean 'animals'?"),
        ({"own": 1, "withheld": ["animals"]}, "withheld: every category"),
    ],
)  # fmt: skip
def test_unfit_words_are_refused(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Quadrants.model_validate({"words": knobs})


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ({"labels": ["red", "dark blue"]}, "the label 'dark blue' has 2 tokens and others have 1"),
        ({"labels": ["red", "blue", "red"]}, "labels: a label stands twice"),
        ({"labels": ["red"]}, "labels: 2 to 6 are needed, found 1"),
        ({"labels": "colors"}, "unknown labels 'colors'; did you mean 'colours'?"),
        ({"labels": ["up", "down", "left"], "distinct": 4},
         "4 maps that differ in every region need as many labels, there are 3"),
    ],
)  # fmt: skip
def test_unfit_labels_are_refused(maps: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Quadrants.model_validate({"maps": maps})


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"templates": ["arow"]}, "unknown template 'arow'; did you mean 'arrow'?"),
        ({"templates": ["arrow"], "held_out": "arrow"}, "held_out: 'arrow' is also trained on"),
        ({"templates": ["arrow", "arrow"]}, "a template stands twice"),
    ],
)
def test_unfit_texts_are_refused(texts: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Quadrants.model_validate({"texts": texts})


def test_a_file_is_told_in_one_line_by_key(tmp_path: Path) -> None:
    path = tmp_path / "world.yaml"
    path.write_text("kind: quadrants\nwords:\n  categories:\n    pets: {wordz: [dog]}\n")
    bad = {"words": {"categories": {"pets": {"words": ["dog"], "wordz": ["dog"]}}}}
    with pytest.raises(ConfigError) as caught:
        validate(Quadrants, bad, path)
    assert re.fullmatch(
        r".*world\.yaml:4: words\.categories\.pets\.wordz: unknown key; did you mean 'words'\?",
        str(caught.value),
    )
