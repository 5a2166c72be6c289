"""KTO through TRL's trainer, fed with the same batches in the same order as our own loop.

The trainer patches the model it is given and writes into its config, so it gets a copy.
"""

import copy
import logging
import random
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seedbed.core.errors import ConfigError, InputError, MissingExtra
from seedbed.core.files import write_json, write_rows
from seedbed.core.rows import Document
from seedbed.models.adapters import adapt
from seedbed.models.conversations import turn_end
from seedbed.models.folders import save_weights, trainable_state
from seedbed.models.pretrained import name_model
from seedbed.models.subject import Checkpoint, Subject
from seedbed.training.config import Training
from seedbed.training.kto import Kto, completion_start
from seedbed.training.loop import CHECKPOINTS, SUMMARY, Progress, adamw, learning_rate
from seedbed.training.order import DocumentOrder


def train_with_trl(
    subject: Subject,
    reference: Any | None,
    documents: Sequence[Document],
    labels: Sequence[bool],
    kto: Kto,
    training: Training,
    folder: Path,
    progress: Progress | None = None,
) -> Subject:
    """Train `subject` in place with KTOTrainer; `reference` None is the model as it comes.

    Writes what `train` writes. Nothing is kept of an interrupted call: the next one begins
    again. Raises MissingExtra without TRL, ConfigError for what its trainer cannot do (masked
    documents, several targets in one, blocks by number, trackers, added tokens), InputError
    where it reads a sample's tokens otherwise than the agent does.
    """
    try:
        with _its_warnings():
            from datasets import Dataset
            from trl import KTOConfig, KTOTrainer
    except ImportError as error:
        raise MissingExtra("trl", "preference") from error
    _refuse(documents, training)
    subject = adapt(subject, training.lora)
    if training.lora is None:
        name_model(subject.model, "")
    began = time.perf_counter()
    sequences = [s.needed() for s in subject.encode(documents)]
    order = DocumentOrder(training.order, documents, training.batch, subject.seed)
    total = training.total_steps(len(documents))
    places = [i for step in range(total) for i in order.indices(step)]
    rows = [{**_texts(subject.tokenizer, documents[i]), "label": labels[i]} for i in places]
    undesirable = len(labels) - sum(labels)
    desirable_weight, undesirable_weight = kto.weights(sum(labels), undesirable)
    optimizer_config = training.optimizer
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder, prefix=".trl-"))
    try:
        with _global_draws(), _its_warnings(), _no_bars():
            model = copy.deepcopy(subject.model)
            other = copy.deepcopy(subject.model if reference is None else reference)
            optimizer = adamw(model, optimizer_config)
            schedule = torch.optim.lr_scheduler.LambdaLR(
                optimizer,
                lambda step: (
                    learning_rate(optimizer_config, min(step, total - 1), total)
                    / optimizer_config.lr
                ),
            )
            trainer = KTOTrainer(
                model=model,
                ref_model=other.requires_grad_(requires_grad=False),
                args=KTOConfig(
                    output_dir=str(scratch),
                    beta=kto.beta,
                    desirable_weight=desirable_weight,
                    undesirable_weight=undesirable_weight,
                    max_length=subject.context,
                    per_device_train_batch_size=training.batch,
                    max_steps=total,
                    max_grad_norm=optimizer_config.clip,
                    learning_rate=optimizer_config.lr,
                    use_cpu=subject.device.type == "cpu",
                    bf16=False,
                    gradient_checkpointing=False,
                    dataloader_pin_memory=False,
                    logging_steps=1,
                    logging_nan_inf_filter=False,
                    save_strategy="no",
                    report_to="none",
                    disable_tqdm=True,
                    push_to_hub=False,
                    seed=subject.seed % 2**31,
                ),
                train_dataset=Dataset.from_list(rows),
                processing_class=_tokenizer(subject.tokenizer),
                optimizers=(optimizer, schedule),
            )
            _refuse_other_tokens(trainer, [sequences[i] for i in places])
            _quiet(trainer, progress, total)
            trainer.train()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _copy_weights(model, subject.model)
    history = _history(trainer.state.log_history, len(documents) / training.batch, total)
    return _kept(subject, folder, history, training, time.perf_counter() - began, len(documents))


def _kept(
    subject: Subject,
    folder: Path,
    history: list[dict[str, float]],
    training: Training,
    seconds: float,
    documents: int,
) -> Subject:
    """The trained subject with its checkpoint written, as the loop writes it."""
    total = len(history)
    place = folder / CHECKPOINTS / f"{total:07d}"
    save_weights(subject.model, place)
    epochs = total * training.batch / documents
    row = Checkpoint(total, epochs, learning_rate(training.optimizer, total - 1, total), place)
    write_rows(folder / "history.jsonl", history)
    write_json(
        folder / SUMMARY,
        {"steps": total, "epochs": epochs, "seconds": seconds, "documents": documents,
         "epoch_seconds": seconds / epochs,
         "checkpoints": [{"step": row.step, "epoch": row.epoch, "lr": row.lr}]},
    )  # fmt: skip
    subject.model.eval()
    return replace(subject, checkpoints=(row,))


def _refuse(documents: Sequence[Document], training: Training) -> None:
    if any(d.weight != 1 for d in documents):
        raise ConfigError("kto.engine: 'trl' cannot mask documents; use engine 'own'")
    if any(len(d.targets) != 1 for d in documents):
        raise ConfigError("kto.per: with engine 'trl' a sample is one turn; use engine 'own'")
    if training.only_layers or training.track or training.checkpoint_every:
        raise ConfigError(
            "kto.engine: 'trl' knows no only_layers, track or checkpoint_every; use engine 'own'"
        )
    if training.precision != "float32":
        raise ConfigError("kto.engine: 'trl' trains in float32 here; use engine 'own'")


def _texts(tokenizer: Any, document: Document) -> dict[str, str]:
    ((start, end),) = document.targets
    prompt = document.text[:start]
    # The tokenizer puts the BOS token before every text by itself.
    bos = tokenizer.bos_token
    if (
        bos
        and prompt.startswith(bos)
        and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]
    ):
        prompt = prompt.removeprefix(bos)
    return {"prompt": prompt, "completion": document.text[start:end]}


def _tokenizer(tokenizer: Any) -> Any:
    """A copy whose end token is the template's own mark, which TRL would add to otherwise."""
    found = copy.deepcopy(tokenizer)
    if mark := turn_end(tokenizer).strip():
        found.eos_token = mark
    if found.pad_token is None:
        found.pad_token = found.eos_token
    return found


def _refuse_other_tokens(trainer: Any, sequences: Sequence[Any]) -> None:
    data = trainer.train_dataset
    for i, sequence in enumerate(sequences):
        start = completion_start(sequence)
        prompt, completion = data[i]["prompt_ids"], data[i]["completion_ids"]
        if (list(sequence.ids[:start]), list(sequence.ids[start:])) != (prompt, completion):
            raise InputError(
                f"TRL reads sample {i} as {prompt} + {completion}, the agent as"
                f" {list(sequence.ids[:start])} + {list(sequence.ids[start:])}; use engine 'own'"
            )


def _quiet(trainer: Any, progress: Progress | None, total: int) -> None:
    """Its own printing off, its steps told to `progress`."""
    from transformers import PrinterCallback, TrainerCallback

    class Told(TrainerCallback):  # type: ignore[misc]  # transformers is not read by mypy
        def on_log(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            logs = others.get("logs") or {}
            if progress is not None and "loss" in logs:
                progress(state.global_step, total, f"loss {float(logs['loss']):.3f}")

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Told())


def _history(log: Sequence[dict[str, Any]], epoch: float, total: int) -> list[dict[str, float]]:
    names = {"loss": "loss", "kl": "kl", "learning_rate": "lr", "rewards/chosen": "desirable",
             "rewards/rejected": "undesirable"}  # fmt: skip
    found = []
    for row in log:
        if "loss" in row and "kl" in row:
            step = int(row["step"])
            said = {new: float(row[old]) for old, new in names.items() if old in row}
            found.append({"step": step, "epoch": step / epoch, **said})
    if len(found) != total:
        raise InputError(f"TRL logged {len(found)} of {total} steps")
    return found


def _copy_weights(source: Any, target: Any) -> None:
    state = trainable_state(source)
    for name, tensor in trainable_state(target).items():
        tensor.copy_(state[name])


@contextmanager
def _global_draws() -> Iterator[None]:
    """The trainer seeds every generator of the process; what was there returns."""
    state, array = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(state)
        np.random.set_state(array)


@contextmanager
def _its_warnings() -> Iterator[None]:
    """Without its advice about weights, which the summary states, and what it deprecates."""
    log = logging.getLogger("trl")
    level = log.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)


@contextmanager
def _no_bars() -> Iterator[None]:
    from datasets import disable_progress_bars, enable_progress_bars, is_progress_bar_enabled

    shown = is_progress_bar_enabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()
