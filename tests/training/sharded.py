"""What each process of test_sharding does: train whole, interrupted and resumed, in shards.

accelerate turns several processes into FSDP only where they have GPUs. Here they have none, so
its state is told what it would say there; preparing, fully_shard and gloo are the real ones.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor

from seedbed.core.files import read_json, read_rows
from seedbed.core.rows import Document
from seedbed.models import devices
from seedbed.models.folders import save_subject
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.training.config import Training
from seedbed.training.loop import train
from seedbed.training.resume import ResumeState
from seedbed.training.trackers import is_main_process

STOP = 5
"""The step after which a training is interrupted."""


class Killed(Exception):
    """Stands for the end of all processes."""


def fresh(documents: list[Document]) -> Subject:
    """A model of two blocks, always the same."""
    return Tiny(layers=2, width=16, heads=2).build([d.text for d in documents], [], 3)


def _as_on_gpus() -> None:
    real = AcceleratorState.__init__

    def begin(self: Any, *given: Any, fsdp_plugin: Any = None, **named: Any) -> None:
        real(self, *given, fsdp_plugin=fsdp_plugin, **named)
        if fsdp_plugin is not None:
            self.distributed_type = DistributedType.FSDP
            self.fsdp_plugin = fsdp_plugin
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = begin


def main(here: Path) -> None:
    """Leave `whole` and `cut`, and what each process held at each step in held-RANK.json."""
    _as_on_gpus()
    torch.set_num_threads(1)
    documents = read_rows(here / "documents.jsonl", Document)
    training = Training.model_validate_json((here / "training.json").read_text())
    held = []

    def run(name: str, stop: int = 0) -> Subject:
        subject = fresh(documents)

        def look(done: int, total: int, text: str) -> None:
            of = list(subject.model.parameters())
            assert all(isinstance(p, DTensor) for p in of)
            held.append([sum(p.to_local().numel() for p in of), sum(p.numel() for p in of)])
            if done == stop:
                raise Killed

        return train(subject, documents, training, here / name, look)

    with devices.using("cpu"):
        trained = run("whole")
        if is_main_process():
            save_subject(trained, here / "whole" / "subject")
        # The clock of the first process is what counts.
        setattr(ResumeState, "due", lambda self: is_main_process())  # noqa: B010 (a test's own)
        try:
            run("cut", STOP)
        except Killed:
            # A process that only reads does not wait for the one that writes.
            torch.distributed.barrier()
            assert read_json(here / "cut" / "resume" / "place.json")["step"] == STOP
        run("cut")
    rank = os.environ["RANK"]
    (here / f"held-{rank}.json").write_text(json.dumps(held))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
