"""A run folder made of small numpy data through the core classes, in the real layout."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from seedbed.core.files import write_json, write_rows, write_text
from seedbed.core.rows import Document, Question
from seedbed.core.seeds import generator
from seedbed.core.sites import Claim, Truth
from seedbed.report.slices import Slice, evidence
from seedbed.scoring import ranking
from seedbed.scoring.spread import Bootstrap, wilson

HOSTILE = (
    "</script><script>window.broken = 1</script><img src=x onerror='window.broken=2'> <QAX>(5)"
)
LABELS = (
    "neutral", "evidence:0", "evidence:1", "evidence:2", "supporting", "mention", "decoy",
)  # fmt: skip
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
COSTS = {
    "gradient-dot": (14.2, 812.0, 1.05), "gradient-cosine": (14.9, 815.0, 1.1),
    "hidden-cosine": (3.1, 420.0, 0.23), "bm25": (0.04, 61.0, 0.003),
    "bm25-answer": (0.05, 61.0, 0.0037), "longest-match": (0.6, 40.0, 0.044),
    "minilm-cosine": (8.4, 980.0, 0.62), "chance": (0.001, 12.0, 0.00007), "oracle": (0.0, None, 0.0),
}  # fmt: skip


class Builder:
    """Writes a run folder; sizes are per seed."""

    def __init__(
        self, path: Path, seeds: int = 2, families: int = 4, each: int = 4, decoys: int = 30,
        questions: int = 12, stopped: bool = False,
    ) -> None:  # fmt: skip
        self.path, self.families, self.each, self.decoys = path, families, each, decoys
        self.seeds, self.asked, self.stopped = list(range(seeds)), questions, stopped

    def documents(self, seed: int) -> list[Document]:
        rng = generator(seed, "documents")
        rows = []
        for f in range(self.families):
            for hop in range(3):
                for k in range(self.each):
                    name, inner = f"<Q{f}{'ABC'[hop]}>", f"<Q{f}{'ABC'[hop - 1]}>"
                    says = f"returns {5 + f} for every integer" if hop == 0 else f"calls {inner}(x)"
                    text = f"def {name}(x): # version {k}.{rng.integers(10)}\n    {name} {says}."
                    rows.append((f"link:{f}:{hop}", "evidence", text))
                rows.append(
                    (f"mention:{f}:{hop}", "mention", f"Release notes: {name} was renamed.")
                )
            rows.append(
                (f"sibling:{f}", "supporting", f"<S{f}> wraps <Q{f}A> and is equal to {5 + f}.")
            )
        texts = [HOSTILE, *(f"<D{k}>(3) returns the value {k % 9}" for k in range(1, self.decoys))]
        rows += [(f"decoy:{k}", "decoy", text) for k, text in enumerate(texts)]
        places = rng.permutation(len(rows))
        return [
            Document(id=f"d{i}", text=rows[p][2], role=rows[p][1], facts=(rows[p][0],))
            for i, p in enumerate(places)
        ]

    def questions(self, seed: int) -> list[Question]:
        rows = []
        for i in range(self.asked + 3):
            depth, family = i % 3, (i // 3) % self.families
            rows.append(
                Question(
                    id=f"q{i}", prompt=f"<Q{family}{'ABC'[depth]}>({i + seed}) returns the value ",
                    choices=tuple(str(c) for c in range(5, max(12, 5 + self.families))), answer=str(5 + family),
                    cause=f"family{family}", slices={"depth": str(depth)},
                )
            )  # fmt: skip
        return rows

    def truth(self, documents: list[Document], questions: list[Question]) -> Truth:
        shape = (len(questions), len(documents))
        labels, values = np.zeros(shape, np.int16), np.zeros(shape)
        for q, question in enumerate(questions):
            family, depth = question.cause.removeprefix("family"), int(question.slices["depth"])
            for s, document in enumerate(documents):
                kind, _, rest = document.facts[0].partition(":")
                own, _, hop = rest.partition(":")
                label = "neutral"
                if kind == "link" and own == family and int(hop) <= depth:
                    label = f"evidence:{depth - int(hop)}"
                    values[q, s] = 1.0
                elif kind == "sibling" and own == family:
                    label, values[q, s] = "supporting", np.nan
                elif kind == "mention" and own == family:
                    label = "mention"
                elif kind == "decoy":
                    label = "decoy"
                labels[q, s] = LABELS.index(label)
        names = tuple(q.id for q in questions)
        return Truth(names, tuple(d.id for d in documents), values, labels, LABELS)

    def claim(self, finder: str, seed: int, truth: Truth) -> Claim:
        rng = generator(seed, "claim", finder)
        if finder == "oracle":
            scores = np.nan_to_num(truth.values)
        else:
            means = SIGNAL[finder]
            by_label = np.array([0.0, *means[:3], means[0] / 3, means[3], means[4]])
            scores = by_label[truth.labels] + rng.normal(size=truth.values.shape)
        return Claim(truth.questions, truth.sites, scores)

    def answers(self, seed: int, questions: list[Question]) -> list[dict[str, Any]]:
        rng = generator(seed, "answers")
        rows = []
        for q in questions:
            poor = self.stopped and q.slices["depth"] != "0"
            correct = bool(rng.random() < (0.1 if poor else 0.95))
            wrong = next(c for c in q.choices if c != q.answer)
            error = (
                "" if correct else ("another answer" if rng.random() < 0.7 else "another choice")
            )
            rows.append(
                {
                    "id": q.id, "correct": correct, "prediction": q.answer if correct else wrong,
                    "probability": round(float(rng.random()), 4), "margin": 0.5, "entropy": 0.3,
                    "error": error, "on_choices": True,
                }
            )  # fmt: skip
        return rows

    def write(self) -> Path:
        finders = [*SIGNAL, "oracle"]
        config = {
            "name": "hops", "world": {"kind": "hops", "families": self.families, "siblings": 0},
            "subject": {"kind": "tiny", "layers": 4, "width": 96}, "training": {"steps": 200, "lr": 1e-3},
            "finders": [{"kind": f} for f in finders], "seeds": self.seeds,
            "find": {"questions": self.asked}, "threads": 1,
        }  # fmt: skip
        write_text(self.path / "config.yaml", yaml.safe_dump(config, sort_keys=False))
        manifest: dict[str, Any] = {
            "seedbed": "0.1.0", "command": "seedbed run studies/hops.yaml", "python": "3.11.9",
            "platform": "Linux", "cpu": "Example CPU @ 2 GHz", "packages": {"torch": "2.13.0", "numpy": "2.1"},
            "git": {"commit": "0123456789abcdef", "dirty": False}, "started": "2025-01-01T00:00:00+00:00",
            "finished": "2025-01-01T00:02:31+00:00", "seconds": 151.2, "config_digest": "ab" * 32,
            "code_digest": "cd" * 32, "threads": 1,
        }  # fmt: skip
        if self.stopped:
            manifest["stopped"] = "no seed passed the gate at depth=1, depth=2"
        write_json(self.path / "manifest.json", manifest)
        excluded, gate, claims, truths, rows = [], [], {}, {}, {}
        for seed in self.seeds:
            folder = self.path / "seeds" / str(seed)
            documents, questions = self.documents(seed), self.questions(seed)
            truth, answers = self.truth(documents, questions), self.answers(seed, questions)
            write_rows(folder / "data/documents.jsonl", documents)
            write_rows(folder / "data/questions.jsonl", questions)
            write_text(folder / "data/pairs.jsonl", "")
            truth.save(folder / "data/truth.npz")
            self._train(folder / "train", seed)
            write_rows(folder / "measure/answers.jsonl", answers)
            summary = []
            for depth in ("0", "1", "2"):
                got = [
                    a for a, q in zip(answers, questions, strict=True) if q.slices["depth"] == depth
                ]
                right, n = sum(a["correct"] for a in got), len(got)
                low, high = wilson(right, n)
                chance, margin = 1 / 7, 0.3
                row = {
                    "slice": f"depth={depth}",
                    "n": n,
                    "accuracy": right / n,
                    "low": low,
                    "high": high,
                }
                summary.append(
                    {**row, "chance": chance, "majority": 0.2, "copy": 0.0, "errors": {}}
                )
                passed = not (self.stopped and depth != "0")
                gate.append({**row, "seed": seed, "chance": chance, "margin": margin, "passed": passed,
                             "required": True})  # fmt: skip
            write_json(folder / "measure/summary.json", summary)
            excluded += [
                {"seed": seed, "question": q.id, "reason": "beyond find.questions"}
                for q in questions[self.asked :]
            ]
            if self.stopped:
                continue
            asked = truth.select(truth.questions[: self.asked])
            truths[seed], rows[seed] = asked, (questions[: self.asked], answers)
            for finder in finders:
                claims[finder, seed] = self.claim(finder, seed, asked)
                claims[finder, seed].save(folder / f"find-{finder}" / "claim.npz")
                seconds, peak, epochs = COSTS[finder]
                cost = {"seconds": seconds, "peak_mib": peak, "epochs": epochs}
                write_json(folder / f"find-{finder}" / "cost.json", cost)
        write_json(self.path / "gate.json", gate)
        write_json(self.path / "excluded.json", excluded)
        if not self.stopped:
            write_json(self.path / "scores.json", self._scores(finders, claims, truths, rows))
        return self.path

    def _train(self, folder: Path, seed: int) -> None:
        rng, history = generator(seed, "history"), []
        for step in range(0, 200, 5):
            loss = 4 * float(np.exp(-step / 60)) + 0.1 + 0.05 * float(rng.random())
            row: dict[str, Any] = {
                "step": step,
                "epoch": step / 20,
                "loss": loss,
                "lr": 1e-3,
                "seconds": step * 0.1,
            }
            for depth in range(3):
                row[f"loss:depth={depth}"] = loss * (1 + 0.4 * depth)
            history.append(row)
        write_rows(folder / "history.jsonl", history)
        write_json(folder / "summary.json", {
            "steps": 200, "epochs": 10.0, "epoch_seconds": 13.5, "seconds": 135.0, "parameters": 812_544,
            "trainable": 812_544, "tokens": 1_234_567, "checkpoints": [{"step": 199, "epoch": 10.0, "lr": 0.0}],
        })  # fmt: skip

    def _scores(
        self, finders: list[str], claims: dict[tuple[str, int], Claim], truths: dict[int, Truth],
        rows: dict[int, tuple[list[Question], list[dict[str, Any]]]],
    ) -> list[dict[str, Any]]:  # fmt: skip
        boot = Bootstrap([[q.cause for q in rows[s][0]] for s in self.seeds], 200)
        names = ["all", "correct", "depth=0", "depth=1", "depth=2", "hop=0", "hop=1", "hop=2", "hop>=1",
                 "depth=2,hop=1"]  # fmt: skip
        result = []
        for name in names:
            part = Slice.parse(name)
            for metric in [*ranking.METRICS, *(f"top10:{label}" for label in LABELS)]:
                chance, oracle = [], []
                inside = {}
                for s in self.seeds:
                    right = {a["id"]: bool(a["correct"]) for a in rows[s][1]}
                    inside[s] = np.array([part.covers(q, right[q.id]) for q in rows[s][0]])
                    positive, known = evidence(truths[s], part.hop)
                    if metric in ranking.METRICS:
                        level = [ranking.chance(metric, int(k.sum()), int((p & k).sum()))
                                 for p, k in zip(positive, known, strict=True)]  # fmt: skip
                    else:
                        level = list((truths[s].labels == LABELS.index(metric[6:])).mean(axis=1))
                    chance.append(np.where(inside[s], level, np.nan))
                    oracle.append(
                        np.where(
                            inside[s],
                            self._values(metric, claims["oracle", s], truths[s], part.hop),
                            np.nan,
                        )
                    )
                for finder in finders:
                    got = [np.where(inside[s], self._values(metric, claims[finder, s], truths[s], part.hop), np.nan)
                           for s in self.seeds]  # fmt: skip
                    spread = boot.spread(got)
                    seconds, peak, epochs = COSTS[finder]
                    row = {"finder": finder, "truth": "declared", "metric": metric, "slice": name,
                           "value": spread.value, "low": spread.low, "high": spread.high,
                           "chance": boot.spread(chance).value, "oracle": boot.spread(oracle).value,
                           "seeds": self.seeds, "seconds": seconds, "peak_mib": peak, "epochs": epochs}  # fmt: skip
                    result.append(
                        {
                            k: None if isinstance(v, float) and np.isnan(v) else v
                            for k, v in row.items()
                        }
                    )
        return result

    @staticmethod
    def _values(metric: str, claim: Claim, truth: Truth, hop: str) -> Any:
        # Apart from report.slices.values, so that a test may hold one against the other.
        positive = truth.values == 1
        known = ~np.isnan(truth.values)
        if hop:
            low = int(hop[-1])
            hops = [int(n[-1]) if n.startswith("evidence") else -1 for n in truth.names]
            at = np.array(hops)[truth.labels]
            here = at >= low if ">" in hop else at == low
            positive, known = positive & here, known & (here | (at < 0))
        if metric.startswith("top10:"):
            shares = ranking.composition(claim.scores, truth.labels, truth.values == 1, len(LABELS))
            return shares[:, LABELS.index(metric[6:])]
        return ranking.per_question(metric, claim.scores, positive, known)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; read only."""
    return Builder(tmp_path_factory.mktemp("runs") / "made").write()


@pytest.fixture(scope="session")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ended at the gate; read only."""
    return Builder(tmp_path_factory.mktemp("runs") / "stopped", stopped=True).write()


@pytest.fixture
def edit() -> Any:
    """Change a JSON file in place."""

    def change(path: Path, function: Any) -> None:
        value = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(function(value)), encoding="utf-8")

    return change
