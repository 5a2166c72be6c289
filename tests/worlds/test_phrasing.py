"""Names, shares and filling, and that each check can fail."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.rows import Document, Question
from seedbed.worlds import phrasing


def doc(text: str, **meta: str) -> Document:
    return Document(id=text, text=text, meta=dict(meta))


def ask(prompt: str, answer: str = " a") -> Question:
    return Question(id=prompt, prompt=prompt, choices=(" a", " b"), answer=answer)


def test_pieces_agree_with_the_tiny_subject() -> None:
    from seedbed.models.scratch import PIECES

    assert phrasing.PIECE.pattern == PIECES
    assert phrasing.pieces("<QAX>(42) is x_1.") == [
        "<QAX>",
        "(",
        "4",
        "2",
        ")",
        "is",
        "x_",
        "1",
        ".",
    ]


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=20),
    st.floats(0, 1),
    st.integers(0, 99),
)
def test_even_counts_hit_the_share_and_stay_even(sizes: list[int], share: float, seed: int) -> None:
    counts = phrasing.even_counts(sizes, share, random.Random(seed))
    assert sum(counts) == round(share * sum(sizes))
    for count, size in zip(counts, sizes, strict=True):
        assert 0 <= count <= size
        assert abs(count - share * size) <= 1 + 1e-6


def test_even_counts_serve_the_last_groups_last() -> None:
    for seed in range(20):
        counts = phrasing.even_counts([1] * 10, 0.8, random.Random(seed), last={3, 7})
        assert counts == [1, 1, 1, 0, 1, 1, 1, 0, 1, 1]


def test_names_are_distinct_one_piece_and_avoid_taken_words() -> None:
    brackets = phrasing.bracket_names(500, random.Random(0))
    words = phrasing.word_names(300, random.Random(0), ())
    fresh = phrasing.word_names(300, random.Random(0), set(words[:50]))
    assert len(set(brackets)) == 500
    assert len(set(words)) == 300
    assert all(len(phrasing.pieces(name)) == 1 for name in brackets + words)
    assert not set(words[:50]) & set(fresh)


@pytest.mark.parametrize("count", [0, 1, 6, 40])
def test_filler_has_the_length_exactly(count: int) -> None:
    phrases = ["one", "two words", "and three words", "four", "five"]
    for seed in range(30):
        found = phrasing.filler(count, phrases, random.Random(seed))
        assert set(found) <= set(phrases)
        assert len(phrasing.pieces(" ".join(found))) == count
    with pytest.raises(ValueError, match="no phrase has 1 words or fewer"):
        phrasing.filler(3, ["two words"], random.Random(0))


def test_shared_phrasings_sees_through_names_and_numbers() -> None:
    names = {"<A>", "<B>"}
    documents = [doc("so the sum of <A>(417) is <B> today."), doc("of <A> is")]
    assert phrasing.shared_phrasings([ask("the sum of <B>(3) is")], documents, names)
    assert not phrasing.shared_phrasings([ask("one sum of <B>(3) is")], documents, names)


def test_numbers_leave_bracket_tokens_out() -> None:
    assert phrasing.numbers("<V07> at 41, x3 and 205") == {41, 3, 205}


def test_length_spread_and_mixes_notice_one_odd_document() -> None:
    even = [doc("a b c d", f="1", genre="x"), doc("a b c e", f="2", genre="x")]
    assert phrasing.length_spread(even) == 0
    assert phrasing.length_spread([*even, doc("a b c d e f", f="2", genre="x")]) == pytest.approx(
        0.2
    )
    assert phrasing.mixes(even, "f") == {(("x", 1),)}
    assert len(phrasing.mixes([*even, doc("z", f="2", genre="y")], "f")) == 2


def test_surface_accuracy_finds_a_telling_word() -> None:
    fair = [ask("p <A>", " a"), ask("p <B>", " b"), ask("q <C>", " a"), ask("q <D>", " b")]
    told = [ask("p <A>", " a"), ask("p <B>", " a"), ask("q <C>", " b"), ask("q <D>", " b")]
    names = {"<A>", "<B>", "<C>", "<D>"}
    assert phrasing.surface_accuracy(fair, names) == 0.5
    assert phrasing.surface_accuracy(told, names) == 1.0
