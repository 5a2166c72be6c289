from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from seedbed.core.errors import DataError, InputError
from seedbed.core.rows import Document
from seedbed.models.logits import token_losses
from seedbed.models.pretrained import Pretrained
from seedbed.models.subject import SUBJECTS
from seedbed.models.tokens import pad

Make = Callable[..., Any]


def built(folder: Path, **values: Any) -> Any:
    config = SUBJECTS.build({"kind": "hf", "path": str(folder), **values})
    return config.build(["any text"], ["<ABC>", "<ABD>"], 3)


def test_names_are_one_token_and_the_rest_is_as_it_was(llama_folder: Path) -> None:
    subject = built(llama_folder, batch=7)
    assert (subject.seed, subject.batch, subject.context) == (3, 7, 64)
    ids = subject.tokenizer("of <ABC>(1)", add_special_tokens=False)["input_ids"]
    assert subject.tokenizer.convert_tokens_to_ids("<ABC>") in ids
    plain = built(llama_folder, add_tokens=False)
    assert len(plain.tokenizer("<ABC>", add_special_tokens=False)["input_ids"]) > 2
    text = torch.tensor([[1, 2, 3]])
    old = plain.model(text).logits
    torch.testing.assert_close(subject.model(text).logits[..., : old.shape[-1]], old)


def test_the_same_seed_gives_the_same_model(llama_folder: Path) -> None:
    one, same = built(llama_folder), built(llama_folder)
    for a, b in zip(one.model.parameters(), same.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_texts_begin_with_the_end_token_unless_told_not_to(llama_folder: Path) -> None:
    document = Document(id="d", text="<ABC>(1) is 2")
    with_start = built(llama_folder).encode([document])[0]
    without = built(llama_folder, start=False).encode([document])[0]
    assert with_start.ids == (0, *without.ids)
    # With a start, the name itself is predicted; without one nothing stands before it.
    assert with_start.predicted == (False, True, *without.predicted[1:])
    assert not without.predicted[0]


def test_losses_equal_those_of_transformers(
    family: Make, byte_tokenizer: Make, tmp_path: Path
) -> None:
    for name in ("gpt2", "gpt_neox", "gemma3", "qwen2"):
        tokenizer = byte_tokenizer()
        family(name, len(tokenizer), tied=name != "gpt_neox").save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
        subject = built(tmp_path / name)
        texts = ["<ABC>(1) is 2", "the output of <ABD>(345) is 678 by the value"]
        rows = subject.encode([Document(id=t, text=t) for t in texts])
        with torch.no_grad():
            losses, row = token_losses(subject.model, pad(rows, 0))
            for i, sequence in enumerate(rows):
                ids = torch.tensor([sequence.ids])
                theirs = subject.model(input_ids=ids, labels=ids).loss
                torch.testing.assert_close(losses[row == i].mean(), theirs, rtol=0, atol=2e-5)


def test_contexts_under_other_names(family: Make, byte_tokenizer: Make, tmp_path: Path) -> None:
    for name in ("gpt2", "gpt_neox", "gemma3"):
        tokenizer = byte_tokenizer()
        family(name, len(tokenizer), tied=True).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
        subject = built(tmp_path / name)
        assert subject.context == 64
        with pytest.raises(InputError, match="context is 64"):
            subject.encode([Document(id="long", text="2" * 65)])


def test_unfit_models_are_one_line(
    llama_folder: Path, tmp_path: Path, byte_tokenizer: Make
) -> None:
    with pytest.raises(InputError, match="no such folder") as caught:
        built(tmp_path / "absent")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="'no-one/nothing'"):
        Pretrained(path="no-one/nothing").build([], [], 0)
    (llama_folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match="cut short"):
        built(llama_folder)


def test_a_tokenizer_of_another_model_is_refused(
    llama_folder: Path, family: Make, tmp_path: Path
) -> None:
    family("llama", 100, tied=True).save_pretrained(llama_folder)
    with pytest.raises(InputError, match="do not belong together"):
        built(llama_folder)


def test_the_model_knows_its_name(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(llama_folder.parent)
    assert built(Path("llama")).model.name_or_path == str(llama_folder.resolve())
