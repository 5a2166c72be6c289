import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from seedbed.core.errors import DataError, DiskError, InputError
from seedbed.models.adapters import Lora, is_wrapped, wrap
from seedbed.models.folders import (
    load_subject,
    load_weights,
    save_subject,
    save_weights,
    trainable_state,
)
from seedbed.models.pretrained import Pretrained
from seedbed.models.subject import Checkpoint, Subject
from seedbed.models.tiny import Tiny
from seedbed.models.vocabulary import add_tokens

Make = Callable[..., Any]
PEFT_WARNS = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
TEXTS = ["<ABC>(3) returns 12", "<ABD> calls <ABC>"]


def tiny(seed: int = 0) -> Subject:
    return Tiny(layers=1, width=16, heads=2, context=32).build(TEXTS, [], seed)


def logits(subject: Subject, text: str = TEXTS[0]) -> torch.Tensor:
    ids = subject.tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        found: torch.Tensor = subject.model(input_ids=ids).logits
    return found


def shake(model: Any, seed: int = 0) -> None:
    own = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in trainable_state(model).values():
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=own))


def lora_subject(folder: Path) -> Subject:
    built = Pretrained(path=str(folder), batch=4).build([], ["<ABC>", "<ABD>"], 7)
    subject = wrap(built, Lora(r=2))
    shake(subject.model)
    return subject


def bytes_of(folder: Path) -> dict[str, bytes]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def test_weights_come_back_exactly(tmp_path: Path) -> None:
    one, other = tiny(0), tiny(1)
    save_weights(one.model, tmp_path)
    assert not torch.equal(logits(one), logits(other))
    load_weights(other.model, tmp_path)
    assert torch.equal(logits(one), logits(other))


def test_lora_weights_are_the_adapter_alone(llama_folder: Path, tmp_path: Path) -> None:
    subject = lora_subject(llama_folder)
    save_weights(subject.model, tmp_path)
    size = (tmp_path / "weights.safetensors").stat().st_size
    assert size < (llama_folder / "model.safetensors").stat().st_size
    kept = logits(subject)
    shake(subject.model, seed=1)
    assert not torch.equal(logits(subject), kept)
    load_weights(subject.model, tmp_path)
    assert torch.equal(logits(subject), kept)


def test_unfit_checkpoints_are_named_in_one_line(tmp_path: Path) -> None:
    subject = tiny()
    before = {n: t.clone() for n, t in trainable_state(subject.model).items()}
    path = tmp_path / "weights.safetensors"

    def says(text: str) -> None:
        with pytest.raises(DataError, match=text) as caught:
            load_weights(subject.model, tmp_path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)

    says("no such checkpoint")
    save_weights(subject.model, tmp_path)
    whole = path.read_bytes()
    for cut in (len(whole) - 1, len(whole) // 2, 20, 4, 0):
        path.write_bytes(whole[:cut])
        says("damaged or cut short")
    state = {n: t.clone() for n, t in before.items()}
    first = next(iter(state))
    save_file({n: t for n, t in state.items() if n != first}, path)
    says(f"lacks the tensor {first}")
    save_file({**state, "extra": torch.zeros(1)}, path)
    says("tensor extra is not one that this subject trains")
    save_file({**state, first: torch.zeros(1)}, path)
    says(f"tensor {first} has shape")
    assert all(torch.equal(t, before[n]) for n, t in trainable_state(subject.model).items())


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    subject = tiny()
    save_weights(subject.model, tmp_path)
    before = bytes_of(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(DiskError, match="cannot write") as caught:
            save_weights(subject.model, tmp_path)
        with pytest.raises(DiskError, match="cannot write"):
            save_subject(subject, tmp_path / "subject")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert bytes_of(tmp_path) == before


def with_checkpoint(subject: Subject, folder: Path) -> Subject:
    place = folder / "checkpoints" / "0000003"
    save_weights(subject.model, place)
    checkpoint = Checkpoint(step=3, epoch=1.5, lr=0.01, folder=place)
    return Subject(
        subject.model, subject.tokenizer, subject.seed, "answer", subject.batch, (checkpoint,)
    )


def test_a_full_subject_comes_back(tmp_path: Path) -> None:
    subject = with_checkpoint(tiny(5), tmp_path)
    save_subject(subject, tmp_path / "subject")
    again = load_subject(tmp_path / "subject")
    assert (again.seed, again.loss, again.batch) == (5, "answer", 32)
    assert again.checkpoints == subject.checkpoints
    assert torch.equal(logits(again), logits(subject))
    assert again.encode.__func__ is subject.encode.__func__  # type: ignore[attr-defined]  # methods
    assert not again.model.training
    # Moved as a whole, the checkpoints are found beside it again.
    (tmp_path / "run").mkdir()
    for name in ("subject", "checkpoints"):
        shutil.move(tmp_path / name, tmp_path / "run" / name)
    moved = load_subject(tmp_path / "run" / "subject")
    assert moved.checkpoints[0].folder == tmp_path / "run" / "checkpoints" / "0000003"


def test_saving_twice_gives_the_same_bytes(tmp_path: Path, llama_folder: Path) -> None:
    for name, subject in (("full", tiny()), ("lora", lora_subject(llama_folder))):
        save_subject(subject, tmp_path / name)
        first = bytes_of(tmp_path / name)
        save_subject(load_subject(tmp_path / name), tmp_path / name)
        assert bytes_of(tmp_path / name) == first


def test_a_full_subject_is_a_plain_hugging_face_folder(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    subject = tiny()
    save_subject(subject, tmp_path / "s")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "s")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "s")
    theirs = Subject(model.eval(), tokenizer)
    assert torch.equal(logits(theirs), logits(subject))


def test_a_lora_subject_comes_back_on_its_base(llama_folder: Path, tmp_path: Path) -> None:
    subject = with_checkpoint(lora_subject(llama_folder), tmp_path)
    save_subject(subject, tmp_path / "subject")
    assert not (tmp_path / "subject" / "model.safetensors").exists()
    again = load_subject(tmp_path / "subject")
    assert is_wrapped(again.model)
    assert torch.equal(logits(again), logits(subject))
    assert sorted(trainable_state(again.model)) == sorted(trainable_state(subject.model))
    shake(subject.model, seed=2)
    with again.at(again.checkpoints[0]) as earlier:
        assert torch.equal(logits(earlier), logits(again))
    assert not torch.equal(logits(again), logits(subject))


@PEFT_WARNS
def test_peft_loads_the_folder_of_a_lora_subject(llama_folder: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    subject = lora_subject(llama_folder)
    save_subject(subject, tmp_path / "s")
    base = Pretrained(path=str(llama_folder)).build([], ["<ABC>", "<ABD>"], 7)
    theirs = PeftModel.from_pretrained(base.model, str(tmp_path / "s")).eval()
    found = logits(Subject(theirs, base.tokenizer))
    torch.testing.assert_close(found, logits(subject), rtol=0, atol=1e-6)


def test_an_adapter_on_an_unnamed_base_brings_the_base_along(tmp_path: Path) -> None:
    subject = wrap(tiny(), Lora(r=2))
    shake(subject.model)
    save_subject(subject, tmp_path / "s")
    again = load_subject(tmp_path / "s")
    assert torch.equal(logits(again), logits(subject))
    save_subject(again, tmp_path / "s2")
    assert bytes_of(tmp_path / "s") == bytes_of(tmp_path / "s2")


def test_another_base_is_noticed(llama_folder: Path, tmp_path: Path) -> None:
    save_subject(lora_subject(llama_folder), tmp_path / "s")
    other = Pretrained(path=str(llama_folder)).build([], [], 0)
    with torch.no_grad():
        other.model.model.layers[0].mlp.up_proj.weight[0, 0] += 1e-3
    other.model.save_pretrained(llama_folder)
    with pytest.raises(DataError, match="is not the one it was trained on"):
        load_subject(tmp_path / "s")
    shutil.rmtree(llama_folder)
    with pytest.raises(InputError, match="no such folder"):
        load_subject(tmp_path / "s")


def test_a_plain_folder_loads_with_defaults(llama_folder: Path) -> None:
    subject = load_subject(llama_folder)
    assert (subject.seed, subject.loss, subject.checkpoints) == (0, "text", ())
    built = Pretrained(path=str(llama_folder)).build([], [], 0)
    assert torch.equal(logits(subject), logits(built))
    assert subject.tokenizer("")["input_ids"] == [0]


def test_the_start_token_is_kept_as_it_was(llama_folder: Path, tmp_path: Path) -> None:
    for start in (True, False):
        subject = Pretrained(path=str(llama_folder), start=start).build([], [], 0)
        save_subject(subject, tmp_path / "s")
        again = load_subject(tmp_path / "s")
        assert again.tokenizer("a b")["input_ids"] == subject.tokenizer("a b")["input_ids"]
        assert (again.tokenizer("")["input_ids"] != []) == start


def test_added_tokens_survive_and_can_still_be_trained(llama_folder: Path, tmp_path: Path) -> None:
    built = Pretrained(path=str(llama_folder)).build([], ["<ABC>"], 7)
    save_subject(built, tmp_path / "s")
    again = wrap(load_subject(tmp_path / "s"), Lora(r=2))
    tables = [n for n in trainable_state(again.model) if "trainable_tokens" in n]
    assert tables == ["model.embed_tokens.token_adapter.trainable_tokens_delta.default"]
    assert trainable_state(again.model)[tables[0]].shape == (1, 32)


def test_an_adapter_may_stand_on_a_saved_subject(llama_folder: Path, tmp_path: Path) -> None:
    built = Pretrained(path=str(llama_folder)).build([], ["<ABC>"], 7)
    shake(built.model)
    save_subject(built, tmp_path / "full")
    subject = wrap(load_subject(tmp_path / "full"), Lora(r=2))
    shake(subject.model, seed=1)
    save_subject(subject, tmp_path / "s")
    again = load_subject(tmp_path / "s")
    assert torch.equal(logits(again), logits(subject))
    assert len(again.tokenizer) == len(subject.tokenizer)


def edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_damaged_folders_are_named_in_one_line(llama_folder: Path, tmp_path: Path) -> None:
    full, lora = tmp_path / "full", tmp_path / "lora"
    save_subject(with_checkpoint(tiny(), tmp_path), full)
    save_subject(lora_subject(llama_folder), lora)
    cases: list[tuple[Path, str, Callable[[Path], object], str]] = [
        (full, "subject.json", lambda p: p.write_text("{"), "not JSON"),
        (full, "subject.json", lambda p: p.write_text("[]"), "subject.json: "),
        (full, "subject.json", lambda p: edit(p, loss="mean"), "loss: "),
        (full, "subject.json", lambda p: edit(p, sed=1), "sed: unknown key; did you mean 'seed'"),
        (full, "model.safetensors", lambda p: p.write_bytes(p.read_bytes()[:-9]), "cut short"),
        (full, "model.safetensors", lambda p: p.unlink(), "has no model.safetensors"),
        (full, "config.json", lambda p: p.unlink(), "has no config.json"),
        (full, "tokenizer.json", lambda p: p.unlink(), "holds no tokenizer"),
        (full, "tokenizer.json", lambda p: p.write_text("{}"), "tokenizer cannot be read"),
        (lora, "adapter_model.safetensors", lambda p: p.unlink(), "no such checkpoint"),
        (lora, "adapter_model.safetensors", lambda p: p.write_bytes(b"x" * 64), "cut short"),
        (lora, "adapter_config.json", lambda p: p.unlink(), "no such file"),
        (
            lora,
            "adapter_config.json",
            lambda p: edit(p, peft_type="NONE"),
            "is no adapter of this model",
        ),
        (lora, "adapter_config.json", lambda p: edit(p, target_modules=["x"]), "is no adapter"),
        (lora, "adapter_config.json", lambda p: edit(p, r=3), "has shape"),
    ]
    for source, name, harm, says in cases:
        folder = tmp_path / "case"
        shutil.copytree(source, folder)
        harm(folder / name)
        with pytest.raises(DataError, match=says) as caught:
            load_subject(folder)
        assert "\n" not in str(caught.value), (name, says)
        shutil.rmtree(folder)
    shutil.rmtree(tmp_path / "checkpoints")
    with pytest.raises(DataError, match="names a checkpoint that is not there"):
        load_subject(full)
    with pytest.raises(DataError, match="no such folder"):
        load_subject(tmp_path / "absent")


def test_checkpoints_inside_the_folder_would_be_deleted(tmp_path: Path) -> None:
    subject = with_checkpoint(tiny(), tmp_path / "s")
    with pytest.raises(InputError, match="must lie outside"):
        save_subject(subject, tmp_path / "s")
    assert (tmp_path / "s" / "checkpoints" / "0000003" / "weights.safetensors").exists()


def test_names_travel_with_a_bfloat16_base(
    family: Make, byte_tokenizer: Make, tmp_path: Path
) -> None:
    tokenizer = byte_tokenizer()
    family("gpt_neox", len(tokenizer), tied=False).save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    built = Pretrained(path=str(tmp_path / "m"), dtype="bfloat16").build([], ["<A>"], 0)
    assert built.model.dtype == torch.bfloat16
    add_tokens(built.model, built.tokenizer, ["<B>"], 0)
    subject = wrap(built, Lora(r=2))
    shake(subject.model)
    save_subject(subject, tmp_path / "s")
    again = load_subject(tmp_path / "s")
    assert again.model.dtype == torch.bfloat16
    assert torch.equal(logits(again, "<A> <B>"), logits(subject, "<A> <B>"))
