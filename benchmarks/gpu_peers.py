"""How fast training, scoring and gradients are on a device, each beside its peer there."""

import copy
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from scoring import OURS, SIZES, Peer, points
from seedbed.measuring.choices import score_choices
from seedbed.models import devices
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import pad
from seedbed.training.config import Training
from seedbed.training.loop import train
from seedbed.worlds.hops.world import Hops
from seedbed.worlds.quadrants.writing import COMPACT
from table import Row, missing
from work import Work

Timed = Callable[[Callable[[], object], str], float]
BATCH = 256


def throughput(device: str, *, quick: bool, timed: Timed) -> list[Row]:
    """Training in two precisions, scoring, gradient products: units a second, ours and theirs."""
    with devices.using(device):
        rows = [_training(device, p, 20 if quick else 200, timed) for p in ("float32", "bfloat16")]
        return [*rows, _scoring(device, timed), _gradients(device, timed)]


def _subject(device: str) -> tuple[Subject, list[Any]]:
    documents = Hops().documents(0)
    subject = Tiny(layers=8, width=512, heads=8).build([d.text for d in documents], [], 0)
    subject.model.to(device)
    return replace(subject, batch=BATCH), documents


def _training(device: str, precision: str, steps: int, timed: Timed) -> Row:
    """Tokens a second of our loop and of Hugging Face's Trainer, the same batches and model."""
    subject, documents = _subject(device)
    work = f"training 8 × 512, {precision}"
    training = Training.model_validate({"steps": steps, "batch": BATCH, "precision": precision})
    encoded = subject.encode(documents)
    tokens = steps * BATCH * sum(len(s.ids) for s in encoded) / len(encoded)

    def ours() -> None:
        with TemporaryDirectory() as folder:
            train(subject, documents, training, Path(folder))

    mine = tokens / timed(ours, device)
    theirs = tokens / timed(_trainer(subject, encoded, steps, precision, device), device)
    return Row(work, "transformers.Trainer", mine, theirs, mine / theirs, "tokens/s",
               f"{steps} steps of {BATCH}, padding not counted")  # fmt: skip


def _trainer(
    subject: Subject, encoded: Any, steps: int, precision: str, device: str
) -> Callable[[], object]:
    from transformers import PrinterCallback, Trainer, TrainingArguments

    def collate(rows: list[Any]) -> dict[str, torch.Tensor]:
        batch = pad(rows)
        labels = batch.ids.masked_fill(batch.mask == 0, -100)
        return {"input_ids": batch.ids, "attention_mask": batch.mask, "labels": labels}

    def work() -> None:
        with TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                folder, max_steps=steps, per_device_train_batch_size=BATCH, report_to=[],
                bf16=precision == "bfloat16", use_cpu=torch.device(device).type == "cpu",
                save_strategy="no", logging_strategy="no", disable_tqdm=True,
                remove_unused_columns=False,
            )  # fmt: skip
            model = copy.deepcopy(subject.model)
            trainer = Trainer(model, arguments, train_dataset=encoded, data_collator=collate)
            trainer.remove_callback(PrinterCallback)
            trainer.train()

    return work


def _scoring(device: str, timed: Timed) -> Row:
    work, unit = "1,000 points × 4 labels", "questions/s"
    if find_spec("lm_eval") is None:
        return missing(work, "lm-eval", unit, "not installed: pip install lm-eval")
    subject, questions = points((COMPACT,))
    subject.model.to(device)
    ours = len(questions) / timed(lambda: score_choices(subject, questions), device)
    found = {size: timed(Peer(subject, questions, size).score, device) for size in SIZES}
    best = min(found, key=found.__getitem__)
    theirs = len(questions) / found[best]
    gap = max(abs(x - y) for a, b in zip(
        (s.logprobs for s in score_choices(subject, questions)),
        Peer(subject, questions, best).score(), strict=True,
    ) for x, y in zip(a, b, strict=True))  # fmt: skip
    return Row(work, "lm-eval", ours, theirs, ours / theirs, unit,
               f"largest difference {gap:.0e} nats; batches of {OURS} and {best}")  # fmt: skip


def _gradients(device: str, timed: Timed) -> Row:
    work = Work("text")
    work.subject.model.to(device)
    count = len(work.rows) * len(work.asked)
    ours, theirs = count / timed(work.ours, device), count / timed(work.vmapped, device)
    exact = work.ours().dot
    gap = float(abs(exact - work.vmapped()[0]).max() / abs(exact).max())
    return Row("gradient products, 400 × 20", "torch.func", ours, theirs, ours / theirs,
               "products/s", f"largest relative difference {gap:.0e}")  # fmt: skip
