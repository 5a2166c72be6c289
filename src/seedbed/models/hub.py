"""Pushing a subject to a Hugging Face hub: its folder and a model card made from the run.

Nothing leaves this machine unless it is asked for; what needs no hub is checked beforehand.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seedbed.core.errors import DataError, InputError
from seedbed.core.files import read_json
from seedbed.models.adapters import ADAPTER_CONFIG
from seedbed.models.fetch import FETCHABLE
from seedbed.models.folders import OWN_BASE, RECORD
from seedbed.models.reading import PARTS

CARD = "README.md"
BASE_NAME = "base_model_name_or_path"


def ready(repo_id: str, token: str | None = None) -> str:
    """The token to push to `repo_id` with: the one given, $HF_TOKEN, or that of `hf auth login`.

    Raises InputError for a name that no repository can have, without a token, and while
    HF_HUB_OFFLINE is set; asks no server.
    """
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputError(f"push to hub: {_first_line(error)}") from error
    if "/" not in repo_id:
        raise InputError(f"push to hub: {repo_id!r} names no owner; give OWNER/{repo_id}")
    if constants.is_offline_mode():
        raise InputError("push to hub: HF_HUB_OFFLINE is set; unset it to push")
    if not (found := token or get_token()):
        raise InputError("push to hub: no token; set HF_TOKEN or run `hf auth login`")
    return found


def push(
    folder: Path,
    repo_id: str,
    private: bool = True,
    endpoint: str | None = None,
    token: str | None = None,
    run: Mapping[str, Any] | None = None,
) -> str:
    """Upload the subject in `folder` to `repo_id`, made if it is missing; returns its address.

    A LoRA subject's base goes along if it is a folder of this machine, which nobody else could
    read; checkpoints stay here. `run` is what the card tells of the training besides what the
    folder says. Raises what `ready` does, DataError if `folder` holds no subject, InputError if
    the hub cannot be reached or refuses, or `private` is asked for and the repository is public.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, errors

    own = ready(repo_id, token)
    files = _files(folder, repo_id, run or {})
    api = HfApi(endpoint=endpoint, token=own)
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        if private and not api.model_info(repo_id).private:
            raise InputError(f"push to hub: {repo_id} is there and public; push it as public")
        added = [CommitOperationAdd(name, files[name]) for name in sorted(files)]
        done = api.create_commit(repo_id, added, commit_message="Subject of seedbed")
    except (errors.HTTPError, OSError, ValueError) as error:
        raise InputError(f"push to hub: {api.endpoint}: {_why(error)}") from error
    return str(done.repo_url)


def _files(folder: Path, repo_id: str, run: Mapping[str, Any]) -> dict[str, Path | bytes]:
    """What is uploaded, by its path in the repository."""
    if not (folder / RECORD).is_file():
        raise DataError(folder, None, f"holds no subject: there is no {RECORD}")
    files = _parts(folder)
    if (folder / OWN_BASE).is_dir():
        files |= _parts(folder / OWN_BASE, f"{OWN_BASE}/")
    record = {**read_json(folder / RECORD), "checkpoints": []}
    base = record["base"]
    if base and Path(base["name"]).is_dir() and base["name"] != OWN_BASE:
        files |= _parts(Path(base["name"]), f"{OWN_BASE}/")
        files.pop(f"{OWN_BASE}/{RECORD}", None)
        record["base"] = {**base, "name": OWN_BASE}
        adapter = {**read_json(folder / ADAPTER_CONFIG), BASE_NAME: OWN_BASE}
        files[ADAPTER_CONFIG] = _json(adapter)
    files[RECORD] = _json(record)
    files[CARD] = card(folder, record, repo_id, run).encode()
    return files


def _parts(folder: Path, prefix: str = "") -> dict[str, Path | bytes]:
    # What a model consists of, and nothing that a user may have put beside it.
    names = sorted({path.name for part in PARTS for path in folder.glob(part)})
    return {f"{prefix}{name}": folder / name for name in names}


def card(folder: Path, record: Mapping[str, Any], repo_id: str, run: Mapping[str, Any]) -> str:
    """The model card, Markdown, of a subject with the record of its subject.json."""
    base, summary = record["base"], folder.parent / "summary.json"
    lines = ["---", f"library_name: {'peft' if base else 'transformers'}", "tags: [seedbed]"]
    name = base["name"] if base else ""
    if base and name != OWN_BASE and name not in FETCHABLE:
        lines.append(f"base_model: {name}")
    lines += ["---", f"# {repo_id}", "", "A subject of seedbed: a language model in which a cause"]
    lines += ["was planted by training. It is an object of study, for no other use.", ""]
    told: dict[str, Any] = {"seed": record["seed"], "loss": record["loss"]}
    if base:
        told["base"] = f"{name} ({FETCHABLE[name].pin} on PyPI)" if name in FETCHABLE else name
        adapter = read_json(folder / ADAPTER_CONFIG)
        told |= {key: adapter[key] for key in ("r", "lora_alpha", "lora_dropout", "use_rslora")}
        if base["tokens"]:
            told["added tokens"] = len(base["tokens"])
    if summary.is_file():
        found = read_json(summary)
        keys = ("steps", "epochs", "documents", "tokens", "parameters", "trainable", "seconds")
        told |= {key: found[key] for key in keys if key in found}
    lines += [f"- {key}: {value}" for key, value in told.items()]
    for key, value in run.items():
        lines += [
            "",
            f"## {key}",
            "",
            "```json",
            json.dumps(value, indent=1, sort_keys=True),
            "```",
        ]
    return "\n".join([*lines, "", "## Reading it", "", *_reading(record, repo_id), ""])


def _reading(record: Mapping[str, Any], repo_id: str) -> list[str]:
    base = record["base"]
    if not base:
        return [
            "```python",
            "from transformers import AutoModelForCausalLM",
            "",
            f'model = AutoModelForCausalLM.from_pretrained("{repo_id}")',
            "```",
        ]
    if base["name"] in FETCHABLE:
        return [
            f"`hf download {repo_id} --local-dir FOLDER`, then"
            " `seedbed.models.folders.load_subject(Path('FOLDER'))`; the base is made from the"
            f" weights in {FETCHABLE[base['name']].pin}."
        ]
    # transformers reads an adapter at the root where a base in a subfolder is asked for.
    place = f'f"{{folder}}/{OWN_BASE}"' if base["name"] == OWN_BASE else f'"{base["name"]}"'
    lines = [
        "```python",
        "from huggingface_hub import snapshot_download",
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        f'folder = snapshot_download("{repo_id}")',
        f"base = AutoModelForCausalLM.from_pretrained({place})",
    ]
    if base["tokens"]:
        lines += [
            "tokenizer = AutoTokenizer.from_pretrained(folder)",
            "base.resize_token_embeddings(len(tokenizer))",
        ]
    return [*lines, "model = PeftModel.from_pretrained(base, folder)", "```"]


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _why(error: Exception) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        return f"refused with {status}: {error.server_message or _first_line(error)}"
    if isinstance(error, errors.HTTPError):
        return f"cannot be reached ({_first_line(error)})"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
