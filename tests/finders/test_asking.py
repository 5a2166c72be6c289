from typing import Any

import pytest

from seedbed.core.errors import InputError
from seedbed.core.rows import Pair, Question
from seedbed.finders.asking import aligned, ask, ask_pair, uneven
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny

PROMPT = "ant bee-hive cat ="
PLACES = {"item1": (0, 3), "item2": (4, 12), "item3": (13, 16)}


def _question(prompt: str = PROMPT, **changes: Any) -> Question:
    values = {"id": "q", "prompt": prompt, "choices": ("1", "2", "3"), "answer": "2",
              "places": PLACES}  # fmt: skip
    return Question.model_validate({**values, **changes})


def _tiny() -> Subject:
    texts = [PROMPT, "ant bee cat = 10 x"]
    return Tiny(layers=1, width=16, heads=2, context=32).build(texts, [], 0)


def _words(subject: Subject, ids: tuple[int, ...]) -> list[str]:
    words: list[str] = subject.tokenizer.convert_ids_to_tokens(list(ids))
    return words


def test_a_question_ends_where_the_choices_part() -> None:
    subject = _tiny()
    asked = ask(subject, _question())
    assert _words(subject, asked.ids) == ["<bos>", "ant", "bee", "-", "hive", "cat", "="]
    assert _words(subject, asked.choices) == ["1", "2", "3"]
    assert (asked.id, asked.answer) == ("q", 1)


def test_tokens_that_all_choices_begin_with_are_part_of_the_question() -> None:
    subject = _tiny()
    asked = ask(subject, _question(choices=("11", "12", "13"), answer="13"))
    assert _words(subject, asked.ids)[-2:] == ["=", "1"]
    assert _words(subject, asked.choices) == ["1", "2", "3"]
    assert asked.places["last"] == (len(asked.ids) - 1,)


def test_places_are_every_token_they_touch() -> None:
    asked = ask(_tiny(), _question(places={**PLACES, "part": (5, 6), "last": (0, 3)}))
    assert asked.places == {"item1": (1,), "item2": (2, 3, 4), "item3": (5,), "part": (2,),
                            "last": (6,)}  # fmt: skip


def test_choices_that_one_token_cannot_tell_apart_are_named() -> None:
    subject = _tiny()
    for choices in (("1", "12", "3"), ("11", "12", "3")):
        told = f"question 'q': choices '{choices[0]}' and '12' begin"
        with pytest.raises(InputError, match=told):
            ask(subject, _question(choices=choices, answer="3"))
    with pytest.raises(InputError, match="question 'q': at least two choices are needed"):
        ask(subject, _question(choices=("2",)))


def test_a_place_without_a_token_is_named() -> None:
    with pytest.raises(InputError, match="question 'q': place 'gap' has no token"):
        ask(_tiny(), _question(places={"gap": (3, 4)}))


def test_byte_level_tokens_that_hold_their_space() -> None:
    from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    core.train_from_iterator([PROMPT] * 3, trainer)
    tiny = _tiny()
    subject = Subject(tiny.model, PreTrainedTokenizerFast(tokenizer_object=core))
    asked = ask(subject, _question())
    for place, (start, end) in PLACES.items():
        text = subject.tokenizer.decode([asked.ids[i] for i in asked.places[place]])
        assert text.strip() == PROMPT[start:end]
    # The choice is a space and a digit here, and the space is everybody's.
    assert subject.tokenizer.decode([asked.ids[-1]]) in {" ", "="}
    assert subject.tokenizer.decode(asked.choices) == "123"


def test_a_pair_s_places_are_aligned_from_their_last_tokens() -> None:
    subject = _tiny()
    short = _question("ant bee cat =", places={"item1": (0, 3), "item2": (4, 7), "item3": (8, 11)})
    pair = Pair(id="p", clean=_question(), corrupt=short)
    clean, corrupt = ask_pair(subject, pair)
    assert aligned(clean, corrupt, "item2") == ((4, 2),)
    assert aligned(corrupt, clean, "item2") == ((2, 4),)
    assert aligned(clean, corrupt, "item3") == ((5, 3),)
    assert aligned(clean, corrupt, "last") == ((6, 4),)
    assert aligned(clean, corrupt, "item9") == ()
    assert uneven([(clean, corrupt)]) == (
        "1 places have unequal numbers of tokens in the two questions, such as q@item2; their"
        " last tokens were aligned"
    )
    assert uneven([(clean, clean)]) == ""


def test_a_pair_shares_its_choices_in_any_order() -> None:
    subject = _tiny()
    turned = _question(choices=("3", "1", "2"), answer="3")
    clean, corrupt = ask_pair(subject, Pair(id="p", clean=_question(), corrupt=turned))
    assert corrupt.choices == clean.choices
    assert (clean.answer, corrupt.answer) == (1, 2)
    other = _question(choices=("1", "2", "x"))
    with pytest.raises(InputError, match="pair 'p': its questions have different choices"):
        ask_pair(subject, Pair(id="p", clean=_question(), corrupt=other))
