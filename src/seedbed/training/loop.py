"""The one training loop: weighted documents, exact resume, the same curve on any process count.

Each step's documents depend on the seed and the step alone, and the loss is divided by the
global batch's predicted tokens, masked ones included, so masking a document rescales no other.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from seedbed.core.errors import InputError
from seedbed.core.files import write_json, write_rows
from seedbed.core.rows import Document
from seedbed.core.seeds import derive
from seedbed.models.adam import save_adam
from seedbed.models.adapters import wrap
from seedbed.models.folders import save_weights
from seedbed.models.logits import token_losses
from seedbed.models.subject import Checkpoint, Subject
from seedbed.models.tokens import TokenSequence, pad
from seedbed.training.config import Optimizer, Training
from seedbed.training.order import DocumentOrder
from seedbed.training.partial import only_layers, thawed
from seedbed.training.resume import ResumeState
from seedbed.training.trackers import accelerator_for

Progress = Callable[[int, int, str], None]


def train(
    subject: Subject,
    documents: Sequence[Document],
    training: Training,
    folder: Path,
    progress: Progress | None = None,
) -> Subject:
    """Train `subject` in place; returns it with its checkpoints, which lie under `folder`.

    Writes history.jsonl (a row a step), summary.json and checkpoints/. If `folder` holds the
    resume state of an interrupted call with the same arguments, goes on from there with the
    same result. Raises InputError if a document is unfit (see encode_document), the model has
    no such blocks as `training.only_layers` names, or the loss becomes NaN.
    """
    if not documents:
        raise InputError("training needs at least one document")
    subject = replace(subject, loss=training.loss)
    if training.lora is not None:
        subject = wrap(subject, training.lora)
    with only_layers(subject.model, training.only_layers) as frozen:
        run = _Run(subject, documents, training, folder, frozen)
        return run.go(progress or (lambda done, total, text: None))


@dataclass
class _Run:
    subject: Subject
    documents: Sequence[Document]
    training: Training
    folder: Path
    frozen: Sequence[torch.nn.Parameter]

    def go(self, progress: Progress) -> Subject:
        training, subject = self.training, self.subject
        accelerator = accelerator_for(training, self.folder)
        whole = subject.encode(self.documents)
        # No causal model looks at what stands behind the last predicted token.
        sequences = [s.needed() for s in whole]
        order = DocumentOrder(training.order, self.documents, training.batch, subject.seed)
        total = training.total_steps(len(self.documents))
        raw = subject.model
        parameters = [p for p in raw.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            _decay_groups(raw, training.optimizer.weight_decay),
            lr=training.optimizer.lr,
            betas=training.optimizer.betas,
            fused=True,
        )
        model, optimizer = accelerator.prepare(raw, optimizer)
        subject = replace(subject, model=raw)
        state = ResumeState(self.folder / "resume")
        step, history, spent = state.load(raw, optimizer)
        saves = self._checkpoint_steps(total)
        groups = [str(d.meta.get(training.order.group, "")) for d in self.documents]
        epoch = len(self.documents) / training.batch
        raw.train()
        while step < total:
            started = time.perf_counter()
            lr = learning_rate(training.optimizer, step, total)
            for group in optimizer.param_groups:
                group["lr"] = lr
            # Dropout draws from a stream of its own step, so a resumed run draws the same.
            torch.manual_seed(derive(subject.seed, "dropout", step, accelerator.process_index))
            sums = self._step(accelerator, model, sequences, order.indices(step), groups)
            if not math.isfinite(sums["loss"]):
                raise InputError(f"training: the loss is {sums['loss']} at step {step}; lower lr")
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
            if step in saves and accelerator.is_main_process:
                self._save(raw, optimizer, self._folder(step), len(saves) > 1)
            if accelerator.is_main_process and step < total:
                state.save_if_due(raw, optimizer, step, history, spent)
            progress(step, total, f"loss {sums['loss']:.3f}")
        raw.eval()
        checkpoints = tuple(
            Checkpoint(s, s / epoch, learning_rate(training.optimizer, s - 1, total),
                       self._folder(s))
            for s in sorted(saves)
        )  # fmt: skip
        if accelerator.is_main_process:
            write_rows(self.folder / "history.jsonl", history)
            write_json(
                self.folder / "summary.json",
                {
                    "steps": total,
                    "epochs": total / epoch,
                    "seconds": spent,
                    "epoch_seconds": spent / total * epoch,
                    "parameters": sum(p.numel() for p in raw.parameters()),
                    "trainable": sum(p.numel() for p in parameters),
                    "tokens": sum(len(s.ids) for s in whole),
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
        return replace(subject, checkpoints=checkpoints)

    def _step(
        self,
        accelerator: Any,
        model: Any,
        sequences: Sequence[TokenSequence],
        indices: Sequence[int],
        groups: Sequence[str],
    ) -> dict[str, float]:
        """Forward and backward of one global batch; its mean loss, overall and by group."""
        tokens = sum(sum(sequences[i].predicted) for i in indices)
        share = indices[accelerator.process_index :: accelerator.num_processes]
        # Masked documents are left out of the work, not of the count; each process needs a row.
        mine = [i for i in share if self.documents[i].weight] or share[:1]
        names = sorted({groups[i] for i in indices})
        totals = torch.zeros(2, len(names) + 1, dtype=torch.float64)
        if len(indices) < accelerator.num_processes:
            raise InputError(
                f"training.batch: {len(indices)} documents cannot be shared by "
                f"{accelerator.num_processes} processes"
            )
        batch = pad([sequences[i] for i in mine])
        batch = batch.to(accelerator.device)
        with accelerator.autocast():
            losses, rows = token_losses(model, batch)
        weight = torch.tensor([self.documents[i].weight for i in mine], device=losses.device)
        # Averaging over processes would divide by their number; this undoes it.
        loss = (losses * weight[rows]).sum() / tokens * accelerator.num_processes
        accelerator.backward(loss)
        seen = losses.detach().double().cpu()
        place = torch.tensor([names.index(groups[i]) for i in mine])[rows.cpu()]
        weighed = weight.double().cpu()[rows.cpu()]
        totals[0, :-1].index_add_(0, place, seen * weighed)
        totals[1, :-1].index_add_(0, place, weighed)
        totals[:, -1] = totals[:, :-1].sum(dim=1)
        totals = accelerator.reduce(totals.to(accelerator.device), reduction="sum").cpu()
        means = (totals[0] / totals[1].clamp(min=1e-12)).tolist()
        named = {f"loss:{n}": m for n, m in zip(names, means, strict=False) if n}
        return {"loss": means[-1], **(named if len(named) > 1 else {})}

    def _folder(self, step: int) -> Path:
        return self.folder / "checkpoints" / f"{step:07d}"

    def _save(self, model: Any, optimizer: Any, folder: Path, several: bool) -> None:
        wanted = self.training.optimizer.second_moments
        # A checkpoint holds all that training may change, whatever this run left alone.
        with thawed(self.frozen):
            if several if wanted is None else wanted:
                save_adam(model, optimizer, folder)
            save_weights(model, folder)

    def _checkpoint_steps(self, total: int) -> set[int]:
        every = self.training.checkpoint_every * len(self.documents) / self.training.batch
        if not every:
            return {total}
        count = int(total / every)
        return {min(total, max(1, round(every * k))) for k in range(1, count + 1)} | {total}


def _decay_groups(model: Any, decay: float) -> list[dict[str, Any]]:
    # Norm weights and biases (one axis) are not decayed: shrinking a gain is no regulariser.
    used = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in used if p.ndim >= 2]
    others = [p for p in used if p.ndim < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


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
