"""Runs in traker's environment: TRAK scores of one subject, with its own random projection."""

import logging
import tempfile
from typing import Any

import given
import torch
from torch import Tensor, nn
from trak import TRAKer
from trak.modelout_functions import AbstractModelOutput
from trak.projectors import BasicProjector, ProjectionType


class Margins(AbstractModelOutput):  # type: ignore[misc]  # traker is not in seedbed's environment
    """Σ over labelled tokens of log(p / (1 − p)); Park et al. 2023, section 3.3 and eq. 15."""

    def __init__(self) -> None:
        super().__init__()

    @staticmethod
    def get_output(
        model: nn.Module, weights: Any, buffers: Any, ids: Tensor, labels: Tensor
    ) -> Tensor:
        logits = torch.func.functional_call(model, (weights, buffers), (ids[None],)).logits[0]
        right, chosen = _right(logits[:-1], labels[1:])
        others = logits[:-1].scatter(-1, chosen[:, None], -torch.inf).logsumexp(-1)
        wanted = labels[1:] != -100
        return torch.where(wanted, right - others, torch.zeros_like(right)).sum()

    def get_out_to_loss_grad(self, model: nn.Module, weights: Any, buffers: Any, batch: Any) -> Any:
        ids, labels = batch
        with torch.no_grad():
            logits = torch.func.functional_call(model, (weights, buffers), (ids,)).logits
        right, _ = _right(logits[:, :-1].log_softmax(-1), labels[:, 1:])
        wanted = labels[:, 1:] != -100
        missed = (1 - right.exp()) * wanted
        return (missed.sum(1) / wanted.sum(1).clamp_min(1))[:, None]


class Kept(BasicProjector):  # type: ignore[misc]  # traker is not in seedbed's environment
    """The projector for machines without CUDA, its matrix drawn once where it fits."""

    def free_memory(self) -> None:
        # The original forgets a matrix of one block here and misses it when it scores.
        return


def _right(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    chosen = labels.clamp_min(0)
    return logits.gather(-1, chosen[..., None])[..., 0], chosen


def main() -> None:
    """Score the job that the command line names."""
    job = given.load()
    # vmap has no rule for fused attention.
    job.model.set_attn_implementation("eager")
    documents, document_order = job.documents.by_length()
    questions, question_order = job.questions.by_length()
    state = job.model.state_dict()
    wanted = [n for n, p in job.model.named_parameters() if p.requires_grad]

    def batches(rows: given.Rows) -> Any:
        items = rows.items()
        for start in range(0, len(items), job.batch):
            part = given.collate(items[start : start + job.batch])
            yield start, [part[key].to(job.device) for key in ("input_ids", "labels")]

    def projector() -> Any:
        if job.device != "cpu":
            return None
        size = sum(p.numel() for p in job.model.parameters() if p.requires_grad)
        width = job.options["projection"]
        fits = size * width * 4 <= job.options["memory"] * 2**20
        return Kept(
            size, width, job.seed, ProjectionType.normal, job.device,
            block_size=width if fits else min(100, width),
        )  # fmt: skip

    def work() -> Tensor:
        with tempfile.TemporaryDirectory(dir=job.folder) as scratch:
            tracer = TRAKer(
                job.model, Margins(), len(documents), save_dir=scratch, device=job.device,
                projector=projector(), proj_dim=job.options["projection"],
                projector_seed=job.seed, use_half_precision=False, grad_wrt=wanted,
                lambda_reg=job.options["damping"], logging_level=logging.WARNING,
            )  # fmt: skip
            tracer.load_checkpoint(state, model_id=0)
            for _, batch in batches(documents):
                tracer.featurize(batch, num_samples=len(batch[0]))
            tracer.finalize_features()
            tracer.start_scoring_checkpoint("questions", state, 0, len(questions))
            for _, batch in batches(questions):
                tracer.score(batch, num_samples=len(batch[0]))
            return torch.as_tensor(tracer.finalize_scores("questions")).T.clone()

    scores = given.back(job.measured(work), question_order, document_order)
    job.finish(scores, "traker")


if __name__ == "__main__":
    main()
