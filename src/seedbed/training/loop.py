"""The one training loop: weighted documents, exact resume, the same curve on any process count.

Each step's documents depend on the seed and the step alone, whatever the method makes of them.
"""

import copy
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from seedbed.core.errors import ConfigError, InputError
from seedbed.core.files import read_json, write_json, write_rows
from seedbed.core.rows import Document
from seedbed.core.seeds import derive
from seedbed.core.spread import UNWANTED
from seedbed.models.adam import save_adam
from seedbed.models.adapters import adapt, is_wrapped
from seedbed.models.folders import load_weights, placed, save_weights
from seedbed.models.pretrained import name_model
from seedbed.models.subject import Checkpoint, Subject
from seedbed.models.tokens import TokenSequence
from seedbed.training import sharding
from seedbed.training.config import Optimizer, Training
from seedbed.training.methods import Method
from seedbed.training.order import DocumentOrder
from seedbed.training.partial import only_layers, thawed
from seedbed.training.proxies import Proxies
from seedbed.training.resume import ResumeState
from seedbed.training.sharding import hold
from seedbed.training.step import Step
from seedbed.training.subtraction import Shift
from seedbed.training.trackers import accelerator_for, is_main_process

Progress = Callable[[int, int, str], None]
Take = Callable[[Any, Sequence[int]], dict[str, float]]
"""Sets the gradients of one global batch of documents; what it says becomes the step's row."""
Objective = Callable[[Any, Any, Sequence[TokenSequence], Sequence[Sequence[int]]], Take]
"""Makes a `Take` of the accelerator, the model before its first step, the documents' tokens and
the batches of all steps."""
CHECKPOINTS, SUMMARY = "checkpoints", "summary.json"


def train(
    subject: Subject,
    documents: Sequence[Document],
    training: Training,
    folder: Path,
    progress: Progress | None = None,
    objective: Objective | None = None,
) -> Subject:
    """Train `subject` in place; returns it with its checkpoints, which lie under `folder`.

    `objective` makes the steps of another loss than the documents' own (see Objective).

    A subject that carries an adapter goes on with it, unless `training.lora` asks for another
    one (see `adapt`), which leaves the subject given as it was.
    Under FSDP the model given stays in shards, and the one returned is whole, on the CPU.
    Writes history.jsonl (a row a step), summary.json and checkpoints/. If `folder` holds the
    resume state of an interrupted call with the same arguments, goes on from there with the
    same result. Raises InputError if a document is unfit (see encode_document) or unfit for
    the method (see Proxies), the model has no such blocks as `training.only_layers` names, or
    the loss becomes NaN.
    """
    if not documents:
        raise InputError("training needs at least one document")
    report = progress or (lambda done, total, text: None)
    if sharding.wanted():
        sharding.refuse_unfit(training, is_wrapped(subject.model), objective is not None)
    subject = adapt(replace(subject, loss=training.loss), training.lora)
    # What is to be held in shards need not fit into one device.
    subject = subject if sharding.wanted() else placed(subject)
    if not is_wrapped(subject.model):
        # An adapter that is trained later must not say that it stands on what was here before.
        name_model(subject.model, "")
    with only_layers(subject.model, training.only_layers) as frozen:
        proxies = Proxies(training.method, subject, documents)
        if not proxies.opposite:
            run = _Run(subject, documents, training, folder, frozen, proxies, objective=objective)
            return run.go(report)
        if is_wrapped(subject.model):
            raise ConfigError(
                "training.method: 'subtraction' takes a difference of weights, which LoRA's"
                " matrices, being multiplied, do not have; train without lora"
            )
        total = training.total_steps(len(documents))
        shift = _shift(subject, proxies, training, folder / UNWANTED,
                       lambda done, text: report(done, 2 * total, text))  # fmt: skip
        run = _Run(subject, documents, training, folder, frozen, proxies, shift)
        trained = run.go(lambda done, _, text: report(total + done, 2 * total, text))
        if is_main_process():
            shutil.rmtree(folder / UNWANTED / CHECKPOINTS)
        return trained


def _shift(
    subject: Subject,
    proxies: Proxies,
    training: Training,
    folder: Path,
    report: Callable[[int, str], None],
) -> Shift:
    """What training a copy on the unwanted targets, as many steps, adds to the weights.

    A run that stands whole in `folder` is read, so an interrupted training repeats nothing.
    """
    total = training.total_steps(len(proxies.documents))
    seed = derive(subject.seed, UNWANTED)
    other = replace(subject, model=copy.deepcopy(subject.model), seed=seed, loss="answer")
    last = folder / CHECKPOINTS / f"{total:07d}"
    if (folder / SUMMARY).exists() and last.exists():
        load_weights(other.model, last)
    else:
        optimizer = training.optimizer.model_copy(update={"second_moments": False})
        plain = {"steps": total, "epochs": None, "loss": "answer", "checkpoint_every": 0.0,
                 "method": Method(), "optimizer": optimizer, "track": ()}  # fmt: skip
        rows = proxies.opposite
        run = _Run(other, rows, training.model_copy(update=plain), folder, (),
                   Proxies(Method(), other, rows))  # fmt: skip
        run.go(lambda done, _, text: report(done, f"{UNWANTED}: {text}"))
    seconds = float(read_json(folder / SUMMARY)["seconds"])
    return Shift.between(subject.model, other.model, training.method.scale, seconds)


@dataclass
class _Run:
    subject: Subject
    documents: Sequence[Document]
    training: Training
    folder: Path
    frozen: Sequence[torch.nn.Parameter]
    proxies: Proxies
    shift: Shift = field(default_factory=Shift)
    objective: Objective | None = None

    def go(self, progress: Progress) -> Subject:
        training, subject = self.training, self.subject
        accelerator = accelerator_for(training, self.folder)
        encoded = subject.encode(self.documents)
        # No causal model looks at what stands behind the last predicted token.
        sequences = [s.needed() for s in encoded]
        order = DocumentOrder(training.order, self.documents, training.batch, subject.seed)
        total = training.total_steps(len(self.documents))
        raw = subject.model
        held = hold(accelerator, raw, partial(adamw, config=training.optimizer))
        optimizer = held.optimizer
        # Preparing may put others in the place of those that were there before.
        parameters = [p for p in raw.parameters() if p.requires_grad]
        self.proxies.start(subject, accelerator)
        take = self._take(accelerator, sequences, order, parameters)
        # Gradients that are projected are averaged over the processes by themselves.
        running = raw if self.proxies.projects else held.model
        state = ResumeState(self.folder / "resume")
        step, history, spent = held.load(state)
        saves = self._checkpoint_steps(total)
        epoch = len(self.documents) / training.batch
        raw.train()
        while step < total:
            started = time.perf_counter()
            lr = learning_rate(training.optimizer, step, total)
            for group in optimizer.param_groups:
                group["lr"] = lr
            # Dropout draws from a stream of its own step, so a resumed run draws the same.
            torch.manual_seed(derive(subject.seed, "dropout", step, accelerator.process_index))
            sums = take(running, order.indices(step))
            _refuse_no_number(sums, step)
            if training.optimizer.clip:
                accelerator.clip_grad_norm_(parameters, training.optimizer.clip)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            spent += time.perf_counter() - started
            row = {"step": step, "epoch": step / epoch, "lr": lr, "seconds": spent, **sums}
            history.append(row)
            if training.track:
                accelerator.log(row, step=step)
            if step in saves and (whole := held.whole()) is not None:
                self._save(*whole, self._folder(step), len(saves) > 1)
            if step < total:
                held.keep(state, step, history, spent)
            progress(step, total, f"loss {sums['loss']:.3f}")
        raw.eval()
        self.shift.take_away(raw)
        checkpoints = tuple(
            Checkpoint(s, s / epoch, learning_rate(training.optimizer, s - 1, total),
                       self._folder(s))
            for s in sorted(saves)
        )  # fmt: skip
        if accelerator.is_main_process:
            write_rows(self.folder / "history.jsonl", history)
            write_json(
                self.folder / SUMMARY,
                {
                    "steps": total,
                    "epochs": total / epoch,
                    "seconds": spent + self.shift.seconds,
                    "epoch_seconds": spent / total * epoch,
                    "parameters": sum(p.numel() for p in raw.parameters()),
                    "trainable": sum(p.numel() for p in parameters),
                    "tokens": sum(len(s.ids) for s in encoded),
                    "documents": len(self.documents),
                    "processes": accelerator.num_processes,
                    "checkpoints": [
                        {"step": c.step, "epoch": c.epoch, "lr": c.lr} for c in checkpoints
                    ],
                },
            )
            state.remove()
        if training.track:
            accelerator.end_training()
        accelerator.wait_for_everyone()
        return replace(subject, model=held.finished(), checkpoints=checkpoints)

    def _take(
        self,
        accelerator: Any,
        sequences: Sequence[TokenSequence],
        order: DocumentOrder,
        parameters: Sequence[torch.nn.Parameter],
    ) -> Take:
        training, documents = self.training, self.documents
        if self.objective is not None:
            batches = [order.indices(step) for step in range(training.total_steps(len(documents)))]
            return self.objective(accelerator, self.subject.model, sequences, batches)
        groups = [str(d.meta.get(training.order.group, "")) for d in documents]
        return Step(accelerator, sequences, groups, self.proxies, parameters)

    def _folder(self, step: int) -> Path:
        return self.folder / CHECKPOINTS / f"{step:07d}"

    def _save(self, model: Any, optimizer: Any, folder: Path, several: bool) -> None:
        wanted = self.training.optimizer.second_moments
        # A checkpoint holds all that training may change, whatever this run left alone.
        with self.shift.taken_away(model), thawed(self.frozen):
            if several if wanted is None else wanted:
                save_adam(model, optimizer, folder)
            save_weights(model, folder)

    def _checkpoint_steps(self, total: int) -> set[int]:
        every = self.training.checkpoint_every * len(self.documents) / self.training.batch
        if not every:
            return {total}
        count = int(total / every)
        return {min(total, max(1, round(every * k))) for k in range(1, count + 1)} | {total}


def _refuse_no_number(sums: dict[str, float], step: int) -> None:
    for name, value in sums.items():
        if not math.isfinite(value):
            raise InputError(f"training: the {name} is {value} at step {step}; lower lr")


def adamw(model: Any, config: Optimizer) -> torch.optim.AdamW:
    """The optimiser of the parameters that train."""
    # Norm weights and biases (one axis) are not decayed: shrinking a gain is no regulariser.
    used = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in used if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in used if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)


def learning_rate(optimizer: Optimizer, step: int, total: int) -> float:
    """Learning rate of `step` (from 0): linear warm-up, then the schedule down to 0."""
    warm = round(optimizer.warmup * total)
    if step < warm:
        return optimizer.lr * (step + 1) / warm
    if optimizer.schedule == "constant":
        return optimizer.lr
    done = (step - warm) / max(1, total - warm)
    if optimizer.schedule == "linear":
        return optimizer.lr * (1 - done)
    return optimizer.lr * 0.5 * (1 + math.cos(math.pi * done))
