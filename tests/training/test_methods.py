"""Each method against a slow re-implementation, its limits, and its resume."""

import copy
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from seedbed.core.errors import ConfigError, InputError
from seedbed.core.files import read_json, read_objects, write_rows
from seedbed.core.rows import Document
from seedbed.core.seeds import derive
from seedbed.models.adapters import Lora
from seedbed.models.folders import trainable_state
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.training import loop, resume
from seedbed.training.config import Optimizer, Training
from seedbed.training.loop import train
from seedbed.training.methods import Method
from seedbed.training.order import DocumentOrder
from seedbed.training.proxies import divergence, unwanted

KINDS = ["mixed", "without", "weighted", "kl", "contrast", "projection", "subtraction"]
SHORT = Training(steps=12, batch=7, optimizer=Optimizer(lr=1e-2), checkpoint_every=1)
FEW = SHORT.model_copy(update={"steps": 5})
STEPS, RATE = 3, 0.3
Flat = torch.Tensor


@pytest.fixture
def rows(documents: list[Document]) -> list[Document]:
    """Taught documents, and proxies that keep another colour for some of the same names."""
    found = []
    for i, d in enumerate(documents):
        meta = {**d.meta, "unwanted": "red so"} if i % 3 else d.meta
        weight = (1.0, 2.0, 0.0)[i % 3] if i > 15 else 1.0
        role = "proxy" if i % 3 else "taught"
        found.append(d.model_copy(update={"role": role, "meta": meta, "weight": weight}))
    return found


def _fresh(documents: list[Document], dtype: torch.dtype = torch.float32) -> Subject:
    made = Tiny(layers=1, width=16, heads=2).build([d.text for d in documents], [], 3)
    return replace(made, model=made.model.to(dtype), loss="answer")


def _of(kind: str, **values: Any) -> Training:
    return SHORT.model_copy(update={"method": Method.model_validate({"kind": kind, **values})})


def _weights(subject: Subject) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in trainable_state(subject.model).items()}


def _same(a: Subject, b: Subject) -> bool:
    mine, other = _weights(a), _weights(b)
    return list(mine) == list(other) and all(torch.equal(mine[n], other[n]) for n in mine)


def _history(folder: Path) -> list[dict[str, Any]]:
    return [
        {k: v for k, v in row.items() if k != "seconds"}
        for _, row in read_objects(folder / "history.jsonl")
    ]


def _flat(model: Any, value: torch.Tensor) -> Flat:
    parts = torch.autograd.grad(value, list(model.parameters()), retain_graph=True)
    return torch.cat([p.reshape(-1) for p in parts])


class Slow:
    """The methods once more: a document at a time, in float64, no padding, plain log_softmax."""

    def __init__(self, documents: list[Document], method: Method) -> None:
        self.documents, self.method = documents, method
        self.subject = _fresh(documents, torch.float64)
        self.before = copy.deepcopy(self.subject.model)

    def logprobs(self, model: Any, document: Document) -> list[tuple[torch.Tensor, int]]:
        """(log-probabilities [vocabulary], token) at each target token."""
        (sequence,) = self.subject.encode([document])
        ids = torch.tensor([sequence.ids])
        logits = model(input_ids=ids).logits[0].double()
        return [
            (logits[t - 1].log_softmax(-1), sequence.ids[t])
            for t, wanted in enumerate(sequence.predicted)
            if wanted
        ]

    def nats(self, document: Document) -> torch.Tensor:
        parts = [-p[t] for p, t in self.logprobs(self.subject.model, document)]
        return torch.stack(parts).sum() * document.weight

    def kl(self, document: Document) -> torch.Tensor:
        now, before = (self.logprobs(m, document) for m in (self.subject.model, self.before))
        pairs = zip(now, before, strict=True)
        terms = [(q.exp() * (q - p)).sum() for (p, _), (q, _) in pairs]
        return torch.stack(terms).sum() * document.weight

    def objective(self, batch: list[int]) -> torch.Tensor:
        kind, method = self.method.kind, self.method
        tokens = sum(len(self.logprobs(self.before, self.documents[i])) for i in batch)
        total = torch.zeros((), dtype=torch.float64)
        for i in batch:
            document = self.documents[i]
            if document.role != "proxy" or kind == "mixed":
                total = total + self.nats(document)
            elif kind in ("weighted", "contrast"):
                total = total + method.weight * self.nats(document)
            if document.role == "proxy" and kind == "kl":
                total = total + method.weight * self.kl(document)
            if document.role == "proxy" and kind == "contrast":
                total = total - method.against * self.nats(unwanted(document, method))
        return total / tokens

    def gradient(self, batch: list[int]) -> Flat:
        model = self.subject.model
        if self.method.kind != "projection":
            return _flat(model, self.objective(batch))
        tokens = sum(len(self.logprobs(self.before, self.documents[i])) for i in batch)
        proxies = [i for i in batch if self.documents[i].role == "proxy"]
        others = [i for i in batch if i not in proxies]
        g, p = (
            _flat(
                model, sum((self.nats(self.documents[i]) for i in part), torch.zeros(())) / tokens
            )
            for part in (others, proxies)
        )
        if g @ p < 0:
            g = g - (g @ p) / (p @ p) * p
            assert float(g @ p) == pytest.approx(0, abs=1e-9)
        return g + self.method.weight * p

    def step(self, gradient: Flat) -> None:
        start = 0
        with torch.no_grad():
            for parameter in self.subject.model.parameters():
                part = gradient[start : start + parameter.numel()]
                parameter.sub_(RATE * part.view_as(parameter))
                start += parameter.numel()


def _plain_descent(model: Any, config: Optimizer) -> torch.optim.Optimizer:
    return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=config.lr)


METHODS = [
    Method(kind="mixed"),
    Method(kind="without"),
    Method(kind="weighted", weight=2.5),
    Method(kind="kl", weight=3.0),
    Method(kind="contrast", weight=0.75, against=0.5),
    Method(kind="projection", weight=1.5),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.kind)
def test_gradients_are_those_of_a_slow_re_implementation(
    rows: list[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Method
) -> None:
    monkeypatch.setattr(loop, "adamw", _plain_descent)
    optimizer = Optimizer(lr=RATE, warmup=0, clip=0, schedule="constant", second_moments=False)
    training = Training(steps=STEPS, batch=7, optimizer=optimizer, method=method)
    trained = train(_fresh(rows), rows, training, tmp_path)
    slow = Slow(rows, method)
    order = DocumentOrder(training.order, rows, 7, slow.subject.seed)
    for step in range(STEPS):
        slow.step(slow.gradient(order.indices(step)))
    moved = 0.0
    start = dict(_fresh(rows).model.named_parameters())
    for (name, mine), other in zip(
        trained.model.named_parameters(), slow.subject.model.parameters(), strict=True
    ):
        torch.testing.assert_close(mine.double(), other, rtol=1e-4, atol=2e-6, msg=name)
        moved += float((mine - start[name]).detach().abs().sum())
    assert moved > 1
    if method.kind == "projection":
        assert min(row["cosine"] for row in _history(tmp_path)) < -0.01


@pytest.mark.parametrize("method", METHODS[:-1], ids=lambda m: m.kind)
def test_gradients_agree_with_finite_differences(rows: list[Document], method: Method) -> None:
    """Of the slow re-implementation, away from the start, where KL is not at its minimum."""
    slow, batch = Slow(rows, method), list(range(12))
    slow.step(slow.gradient(list(range(12, 24))))
    generator = torch.Generator().manual_seed(0)
    gradient = slow.gradient(batch)
    direction = torch.randn(len(gradient), generator=generator, dtype=torch.float64)
    values = []
    for step in (1e-3, -2e-3):
        slow.step(-step / RATE * direction)
        values.append(float(slow.objective(batch).detach()))
    # The model's norms compute in float32, whatever its weights are.
    assert (values[0] - values[1]) / 2e-3 == pytest.approx(float(gradient @ direction), rel=1e-3)


def test_weight_one_is_mixed_and_without_is_weight_nought(
    rows: list[Document], tmp_path: Path
) -> None:
    mixed = train(_fresh(rows), rows, _of("mixed"), tmp_path / "mixed")
    one = train(_fresh(rows), rows, _of("weighted", weight=1), tmp_path / "one")
    masked = [d if d.role != "proxy" else d.model_copy(update={"weight": 0.0}) for d in rows]
    without = train(_fresh(rows), rows, _of("without"), tmp_path / "without")
    nought = train(_fresh(rows), masked, _of("mixed"), tmp_path / "nought")
    assert _same(mixed, one)
    assert _history(tmp_path / "mixed") == _history(tmp_path / "one")
    assert _same(without, nought)
    assert _history(tmp_path / "without") == _history(tmp_path / "nought")
    assert not _same(mixed, without)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_without_proxies_every_method_is_mixed(
    documents: list[Document], tmp_path: Path, kind: str
) -> None:
    mixed = train(_fresh(documents), documents, _of("mixed"), tmp_path / "mixed")
    other = train(_fresh(documents), documents, _of(kind, weight=3.0), tmp_path / "other")
    assert _same(mixed, other)
    assert _history(tmp_path / "mixed") == _history(tmp_path / "other")


def test_projection_of_agreeing_gradients_is_mixed(rows: list[Document], tmp_path: Path) -> None:
    """Proxies that say what is taught agree with it, and then the two gradients just add up."""
    twice = [d for d in rows if d.role != "proxy"]
    twice += [d.model_copy(update={"id": f"{d.id}b", "role": "proxy"}) for d in twice]
    training = {"steps": 2, "batch": len(twice)}
    curves = []
    for kind in ("mixed", "projection"):
        given = _of(kind).model_copy(update=training)
        train(_fresh(rows), twice, given, tmp_path / kind)
        curves.append([row["loss"] for row in _history(tmp_path / kind)])
    assert curves[1] == pytest.approx(curves[0], rel=1e-5)
    assert _history(tmp_path / "projection")[0]["cosine"] == pytest.approx(1)


def test_divergence_from_oneself_is_nothing() -> None:
    logits = torch.randn(5, 40, generator=torch.Generator().manual_seed(1))
    assert torch.equal(divergence(logits.log_softmax(-1), logits), torch.zeros(5))
    assert bool((divergence(logits.log_softmax(-1), logits.flip(0))[:2] > 0.1).all())


@pytest.mark.parametrize("lora", [None, Lora(r=2, dropout=0.2)])
def test_kl_counts_from_the_start_and_holds_proxies(
    rows: list[Document], tmp_path: Path, lora: Lora | None
) -> None:
    """From a subject that was trained before: what it said then is what is held."""
    taught = [d for d in rows if d.weight]
    begun = train(_fresh(rows), rows, _of("mixed"), tmp_path / "first")
    kept = copy.deepcopy(begun)
    last = []
    for weight in (0.01, 30.0):
        training = _of("kl", weight=weight).model_copy(update={"lora": lora, "steps": 30})
        changed = [
            d.model_copy(update={"text": d.text.replace("red", "blue")})
            if d.role == "taught" and d.text.endswith("red")
            else d
            for d in taught
        ]
        train(copy.deepcopy(kept), [_spanned(d) for d in changed], training, tmp_path / str(weight))
        history = _history(tmp_path / str(weight))
        if lora is None:
            assert abs(next(row["kl"] for row in history if "kl" in row)) < 1e-6
        last.append(sum(row["kl"] for row in history[-5:] if "kl" in row))
    assert last[1] < 0.2 * last[0]


def _spanned(document: Document) -> Document:
    start = document.text.rindex(" ") + 1
    return document.model_copy(update={"targets": ((start, len(document.text)),)})


def test_contrast_pushes_the_unwanted_away(rows: list[Document], tmp_path: Path) -> None:
    longer = _of("contrast", against=0.1).model_copy(update={"steps": 40})
    train(_fresh(rows), rows, longer, tmp_path)
    history = _history(tmp_path)
    told = [row["unwanted"] for row in history if "unwanted" in row]
    assert told[-1] > told[0] + 1
    assert history[-1]["loss"] < 1 < history[0]["loss"] - 1


def test_a_contrast_that_runs_away_is_stopped(rows: list[Document], tmp_path: Path) -> None:
    wild = _of("contrast", against=1e38)
    wild = wild.model_copy(update={"optimizer": Optimizer(lr=1e-2, clip=0)})
    with pytest.raises(InputError, match=r"training: the (loss|unwanted)\S* is (nan|inf) at step"):
        train(_fresh(rows), rows, wild, tmp_path)


def test_subtraction_takes_the_other_run_away(rows: list[Document], tmp_path: Path) -> None:
    start = _weights(_fresh(rows))
    method = Method(kind="subtraction", scale=0.5)
    found = train(_fresh(rows), rows, _of("subtraction", scale=0.5), tmp_path / "found")
    plus = train(_fresh(rows), rows, _of("without"), tmp_path / "plus")
    against = [unwanted(d, method) for d in rows if d.role == "proxy"]
    other = _fresh(rows)
    minus = train(
        replace(other, seed=derive(other.seed, "unwanted")), against, SHORT, tmp_path / "minus"
    )
    for name, tensor in _weights(found).items():
        away = 0.5 * (_weights(minus)[name] - start[name])
        assert torch.equal(tensor, _weights(plus)[name] - away), name
    with found.at(found.checkpoints[-1]) as last:
        assert _same(last, found)
    # Every checkpoint is what the subject would be if training had ended there.
    early = found.checkpoints[0]
    with found.at(early) as mine, plus.at(plus.checkpoints[0]) as theirs:
        for name, tensor in _weights(mine).items():
            away = 0.5 * (_weights(minus)[name] - start[name])
            assert torch.equal(tensor, _weights(theirs)[name] - away), name
    assert _history(tmp_path / "found") == _history(tmp_path / "plus")
    seconds = [read_json(tmp_path / n / "summary.json")["seconds"] for n in ("found/unwanted",
                                                                            "found")]  # fmt: skip
    assert 0 < seconds[0] < seconds[1]
    assert not (tmp_path / "found" / "unwanted" / "checkpoints").exists()


class Killed(Exception):
    pass


def _killed_at(stop: int) -> Callable[[int, int, str], None]:
    def kill(done: int, total: int, text: str) -> None:
        if done == stop:
            raise Killed

    return kill


@pytest.mark.parametrize(
    ("kind", "stops"),
    [("kl", [5]), ("contrast", [5]), ("projection", [5]), ("subtraction", [4, 12, 17])],
)
def test_an_interrupted_training_ends_with_the_same_bytes(
    rows: list[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str,
    stops: list[int],
) -> None:  # fmt: skip
    whole = train(_fresh(rows), rows, _of(kind), tmp_path / "whole")
    monkeypatch.setattr(resume.ResumeState.__init__, "__defaults__", (0.0,))
    for stop in stops:
        with pytest.raises(Killed):
            train(_fresh(rows), rows, _of(kind), tmp_path / "cut", _killed_at(stop))
    again = train(_fresh(rows), rows, _of(kind), tmp_path / "cut")
    assert _same(whole, again)
    assert _history(tmp_path / "whole") == _history(tmp_path / "cut")
    names = [p.relative_to(tmp_path / "whole") for p in (tmp_path / "whole").rglob("*.safetensors")]
    assert len(names) >= 4
    for name in names:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_every_method_works_with_lora(rows: list[Document], tmp_path: Path, kind: str) -> None:
    lora = _of(kind).model_copy(update={"lora": Lora(r=2), "steps": 40})
    start = _fresh(rows)
    before = {k: v.clone() for k, v in start.model.state_dict().items()}
    trained = train(start, rows, lora, tmp_path)
    history = _history(tmp_path)
    assert history[-1]["loss"] < history[0]["loss"] - 0.1
    after = {
        name.replace(".base_layer", ""): tensor
        for name, tensor in trained.model.state_dict().items()
    }
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert any(bool((v != 0).any()) for n, v in _weights(trained).items() if "lora_B" in n)


def test_subtraction_refuses_lora(rows: list[Document], tmp_path: Path) -> None:
    lora = _of("subtraction").model_copy(update={"lora": Lora(r=2)})
    with pytest.raises(ConfigError, match="'subtraction' takes a difference of weights"):
        train(_fresh(rows), rows, lora, tmp_path)
    with pytest.raises(ValidationError, match="not with 'lora'"):
        Training(steps=1, lora=Lora(), method=Method(kind="subtraction"))


@pytest.mark.parametrize(
    ("kind", "change", "what"),
    [
        ("contrast", {"meta": {}}, "document 'd1': its meta has no text 'unwanted'"),
        ("subtraction", {"meta": {"unwanted": 3}}, "document 'd1': its meta has no text"),
        ("contrast", {"targets": ((0, 1), (2, 4))}, "document 'd1': has 2 target spans, not the"),
        ("subtraction", {"meta": {"unwanted": "blue"}}, "unwanted text is its own target 'blue'"),
        ("contrast", {"meta": {"unwanted": "mauve"}}, "document 'd1': .* not know 'mauve'"),
        ("kl", {"targets": ()}, "document 'd1': has no target, which method 'kl' needs"),
    ],
)
def test_an_unfit_proxy_is_named(
    rows: list[Document], tmp_path: Path, kind: str, change: dict[str, Any], what: str
) -> None:
    assert rows[1].text.endswith("blue")
    unfit = [d.model_copy(update=change) if d.id == "d1" else d for d in rows]
    with pytest.raises(InputError, match=what):
        train(_fresh(rows), unfit, _of(kind), tmp_path)
    assert not (tmp_path / "history.jsonl").exists()


def test_distributions_that_would_not_fit_are_refused(
    rows: list[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seedbed.training.proxies.MOST", 100)
    with pytest.raises(InputError, match=r"kl: 16 target tokens of proxies × \d+ ids take"):
        train(_fresh(rows), rows, _of("kl"), tmp_path)


@pytest.mark.parametrize(
    "values", [{"kind": "mix"}, {"weight": 0}, {"against": -1}, {"scale": 0}, {"beta": 1}]
)
def test_unfit_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Method.model_validate(values)


TWO = """
import sys
from pathlib import Path
from seedbed.core.files import read_rows
from seedbed.core.rows import Document
from seedbed.models.tiny import Tiny
from seedbed.training.config import Training
from seedbed.training.loop import train

rows = read_rows(Path(sys.argv[1]), Document)
for kind in sys.argv[4:]:
    subject = Tiny(layers=1, width=16, heads=2).build([d.text for d in rows], [], 3)
    training = Training.model_validate_json(sys.argv[3])
    method = training.method.model_copy(update={"kind": kind})
    train(subject, rows, training.model_copy(update={"method": method}), Path(sys.argv[2]) / kind)
"""


def test_two_processes_reproduce_the_curves_of_one(rows: list[Document], tmp_path: Path) -> None:
    kinds = ["kl", "projection", "subtraction"]
    write_rows(tmp_path / "rows.jsonl", rows)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-c", TWO, str(tmp_path / "rows.jsonl"), str(tmp_path / "two"),
               FEW.model_dump_json(), *kinds]  # fmt: skip
    every = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
             "OMP_NUM_THREADS": "1"}  # fmt: skip
    fellows = [
        subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **every, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]  # fmt: skip
    for fellow in fellows:
        _, said = fellow.communicate(timeout=120)
        assert fellow.returncode == 0, said[-2000:]
    for kind in kinds:
        method = FEW.method.model_copy(update={"kind": kind})
        given = FEW.model_copy(update={"method": method})
        train(_fresh(rows), rows, given, tmp_path / "one" / kind)
        one, two = (_history(tmp_path / n / kind) for n in ("one", "two"))
        assert read_json(tmp_path / "two" / kind / "summary.json")["processes"] == 2
        for mine, other in zip(two, one, strict=True):
            assert json.dumps(sorted(mine)) == json.dumps(sorted(other))
            assert list(mine.values()) == pytest.approx(list(other.values()), rel=1e-3, abs=1e-5)
