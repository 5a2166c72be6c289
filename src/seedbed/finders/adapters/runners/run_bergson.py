"""Runs in bergson's environment: gradient products, streamed past the questions' or stored."""

import tempfile
from pathlib import Path
from typing import Any

import given
import numpy as np
import torch
from bergson import GradientCollector, GradientProcessor, InMemoryCollector
from bergson.collector.collector import CollectorComputer
from bergson.config.config import IndexConfig
from bergson.data import load_gradients
from bergson.score.score_writer import InMemorySequenceScoreWriter
from bergson.score.scorer import Scorer
from datasets import Dataset
from torch import Tensor


def main() -> None:
    """Score the job that the command line names."""
    job = given.load()
    options = job.options
    inner = job.model if options["head"] else job.model.base_model
    names = {id(module): name for name, module in inner.named_modules()}
    modules = [job.model.get_submodule(name) for name in job.linear_names()]
    wanted = {names[id(m)] for m in modules if id(m) in names}
    covered = [n for n in job.linear_names() if id(job.model.get_submodule(n)) in names]
    left_out = job.left_out(covered, options["biases"])
    documents, document_order = job.documents.by_length()
    questions, question_order = job.questions.by_length()
    dtype = torch.float32
    # As bergson sets models up: hooks are reached, weight gradients are computed for none.
    job.model.requires_grad_(False)
    job.model.get_input_embeddings().requires_grad_(True)

    def collector_of(kind: Any, rows: Any, config: Any, scorer: Any = None) -> Any:
        return kind(
            model=inner, cfg=config, data=rows, scorer=scorer, target_modules=wanted,
            processor=GradientProcessor(
                projection_dim=options["projection"] or None, include_bias=options["biases"]
            ),
        )  # fmt: skip

    def run(rows: Any, config: Any, collector: Any) -> None:
        computer = CollectorComputer(
            job.model, rows, collector=collector, batches=_batches(len(rows), job.batch), cfg=config
        )
        computer.run_with_collector_hooks("seedbed")

    def work() -> Tensor:
        with tempfile.TemporaryDirectory(dir=job.folder) as scratch:
            config = IndexConfig(
                run_path=f"{scratch}/index", projection_dim=options["projection"],
                include_bias=options["biases"], loss_fn="ce", loss_reduction="sum",
            )  # fmt: skip
            config.partial_run_path.mkdir(parents=True)
            asked, texts = _dataset(questions), _dataset(documents)
            collector = collector_of(InMemoryCollector, asked, config)
            run(asked, config, collector)
            own = {name: g.to(dtype) for name, g in collector.gradients.items()}
            if options["unit_normalize"]:
                size = torch.stack([g.square().sum(1) for g in own.values()]).sum(0).sqrt()
                own = {name: g / size.clamp_min(1e-12)[:, None] for name, g in own.items()}
            if options["store"]:
                run(texts, config, collector_of(GradientCollector, texts, config))
                return _products(own, config.partial_run_path, job.batch, options)
            writer = InMemorySequenceScoreWriter(len(texts), len(asked))
            scorer = Scorer(
                own, list(own), writer, torch.device(job.device), dtype,
                unit_normalize=options["unit_normalize"],
            )  # fmt: skip
            run(texts, config, collector_of(InMemoryCollector, texts, config, scorer))
            scores: Tensor = writer.scores.T
            return scores

    scores = given.back(job.measured(work), question_order, document_order)
    job.finish(scores, "bergson", left_out=left_out)


def _products(own: dict[str, Tensor], place: Path, size: int, options: Any) -> Tensor:
    """Products of the questions' gradients with those of the index at `place`."""
    asked = torch.cat(list(own.values()), 1)
    found = []
    index = load_gradients(place)
    for start in range(0, len(index), size):
        block = torch.from_numpy(np.array(index[start : start + size])).to(asked)
        if options["unit_normalize"]:
            block = block / block.norm(dim=1, keepdim=True).clamp_min(1e-12)
        found.append(asked @ block.T)
    return torch.cat(found, 1)


def _dataset(rows: given.Rows) -> Any:
    return Dataset.from_dict({"input_ids": rows.ids, "labels": rows.labels})


def _batches(count: int, size: int) -> list[list[int]]:
    return [list(range(at, min(at + size, count))) for at in range(0, count, size)]


if __name__ == "__main__":
    main()
