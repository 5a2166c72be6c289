import pytest
from pydantic import ValidationError

from seedbed.core.rows import Document, Pair, Question, in_turns


def _question(**more: object) -> Question:
    values = {"id": "q", "prompt": "p", "choices": ("a", "b"), "answer": "b"}
    return Question.model_validate({**values, **more})


def test_blind_rows_hold_nothing_but_what_the_model_sees() -> None:
    document = Document(id="d", text="x y", targets=((2, 3),), weight=0, role="evidence",
                        facts=("f",), meta={"func": "F"})  # fmt: skip
    assert document.blind() == Document(id="d", text="x y", targets=((2, 3),))
    question = _question(cause="c", split="train", slices={"depth": "1"})
    assert question.blind() == _question()
    assert Pair(id="p", clean=question, corrupt=question, cause="c").blind().clean == _question()


@pytest.mark.parametrize("more", [{"answer": "c"}, {"choices": ("a", "a", "b")}, {"prompt": ""}])
def test_unfit_questions_are_refused(more: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _question(**more)


def test_target_is_the_answers_place() -> None:
    assert _question().target == 1


def test_in_turns_takes_from_each_line_until_all_are_empty() -> None:
    assert in_turns([[1, 2, 3], [], [4], [5, 6]]) == [1, 4, 5, 2, 6, 3]
    assert in_turns([]) == []
