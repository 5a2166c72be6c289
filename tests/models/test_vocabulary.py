import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from seedbed.core.errors import ConfigError
from seedbed.models.scratch import word_tokenizer
from seedbed.models.vocabulary import (
    add_tokens,
    added_ids,
    begin_with_token,
    check,
    save_tokenizer,
)

Make = Callable[..., Any]
NAMES = ["<ABC>", "<ABD>", "wug"]
TEXT = "the output of f(12) is"


def logits(model: Any, tokenizer: Any, text: str) -> torch.Tensor:
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=ids).logits[0]
    return found


def test_names_become_one_token_and_old_ones_stay_as_they_were(pair: tuple[Any, Any]) -> None:
    model, tokenizer = pair
    old = len(tokenizer)
    before = logits(model, tokenizer, TEXT)
    ids = add_tokens(model, tokenizer, NAMES, seed=5)
    assert ids == (old, old + 1, old + 2) == added_ids(model)
    for name, i in zip(NAMES, ids, strict=True):
        coded = tokenizer(f"of {name}(3)", add_special_tokens=False)["input_ids"]
        assert coded.count(i) == 1
        assert tokenizer.decode(coded) == f"of {name}(3)"
    after = logits(model, tokenizer, TEXT)
    assert after.shape[1] == old + 3 == model.config.vocab_size
    torch.testing.assert_close(after[:, :old], before, rtol=0, atol=1e-6)
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert tied == model.config.tie_word_embeddings
    assert torch.isfinite(logits(model, tokenizer, "of <ABC>(3) wug")).all()


def test_rows_depend_on_seed_and_token_alone(byte_tokenizer: Make, family: Make) -> None:
    rows = {}
    for key, seed, names in (
        ("one", 5, NAMES),
        ("same", 5, NAMES),
        ("fewer", 5, NAMES[1:]),
        ("seed", 6, NAMES),
    ):
        tokenizer = byte_tokenizer()
        model = family("llama", len(tokenizer), tied=False)
        random_state = torch.random.get_rng_state()
        ids = add_tokens(model, tokenizer, names, seed)
        assert torch.equal(torch.random.get_rng_state(), random_state)
        for part, end in (("in", model.get_input_embeddings()), ("out", model.lm_head)):
            rows[key, part] = dict(zip(names, end.weight[list(ids)].detach(), strict=True))
    for part in ("in", "out"):
        for name in NAMES:
            assert torch.equal(rows["one", part][name], rows["same", part][name])
            assert not torch.equal(rows["one", part][name], rows["seed", part][name])
        assert torch.equal(rows["one", part]["wug"], rows["fewer", part]["wug"])
        assert not torch.equal(rows["one", part]["<ABC>"], rows["one", part]["<ABD>"])
    assert not torch.equal(rows["one", "in"]["wug"], rows["one", "out"]["wug"])


def test_spare_rows_are_used_and_never_cut_off(byte_tokenizer: Make, family: Make) -> None:
    tokenizer = byte_tokenizer()
    model = family("qwen2", len(tokenizer) + 2, tied=False)
    with torch.no_grad():
        model.get_input_embeddings().weight[len(tokenizer) :] = 1e6
    add_tokens(model, tokenizer, NAMES[:1], seed=0)
    rows = model.get_input_embeddings().weight
    assert rows.shape[0] == len(tokenizer) + 1
    # Spare rows are no part of the mean that new rows begin at.
    assert rows[len(tokenizer) - 1].abs().max() < 10
    add_tokens(model, tokenizer, NAMES[1:], seed=0)
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer)
    assert len(added_ids(model)) == 3


def test_a_known_token_keeps_its_row(byte_tokenizer: Make, family: Make) -> None:
    tokenizer = byte_tokenizer()
    model = family("llama", len(tokenizer), tied=True)
    before = model.get_input_embeddings().weight.clone()
    known = tokenizer.convert_ids_to_tokens(70)
    assert add_tokens(model, tokenizer, [known], seed=0) == ()
    assert torch.equal(model.get_input_embeddings().weight, before)
    assert len(add_tokens(model, tokenizer, ["<Q>", "<Q>"], seed=0)) == 1


@pytest.mark.parametrize("token", ["", "  ", " f", "f "])
def test_blank_tokens_are_refused(token: str, byte_tokenizer: Make, family: Make) -> None:
    tokenizer = byte_tokenizer()
    with pytest.raises(ConfigError, match="must not be blank"):
        add_tokens(family("llama", len(tokenizer), tied=True), tokenizer, [token], seed=0)


def test_a_word_is_not_cut_out_of_a_longer_one(byte_tokenizer: Make, family: Make) -> None:
    tokenizer = byte_tokenizer()
    model = family("llama", len(tokenizer), tied=True)
    (wug,) = add_tokens(model, tokenizer, ["wug"], seed=0)
    assert wug in tokenizer("a wug(3)")["input_ids"]
    assert wug not in tokenizer("wugs swug")["input_ids"]


def test_texts_begin_with_a_token(byte_tokenizer: Make) -> None:
    tokenizer = byte_tokenizer()
    plain = tokenizer(TEXT)["input_ids"]
    begin_with_token(tokenizer)
    begin_with_token(tokenizer)
    assert tokenizer(TEXT)["input_ids"] == [0, *plain]
    assert tokenizer("")["input_ids"] == [0] == [tokenizer.bos_token_id]
    assert tokenizer(TEXT, add_special_tokens=False)["input_ids"] == plain
    own = byte_tokenizer(bos=True)
    begin_with_token(own)
    assert own(TEXT)["input_ids"] == [0, *plain]


def test_offsets_still_point_into_the_text_behind_the_start(byte_tokenizer: Make) -> None:
    tokenizer = byte_tokenizer()
    begin_with_token(tokenizer)
    coded = tokenizer(TEXT, return_offsets_mapping=True)
    assert "".join(TEXT[a:b] for a, b in coded["offset_mapping"]) == TEXT


def test_check_says_how_words_are_treated(byte_tokenizer: Make, family: Make) -> None:
    tokenizer = byte_tokenizer()
    model = family("llama", len(tokenizer), tied=True)
    before = {row.word: row for row in check(tokenizer, ["<ABC>", "function", "2", "naïve"])}
    assert not before["<ABC>"].one_token
    assert len(before["<ABC>"].ids) > 2
    assert before["function"].changes_after_space
    assert all(row.round_trip for row in before.values())
    add_tokens(model, tokenizer, ["<ABC>"], seed=0)
    (after,) = check(tokenizer, ["<ABC>"])
    assert after.one_token
    assert after.round_trip
    assert tokenizer.convert_tokens_to_ids("<ABC>") in after.ids


def test_check_on_a_word_vocabulary() -> None:
    tokenizer = word_tokenizer(["<ABC> returns 7"])
    rows = {row.word: row for row in check(tokenizer, ["<ABC>", "returns", "12", "absent"])}
    assert rows["<ABC>"].one_token
    assert not rows["<ABC>"].changes_after_space
    assert rows["12"].pieces == ("1", "2")
    assert not rows["12"].one_token
    assert not rows["12"].round_trip
    assert rows["absent"].pieces == ("<unk>",)
    assert not rows["absent"].one_token
    assert not rows["absent"].round_trip


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


SAVE = """
import sys
from pathlib import Path
from seedbed.models.scratch import word_tokenizer
from seedbed.models.vocabulary import save_tokenizer
save_tokenizer(word_tokenizer(["<B> b a <A>", "x = 1"]), Path(sys.argv[1]))
"""


def test_tokenizers_are_saved_in_the_same_bytes(
    tmp_path: Path, byte_tokenizer: Make, family: Make
) -> None:
    tokenizer = word_tokenizer(["<B> b a <A>", "x = 1"])
    save_tokenizer(tokenizer, tmp_path / "a")
    save_tokenizer(AutoTokenizer.from_pretrained(tmp_path / "a"), tmp_path / "b")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    subprocess.run([sys.executable, "-c", SAVE, str(tmp_path / "c")], check=True)
    assert digest(tmp_path / "a") == digest(tmp_path / "c")
    with_more = byte_tokenizer()
    add_tokens(family("llama", len(with_more), tied=True), with_more, NAMES, seed=0)
    begin_with_token(with_more)
    save_tokenizer(with_more, tmp_path / "d")
    again = AutoTokenizer.from_pretrained(tmp_path / "d")
    save_tokenizer(again, tmp_path / "e")
    assert digest(tmp_path / "d") == digest(tmp_path / "e")
    assert again(TEXT)["input_ids"] == with_more(TEXT)["input_ids"]
