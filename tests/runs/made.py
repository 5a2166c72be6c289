"""A run folder in the real layout, of drawn claims about a handful of rows: nothing is trained."""

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import BaseModel

from seedbed.core.files import write_json, write_rows
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import generator
from seedbed.core.sites import Claim, Truth
from seedbed.runs.store import code_digest
from seedbed.runs.summary import digest_of
from seedbed.scoring.rows import Cost, SeedResults, collect

FINDERS = {"bm25": 0.5, "gradients-dot": 1.0, "gradients-cosine": 2.0, "chance": 0.0}
"""By name: how far true causes stand above the rest."""


def config_of(**changes: Any) -> dict[str, Any]:
    """A resolved configuration, in the part that a summary reads."""
    return {
        "name": "small",
        "world": {"kind": "hops", "depth": 1},
        "subject": {"kind": "tiny", "width": 32},
        "finders": [
            {"kind": "bm25", "label": ""},
            {"kind": "gradients", "label": "", "measure": ["dot", "cosine"]},
            {"kind": "chance", "label": ""},
        ],
        "seeds": [0, 1],
        "threads": 1,
        **changes,
    }


def write_run(
    folder: Path, config: dict[str, Any] | None = None, skill: float = 1.0, **manifest: Any
) -> Path:
    """Write a finished run; `skill` scales what finders know, `manifest` changes its keys."""
    config = config or config_of()
    shutil.copytree(_results(tuple(config["seeds"]), skill), folder)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    told = {
        "seedbed": "0.1.0", "command": "seedbed run small.yaml", "code_digest": code_digest(),
        "config_digest": digest_of(config), "started": "2026-11-20T10:00:00+00:00",
        "finished": "2026-11-20T10:01:00+00:00", "seconds": 60.0, "sites": "document",
        "lacking": {"cell": "no position of a text is a cause"},
    }  # fmt: skip
    write_json(folder / "manifest.json", {**told, **manifest})
    return folder


@cache
def _results(seeds: tuple[int, ...], skill: float) -> Path:
    """A run without config and manifest, to copy from: scoring it takes longer than a test."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    results = [_seed(folder / "seeds" / str(seed), seed, skill) for seed in seeds]
    write_json(folder / "scores.json", [r.model_dump(mode="json") for r in collect(results)])
    write_json(folder / "gate.json", [])
    write_json(folder / "missing.json", [{"finder": "trak", "reason": "trak is not installed"}])
    return folder


def _seed(here: Path, seed: int, skill: float) -> SeedResults:
    documents = [
        Document(id=f"d{i}", text=f"Text {i} says é.", role="evidence" if i < 3 else "neutral",
                 facts=(f"f{i}",), targets=((0, 4),), weight=0.1 + i, shows=("cue=x",),
                 marks={"rating": 1 / 3}, meta={"of": [i, {"deep": None}]})
        for i in range(8)
    ]  # fmt: skip
    questions = [
        Question(id=f"q{i}", prompt=f"Which {i}?", choices=("1", "2"), answer="1",
                 cause=f"c{i % 3}", slices={"depth": str(i % 2)}, places={"first": (0, 5)},
                 rules={"own": "2"})
        for i in range(6)
    ]  # fmt: skip
    pairs = [Pair(id="p0", clean=questions[0], corrupt=questions[1], cause="c0")]
    labels = np.array([[1 if (s + q) % 4 == 0 else 0 for s in range(8)] for q in range(6)])
    names = tuple(q.id for q in questions)
    sites = tuple(d.id for d in documents)
    values = np.where(labels == 1, 1.0, 0.0)
    values[0, 7] = np.nan
    truth = Truth(names, sites, values, labels.astype(np.int16), ("neutral", "evidence:0"))
    rows: dict[str, Sequence[BaseModel]] = {
        "documents": documents,
        "questions": questions,
        "pairs": pairs,
    }
    for name, some in rows.items():
        write_rows(here / "data" / f"{name}.jsonl", some)
    truth.save(here / "data" / "truth.npz")
    claims = {}
    for i, (name, signal) in enumerate(FINDERS.items()):
        noise = generator(seed, f"claim {i}").normal(size=labels.shape)
        notes = {"path": "drawn"}
        claims[name] = Claim(names, sites, noise + skill * signal * labels, notes=notes)
        claims[name].save(here / f"find-{name}" / "claim.npz")
    (here / "train" / "subject").mkdir(parents=True)
    (here / "train" / "subject" / "model.safetensors").write_bytes(bytes(range(256)) * 4)
    cost = Cost(1.0, 2.0, 0.5)
    return SeedResults(seed, questions, np.ones(6, dtype=bool), truth, claims,
                       dict.fromkeys(claims, cost))  # fmt: skip
