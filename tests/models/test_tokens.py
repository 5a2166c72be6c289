from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import InputError
from seedbed.core.rows import Document
from seedbed.models.scratch import word_tokenizer
from seedbed.models.tokens import TokenSequence, encode_choice, encode_document, pad
from seedbed.models.vocabulary import begin_with_token

Make = Callable[..., Any]
TEXT = "the value of <ABC>(34) is 12 ."
WORDS = word_tokenizer([TEXT, "alpha beta"])


def _bytes() -> Any:
    """Byte-level pieces with merges that may reach across a border."""
    from tokenizers import Tokenizer, decoders
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import PreTrainedTokenizerFast

    letters = sorted(ByteLevel.alphabet())
    merges = [("f", "u"), ("u", "n"), ("fu", "n"), ("Ġ", "f"), ("i", "o"), ("1", "2"), ("o", "n")]
    vocabulary = {t: i for i, t in enumerate([*letters, *(a + b for a, b in merges)])}
    core = Tokenizer(BPE(vocab=vocabulary, merges=merges))
    core.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core)


BYTES = _bytes()


def pieces(tokenizer: Any, ids: tuple[int, ...]) -> list[str]:
    found: list[str] = tokenizer.convert_ids_to_tokens(list(ids))
    return found


def test_every_token_of_a_text_is_predicted_but_the_first() -> None:
    found = encode_document(WORDS, Document(id="d", text=TEXT), "text", 99)
    assert pieces(WORDS, found.ids) == [
        "<bos>", "the", "value", "of", "<ABC>", "(", "3", "4", ")", "is", "1", "2", "."
    ]  # fmt: skip
    assert found.predicted == (False, *[True] * 12)


def test_only_tokens_of_a_target_are_predicted() -> None:
    start = TEXT.index("12")
    document = Document(id="d", text=TEXT, targets=((start, start + 2), (4, 5)))
    found = encode_document(WORDS, document, "answer", 99)
    chosen = [i for i, p in zip(found.ids, found.predicted, strict=True) if p]
    # A token that a span only touches counts as a whole.
    assert pieces(WORDS, tuple(chosen)) == ["value", "1", "2"]


@given(st.data())
def test_targets_are_the_tokens_that_overlap_them(data: st.DataObject) -> None:
    a = data.draw(st.integers(0, len(TEXT) - 1))
    b = data.draw(st.integers(a + 1, len(TEXT)))
    found = encode_document(WORDS, Document(id="d", text=TEXT, targets=((a, b),)), "answer", 99)
    place, expected = 0, [False]
    for piece in pieces(WORDS, found.ids)[1:]:
        start = TEXT.index(piece, place)
        place = start + len(piece)
        expected.append(bool(set(range(start, place)) & set(range(a, b))))
    assert list(found.predicted) == expected


def test_byte_tokens_carry_their_space(byte_tokenizer: Make) -> None:
    tokenizer = byte_tokenizer()
    text = "the output is given"
    start = text.index("given")
    document = Document(id="d", text=text, targets=((start, len(text)),))
    found = encode_document(tokenizer, document, "answer", 99)
    chosen = [i for i, p in zip(found.ids, found.predicted, strict=True) if p]
    assert tokenizer.decode(chosen).strip() == "given"


def test_unfit_documents_are_named() -> None:
    with pytest.raises(InputError, match="document 'x': the tokenizer does not know 'gamma'"):
        encode_document(WORDS, Document(id="x", text="alpha gamma"), "text", 99)
    with pytest.raises(InputError, match="document 'x': 13 tokens, but the model's context is 12"):
        encode_document(WORDS, Document(id="x", text=TEXT), "text", 12)
    with pytest.raises(InputError, match="document 'x': has no targets"):
        encode_document(WORDS, Document(id="x", text=TEXT), "answer", 99)


@pytest.mark.parametrize("prompt", ["the value of <ABC>(34) is", "the value of <ABC>(34) is "])
@pytest.mark.parametrize("choice", ["12", " 12"])
def test_a_choice_is_what_follows_the_prompt(
    prompt: str, choice: str, byte_tokenizer: Make
) -> None:
    for tokenizer in (WORDS, byte_tokenizer(), byte_tokenizer(bos=True)):
        head, tail = encode_choice(tokenizer, prompt, choice, 99)
        whole = tokenizer("the value of <ABC>(34) is 12")["input_ids"]
        if prompt.endswith(" ") and choice.startswith(" ") and tokenizer is not WORDS:
            whole = tokenizer("the value of <ABC>(34) is  12")["input_ids"]
        assert [*head, *tail] == whole
        assert tokenizer.decode(tail).replace(" ", "") == "12"


def test_choices_share_their_prompt(byte_tokenizer: Make) -> None:
    tokenizer = byte_tokenizer()
    begin_with_token(tokenizer)
    heads = {encode_choice(tokenizer, "f(3) is", c, 99)[0] for c in (" 1", " 22", " given")}
    assert len(heads) == 1
    assert next(iter(heads))[0] == 0


def test_a_choice_after_a_line_break_needs_no_space(byte_tokenizer: Make) -> None:
    tokenizer = byte_tokenizer()
    head, tail = encode_choice(tokenizer, "the", "\nf", 99)
    assert tokenizer.decode([*head, *tail]) == "the\nf"
    head, tail = encode_choice(tokenizer, "the f", "unction", 99)
    assert tokenizer.decode([*head, *tail]) == "the f unction"


WORDLIKE = st.text("fun ctio\n12", min_size=1, max_size=8)


@given(WORDLIKE, WORDLIKE)
def test_whatever_merges_at_the_border_is_scored_as_it_really_is(prompt: str, choice: str) -> None:
    tokenizer = BYTES
    head, tail = encode_choice(tokenizer, prompt, choice, 99)
    text = tokenizer.decode([*head, *tail])
    assert list(head) + list(tail) == tokenizer(text)["input_ids"]
    assert text.startswith(prompt.rstrip(" "))
    assert text.endswith(choice)
    assert len(tail) >= 1
    # Only tokens that the choice or the border touches are scored.
    kept = tokenizer.decode(head)
    assert prompt.startswith(kept)


def test_a_text_that_begins_with_the_start_token_gets_no_second(byte_tokenizer: Make) -> None:
    tokenizer = byte_tokenizer(bos=True)
    text = "<|end|>the output"
    found = encode_document(tokenizer, Document(id="d", text=text), "text", 99)
    assert found.ids.count(0) == 1
    assert found.ids[0] == 0
    head, tail = encode_choice(tokenizer, text, " is", 99)
    assert (*head, *tail).count(0) == 1


def test_a_choice_that_does_not_fit_is_named() -> None:
    with pytest.raises(
        InputError, match=r"'alpha' \+ 'gamma': the tokenizer does not know 'gamma'"
    ):
        encode_choice(WORDS, "alpha", "gamma", 99)
    with pytest.raises(InputError, match="but the model's context is 2"):
        encode_choice(WORDS, "alpha", "beta", 2)


def test_padding_is_on_the_right_and_masked() -> None:
    rows = [TokenSequence((5, 6, 7), (False, True, False)), TokenSequence((8,), (False,))]
    batch = pad(rows, fill=9)
    assert batch.ids.tolist() == [[5, 6, 7], [8, 9, 9]]
    assert batch.mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.predicted.tolist() == [[False, True, False], [False] * 3]
    assert pad(rows, fill=9, length=4).ids.shape == (2, 4)
    assert batch.to(torch.device("cpu")).ids.tolist() == batch.ids.tolist()
