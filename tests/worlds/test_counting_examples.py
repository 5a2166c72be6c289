"""Examples from the word lists: format, similarity, evenness, and the checks on them."""

import json
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.config import validate
from seedbed.core.errors import DataError, InputError
from seedbed.core.seeds import stream
from seedbed.worlds.counting.checks import disputed, diversity, flatness, independence
from seedbed.worlds.counting.decks import Deck, flat, flat_pairs
from seedbed.worlds.counting.examples import Example, Overlaps, read_examples
from seedbed.worlds.counting.systematic import Systematic
from seedbed.worlds.counting.wanted import Wanted, fill, missing


def made(total: int, seed: int = 0, **values: object) -> list[Example]:
    wanted = Wanted.model_validate({"examples": total, **values})
    plans = missing(wanted, [], total, stream(seed, "plans"))
    return Systematic(wanted, seed).write(plans, [])


def jaccard(one: Example, other: Example) -> float:
    a, b = set(one.words), set(other.words)
    return len(a & b) / len(a | b)


def test_three_thousand_are_flat_varied_and_undisputed() -> None:
    examples = made(3000)
    assert disputed(examples) == []
    counts, lengths = [e.num_target for e in examples], [len(e.words) for e in examples]
    assert flatness(counts, range(9)).p > 0.05
    assert flatness(lengths, range(8, 13)).p > 0.05
    names = Counter(e.category for e in examples)
    assert flatness(list(names.elements()), list(names)).p > 0.05
    assert len(names) >= 110
    assert independence(counts, lengths) > 0.9
    assert diversity(examples).ratio >= 3 * 0.126
    alike = {name: [e for e in examples if e.category == name] for name in list(names)[:12]}
    assert max(jaccard(a, b) for es in alike.values() for a, b in combinations(es, 2)) <= 0.5
    used = Counter(w for e in examples for w in e.words)
    assert max(used.values()) < 20
    assert all(e.members is not None and len(e.members) == e.num_target for e in examples)


def test_a_category_has_its_share_at_most() -> None:
    assert Wanted(examples=500).most == 50
    assert Wanted(examples=500, categories=("fruits", "birds")).most == 250
    assert Wanted(examples=7).most == 1


def test_the_same_seed_writes_the_same_examples_and_another_others() -> None:
    assert made(40) == made(40)
    assert made(40) != made(40, seed=1)


def test_few_categories_and_short_lists_keep_below_the_limit() -> None:
    names = ("fruits", "birds", "tools")
    examples = made(150, categories=names, lengths=(4, 5), counts=(0, 3), alike=0.4)
    assert {e.category for e in examples} == set(names)
    assert max(jaccard(a, b) for a, b in combinations(examples, 2)) <= 0.4
    with pytest.raises(InputError, match=r"more than 0\.1 alike"):
        made(2000, categories=("fruits",), lengths=(8, 8), counts=(8, 8), alike=0.1)


lists_of_words = st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=6, unique=True)


@given(st.lists(lists_of_words, max_size=8), lists_of_words)
def test_the_index_finds_what_all_pairs_find(kept: list[list[str]], one: list[str]) -> None:
    examples = [Example(category="x", words=tuple(words), num_target=0) for words in kept]
    new = Example(category="x", words=tuple(one), num_target=0)
    slow = max((jaccard(new, other) for other in examples), default=0.0)
    assert Overlaps(examples).most(one) == pytest.approx(slow)


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(0, 20))
def test_filling_up_is_as_flat_as_can_be(present: list[int], total: int) -> None:
    added = fill(range(4), present, total, stream(0, "fill"))
    assert len(added) == total
    before, after = Counter(present), Counter([*present, *added])
    grown = [after[v] for v in range(4) if after[v] > before[v]]
    # Nothing is added to a value while another is lower by more than one.
    assert all(g <= after[v] + 1 for g in grown for v in range(4))


@given(st.integers(1, 60), st.integers(0, 5))
def test_flat_gives_every_value_alike(count: int, seed: int) -> None:
    times = Counter(dict.fromkeys(range(7), 0))
    times.update(flat(range(7), count, stream(seed, "flat")))
    assert max(times.values()) - min(times.values()) <= 1
    assert times.total() == count


@given(st.integers(1, 100), st.integers(0, 5))
def test_pairs_are_flat_together_and_apart(count: int, seed: int) -> None:
    pairs = flat_pairs("abc", range(5), count, stream(seed, "pairs"))
    assert len(pairs) == count
    ones = [sum(a == one for a, _ in pairs) for one in "abc"]
    others = [sum(b == other for _, b in pairs) for other in range(5)]
    assert max(max(n) - min(n) for n in (ones, others)) <= 1
    rounds = count // 15
    assert all(Counter(pairs)[a, b] >= rounds for a in "abc" for b in range(5))


def test_a_deck_deals_every_word_before_any_comes_again() -> None:
    deck = Deck("abcdefg", stream(0, "deck"))
    dealt = [w for _ in range(20) for w in deck.deal(3, lambda _: True)]
    for i in range(0, 56, 7):
        times = Counter(dealt[: i + 7])
        assert max(times.values()) - min(times[w] for w in "abcdefg") <= 1
    assert "a" not in deck.deal(5, lambda w: w != "a")
    with pytest.raises(ValueError, match="7 words fit, 8 are needed"):
        deck.deal(8, lambda _: True)


def test_examples_are_read_as_the_original_wrote_them(tmp_path: Path) -> None:
    rows = [
        {"category": "metals", "words": ["jam", "iron", "zinc"], "num_target": 2,
         "generation_method": "systematic", "notes": ""},
        {"category": "size words", "words": ["huge", "bee"], "num_target": 1,
         "generation_method": "llm", "notes": "Huge is a size; a bee is an insect."},
    ]  # fmt: skip
    (tmp_path / "examples.json").write_text(json.dumps(rows))
    (tmp_path / "examples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    listed = read_examples(tmp_path / "examples.json")
    assert listed == read_examples(tmp_path / "examples.jsonl")
    assert [e.record() for _, e in listed] == rows
    assert [n for n, _ in listed] == [1, 2]
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(DataError, match="a JSON list of examples is needed"):
        read_examples(tmp_path / "bad.json")


def test_disputed_labels_are_found() -> None:
    words = ("apple", "pear", "saw")
    right = Example(category="fruits", words=words, num_target=2)
    wrong = right.model_copy(update={"num_target": 1})
    unclear = right.model_copy(update={"words": ("apple", "pear", "carrot")})
    assert disputed([right, wrong, unclear]) == [
        (1, "the lists count 2"),
        (2, "undecided: carrot"),
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"categories": ("fruit",)}, "unknown category 'fruit'; did you mean 'fruits'"),
        ({"counts": (0, 8), "lengths": (5, 9)}, "up to 8 members do not fit into lists of 5"),
        ({"generator": "chatty"}, "generator: "),
    ],
)
def test_impossible_sets_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        validate(Wanted, values, "--examples")
    assert message in str(caught.value)
