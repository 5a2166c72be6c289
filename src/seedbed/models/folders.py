"""Saving and loading weights and whole subjects: safetensors only, checked on reading.

A LoRA subject's folder holds the adapter in PEFT's own format and refers to its base, which
is many times larger and never changes; a digest tells if it did.
"""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from seedbed.core.config import first_problem
from seedbed.core.errors import DataError, DiskError, InputError
from seedbed.core.files import atomic_file, atomic_folder, read_json, write_json
from seedbed.models import adapters, devices
from seedbed.models.fetch import place_of
from seedbed.models.pretrained import Pretrained, name_model
from seedbed.models.reading import quiet, read_model, read_tokenizer
from seedbed.models.subject import Checkpoint, Subject
from seedbed.models.tokens import Loss
from seedbed.models.vocabulary import add_tokens, added_ids, begin_with_token, save_tokenizer

WEIGHTS = "weights.safetensors"
RECORD = "subject.json"
OWN_BASE = "base"


def trainable_state(model: Any) -> dict[str, Tensor]:
    """The tensors that training changes, by name (all of them for a full subject)."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def save_weights(model: Any, folder: Path) -> None:
    """Write the trainable tensors to `folder`/weights.safetensors, atomically."""
    state = {name: t.contiguous() for name, t in trainable_state(model).items()}
    path = folder / WEIGHTS
    with atomic_file(path) as temporary:
        try:
            save_file(state, temporary)
        except SafetensorError as error:
            raise DiskError(f"{path}: cannot write: {error}") from error


def load_weights(model: Any, folder: Path) -> None:
    """Load what `save_weights` wrote; raises DataError if it is missing, cut short or unfit."""
    path = folder / WEIGHTS
    state = read_state(path, trainable_state(model))
    model.load_state_dict(state, strict=False)


def read_state(path: Path, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file, which must be exactly `wanted` by name and shape."""
    if not path.exists():
        raise DataError(path, None, "no such checkpoint")
    try:
        state: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DataError(path, None, f"the checkpoint is damaged or cut short: {error}") from error
    for name, tensor in wanted.items():
        if name not in state:
            raise DataError(path, None, f"the checkpoint lacks the tensor {name}")
        if state[name].shape != tensor.shape:
            found = f"{tuple(state[name].shape)}, the model has {tuple(tensor.shape)}"
            raise DataError(path, None, f"tensor {name} has shape {found}")
    for name in state:
        if name not in wanted:
            raise DataError(path, None, f"tensor {name} is not one that this subject trains")
    return state


class CheckpointRow(BaseModel):
    """A checkpoint in subject.json; `folder` is relative to the subject's folder."""

    model_config = ConfigDict(extra="forbid")

    step: int
    epoch: float
    lr: float
    folder: str


class Base(BaseModel):
    """What an adapter stands on: `name` is a fetchable kind, a hub id, a folder, or "base"
    for the folder of that name inside; `digest` covers its frozen weights.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    dtype: Literal["float32", "bfloat16"]
    tokens: list[str]
    digest: str


class Record(BaseModel):
    """subject.json: what a model folder does not say about a subject."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    seed: int
    loss: Loss
    batch: int
    start: bool
    base: Base | None
    checkpoints: list[CheckpointRow]


def save_subject(subject: Subject, folder: Path) -> None:
    """Write a subject as a folder, replacing what was there; nothing half-written remains.

    A full subject becomes a Hugging Face folder that any tool can load; one with LoRA becomes
    a PEFT adapter folder. Both hold the tokenizer and subject.json. Checkpoints stay where
    they are and must lie outside `folder`, which raises InputError otherwise.
    """
    rows = []
    for c in subject.checkpoints:
        place = os.path.relpath(c.folder.resolve(), folder.resolve())
        if not place.startswith(".."):
            raise InputError(
                f"{c.folder}: checkpoints must lie outside the subject's folder {folder}"
            )
        rows.append(CheckpointRow(step=c.step, epoch=c.epoch, lr=c.lr, folder=place))
    with atomic_folder(folder) as temporary:
        try:
            base = _write_model(subject, temporary)
        except SafetensorError as error:
            raise DiskError(f"{folder}: cannot write: {error}") from error
        save_tokenizer(subject.tokenizer, temporary)
        record = Record(
            seed=subject.seed,
            loss=subject.loss,
            batch=subject.batch,
            start=bool(subject.tokenizer("")["input_ids"]),
            base=base,
            checkpoints=rows,
        )
        write_json(temporary / RECORD, record.model_dump(mode="json"))


def _write_model(subject: Subject, folder: Path) -> Base | None:
    model = subject.model
    if not adapters.is_wrapped(model):
        with quiet():
            model.save_pretrained(folder)
        return None
    adapters.export_adapter(subject, folder)
    if not (name := getattr(model, "name_or_path", "")):
        with quiet():
            adapters.unwrapped(model, merge=False).save_pretrained(folder / OWN_BASE)
        save_tokenizer(subject.tokenizer, folder / OWN_BASE)
    dtype = str(model.dtype).removeprefix("torch.")
    tokens = subject.tokenizer.convert_ids_to_tokens(list(added_ids(model)))
    digest = adapters.frozen_digest(model)
    return Base.model_validate(
        {
            "name": name or OWN_BASE,
            "dtype": dtype,
            "tokens": tokens if name else [],
            "digest": digest,
        }
    )


def load_subject(folder: Path, *, trust_remote_code: bool = False) -> Subject:
    """Read what `save_subject` wrote, or any Hugging Face folder (with default settings).

    Raises DataError if a file is missing, cut short or foreign, or the base of an adapter is
    not the one it was trained on. `trust_remote_code` lets the model's own Python files run.
    """
    if not folder.is_dir():
        raise DataError(folder, None, "no such folder")
    if not (folder / RECORD).exists():
        plain = Pretrained(path=str(folder), trust_remote_code=trust_remote_code, dtype="auto")
        return placed(plain.build([], [], 0))
    try:
        record = Record.model_validate(read_json(folder / RECORD))
    except ValidationError as error:
        raise DataError(folder / RECORD, None, first_problem(error, Record)) from error
    checkpoints = tuple(_checkpoint(folder, row) for row in record.checkpoints)
    if record.base is None:
        tokenizer = read_tokenizer(folder, code=trust_remote_code)
        model = read_model(folder, "auto", code=trust_remote_code)
        name_model(model, str(folder.resolve()))
        if record.start:
            begin_with_token(tokenizer)
    else:
        model, tokenizer = _on_base(folder, record, record.base, trust_remote_code)
    return placed(Subject(model, tokenizer, record.seed, record.loss, record.batch, checkpoints))


def placed(subject: Subject) -> Subject:
    """The subject, moved to the device of this process."""
    subject.model.to(devices.current())
    return subject


def _checkpoint(folder: Path, row: CheckpointRow) -> Checkpoint:
    place = Path(os.path.normpath(folder / row.folder))
    if not (place / WEIGHTS).is_file():
        raise DataError(folder / RECORD, None, f"names a checkpoint that is not there: {place}")
    return Checkpoint(row.step, row.epoch, row.lr, place)


def _on_base(folder: Path, record: Record, base: Base, code: bool) -> tuple[Any, Any]:
    """The base of an adapter with its tokens, and the adapter put in."""
    own = base.name == OWN_BASE
    place = folder / OWN_BASE if own else place_of(base.name, code=code)
    tokenizer, model = read_tokenizer(place, code=code), read_model(place, base.dtype, code=code)
    name_model(model, "" if own else base.name)
    if record.start:
        begin_with_token(tokenizer)
    add_tokens(model, tokenizer, base.tokens, record.seed)
    adapters.load_adapter(model, folder, read_state)
    if adapters.frozen_digest(model) != base.digest:
        raise DataError(folder, None, f"its base {base.name!r} is not the one it was trained on")
    return model, tokenizer
