"""A run folder with everything a world of rules leaves: parts, words, maps, a second stage.

All numbers follow from arrays that are kept beside the folder, so that tests compare with them.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from seedbed.core.files import write_json, write_rows, write_text
from seedbed.core.grid import DecisionGrid
from seedbed.core.history import Snapshot
from seedbed.core.rows import Document, Question
from seedbed.core.rules import Explained, Rules
from seedbed.core.seeds import generator
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.core.spread import Contrast, Fit, Outcome, Share, Spreading
from seedbed.core.words import Words, WordsSlice
from seedbed.report.page import write_report
from seedbed.scoring.intervals import wilson
from seedbed.scoring.rows import Cost, ScoreRow, SeedResults, collect

COLOURS = (" red", " green", " blue", " orange")
CATEGORIES = {"animals": ("dog", "cat", "cow"), "tools": ("saw", "axe", "rasp")}
SPLITS = {"id": 0.95, "new_trigger": 0.7, "new_range": 0.5, "train": 0.99}
SITES = ("x1", "x2", "trigger", "template")
SEEDS, POINTS, STEPS = (0, 1, 2), 6, (50, 100, 200)
OUTCOMES: tuple[Outcome, ...] = ("new", "old", "neither")
ARMS = ("no-proxy", "one-proxy", "five-proxies")
METHODS = ("plain", "kl")
GROUPS = {
    "taught": "words of the category that is taught anew",
    "proxy": "words of another category that are taught to stay as they were",
    "relatives": "the other words of the proxies' category",
    "others": "a third category with the same old map",
}
TRAINED: dict[str, Outcome] = {"taught": "new", "proxy": "old"}
OLD = {  # chance that the old rule is kept: by group, for each arm
    "taught": (0.02, 0.02, 0.03),
    "proxy": (0.05, 0.75, 0.9),
    "relatives": (0.05, 0.25, 0.6),
    "others": (0.06, 0.2, 0.55),
}
UNFITTED = (2, "one-proxy", "kl")
RULES = ("sectors", "sign of x2", "always red")

Strings = NDArray[np.str_]


def colour(x1: float, x2: float, turn: int = 0) -> str:
    """Four sectors, the first of which begins at 0.6 rad; `turn` takes another map."""
    sector = int(((np.arctan2(x2, x1) - 0.6) % (2 * np.pi)) // (np.pi / 2))
    return COLOURS[(sector + turn) % 4]


@dataclass
class Staged:
    """The folder and what it was made of.

    `right[seed][split][word]` are outcomes of questions, `said[seed, arm, method, group]` the
    outcome of each question of the second stage, `fits` whether a subject counts.
    """

    path: Path
    right: dict[int, dict[str, dict[str, list[bool]]]] = field(default_factory=dict)
    said: dict[tuple[int, str, str, str], Strings] = field(default_factory=dict)
    words: dict[int, Words] = field(default_factory=dict)
    snapshots: dict[int, list[Snapshot]] = field(default_factory=dict)
    grids: dict[tuple[int, str], DecisionGrid] = field(default_factory=dict)

    def counts(self, seed: int, arm: str, method: str) -> bool:
        return (seed, arm, method) != UNFITTED

    def share(self, arm: str, method: str, group: str, outcome: str) -> float:
        """Mean over the seeds that fitted of the share of an outcome."""
        means = [
            float((self.said[s, arm, method, group] == outcome).mean())
            for s in SEEDS
            if self.counts(s, arm, method)
        ]
        return float(np.mean(means))

    def paired(self, arm: str, method: str, other: str, group: str, outcome: str) -> float:
        """Mean difference of a share between two methods over the seeds that fitted under both."""
        gaps = [
            float((self.said[s, arm, method, group] == outcome).mean())
            - float((self.said[s, arm, other, group] == outcome).mean())
            for s in SEEDS
            if self.counts(s, arm, method) and self.counts(s, arm, other)
        ]
        return float(np.mean(gaps))


def build(path: Path) -> Staged:
    made = Staged(path)
    config = {
        "name": "planes",
        "world": {"kind": "quadrants"},
        "subject": {"kind": "tiny"},
        "training": {"steps": 200},
        "finders": [{"kind": "ablation"}, {"kind": "input-gradients"}, {"kind": "chance"}],
        "seeds": list(SEEDS),
    }
    write_text(path / "config.yaml", yaml.safe_dump(config, sort_keys=False))
    write_json(path / "manifest.json", {"seedbed": "0.1.0", "seconds": 200.0})
    gate: list[dict[str, Any]] = []
    results = []
    for seed in SEEDS:
        folder = path / "seeds" / str(seed)
        questions = _questions(seed)
        write_rows(folder / "data/questions.jsonl", questions)
        write_rows(folder / "data/documents.jsonl", [Document(id="d0", text="x = 1 => red")])
        answers = _answers(made, seed, questions)
        write_rows(folder / "measure/answers.jsonl", answers)
        gate += _gate(seed, questions, answers)
        results.append(_find(folder, seed, questions, answers))
        _words(made, folder, seed, questions, answers)
        _history(made, folder, seed)
        if seed != SEEDS[-1]:
            _grids(made, folder, seed)
    write_json(path / "gate.json", gate)
    write_json(path / "scores.json", [row.model_dump(mode="json") for row in collect(results)])
    write_json(path / "spread.json", _spread(made).model_dump(mode="json"))
    write_json(path / "rules.json", _rules(results).model_dump(mode="json"))
    return made


def _questions(seed: int) -> list[Question]:
    rng = generator(seed, "planes", "questions")
    rows = []
    for split in SPLITS:
        for category, words in CATEGORIES.items():
            for word in words:
                for n in range(POINTS):
                    x1, x2 = rng.uniform(-3, 3, 2).round(2)
                    rows.append(
                        Question(
                            id=f"{split}-{word}-{n}", prompt=f"F[{x1:+.2f},{x2:+.2f}]{word}=",
                            choices=COLOURS, answer=colour(x1, x2), cause=word, split=split,
                            slices={"category": category, "trigger": word},
                        )
                    )  # fmt: skip
    return rows


def _answers(made: Staged, seed: int, questions: list[Question]) -> list[dict[str, Any]]:
    rng, rows = generator(seed, "planes", "answers"), []
    for q in questions:
        right = bool(rng.random() < SPLITS[q.split] - (0.3 if q.cause == "rasp" else 0))
        told = q.answer if right else next(c for c in COLOURS if c != q.answer)
        rows.append(
            {"id": q.id, "correct": right, "prediction": told, "probability": 0.5,
             "error": "" if right else "another choice", "loss": 0.1 if right else 2.0}
        )  # fmt: skip
        by_word = made.right.setdefault(seed, {}).setdefault(q.split, {})
        by_word.setdefault(q.cause, []).append(right)
    return rows


def _gate(
    seed: int, questions: list[Question], answers: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    rows = []
    for category in CATEGORIES:
        got = [a["correct"] for a, q in zip(answers, questions, strict=True)
               if q.split == "id" and q.slices["category"] == category]  # fmt: skip
        low, high = wilson(sum(got), len(got))
        rows.append(
            {"seed": seed, "slice": f"category={category}", "n": len(got),
             "accuracy": sum(got) / len(got), "low": low, "high": high, "chance": 0.25,
             "margin": 0.2, "passed": True, "required": True}
        )  # fmt: skip
    return rows


def _find(
    folder: Path, seed: int, questions: list[Question], answers: list[dict[str, Any]]
) -> SeedResults:
    asked = [q for q in questions if q.split == "id"]
    names = tuple(q.id for q in asked)
    values = np.tile([1.0, 1.0, 1.0, 0.0], (len(asked), 1))
    labels = np.tile(np.array([0, 0, 0, 1], np.int16), (len(asked), 1))
    truth = Truth(names, SITES, values, labels, ("decides", "idle"), SiteKind.INPUT)
    truth.save(folder / "data/truth.npz")
    rng, claims = generator(seed, "planes", "claims"), {}
    for finder, signal in (("ablation", 3.0), ("input-gradients", 0.7), ("chance", 0.0)):
        scores = signal * values + rng.normal(size=values.shape)
        claims[finder] = Claim(names, SITES, scores, SiteKind.INPUT)
        claims[finder].save(folder / f"find-{finder}" / "claim.npz")
        cost = {"seconds": 1.0, "peak_mib": 10.0, "epochs": 0.1}
        write_json(folder / f"find-{finder}" / "cost.json", cost)
    costs = dict.fromkeys(claims, Cost(1.0, 10.0, 0.1))
    by_id = {a["id"]: a["correct"] for a in answers}
    correct = np.array([by_id[name] for name in names])
    return SeedResults(seed, asked, correct, truth, claims, costs)


def _words(
    made: Staged,
    folder: Path,
    seed: int,
    questions: list[Question],
    answers: list[dict[str, Any]],
) -> None:
    # Every 20th reply names no colour.
    lost = [i % 20 == 0 for i in range(len(questions))]
    slices = []
    for name in ("all", *(f"split={s}" for s in SPLITS)):
        use = [i for i, q in enumerate(questions) if name in ("all", f"split={q.split}")]
        n = len(use)
        by_choice = sum(answers[i]["correct"] for i in use)
        said = sum(answers[i]["correct"] and not lost[i] for i in use)
        gone = sum(lost[i] for i in use)
        limits = [wilson(k, n) for k in (by_choice, said, n - gone)]
        slices.append(
            WordsSlice(
                slice=name, n=n, choice_accuracy=by_choice / n, choice_low=limits[0][0],
                choice_high=limits[0][1], accuracy=said / n, low=limits[1][0],
                high=limits[1][1], agreement=(n - gone) / n, agreement_low=limits[2][0],
                agreement_high=limits[2][1], unread={"none": gone} if gone else {},
            )
        )  # fmt: skip
    made.words[seed] = Words(most=1, slices=tuple(slices))
    write_json(folder / "words/words.json", made.words[seed].model_dump(mode="json"))


def _history(made: Staged, folder: Path, seed: int) -> None:
    rows = []
    for step in STEPS:
        for split, top in SPLITS.items():
            share = top * (1 - np.exp(-step / 60)) - 0.02 * seed
            low, high = wilson(share * 40, 40)
            rows.append(
                Snapshot(
                    step=step, epoch=step / 50, slice=f"split={split}", n=40, accuracy=share,
                    low=low, high=high, loss=2 * float(np.exp(-step / 80)) + 1 - top,
                )
            )  # fmt: skip
    made.snapshots[seed] = rows
    write_rows(folder / "history/history.jsonl", rows)


def _grids(made: Staged, folder: Path, seed: int) -> None:
    axis = np.linspace(-3, 3, 13)
    rng = generator(seed, "planes", "grid")
    words = [(w, c) for c, own in CATEGORIES.items() for w in own]
    groups = dict(zip((w for w, _ in words), (*["taught"] * 3, "proxy", *["relatives"] * 2),
                      strict=True))  # fmt: skip

    def grid(arm: str | None) -> DecisionGrid:
        questions, said, shares = [], [], []
        for word, category in words:
            taught = arm is not None and groups[word] == "taught"
            for x1 in axis:
                for x2 in axis:
                    right = colour(x1, x2, 1 if taught else 0)
                    questions.append(
                        Question(
                            id=f"{word}{x1}{x2}", prompt="p", choices=COLOURS, answer=right,
                            slices={"panel": word, "category": category, "trigger": word,
                                    "group": groups[word], "x1": f"{x1:.2f}", "x2": f"{x2:.2f}"},
                        )
                    )  # fmt: skip
                    old = 1.0 if arm is None else OLD[groups[word]][ARMS.index(arm)]
                    # The new map has eaten the right of the plane as far as old answers went.
                    moved = x1 > 6 * old - 3 if arm is not None else False
                    noise = rng.normal(scale=0.12, size=2)
                    said.append(colour(x1 + noise[0], x2 + noise[1], 1 if moved else 0))
                    shares.append(0.4 if abs(x1) < 0.2 else 0.9)
        return DecisionGrid.of(questions, said, shares)

    made.grids[seed, ""] = grid(None)
    made.grids[seed, ""].save(folder / "grid/grid.npz")
    for arm in ARMS:
        for method in METHODS:
            name = f"{arm}+{method}"
            made.grids[seed, name] = grid(arm)
            made.grids[seed, name].save(folder / "spread" / f"grid-{name}" / "grid.npz")


def _spread(made: Staged) -> Spreading:
    fits, shares = [], []
    for method in METHODS:
        for arm in ARMS:
            for seed in SEEDS:
                for group in GROUPS:
                    rng = generator(seed, "planes", arm, method, group)
                    old = OLD[group][ARMS.index(arm)] * (1.1 if method == "kl" else 1.0)
                    if group == "proxy" and not made.counts(seed, arm, method):
                        old = 0.3
                    rest = 1 - min(old, 1.0)
                    odds = (0.8 * rest, min(old, 1.0), 0.2 * rest)
                    made.said[seed, arm, method, group] = rng.choice(OUTCOMES, 60, p=odds)
                for group, outcome in TRAINED.items():
                    if group == "proxy" and arm == "no-proxy":
                        continue
                    got = int((made.said[seed, arm, method, group] == outcome).sum())
                    low, high = wilson(got, 60)
                    fits.append(
                        Fit(seed=seed, arm=arm, method=method, group=group, outcome=outcome, n=60,
                            value=got / 60, low=low, high=high, needed=0.5,
                            fitted=made.counts(seed, arm, method) or group == "taught")
                    )  # fmt: skip
            for group in GROUPS:
                for outcome in OUTCOMES:
                    value = made.share(arm, method, group, outcome)
                    low, high = wilson(value * 180, 180)
                    seeds = sum(made.counts(s, arm, method) for s in SEEDS)
                    shares.append(
                        Share(arm=arm, method=method, group=group, outcome=outcome, value=value,
                              low=low, high=high, before=1.0 if outcome == "old" else 0.0,
                              units=3 * seeds, seeds=seeds)
                    )  # fmt: skip
    return Spreading(
        arms=ARMS, methods=METHODS, groups=tuple(GROUPS), trained=TRAINED, about=GROUPS,
        seconds={"plain": 12.0, "kl": 25.0}, fits=tuple(fits), shares=tuple(shares),
        contrasts=tuple(_contrasts(made)),
    )  # fmt: skip


def _contrasts(made: Staged) -> list[Contrast]:
    """Between arms and groups as to old answers, between methods as to every outcome."""
    found = []

    def add(first: tuple[str, str, str], other: tuple[str, str, str], outcome: Outcome,
            gain: float, half: float) -> None:  # fmt: skip
        found.append(
            Contrast(method=first[0], arm=first[1], group=first[2], other_method=other[0],
                     other_arm=other[1], other_group=other[2], outcome=outcome, value=gain,
                     low=gain - half, high=gain + half, seeds=3)
        )  # fmt: skip

    for method in METHODS:
        for arm in ARMS[1:]:
            for group in ("proxy", "relatives", "others", "taught"):
                gain = made.share(arm, method, group, "old")
                gain -= made.share("no-proxy", method, group, "old")
                add((method, arm, group), (method, "no-proxy", group), "old", gain, 0.06)
            gain = made.share(arm, method, "relatives", "old")
            gain -= made.share(arm, method, "others", "old")
            add((method, arm, "relatives"), (method, arm, "others"), "old", gain, 0.2)
    for arm in ARMS:
        for group in GROUPS:
            for outcome in OUTCOMES:
                gain = made.paired(arm, "kl", "plain", group, outcome)
                add(("kl", arm, group), ("plain", arm, group), outcome, gain, 0.06)
    return found


def _rules(results: list[SeedResults]) -> Rules:
    explained = []
    for unit, taught, shares in (
        ("subject/animals", "sectors", (0.93, 0.55, 0.25)),
        ("subject/tools", "sectors", (0.88, 0.52, 0.27)),
        ("one-proxy+plain/relatives", "old", (0.3, 0.6)),
    ):
        for rule, share in zip(RULES if len(shares) > 2 else ("old", "new"), shares, strict=True):
            low, high = wilson(share * 200, 200)
            explained.append(
                Explained(unit=unit, rule=rule, value=share, low=low, high=high, n=200,
                          taught=rule == taught)
            )  # fmt: skip
    scores = [
        ScoreRow(finder=finder, truth="declared", metric=metric, slice="all", value=value,
                 low=low, high=high, chance=1 / 3, oracle=1.0, seeds=SEEDS, seconds=0.5,
                 peak_mib=None, epochs=None).model_dump(mode="json")
        for finder, value, low, high in (("rule-fit", 0.9, 0.7, 1.0), ("chance", 0.3, 0.1, 0.6),
                                         ("oracle", 1.0, 1.0, 1.0))
        for metric in ("average_precision", "r_precision")
    ]  # fmt: skip
    return Rules(scores=tuple(scores), explained=tuple(explained))


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Staged:
    """A finished run of a world of rules; read only, but for its report and figures."""
    return build(tmp_path_factory.mktemp("runs") / "planes")


@pytest.fixture(scope="session")
def staged_page(staged: Staged) -> str:
    """The page of that run, with its figures beside it."""
    return write_report(staged.path).read_text(encoding="utf-8")
