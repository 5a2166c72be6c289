"""Runs in bergson's environment: MAGIC's derivatives of questions by weights of documents.

One epoch of AdamW at a constant rate over the documents as they stand, then back through it,
question after question, as bergson does it. Every step's state is kept, its fastest way.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import torchopt
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "src/seedbed/finders/adapters/runners"))
import given
from bergson.magic.data_stream import DataStream
from bergson.magic.trainer import BackwardState, Trainer
from bergson.utils import weighted_causal_lm_ce
from datasets import Dataset
from torchopt.pytree import tree_iter


def main() -> None:
    job = given.load()
    told = job.options
    # Fused attention has no second derivative.
    job.model.set_attn_implementation("eager")
    job.model.config.use_cache = False
    job.model.loss_function = weighted_causal_lm_ce
    weights = {name: p.detach().clone() for name, p in job.model.named_parameters()}

    def work() -> Tensor:
        for name, value in weights.items():
            module, _, leaf = name.rpartition(".")
            setattr(job.model.get_submodule(module), leaf, torch.nn.Parameter(value.clone()))
        # The root of a moment that is 0 has no finite derivative without something below it.
        optimizer = torchopt.adamw(
            told["lr"], betas=tuple(told["betas"]), eps=1e-8, eps_root=1e-20, weight_decay=0.0
        )
        trainer, state = Trainer.initialize(job.model, optimizer)
        rows = {"input_ids": job.documents.ids, "labels": job.documents.labels}
        stream = DataStream(Dataset.from_dict(rows), job.batch)
        with tempfile.TemporaryDirectory(dir=job.folder) as scratch:
            state = trainer.train(state, stream, save_dir=scratch, save_mode="all")
            last = state.to("cpu").detach_()
            found = [
                one(job, trainer, state, last, stream, scratch, i)
                for i in range(len(job.questions))
            ]
        return -torch.stack(found)

    job.finish(job.measured(work), "bergson")


def one(
    job: Any, trainer: Any, state: Any, last: Any, stream: Any, scratch: str, question: int
) -> Tensor:
    """The derivative of one question's loss by every document's weight."""
    state.detach_()
    state.copy_(last)
    batch = given.collate([job.questions.items()[question]])
    with state.activate(job.model) as parameters:
        loss = given.loss_of(job.model(input_ids=batch["input_ids"]).logits, batch["labels"])
        found = torch.autograd.grad(loss, list(parameters.values()))
    state.detach_()
    stream.requires_grad = True
    zeros = [
        torch.zeros_like(x) for x in tree_iter(state.opt_state)
        if isinstance(x, Tensor) and x.is_floating_point()
    ]  # fmt: skip
    above = BackwardState(
        dict(zip(parameters, found, strict=True)), zeros, torch.zeros_like(stream.weights)
    )
    below = trainer.backward(
        scratch, stream, above, state, cleanup=False, inplace=True, save_mode="all"
    )
    effects: Tensor = below.weight_grads.detach().clone()
    return effects


if __name__ == "__main__":
    main()
