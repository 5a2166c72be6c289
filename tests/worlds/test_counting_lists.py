"""The word lists: what they hold, and that a filler is beyond dispute."""

import importlib.util
import sys
from itertools import islice
from pathlib import Path

import pytest

from seedbed.core.errors import InputError
from seedbed.core.files import read_text
from seedbed.worlds.counting.lists import DATA, UNKNOWN, load

TOOL = Path(__file__).parents[2] / "tools" / "wordlists.py"


def test_there_are_categories_and_words_enough() -> None:
    lists = load()
    assert len(lists.categories) >= 110
    assert len(lists.fields) >= 14_000
    for category in lists.categories.values():
        assert len(set(category.members)) == len(category.members) >= 30, category.name
        assert all(w.isalpha() and w.islower() and w.isascii() for w in category.members)
        assert not category.disputed & category.known
        assert category.own
    assert set(lists.fields) >= {w for c in lists.categories.values() for w in c.members}
    size = sum(p.stat().st_size for p in DATA.iterdir())
    assert size < 1_500_000
    assert "Princeton" in read_text(DATA / "NOTICE.txt")


@pytest.mark.parametrize(
    ("category", "word", "verdict"),
    [
        ("fruits", "banana", True),
        ("fruits", "hammer", False),
        ("fruits", "carrot", None),  # a sibling's: some call it one
        ("fruits", "coconut", None),  # disputed by hand
        ("fruits", "bananas", None),  # in no list
        ("colors", "orange", True),
        ("colors", "salmon", None),  # a colour as well
        ("colors", "regiment", False),
        ("birds", "salmon", None),
        ("vehicles", "shirt", False),  # both artifacts, of kinds that are told apart
        ("tools", "spoon", None),
        ("athletes", "gymnastics", None),  # begins like `gymnast`
    ],
)
def test_known_words_get_the_verdict_people_would_give(
    category: str, word: str, verdict: bool | None
) -> None:
    lists = load()
    assert lists.verdict(lists.category(category), word) is verdict


def test_a_count_is_none_where_one_word_is_undecided() -> None:
    lists = load()
    fruits = lists.category("fruits")
    assert lists.count(fruits, ["apple", "hammer", "pear"]) == 2
    assert lists.count(fruits, ["apple", "carrot", "pear"]) is None


def test_fillers_are_undisputed_by_a_second_reading_of_the_files() -> None:
    """Straight from the lines: no meaning of a filler lies in a field of the category."""
    fields = {
        word: set(rest.split())
        for word, _, rest in (
            line.partition(" ") for line in read_text(DATA / "words.txt").splitlines()
        )
    }
    lists = load()
    for line in read_text(DATA / "categories.txt").splitlines()[::3]:
        name, own, doubt, members, disputed = (part.split() for part in line.split("|"))
        category = lists.category(" ".join(name))
        near = {*own, *doubt, UNKNOWN}
        fillers = [w for w in fields if lists.verdict(category, w) is False]
        assert len(fillers) > 1500
        for word in fillers:
            assert not fields[word] & near
            assert word not in members
            assert word not in disputed
        kin = [c for c in lists.categories.values() if c.akin(category)]
        assert category in kin
        assert not {w for c in kin for w in c.members if near & c.own} & set(fillers)


def test_akin_is_mutual() -> None:
    every = list(islice(load().categories.values(), 60))
    assert all(a.akin(b) == b.akin(a) for a in every for b in every)
    lists = load()
    assert lists.category("fruits").akin(lists.category("vegetables"))
    assert not lists.category("fruits").akin(lists.category("tools"))


def test_an_unknown_category_is_named_with_the_near_miss() -> None:
    with pytest.raises(InputError, match=r"unknown category 'fruit'; did you mean 'fruits'\?"):
        load().category("fruit")
    assert load().category("musical_instruments").name == "musical instruments"


def test_the_lists_are_those_that_were_written_by_hand() -> None:
    """The build needs WordNet, so here only: nothing was edited in one place and not the other."""
    spec = importlib.util.spec_from_file_location("wordlists", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    sys.modules["wordlists"] = tool
    spec.loader.exec_module(tool)
    written = {c.name: c for c in tool.read_written(TOOL.with_suffix(".txt"))}
    assert list(written) == list(load().categories)
    for name, category in load().categories.items():
        assert tuple(written[name].members) == category.members
        assert set(written[name].disputed) == category.disputed
        assert set(written[name].own) == category.own
        assert set(written[name].doubt) == category.doubt
