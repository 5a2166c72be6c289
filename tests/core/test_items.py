import pytest
from pydantic import ValidationError

from seedbed.core.items import Item, bare, few_shot, listed, worked

PARIS = Item(id="p", question="What is the capital of France?", options=("Rome", "Paris"),
             target=1, category="capitals", cot="It is Paris.")  # fmt: skip
ROME = Item(id="r", question="What is the capital of Italy?", options=("Rome", "Oslo", "Bonn"),
            target=0, category="capitals",
            cot="A: Let's think step by step. It is Rome. The answer is (C).")  # fmt: skip


def test_an_item_knows_its_answer() -> None:
    assert (PARIS.answer, PARIS.letter, PARIS.letters) == ("Paris", "B", ("A", "B"))
    twin = PARIS.model_copy(update={"question": "what is  the capital\nof France?"})
    assert PARIS.asks == twin.asks
    assert PARIS.asks != ROME.asks


def test_bare_as_for_hidden_states() -> None:
    assert bare(PARIS) == "Q: What is the capital of France?\n\nA: "


def test_options_stand_under_letters() -> None:
    assert listed(PARIS) == (
        "Question:\nWhat is the capital of France?\nOptions:\nA. Rome\nB. Paris\nAnswer: "
    )


def test_worked_examples_end_in_the_right_letter_once() -> None:
    assert worked(ROME, thought=False).endswith("Answer: The answer is (A).")
    shown = worked(ROME, thought=True)
    assert shown.endswith("Answer: Let's think step by step. It is Rome. The answer is (A).")
    assert worked(PARIS, True, "texts").endswith("It is Paris. The answer is Paris.")


def test_the_prompt_ends_where_the_answer_is_written() -> None:
    text = few_shot(PARIS, [ROME], thought=True)
    assert text.endswith("B. Paris\nAnswer: Let's think step by step.")
    assert text.startswith("The following are multiple choice questions about capitals")
    assert text.count("Question:") == 2
    assert few_shot(PARIS, [], thought=False).endswith("\nAnswer:")


def test_open_questions_show_no_options() -> None:
    text = few_shot(PARIS, [ROME], thought=False, manner="open")
    assert "Oslo" not in text
    assert "A. " not in text
    assert text.endswith("A: The answer is Rome.\n\nQ: What is the capital of France?\n\nA:")


@pytest.mark.parametrize(("key", "value"), [("target", 2), ("target", -1), ("score", 1.5)])
def test_what_no_option_is_and_no_score_is_refused(key: str, value: float) -> None:
    with pytest.raises(ValidationError, match=key):
        Item.model_validate({**PARIS.model_dump(), key: value})
