import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seedbed.core.config import validate
from seedbed.core.errors import ConfigError, InputError
from seedbed.core.rows import Document, Question
from seedbed.core.seeds import generator
from seedbed.finders import curvature
from seedbed.finders.base import FINDERS, Finder
from seedbed.finders.curvature import Ekfac, damped_products
from seedbed.finders.gradients import gradient_products, questions_of
from seedbed.finders.kfac import fit_curvature
from seedbed.finders.shards import Shards
from seedbed.models.folders import save_weights
from seedbed.models.subject import Checkpoint, Subject
from seedbed.models.tokens import TokenSequence

Rows = tuple[list[Document], list[Question]]
MakeSubject = Callable[..., Subject]
Array = NDArray[np.floating[Any]]
PEFT_WARNS = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


class Slow:
    """EK-FAC by plain autograd in float64, one document and one layer at a time."""

    def __init__(self, subject: Subject) -> None:
        self.model: Any = copy.deepcopy(subject.model).double().eval()
        self.seed = subject.seed
        from transformers.pytorch_utils import Conv1D

        trained = {id(p) for p in self.model.parameters() if p.requires_grad}
        self.layers: dict[str, Any] = {
            name: module
            for name, module in self.model.named_modules()
            if isinstance(module, nn.Linear | Conv1D) and id(module.weight) in trained
        }
        head = self.model.get_output_embeddings()
        if hasattr(head, "token_adapter"):
            # Of a head with added tokens, PEFT trains the rows of these.
            self.layers["lm_head"] = head.token_adapter

    def look(
        self, sequence: TokenSequence, labels: Sequence[int] | None = None
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """(inputs [tokens, in (+1)], output gradients [tokens, out]) of every linear layer."""
        seen: dict[str, tuple[Tensor, Tensor]] = {}

        def hook(name: str) -> Any:
            def keep(module: Any, args: Any, output: Tensor) -> None:
                output.retain_grad()
                seen[name] = (args[0].detach(), output)

            return keep

        handles = [m.register_forward_hook(hook(n)) for n, m in self.layers.items()]
        last = max(i for i, p in enumerate(sequence.predicted) if p)
        ids = torch.tensor([sequence.ids[:last]])
        logprobs = torch.log_softmax(self.model(input_ids=ids).logits[0], dim=-1)
        places = [t - 1 for t, p in enumerate(sequence.predicted) if p]
        wanted = labels or [sequence.ids[t + 1] for t in places]
        (-logprobs[places, list(wanted)].sum()).backward()
        for handle in handles:
            handle.remove()
        found = {}
        for name, (given, output) in seen.items():
            inputs, delta = given[0], output.grad
            assert delta is not None
            if name == "lm_head":
                inputs, delta = inputs[places], delta[:, places]
                if hasattr(self.layers[name], "token_indices"):
                    delta = delta[..., self.layers[name].token_indices["default"]]
            if getattr(self.layers[name], "bias", None) is not None:
                inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], 1)
            found[name] = (inputs.double(), delta[0])
        return found

    def drawn(self, document: Document, sequence: TokenSequence) -> list[int]:
        """Labels by inversion of the distribution function, with the finder's own numbers."""
        logits = self.model(input_ids=torch.tensor([sequence.ids])).logits[0]
        places = [t - 1 for t, p in enumerate(sequence.predicted) if p]
        uniform = generator(self.seed, "kfac", "labels", document.id).random(len(places))
        labels = []
        for place, u in zip(places, uniform, strict=True):
            below = logits[place].softmax(0).cumsum(0).tolist()
            labels.append(next(i for i, total in enumerate(below) if u * below[-1] <= total))
        return labels

    def scores(
        self,
        looks: list[dict[str, tuple[Tensor, Tensor]]],
        documents: list[dict[str, tuple[Tensor, Tensor]]],
        questions: list[dict[str, tuple[Tensor, Tensor]]],
        damping: float,
    ) -> Array:
        total = torch.zeros(len(questions), len(documents), dtype=torch.float64)
        for name in self.layers:
            a = sum(own[name][0].T @ own[name][0] for own in looks)
            s = sum(own[name][1].T @ own[name][1] for own in looks)
            ua, us = torch.linalg.eigh(a)[1], torch.linalg.eigh(s)[1]
            mine = [us.T @ (d.T @ x) @ ua for x, d in (own[name] for own in looks)]
            values = torch.stack(mine).square().mean(0)
            inverse = 1 / (values + damping * values.mean())
            g = [us.T @ (d.T @ x) @ ua for x, d in (own[name] for own in documents)]
            for i, (x, d) in enumerate(own[name] for own in questions):
                turned = (us.T @ (d.T @ x) @ ua) * inverse
                total[i] += torch.stack([(turned * one).sum() for one in g])
        return total.detach().numpy()


class Case:
    """A subject, its rows, and what the slow way sees of every document and question."""

    def __init__(self, subject: Subject, rows: Rows) -> None:
        self.subject, self.rows, self.slow = subject, rows, Slow(subject)
        documents, questions = rows
        self.sequences = subject.encode(documents)
        self.asked = questions_of(subject, questions, answer=True)
        self.documents = [self.slow.look(s) for s in self.sequences]
        self.questions = [self.slow.look(s) for s in self.asked]

    def drawn(self) -> list[dict[str, tuple[Tensor, Tensor]]]:
        pairs = zip(self.rows[0], self.sequences, strict=True)
        return [self.slow.look(s, self.slow.drawn(d, s)) for d, s in pairs]

    def plain(self, weigh: Callable[[str], float] = lambda name: 1.0) -> Array:
        """Σ over layers of a factor and the dot product of gradients."""
        total = np.zeros((len(self.questions), len(self.documents)))
        for name in self.slow.layers:
            q, d = (
                torch.stack([(own[name][1].T @ own[name][0]).flatten() for own in looks])
                for looks in (self.questions, self.documents)
            )
            total += weigh(name) * (q @ d.T).detach().numpy()
        return total


def close(a: Array, b: Array, tolerance: float = 1e-4) -> bool:
    return bool(np.abs(a - b).max() <= tolerance * np.abs(b).max())


@PEFT_WARNS
@pytest.mark.parametrize("labels", ["sampled", "empirical"])
@pytest.mark.parametrize(
    ("kind", "loss"),
    [("tiny", "text"), ("tiny", "answer"), ("gpt2", "text"), ("qwen", "answer"), ("lora", "text")],
)
def test_scores_are_those_of_a_dense_reference(
    kind: str, loss: str, labels: str, subject_of: MakeSubject, rows: Rows
) -> None:
    case = Case(subject_of(kind, loss), rows)
    looks = case.drawn() if labels == "sampled" else case.documents
    finder = Ekfac.model_validate({"damping": (0.01, 1.0), "labels": labels})
    for damping, claim in zip((0.01, 1.0), finder.find_all(case.subject, *rows, []), strict=True):
        assert close(claim.scores, case.slow.scores(looks, case.documents, case.questions, damping))


@pytest.mark.parametrize("kind", ["tiny", "qwen"])
def test_the_rest_has_second_moments_of_explicit_gradients(
    kind: str, subject_of: MakeSubject, rows: Rows, explicit: Callable[..., Tensor]
) -> None:
    subject = subject_of(kind, "text")
    documents, questions = subject.encode(rows[0]), questions_of(subject, rows[1], answer=True)
    linear = Ekfac(labels="empirical").find(subject, *rows, [])
    whole = Ekfac(labels="empirical", rest="diagonal").find(subject, *rows, [])
    gradients, asked = (explicit(subject.model, s) for s in (documents, questions))
    expected = np.zeros(whole.scores.shape)
    start = 0
    for name, parameter in subject.model.named_parameters():
        own = slice(start, start + parameter.numel())
        start = own.stop
        if "embed" in name or "norm" in name:
            values = gradients[:, own].square().mean(0)
            inverse = 1 / (values + 0.1 * values.mean())
            expected += ((asked[:, own] * inverse) @ gradients[:, own].T).numpy()
    assert close(whole.scores - linear.scores, expected)
    assert "embed" in linear.notes["left_out"]
    assert not whole.notes["left_out"]


@PEFT_WARNS
@pytest.mark.parametrize("kind", ["tiny", "qwen", "lora"])
def test_strong_damping_of_everything_leaves_whole_gradients(
    kind: str, subject_of: MakeSubject, rows: Rows
) -> None:
    subject = subject_of(kind, "text")
    finder = Ekfac(damping=1e9, relative=False, rest="diagonal")
    sequences, asked = subject.encode(rows[0]), questions_of(subject, rows[1], answer=True)
    exact = gradient_products(subject, sequences, asked, norms=False).dot
    assert close(finder.find(subject, *rows, []).scores * 1e9, exact)


def test_strong_damping_leaves_the_plain_dot_product(subject_of: MakeSubject, rows: Rows) -> None:
    case = Case(subject_of("gpt2", "text"), rows)
    fixed = Ekfac(damping=1e9, relative=False).find(case.subject, *rows, [])
    assert close(fixed.scores * 1e9, case.plain())
    relative = Ekfac(damping=1e9, labels="empirical").find(case.subject, *rows, [])

    def size(name: str) -> float:
        # The mean of Λ does not depend on the basis: a mean of squared norms by number.
        looks = [own[name] for own in case.documents]
        squares = [(d.T @ x).square().mean() for x, d in looks]
        return 1 / float(torch.stack(squares).mean())

    assert close(relative.scores * 1e9, case.plain(size))


def test_little_memory_changes_nothing(subject_of: MakeSubject, rows: Rows) -> None:
    subject = subject_of("qwen", "text")
    documents, questions = rows
    asked = questions_of(subject, questions, answer=True)
    scores = []
    for memory in (1024.0, 0.02):
        fit = fit_curvature(subject, documents, memory=memory)
        some = subject.encode(documents), asked, fit, (0.1, 1.0)
        scores.append(damped_products(subject, *some, memory=memory))
    assert close(scores[1], scores[0], 1e-5)


def test_factors_that_were_kept_are_not_read_again(subject_of: MakeSubject, rows: Rows) -> None:
    subject = subject_of("gpt2")
    documents, questions = rows
    sequences, asked = subject.encode(documents), questions_of(subject, questions, True)
    kept = fit_curvature(subject, documents, "empirical", reuse=True)
    assert kept.kept is not None
    assert sorted(i for index, _ in kept.kept for i in index) == list(range(len(documents)))
    plain = fit_curvature(subject, documents, "empirical")
    assert plain.kept is None
    assert fit_curvature(subject, documents, "sampled", reuse=True).kept is None
    assert fit_curvature(subject, documents, "empirical", 0.01, reuse=True).kept is None
    wanted = damped_products(subject, sequences, asked, plain, (0.1, 1.0))
    found = damped_products(subject, sequences, asked, kept, (0.1, 1.0))
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


def test_a_side_too_wide_keeps_its_own_basis(subject_of: MakeSubject, rows: Rows) -> None:
    subject = subject_of("tiny", "text")
    blocks = fit_curvature(subject, rows[0], "empirical", widest=20).blocks
    head = blocks["lm_head"][0]
    assert head.left is None
    assert head.right is not None
    whole = fit_curvature(subject, rows[0], "empirical").blocks["lm_head"][0]
    # Turning a side keeps sums of squares.
    torch.testing.assert_close(head.values.sum(0), whole.values.sum(0), rtol=1e-4, atol=1e-6)


def test_fewer_documents_are_chosen_by_id(subject_of: MakeSubject, rows: Rows) -> None:
    documents, questions = rows
    finder = Ekfac(fit_documents=6)
    claim = finder.find(subject_of("tiny"), documents, questions, [])
    turned = finder.find(subject_of("tiny"), documents[::-1], questions, [])
    assert close(turned.scores[:, ::-1], claim.scores)
    assert not close(Ekfac().find(subject_of("tiny"), *rows, []).scores, claim.scores, 0.01)
    assert "of 6 documents" in claim.notes["curvature"]


def test_checkpoints(
    tmp_path: Path, subject_of: MakeSubject, shake: Callable[..., Subject], rows: Rows
) -> None:
    subject = subject_of("tiny", "answer")
    alone, saved = [], []
    for i, rate in enumerate((3.0, 1.0)):
        shake(subject, 0.1, i + 1)
        save_weights(subject.model, tmp_path / str(i))
        saved.append(Checkpoint(4 * (i + 1), i + 1.0, rate, tmp_path / str(i)))
        alone.append(Ekfac().find(subject, *rows, []).scores)
    subject = replace(shake(subject, 0.1, 9), checkpoints=tuple(saved))
    first = Ekfac(checkpoints=1).find(subject, *rows, [])
    assert close(first.scores, alone[0])
    assert first.notes["checkpoints"] == "epoch 1 only"
    every = Ekfac(checkpoints="all").find(subject, *rows, [])
    assert close(every.scores, 0.75 * alone[0] + 0.25 * alone[1])
    assert "only the last of 2" in Ekfac().find(subject, *rows, []).notes["warning"]
    assert "warning" not in every.notes
    with pytest.raises(InputError, match="no checkpoint at epoch 3; there are: 1, 2"):
        Ekfac(checkpoints=3).find(subject, *rows, [])
    with pytest.raises(InputError, match="the subject has none; use 'last'"):
        Ekfac(checkpoints="all").find(replace(subject, checkpoints=()), *rows, [])


def test_a_call_that_was_cut_short_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subject_of: MakeSubject, rows: Rows
) -> None:
    finder = Ekfac.model_validate({"damping": (0.1, 1.0)})
    plain = finder.find_all(subject_of("tiny"), *rows, [])
    subject = replace(subject_of("tiny"), scratch=tmp_path)
    monkeypatch.setattr(Shards.__init__, "__defaults__", (None, "", 4))
    put, done = Shards.put, []

    def dies(self: Any, rows: Sequence[int], columns: range, block: Any) -> None:
        done.append(columns)
        if len(done) == 3:
            raise KeyboardInterrupt
        put(self, rows, columns, block)

    monkeypatch.setattr(Shards, "put", dies)
    with pytest.raises(KeyboardInterrupt):
        finder.find_all(subject, *rows, [])
    resumed = finder.find_all(subject, *rows, [])
    assert [c.start for c in done] == [0, 4, 8, 8, 12]
    for a, b in zip(resumed, plain, strict=True):
        assert close(a.scores, b.scores)
    monkeypatch.delattr(curvature, "fit_curvature")
    for a, b in zip(finder.find_all(subject, *rows, []), resumed, strict=True):
        np.testing.assert_array_equal(a.scores, b.scores)
        assert a.notes == b.notes


def test_a_grid_has_a_variant_for_each_damping(subject_of: MakeSubject, rows: Rows) -> None:
    grid = FINDERS.build({"kind": "ekfac", "damping": [0.01, 1.0]})
    variants: tuple[Finder, ...] = grid.variants()
    assert [v.name for v in variants] == ["ekfac-0.01", "ekfac-1"]
    together = grid.find_all(subject_of("tiny"), *rows, [])
    for claim, variant in zip(together, variants, strict=True):
        np.testing.assert_array_equal(
            claim.scores, variant.find(subject_of("tiny"), *rows, []).scores
        )
    with pytest.raises(InputError, match="see variants"):
        grid.find(subject_of("tiny"), *rows, [])
    with pytest.raises(ConfigError, match="damping: one or more positive numbers"):
        validate(Ekfac, {"damping": [0.0, 1.0]}, "study.yaml")
