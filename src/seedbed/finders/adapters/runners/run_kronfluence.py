"""Runs in kronfluence's environment: pairwise scores with identity, diagonal, K-FAC or EK-FAC."""

import tempfile
from typing import Any

import given
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.task import Task
from kronfluence.utils.dataset import DataLoaderKwargs
from torch import Tensor, nn


class Texts(Task):  # type: ignore[misc]  # kronfluence is not in seedbed's environment
    """Σ −log p of the labelled tokens, for documents and questions alike."""

    def __init__(self, modules: list[str]) -> None:
        self.modules = modules

    def compute_train_loss(self, batch: Any, model: nn.Module, sample: bool = False) -> Tensor:
        logits = model(input_ids=batch["input_ids"]).logits
        labels = batch["labels"]
        if sample:
            labels = given.drawn(logits, labels, batch["draws"])
        return given.loss_of(logits, labels)

    def compute_measurement(self, batch: Any, model: nn.Module) -> Tensor:
        return self.compute_train_loss(batch, model)

    def get_influence_tracked_modules(self) -> list[str]:
        return self.modules

    def get_attention_mask(self, batch: Any) -> Any:
        return batch["mask"]


def main() -> None:
    """Score the job that the command line names."""
    job = given.load()
    modules = [n for n in job.linear_names() if isinstance(job.model.get_submodule(n), nn.Linear)]
    left_out = job.left_out(modules)
    task = Texts(modules)
    model = prepare_model(job.model, task)
    documents, document_order = job.documents.by_length()
    questions, question_order = job.questions.by_length()
    options = job.options

    def work() -> Tensor:
        with tempfile.TemporaryDirectory(dir=job.folder) as scratch:
            analyzer = Analyzer(
                "seedbed", model, task, cpu=job.device == "cpu", disable_tqdm=True,
                output_dir=scratch,
            )  # fmt: skip
            analyzer.set_dataloader_kwargs(DataLoaderKwargs(collate_fn=given.collate))
            analyzer.fit_all_factors(
                "factors", documents.items(), per_device_batch_size=job.batch,
                factor_args=FactorArguments(
                    strategy=options["strategy"],
                    use_empirical_fisher=options["fisher"] == "empirical",
                ),
            )  # fmt: skip
            analyzer.compute_pairwise_scores(
                "scores", "factors", questions.items(), documents.items(),
                per_device_query_batch_size=len(questions), per_device_train_batch_size=job.batch,
                score_args=ScoreArguments(damping_factor=options["damping"]),
            )  # fmt: skip
            found: Tensor = analyzer.load_pairwise_scores("scores")["all_modules"]
            return found

    scores = given.back(job.measured(work), question_order, document_order)
    job.finish(scores, "kronfluence", left_out=left_out)


if __name__ == "__main__":
    main()
