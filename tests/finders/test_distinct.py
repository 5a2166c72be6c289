import pytest

from seedbed.core.errors import InputError
from seedbed.core.rows import Pair, Question
from seedbed.finders.asking import ask
from seedbed.finders.distinct import distinct, distinct_pairs
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny

TEXT = "Q : what is it A : 1 2 3 4 the red blue house of"


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Tiny(layers=1, width=16, heads=2).build([TEXT], [], 0)


def asked(key: str, answer: str, *choices: str, **more: object) -> Question:
    return Question.model_validate({"id": key, "prompt": "Q : what is it A :", "answer": answer,
                                    "choices": choices, **more})  # fmt: skip


def test_choices_that_begin_alike_become_one(subject: Subject) -> None:
    questions = [
        asked("a", "13", "12", "13", "2", rules={"x": "12", "y": "2"}),
        asked("b", "red", "the red", "the blue", "red"),
        asked("c", "red", "red", "blue"),
    ]
    kept, lost = distinct(subject, questions)
    assert [q.choices for q in kept] == [("13", "2"), ("the red", "red"), ("red", "blue")]
    assert [q.answer for q in kept] == ["13", "red", "red"]
    assert kept[0].rules == {"y": "2"}
    assert kept[2] == questions[2]
    assert lost == []
    for question in kept:
        ask(subject, question)


def test_what_no_token_tells_apart_is_named(subject: Subject) -> None:
    # One choice is the beginning of the other, and the shared token decides nothing.
    kept, lost = distinct(subject, [asked("d", "the red", "the red", "the")])
    assert (kept, lost) == ([], ["d"])
    with pytest.raises(InputError, match="does not know"):
        distinct(subject, [asked("e", "unheard", "unheard", "red")])


def test_pairs_whose_choices_begin_alike_are_named(subject: Subject) -> None:
    alike, apart = ("12", "13", "2"), ("1", "2", "3")
    pairs = [
        Pair(
            id=key, clean=asked(f"{key}c", clean[0], *clean), corrupt=asked(f"{key}d", said, *clean)
        )
        for key, clean, said in (("p", alike, "2"), ("q", apart, "3"))
    ]
    kept, lost = distinct_pairs(subject, pairs)
    assert (kept, lost) == ([pairs[1]], ["p"])
