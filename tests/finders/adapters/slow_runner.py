"""A peer for tests: gradient products by one backward pass a row, in a process of its own."""

import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, sys.argv.pop(1))
import given


def gradients(job: Any, rows: Any) -> torch.Tensor:
    found = []
    wanted = [p for p in job.model.parameters() if p.requires_grad]
    for item in rows.items():
        batch = given.collate([item])
        loss = given.loss_of(job.model(input_ids=batch["input_ids"]).logits, batch["labels"])
        parts = torch.autograd.grad(loss, wanted, allow_unused=True)
        flat = [torch.zeros_like(p) if g is None else g for p, g in zip(wanted, parts, strict=True)]
        found.append(torch.cat([g.flatten() for g in flat]))
    return torch.stack(found)


def main() -> None:
    job = given.load()
    documents, order = job.documents.by_length()
    scores = job.measured(lambda: gradients(job, job.questions) @ gradients(job, documents).T)
    result = given.back(scores, range(len(job.questions)), order)
    job.finish(result, "torch", folder=Path(job.folder).name, left_out="")


if __name__ == "__main__":
    main()
