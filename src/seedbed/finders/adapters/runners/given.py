"""What a runner is given and what it gives back, all of it files; read in a peer's environment.

Imports only torch, transformers, numpy and the standard library: seedbed is not there.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Rows:
    """Token ids and labels of each row; a label is the id, or -100 where none is predicted.

    `draws` has a number in [0, 1) for each token, from which its label can be drawn.
    """

    ids: list[list[int]]
    labels: list[list[int]]
    draws: list[list[float]]

    def __len__(self) -> int:
        return len(self.ids)

    def by_length(self) -> "tuple[Rows, list[int]]":
        """The rows with similar lengths together, and the place each of them came from."""
        order = sorted(range(len(self.ids)), key=lambda i: len(self.ids[i]))
        ids, labels = ([x[i] for i in order] for x in (self.ids, self.labels))
        return Rows(ids, labels, [self.draws[i] for i in order]), order

    def items(self) -> list[dict[str, Any]]:
        """Each row as a mapping, with its number."""
        return [
            {"input_ids": ids, "labels": labels, "draws": draws, "row": i}
            for i, (ids, labels, draws) in enumerate(
                zip(self.ids, self.labels, self.draws, strict=True)
            )
        ]


@dataclass
class Job:
    """The work: a model whose trainable parameters are those to score, rows, options."""

    folder: Path
    model: Any
    documents: Rows
    questions: Rows
    options: dict[str, Any]
    batch: int
    device: str
    seed: int
    repeat: int
    report: dict[str, Any] = field(default_factory=dict)

    def linear_names(self) -> list[str]:
        """Linear layers whose weight is trainable, by module name."""
        kinds: tuple[type[Any], ...] = (nn.Linear, _conv1d())
        return [
            name
            for name, module in self.model.named_modules()
            if isinstance(module, kinds) and module.weight.requires_grad
        ]

    def left_out(self, covered: Sequence[str], biases: bool = True) -> str:
        """Trainable parameters that modules `covered`, or their biases, do not cover."""
        done = set(covered)
        return ", ".join(
            name
            for name, p in self.model.named_parameters()
            if p.requires_grad
            and (name.rpartition(".")[0] not in done or (name.endswith(".bias") and not biases))
        )

    def tied(self) -> str:
        """A note where embedding and head share a table, whose two uses peers see apart."""
        head = self.model.get_output_embeddings()
        shared = head is not None and head.weight is self.model.get_input_embeddings().weight
        return "the uses of the tied table are scored apart or left out" if shared else ""

    def measured(self, work: Callable[[], Any]) -> Any:
        """The result of `work`, whose CPU seconds and peak memory go to the report.

        Whatever was loaded or imported before does not count; with `repeat` the last result
        is taken and every run's seconds are kept.
        """
        seconds: list[float] = []
        result = None
        for turn in range(self.repeat):
            before = _reset_peak()
            started = time.process_time()
            result = work()
            seconds.append(time.process_time() - started)
            if turn == 0:
                self.report["peak_mib"] = (_peak() - before) / 2**20
        self.report["seconds"] = seconds
        return result

    def finish(self, scores: Any, project: str, **notes: str) -> None:
        """Write scores.npy [questions, documents] and report.json, the last thing to do."""
        np.save(self.folder / "scores.npy", np.asarray(scores, dtype=np.float64))
        notes = {key: value for key, value in {**notes, "tied": self.tied()}.items() if value}
        report = {**self.report, "version": version(project), "notes": notes}
        (self.folder / "report.json").write_text(json.dumps(report), encoding="utf-8")


def load() -> Job:
    """The job in the folder that the command line names, its model on the device."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = Path(sys.argv[1])
    told = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    torch.set_num_threads(told["threads"])
    torch.manual_seed(told["seed"])
    model: Any = AutoModelForCausalLM.from_pretrained(folder / "subject", dtype=told["dtype"])
    model.to(told["device"]).eval()
    trainable = set(told["trainable"])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trainable)
    return Job(
        folder, model, _rows(folder / "documents.npz", np.load(folder / "draws.npy")),
        _rows(folder / "questions.npz", np.zeros(0)), told["options"], told["batch"],
        told["device"], told["seed"], told["repeat"],
    )  # fmt: skip


def collate(rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
    """Right-padded input_ids, labels, draws, and row numbers of some items.

    The mask has 1 for each token before the last predicted one: what the loss depends on.
    """
    width = max(len(row["input_ids"]) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
    draws = torch.zeros(len(rows), width, dtype=torch.float64)
    for at, row in enumerate(rows):
        n = len(row["input_ids"])
        ids[at, :n] = torch.tensor(row["input_ids"])
        labels[at, :n] = torch.tensor(row["labels"])
        draws[at, :n] = torch.tensor(row["draws"], dtype=torch.float64)
        mask[at, : max((i for i, x in enumerate(row["labels"]) if x != -100), default=0)] = 1
    number = torch.tensor([row["row"] for row in rows])
    return {"input_ids": ids, "labels": labels, "draws": draws, "mask": mask, "row": number}


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Σ −log p over labelled tokens; padding on the right is never looked at, so no mask."""
    logits = logits[:, :-1].flatten(0, 1)
    wanted = labels[:, 1:].flatten()
    return nn.functional.cross_entropy(logits, wanted, ignore_index=-100, reduction="sum")


def drawn(logits: Tensor, labels: Tensor, draws: Tensor) -> Tensor:
    """Labels drawn from the model's own predictions by inversion, so that equal numbers and
    logits give equal labels whatever else is in the batch.
    """
    with torch.no_grad():
        wanted = labels[:, 1:] != -100
        below = logits[:, :-1][wanted].double().softmax(-1).cumsum(-1)
        found = torch.searchsorted(below, draws[:, 1:][wanted][:, None] * below[:, -1:])
        result = labels.clone()
        result[:, 1:][wanted] = found[:, 0].clamp(max=below.shape[1] - 1)
    return result


def back(scores: Tensor, questions: Sequence[int], documents: Sequence[int]) -> Any:
    """Scores [questions, documents] as they were asked for, from rows sorted by length."""
    result = np.empty(tuple(scores.shape))
    result[np.ix_(questions, documents)] = scores.detach().cpu().double().numpy()
    return result


def _rows(path: Path, drawn_from: Any) -> Rows:
    with np.load(path) as file:
        ids, predicted, ends = file["ids"], file["predicted"], file["ends"]
    labels = np.where(predicted, ids, -100)
    draws = np.zeros(len(ids))
    if len(drawn_from):
        draws[predicted] = drawn_from
    return Rows(*([part.tolist() for part in np.split(x, ends[:-1])] for x in (ids, labels, draws)))


def _conv1d() -> type[Any]:
    from transformers.pytorch_utils import Conv1D

    found: type[Any] = Conv1D
    return found


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) * 1024


def _reset_peak() -> int:
    """Resident bytes now; on Linux the process's peak starts anew from here."""
    if not Path("/proc/self/clear_refs").exists():
        return _peak()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS")


def _peak() -> int:
    if Path("/proc/self/status").exists():
        return _status("VmHWM")
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
