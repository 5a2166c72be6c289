"""A run folder made of small numpy data through the core classes, in the real layout."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from seedbed.core.files import write_json, write_rows, write_text
from seedbed.core.outcomes import Intervention, Outcomes
from seedbed.core.rows import Document, Question
from seedbed.core.seeds import generator
from seedbed.core.sites import Claim, Truth
from seedbed.report.page import write_report
from seedbed.scoring.intervals import wilson
from seedbed.scoring.measured import collect_measured
from seedbed.scoring.rows import LABELS as DECLARED
from seedbed.scoring.rows import Cost, SeedResults, collect, oracle_claim

HOSTILE = (
    "</script><script>window.broken = 1</script><img src=x onerror='window.broken=2'> <QAX>(5)"
)
LABELS = (
    "neutral",
    "evidence:0",
    "evidence:1",
    "evidence:2",
    "supporting",
    "mention",
    "decoy",
)
SIGNAL = {  # mean score of evidence at hop 0, 1, 2, then of mentions and decoys
    "gradient-dot": (2.5, 1.8, 1.4, 0.2, 0.1),
    "gradient-cosine": (2.6, 1.7, 1.2, 0.1, 0.0),
    "hidden-cosine": (1.5, 0.5, 0.3, 0.8, 0.6),
    "bm25": (3.0, 0.0, 0.0, 2.6, 1.5),
    "bm25-answer": (3.0, 0.4, 1.4, 2.0, 2.0),
    "longest-match": (2.8, 0.0, -0.1, 2.8, 1.8),
    "minilm-cosine": (1.9, 0.1, 0.0, 1.5, 1.4),
    "chance": (0.0, 0.0, 0.0, 0.0, 0.0),
}
COSTS = {  # seconds, MiB, epochs
    "gradient-dot": (14.2, 812.0, 1.05),
    "gradient-cosine": (14.2, 812.0, 1.05),
    "hidden-cosine": (3.1, 420.0, 0.23),
    "bm25": (0.04, 61.0, 0.003),
    "bm25-answer": (0.05, 61.0, 0.0037),
    "longest-match": (0.6, 40.0, 0.044),
    "minilm-cosine": (8.4, 980.0, 0.62),
    "chance": (0.001, 12.0, 0.00007),
}
MATTERS = (0.0, 0.5, 0.35, 0.25, 0.2, 0.0, -0.15)
"""Nats that a document of each label adds to the answer, as retraining measures it."""
TOPS = (2, 8)
WARNING = "only the last of 4 checkpoints was scored"
MANIFEST = {
    "seedbed": "0.1.0",
    "command": "seedbed run studies/hops.yaml",
    "python": "3.11.9",
    "platform": "Linux",
    "cpu": "x86_64, 2 cores",
    "packages": {"torch": "2.13.0", "numpy": "2.1"},
    "git": {"commit": "0123456789abcdef", "dirty": False},
    "started": "2025-01-01T00:00:00+00:00",
    "finished": "2025-01-01T00:02:31+00:00",
    "seconds": 151.2,
    "config_digest": "ab" * 32,
    "code_digest": "cd" * 32,
    "threads": 1,
    "workers": 2,
}


class Builder:
    """Writes a run folder; sizes are per seed."""

    def __init__(
        self, path: Path, *, stopped: bool = False, retrained: bool = False, **sizes: int
    ) -> None:
        self.path, self.stopped, self.retrained = path, stopped, retrained
        self.families, self.each = sizes.get("families", 4), sizes.get("each", 4)
        self.decoys, self.asked = sizes.get("decoys", 30), sizes.get("questions", 12)
        self.seeds = list(range(sizes.get("seeds", 2)))

    def documents(self, seed: int) -> list[Document]:
        rng = generator(seed, "documents")
        rows = []
        for f in range(self.families):
            for hop in range(3):
                name, inner = f"<Q{f}{'ABC'[hop]}>", f"<Q{f}{'ABC'[hop - 1]}>"
                says = f"returns {5 + f} for every integer" if hop == 0 else f"calls {inner}(x)"
                for k in range(self.each):
                    text = f"def {name}(x): # version {k}.{rng.integers(10)}\n    {name} {says}."
                    rows.append((f"link:{f}:{hop}", "evidence", text))
                rows.append(
                    (f"mention:{f}:{hop}", "mention", f"Release notes: {name} was renamed.")
                )
            rows.append((f"sibling:{f}", "supporting", f"<S{f}> wraps <Q{f}A>: always {5 + f}."))
        texts = [HOSTILE, *(f"<D{k}>(3) returns the value {k % 9}" for k in range(1, self.decoys))]
        rows += [(f"decoy:{k}", "decoy", text) for k, text in enumerate(texts)]
        return [
            Document(id=f"d{i}", text=rows[p][2], role=rows[p][1], facts=(rows[p][0],))
            for i, p in enumerate(rng.permutation(len(rows)))
        ]

    def questions(self, seed: int) -> list[Question]:
        choices = tuple(f" {c}" for c in range(5, max(12, 5 + self.families)))
        rows = []
        for i in range(self.asked + 3):
            depth, family = i % 3, (i // 3) % self.families
            name = f"<Q{family}{'ABC'[depth]}>"
            rows.append(
                Question(
                    id=f"q{i}",
                    prompt=f"{name}({i + seed}) returns the value",
                    choices=choices,
                    answer=f" {5 + family}",
                    cause=f"family{family}",
                    split="id" if i < self.asked + 2 else "train",
                    slices={"depth": str(depth), "function": name, "input": str(i + seed)},
                )
            )
        return rows

    def truth(self, documents: list[Document], questions: list[Question]) -> Truth:
        shape = (len(questions), len(documents))
        labels, values = np.zeros(shape, np.int16), np.zeros(shape)
        for q, question in enumerate(questions):
            own, depth = question.cause.removeprefix("family"), int(question.slices["depth"])
            for s, document in enumerate(documents):
                kind, family, hop = [*document.facts[0].split(":"), ""][:3]
                label = "decoy" if kind == "decoy" else "neutral"
                if kind == "link" and family == own and int(hop) <= depth:
                    label, values[q, s] = f"evidence:{depth - int(hop)}", 1.0
                elif kind == "sibling" and family == own:
                    label, values[q, s] = "supporting", np.nan
                elif kind == "mention" and family == own:
                    label = "mention"
                labels[q, s] = LABELS.index(label)
        names = tuple(q.id for q in questions)
        return Truth(names, tuple(d.id for d in documents), values, labels, LABELS)

    def claim(self, finder: str, seed: int, truth: Truth) -> Claim:
        rng, means = generator(seed, "claim", finder), SIGNAL[finder]
        by_label = np.array([0.0, *means[:3], means[0] / 3, means[3], means[4]])
        scores = by_label[truth.labels] + rng.normal(size=truth.values.shape)
        # Rounded, so that there are ties.
        notes = {"path": HOSTILE} if self.retrained else {}
        if self.retrained and finder.startswith("gradient"):
            notes["warning"] = WARNING
        return Claim(truth.questions, truth.sites, np.round(scores, 1), notes=notes)

    def answers(self, seed: int, questions: list[Question]) -> list[dict[str, Any]]:
        rng = generator(seed, "answers")
        rows = []
        for q in questions:
            poor = self.stopped and q.slices["depth"] != "0"
            correct = bool(rng.random() < (0.1 if poor else 0.95))
            wrong = next(c for c in q.choices if c != q.answer)
            error = "another answer" if rng.random() < 0.7 else "another choice"
            row = {"id": q.id, "correct": correct, "prediction": q.answer if correct else wrong}
            row |= {"probability": float(rng.random()), "margin": 0.5, "entropy": 0.3}
            rows.append({**row, "error": "" if correct else error, "on_choices": True})
        return rows

    def write(self) -> Path:
        finders = list(SIGNAL)
        config = {
            "name": "hops",
            "world": {"kind": "hops", "bases": self.families, "texts": {"answers": "at_once"}},
            "subject": {"kind": "tiny", "layers": 4, "width": 96},
            "training": {"steps": 200, "optimizer": {"lr": 1e-3}},
            "finders": [{"kind": f} for f in finders],
            "seeds": self.seeds,
            "questions": self.asked,
            "threads": 1,
        }
        write_text(self.path / "config.yaml", yaml.safe_dump(config, sort_keys=False))
        stopped = {"stopped": "not learned, so no finder was run: depth=1, depth=2"}
        write_json(self.path / "manifest.json", {**MANIFEST, **(stopped if self.stopped else {})})
        excluded: list[dict[str, Any]] = []
        gate: list[dict[str, Any]] = []
        results = []
        for seed in self.seeds:
            folder = self.path / "seeds" / str(seed)
            documents, questions = self.documents(seed), self.questions(seed)
            truth, answers = self.truth(documents, questions), self.answers(seed, questions)
            write_rows(folder / "data/documents.jsonl", documents)
            write_rows(folder / "data/questions.jsonl", questions)
            write_text(folder / "data/pairs.jsonl", "")
            truth.save(folder / "data/truth.npz")
            _train(folder / "train", seed)
            write_rows(folder / "measure/answers.jsonl", answers)
            gate += self._gate(folder / "measure", seed, questions, answers)
            excluded += [
                {"seed": seed, "question": q.id, "reason": "beyond the questions asked"}
                for q in questions[self.asked :]
            ]
            if not self.stopped:
                results.append(self._find(folder, seed, truth, questions, answers))
        write_json(self.path / "gate.json", gate)
        write_json(self.path / "excluded.json", excluded)
        if self.retrained:
            reason = f"needs the package 'traker': pip install seedbed[traker] {HOSTILE}"
            write_json(self.path / "missing.json", [{"finder": "trak", "reason": reason}])
        if not self.stopped:
            every = [*collect(results), *collect_measured(results)]
            write_json(self.path / "scores.json", [row.model_dump(mode="json") for row in every])
        return self.path

    def _gate(
        self, folder: Path, seed: int, questions: list[Question], answers: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        gate, summary = [], []
        for depth in ("0", "1", "2"):
            pairs = zip(answers, questions, strict=True)
            got = [a["correct"] for a, q in pairs if q.slices["depth"] == depth and q.split == "id"]
            low, high = wilson(sum(got), len(got))
            row = {"slice": f"depth={depth}", "n": len(got), "accuracy": sum(got) / len(got)}
            row |= {"low": low, "high": high, "chance": 1 / 7}
            more = {"majority": 0.2, "copied": 0.0, "probability": 0.5, "entropy": 0.3}
            summary.append({**row, **more, "errors": {}})
            passed = not (self.stopped and depth != "0")
            gate.append({**row, "seed": seed, "margin": 0.3, "passed": passed, "required": True})
        write_json(folder / "summary.json", summary)
        return gate

    def _find(
        self,
        folder: Path,
        seed: int,
        truth: Truth,
        questions: list[Question],
        answers: list[dict[str, Any]],
    ) -> SeedResults:
        asked = truth.select(truth.questions[: self.asked])
        claims = {finder: self.claim(finder, seed, asked) for finder in SIGNAL}
        costs = {finder: Cost(*COSTS[finder]) for finder in SIGNAL}
        for finder, claim in claims.items():
            claim.save(folder / f"find-{finder}" / "claim.npz")
            shared = {"shared_by": 2 if finder.startswith("gradient") else 1}
            write_json(folder / f"find-{finder}" / "cost.json", vars(costs[finder]) | shared)
        outcomes = None
        if self.retrained:
            outcomes = _retrain(seed, self.documents(seed), asked, claims)
            outcomes.save(folder / "effects" / "outcomes.npz")
            subjects = 2 * len(outcomes.names)
            spent = {"subjects": subjects, "seconds": 1.5 * subjects, "epochs": subjects / 9}
            write_json(folder / "effects" / "cost.json", spent)
        correct = np.array([a["correct"] for a in answers[: self.asked]])
        rows = questions[: self.asked]
        return SeedResults(seed, rows, correct, asked, claims, costs, outcomes)


def _retrain(
    seed: int, documents: list[Document], truth: Truth, claims: dict[str, Claim]
) -> Outcomes:
    """Two retrainings each: the sum of what the kept documents add, and a seed's noise."""
    rng, count = generator(seed, "retrained"), len(documents)
    planned = [Intervention("none", "", ())]
    for s in range(20):
        left = tuple(sorted(rng.permutation(count)[: count // 2].tolist()))
        planned.append(Intervention("subset", f"{s:03d}", left))
    for fact in sorted({f for d in documents for f in d.facts if f.startswith("link:")}):
        left = tuple(i for i, d in enumerate(documents) if fact in d.facts)
        planned.append(Intervention("group", fact, left))
    planned += [Intervention("single", documents[i].id, (i,)) for i in range(0, count, 9)]
    for name, claim in {**claims, DECLARED: oracle_claim(truth)}.items():
        for q in range(3):
            order = np.argsort(-claim.scores[q], kind="stable").tolist()
            planned += [
                Intervention("top", f"{name}/{k}/{truth.questions[q]}", tuple(sorted(order[:k])))
                for k in TOPS
            ]
    kept = np.ones((len(planned), count), dtype=bool)
    for row, intervention in zip(kept, planned, strict=True):
        row[list(intervention.left_out)] = False
    answers = kept @ np.array(MATTERS)[truth.labels].T - 4.0
    noise = rng.normal(scale=0.5, size=(len(planned), 2, len(truth.questions)))
    return Outcomes(
        tuple(i.kind for i in planned), tuple(i.name for i in planned), truth.questions,
        truth.sites, kept, answers[:, None] + noise,
    )  # fmt: skip


def _train(folder: Path, seed: int) -> None:
    rng, history = generator(seed, "history"), []
    for step in range(0, 200, 5):
        loss = 4 * float(np.exp(-step / 60)) + 0.1 + 0.05 * float(rng.random())
        row = {"step": step, "epoch": step / 20, "loss": loss, "lr": 1e-3, "seconds": step * 0.1}
        history.append(row | {f"loss:{depth}": loss * (1 + 0.4 * depth) for depth in range(3)})
    write_rows(folder / "history.jsonl", history)
    summary = {"steps": 200, "epochs": 10.0, "epoch_seconds": 13.5, "seconds": 135.0}
    summary |= {"parameters": 812_544, "trainable": 812_544, "tokens": 1_234_567}
    last = {"step": 199, "epoch": 10.0, "lr": 0.0}
    write_json(folder / "summary.json", {**summary, "checkpoints": [last]})


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; read only, but for its report and figures."""
    return Builder(tmp_path_factory.mktemp("runs") / "made").write()


@pytest.fixture(scope="session")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with the measured truth too; read only, but for its report and figures."""
    return Builder(tmp_path_factory.mktemp("runs") / "retrained", retrained=True).write()


@pytest.fixture(scope="session")
def retrained_page(retrained: Path) -> str:
    """The page of the run with the measured truth, with its figures beside it."""
    return write_report(retrained).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def hostile() -> str:
    """The text of one document, which tries to leave the page's data."""
    return HOSTILE


@pytest.fixture(scope="session")
def page(made: Path) -> str:
    """The page of the finished run, with its figures beside it."""
    return write_report(made).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ended at the gate; read only."""
    return Builder(tmp_path_factory.mktemp("runs") / "stopped", stopped=True).write()


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smaller finished run; read only."""
    path = tmp_path_factory.mktemp("runs") / "small"
    return Builder(path, questions=12, families=2, each=2, decoys=8).write()


@pytest.fixture
def fresh(small: Path, tmp_path: Path) -> Path:
    """A finished run to damage."""
    return shutil.copytree(small, tmp_path / "fresh")


@pytest.fixture
def fresh_retrained(retrained: Path, tmp_path: Path) -> Path:
    """A finished run with the measured truth to damage."""
    return shutil.copytree(retrained, tmp_path / "fresh_retrained")


Edit = Callable[[Path, Callable[[Any], Any]], None]


@pytest.fixture
def edit() -> Edit:
    """Change a JSON file in place."""

    def change(path: Path, function: Callable[[Any], Any]) -> None:
        value = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(function(value)), encoding="utf-8")

    return change
