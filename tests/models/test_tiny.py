from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from seedbed.core.config import digest
from seedbed.models.scratch import word_tokenizer
from seedbed.models.subject import SUBJECTS
from seedbed.models.tiny import Tiny

TEXTS = ["<ABC>(12) returns 7", "Q: what is <ABD>? A: 'x_y'"]
SMALL: dict[str, Any] = {"layers": 2, "width": 16, "heads": 2, "context": 32}


def state_digest(model: Any) -> str:
    return digest({k: v.tolist() for k, v in model.state_dict().items()})


def test_the_seed_alone_decides_the_weights() -> None:
    tiny = Tiny(**SMALL)
    random_state = torch.random.get_rng_state()
    one, same = tiny.build(TEXTS, [], 1), tiny.build(TEXTS[::-1], [], 1)
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert state_digest(one.model) == state_digest(same.model)
    assert state_digest(one.model) != state_digest(tiny.build(TEXTS, [], 2).model)
    assert one.tokenizer.get_vocab() == same.tokenizer.get_vocab()


@pytest.mark.parametrize(("knobs", "std"), [({}, 0.02), ({"init": 0.125}, 0.125)])
def test_fresh_weights_have_the_spread_asked_for(knobs: dict[str, Any], std: float) -> None:
    model = Tiny(width=64, layers=2, **knobs).build(TEXTS, [], 0).model
    for name, tensor in model.named_parameters():
        if tensor.ndim == 2 and "embed" not in name:
            assert tensor.std().item() == pytest.approx(std, rel=0.1), name


def test_the_shape_is_what_the_knobs_say() -> None:
    subject = Tiny(**SMALL, feedforward=24).build(TEXTS, ["<NEW>"], 0)
    config = subject.model.config
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (2, 16, 24)
    assert config.vocab_size == len(subject.tokenizer)
    assert subject.context == 32
    assert subject.tokenizer.convert_tokens_to_ids("<NEW>") != subject.tokenizer.unk_token_id
    assert Tiny(**SMALL).build(TEXTS, [], 0).model.config.intermediate_size == 32


@pytest.mark.parametrize(
    "values",
    [
        {"width": 10, "heads": 4},
        {"width": 12, "heads": 4},
        {"layers": 0},
        {"width": 4},
        {"widht": 16},
    ],
)
def test_unfit_knobs_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises((ValueError, ValidationError)):
        SUBJECTS.build({"kind": "tiny", **values})


def test_pieces_are_names_words_digits_and_signs() -> None:
    tokenizer = word_tokenizer(TEXTS)
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(TEXTS[0])["input_ids"])
    assert tokens == ["<bos>", "<ABC>", "(", "1", "2", ")", "returns", "7"]
    assert tokenizer("unseen")["input_ids"][-1] == tokenizer.unk_token_id
    # A number never seen is readable, digit by digit.
    assert tokenizer.unk_token_id not in tokenizer("98765")["input_ids"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=4))
def test_no_piece_of_its_texts_is_unknown(texts: list[str]) -> None:
    tokenizer = word_tokenizer(texts)
    known = set(tokenizer.get_vocab()) - {"<unk>"}
    for text in texts:
        coded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        for i, (a, b) in zip(coded["input_ids"], coded["offset_mapping"], strict=True):
            assert i != tokenizer.unk_token_id or text[a:b] not in known
        # Nothing but white space lies between pieces.
        ends = [0, *(b for _, b in coded["offset_mapping"])]
        starts = [*(a for a, _ in coded["offset_mapping"]), len(text)]
        assert all(not text[e:s].strip() for e, s in zip(ends, starts, strict=True))
