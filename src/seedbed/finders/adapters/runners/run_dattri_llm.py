"""Runs in dattri-llm's environment: TracIn at one checkpoint, K-FAC or EK-FAC."""

import tempfile
from typing import Any

import given
from dattri_llm.attribution.algorithm.kronecker import EKFACAttributor, KFACAttributor
from dattri_llm.attribution.algorithm.tracin import TracInAttributor
from dattri_llm.attribution.arguments import AttributionArguments
from dattri_llm.gradient.hooks import HookManagerConfig
from dattri_llm.gradient.streaming import GradientStreamer
from dattri_llm.task import AttributionTask
from torch import Tensor, nn


class Numbered(nn.Module):
    """The model, called with the row's number too, since rows are told apart by their inputs."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.inner = model

    def forward(self, input_ids: Tensor, labels: Tensor, row: Tensor) -> Tensor:
        del row
        return given.loss_of(self.inner(input_ids=input_ids).logits, labels)


def loss(model: nn.Module, batch: Any) -> Tensor:
    """Σ −log p of the labelled tokens."""
    found: Tensor = model(**{key: batch[key] for key in ("input_ids", "labels", "row")})
    return found


def padding_of_its_own(attributor: type[Any]) -> type[Any]:
    """The attributor, with batches padded to their own longest row instead of all rows'."""

    class Padded(attributor):  # type: ignore[misc]  # the base is chosen by the method
        def generate_train_rep(self, dataset: Any, **given_: Any) -> Any:
            return self._streamer(dataset, self.args.per_device_train_batch_size, given_)

        def generate_test_rep(self, dataset: Any, **given_: Any) -> Any:
            return self._streamer(dataset, self.args.per_device_eval_batch_size, given_)

        def _streamer(self, dataset: Any, size: int, given_: dict[str, Any]) -> Any:
            given_["config"] = given_.pop("hook_config", None)
            task = self.require_task("attribute")
            return GradientStreamer(
                task.model, dataset, self.args, batch_size=size, loss_fn=loss,
                collate_fn=given.collate, **given_,
            )  # fmt: skip

    return Padded


def main() -> None:
    """Score the job that the command line names."""
    job = given.load()
    options = job.options
    method = {"tracin": TracInAttributor, "kfac": KFACAttributor, "ekfac": EKFACAttributor}
    documents, document_order = job.documents.by_length()
    questions, question_order = job.questions.by_length()
    model = Numbered(job.model)
    covered = job.linear_names()
    table = job.model.get_input_embeddings()
    if options["embeddings"] and table.weight.requires_grad:
        covered += [name for name, module in job.model.named_modules() if module is table]
    # The weight gradients themselves are needed by nobody, so linear layers skip them.
    hooks = HookManagerConfig(
        hook_types={
            f"inner.{name}": "invasive_linear_io"
            if isinstance(job.model.get_submodule(name), nn.Linear)
            else "linear_io"
            for name in covered
        }
    )
    extra: dict[str, Any] = {"gradient_cache_residency": "memory" if options["keep"] else None}
    if options["method"] != "tracin":
        extra["damping"] = options["damping"]

    def work() -> Tensor:
        with tempfile.TemporaryDirectory(dir=job.folder) as scratch:
            attributor = padding_of_its_own(method[options["method"]])(
                AttributionArguments(
                    output_dir=scratch, per_device_train_batch_size=job.batch,
                    per_device_eval_batch_size=len(questions), seed=job.seed,
                ),
                task=AttributionTask(loss, model),
            )  # fmt: skip
            found = attributor.attribute(
                documents.items(), questions.items(), hook_config=hooks, **extra
            )
        if found.scores.shape != (len(documents), len(questions)):
            raise RuntimeError(f"dattri-llm returned scores of shape {tuple(found.scores.shape)}")
        scores: Tensor = found.scores
        return scores.T

    scores = given.back(job.measured(work), question_order, document_order)
    job.finish(scores, "dattri-llm", left_out=job.left_out(covered))


if __name__ == "__main__":
    main()
