"""Reading a Hugging Face folder: safetensors only, every tensor accounted for.

transformers fills a tensor that is missing with random numbers; here that is an error.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from seedbed.core.errors import DataError, InputError
from seedbed.core.files import read_json
from seedbed.models.huginn import seed_states

Precision = Literal["float32", "bfloat16", "auto"]
# What config.json calls the architecture of the kind `recurrent`.
OWN = "seedbed_recurrent"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
PARTS = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]


def locate(path: str, *, code: bool = False) -> Path:
    """The folder of `path`: itself, or the local snapshot of a hub id (downloaded if need be).

    Fetches no pickled weights, and Python files only with `code`. Raises InputError if there
    is no such folder, or the hub neither answers nor has left a copy in the cache.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise InputError(f"model {path!r}: is a file; the folder that holds config.json is needed")
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        parts = [*PARTS, *(["*.py"] if code else [])]
        return Path(snapshot_download(path, allow_patterns=parts, ignore_patterns=["*/*"]))
    except HFValidationError as error:
        raise InputError(f"model {path!r}: no such folder, and no hub id either") from error
    except RepositoryNotFoundError as error:
        raise InputError(f"model {path!r}: the hub has no such model, or it is private") from error
    except OSError as error:
        why = "HF_HUB_OFFLINE is set" if constants.is_offline_mode() else _first_line(error)
        raise InputError(
            f"model {path!r}: no such folder, not in the local hub cache, and it cannot be"
            f" downloaded ({why}); run `hf download {path}` where there is a network,"
            " or give a folder"
        ) from error


def read_model(folder: Path, dtype: Precision = "auto", *, code: bool = False) -> Any:
    """The causal language model in `folder`, in evaluation mode.

    `code` lets the folder's own Python files run. A random initial state of such a model is
    drawn from each row's tokens while it is not training (see `seeded_states`). Raises DataError
    for a folder without config.json or safetensors, damaged or incomplete weights, or another
    kind of model.
    """
    from transformers import AutoModelForCausalLM

    _check_files(folder)
    if read_json(folder / "config.json").get("model_type") == OWN:
        from seedbed.nets.recurrent import register

        register()
    try:
        with quiet():
            model, loading = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=code,
                local_files_only=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise DataError(folder, None, _why_not(error)) from error
    for name in ("missing_keys", "mismatched_keys"):
        if tensors := sorted(map(str, loading.get(name, ()))):
            raise DataError(
                folder,
                None,
                f"the weights lack {len(tensors)} tensors of the model, such as {tensors[0]}",
            )
    # A state drawn anew in every pass would make two readings of one question differ.
    seed_states(model)
    return model


def read_tokenizer(folder: Path, *, code: bool = False) -> Any:
    """The fast tokenizer in `folder`; raises DataError if there is none."""
    from transformers import AutoTokenizer

    names = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
    if not code and not any((folder / name).exists() for name in names):
        raise DataError(folder, None, f"holds no tokenizer (one of {', '.join(names)})")
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                folder, trust_remote_code=code, local_files_only=True
            )
    except Exception as error:  # the tokenizers library raises bare Exception on bad JSON
        raise DataError(
            folder, None, f"the tokenizer cannot be read: {_first_line(error)}"
        ) from error
    if not tokenizer.is_fast:
        raise DataError(folder, None, "has a slow tokenizer only; seedbed needs character offsets")
    return tokenizer


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars, log lines and warnings of transformers."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(transformers|torch|huggingface_hub)\b")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _check_files(folder: Path) -> None:
    from safetensors import SafetensorError, safe_open

    if not folder.is_dir():
        raise DataError(folder, None, "no such folder")
    if not (folder / "config.json").is_file():
        adapter = (folder / "adapter_config.json").exists()
        hint = "; it is a bare PEFT adapter: merge it into its base first" if adapter else ""
        raise DataError(folder, None, f"has no config.json, so it is no model folder{hint}")
    if not isinstance(read_json(folder / "config.json"), dict):
        raise DataError(folder / "config.json", None, "a JSON object is needed")
    index = folder / "model.safetensors.index.json"
    if index.exists():
        table = read_json(index)
        if not isinstance(table, dict) or not isinstance(table.get("weight_map"), dict):
            raise DataError(index, None, "has no weight_map")
        files = [folder / name for name in sorted(set(table["weight_map"].values()))]
    else:
        files = [folder / "model.safetensors"]
        if not files[0].exists():
            pickled = sorted(p.name for kind in PICKLES for p in folder.glob(kind))
            hint = f"; {pickled[0]} is pickled and is never read" if pickled else ""
            raise DataError(folder, None, f"has no model.safetensors{hint}")
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened:
                opened.keys()
        except (SafetensorError, OSError) as error:
            raise DataError(file, None, f"damaged or cut short: {_first_line(error)}") from error


def _why_not(error: Exception) -> str:
    text = str(error)
    if "trust_remote_code" in text:
        return "the model needs its own code; set trust_remote_code: true if you trust it"
    if "Unrecognized configuration class" in text:
        return "is not a causal language model"
    return f"cannot be loaded: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
