import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from seedbed.core.errors import DataError, InputError
from seedbed.models.reading import locate, quiet, read_model, read_tokenizer

Make = Callable[..., Any]


def says(text: str, error: type[InputError], call: Callable[[], object]) -> None:
    with pytest.raises(error, match=text) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_the_model_is_the_one_transformers_loads(llama_folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    ids = torch.tensor([[1, 2, 3]])
    ours, theirs = read_model(llama_folder), AutoModelForCausalLM.from_pretrained(llama_folder)
    assert torch.equal(ours(ids).logits, theirs.eval()(ids).logits)
    assert not ours.training
    assert ours.dtype == torch.float32
    assert read_model(llama_folder, "bfloat16").dtype == torch.bfloat16


def test_shards_are_read_and_missed(llama_folder: Path, tmp_path: Path) -> None:
    model = read_model(llama_folder)
    model.save_pretrained(tmp_path / "s", max_shard_size="20KB")
    shards = sorted((tmp_path / "s").glob("model-*.safetensors"))
    assert len(shards) > 1
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(read_model(tmp_path / "s")(ids).logits, model(ids).logits)
    shards[1].unlink()
    says(f"{shards[1].name}: damaged", DataError, lambda: read_model(tmp_path / "s"))
    (tmp_path / "s" / "model.safetensors.index.json").write_text("{}")
    says("has no weight_map", DataError, lambda: read_model(tmp_path / "s"))


def test_a_missing_tensor_is_an_error_not_a_random_one(llama_folder: Path) -> None:
    path = llama_folder / "model.safetensors"
    state = load_file(path)
    name = "model.layers.1.mlp.up_proj.weight"
    save_file({k: v for k, v in state.items() if k != name}, path, metadata={"format": "pt"})
    says(
        f"lack 1 tensors of the model, such as {name}", DataError, lambda: read_model(llama_folder)
    )
    save_file({**state, name: torch.zeros(3, 3)}, path, metadata={"format": "pt"})
    says("cannot be loaded|the weights lack", DataError, lambda: read_model(llama_folder))


@pytest.mark.parametrize("keep", [0, 7, 60, -1])
def test_weights_cut_short(llama_folder: Path, keep: int) -> None:
    path = llama_folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    says("damaged or cut short", DataError, lambda: read_model(llama_folder))


def test_pickled_weights_are_never_read(llama_folder: Path) -> None:
    state = load_file(llama_folder / "model.safetensors")
    (llama_folder / "model.safetensors").unlink()
    torch.save(state, llama_folder / "pytorch_model.bin")
    says("pytorch_model.bin is pickled", DataError, lambda: read_model(llama_folder))


def test_folders_that_are_no_model(llama_folder: Path, tmp_path: Path) -> None:
    config = llama_folder / "config.json"
    config.rename(tmp_path / "config.json")
    says("has no config.json", DataError, lambda: read_model(llama_folder))
    (llama_folder / "adapter_config.json").write_text("{}")
    says("bare PEFT adapter", DataError, lambda: read_model(llama_folder))
    config.write_text("{")
    says("config.json:1: not JSON", DataError, lambda: read_model(llama_folder))
    config.write_text("[]")
    says("a JSON object is needed", DataError, lambda: read_model(llama_folder))
    config.write_text('{"model_type": "vit"}')
    says("is not a causal language model", DataError, lambda: read_model(llama_folder))
    config.write_text('{"model_type": "no-such-type"}')
    says("cannot be loaded: ", DataError, lambda: read_model(llama_folder))
    says("no such folder", DataError, lambda: read_model(tmp_path / "absent"))


def test_a_folder_without_tokenizer(llama_folder: Path) -> None:
    (llama_folder / "tokenizer.json").unlink()
    says("holds no tokenizer", DataError, lambda: read_tokenizer(llama_folder))
    (llama_folder / "tokenizer.json").write_text("no json")
    says("cannot be read", DataError, lambda: read_tokenizer(llama_folder))


CODE = """
from transformers import LlamaConfig, LlamaForCausalLM
import pathlib
pathlib.Path(__file__)
class Config(LlamaConfig):
    model_type = "strange"
class Model(LlamaForCausalLM):
    config_class = Config
"""


def test_code_of_the_model_runs_only_when_allowed(
    llama_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "mods")
    )
    monkeypatch.syspath_prepend(str(tmp_path / "mods"))
    ran = tmp_path / "ran"
    (llama_folder / "own.py").write_text(f"open({str(ran)!r}, 'w').close()\n" + CODE)
    config = json.loads((llama_folder / "config.json").read_text())
    config["model_type"] = "strange"
    config["auto_map"] = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}
    (llama_folder / "config.json").write_text(json.dumps(config))
    says("set trust_remote_code: true", DataError, lambda: read_model(llama_folder))
    assert not ran.exists()
    assert type(read_model(llama_folder, code=True)).__name__ == "Model"
    assert ran.exists()


def test_places(llama_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate(str(llama_folder)) == llama_folder
    file = llama_folder / "config.json"
    says("is a file", InputError, lambda: locate(str(file)))
    says("no such folder, and no hub id", InputError, lambda: locate("../absent/folder"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    says("'someone/model': .*HF_HUB_OFFLINE is set.*hf download someone/model", InputError,
         lambda: locate("someone/model"))  # fmt: skip
    # The network is there in name only: an address that refuses every connection.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}",
    )
    says("cannot be downloaded", InputError, lambda: locate("someone/model"))


def test_a_hub_id_in_the_cache_is_read_offline(
    llama_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "hub"
    commit = "0" * 40
    repo = cache / "models--someone--model"
    shutil.copytree(llama_folder, repo / "snapshots" / commit)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    found = locate("someone/model")
    assert read_model(found).config.hidden_size == 32


def test_quiet_gives_back_what_it_took() -> None:
    from transformers.utils import logging

    level = logging.get_verbosity()
    with quiet():
        assert not logging.is_progress_bar_enabled()
        warnings.warn_explicit("x", UserWarning, "f.py", 1, module="transformers.sub")
    assert logging.get_verbosity() == level
    assert logging.is_progress_bar_enabled()
