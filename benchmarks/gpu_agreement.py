"""Do answers and claims on another device agree with those of the CPU, from the same weights?

A study is run on the CPU; then every subject of it is asked again, and every finder run again, on
the other device. The CPU's own figures are the stored ones, so nothing is compared with itself.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seedbed.core.files import read_rows
from seedbed.core.sites import Claim, Truth
from seedbed.finders.base import Finder
from seedbed.measuring.answers import Answer
from seedbed.models import devices
from seedbed.runs.store import Store
from seedbed.scoring.ranking import per_question
from seedbed.studies.crossing import FOLDER
from seedbed.studies.plan import Plan
from seedbed.studies.stages import find_stage, measure_stage
from seedbed.studies.study import Study, load_study

LOSS, SCORES, MARK = 1e-3, 1e-2, 0.02
"""Greatest differences: nats of an answer's loss; a claim's scores over their largest size; mean
average precision."""


@dataclass(frozen=True)
class Difference:
    """One comparison: what was compared, its greatest difference, and the one allowed."""

    what: str
    value: float
    allowed: float

    @property
    def fine(self) -> bool:
        """Whether it is within what is allowed."""
        return self.value <= self.allowed


def differences(run: Path, seed: int, device: str) -> Iterator[Difference]:
    """Answers, then every claim, of one seed of a finished CPU run.

    Claims about the world's own sites, and about every other kind that the study crossed to. Of a
    study with users the subject that learned from them is looked into.
    """
    study = load_study(run / "config.yaml")
    plan = Plan(study.model_copy(update={"device": devices.CPU}), Store(run.parent / ".store"))
    here = run / "seeds" / str(seed)
    _, trained, data = plan.ground(seed)
    own = plan.place(plan.train(seed))[1]
    yield _answers(study, own, here, device, "")
    for finder in study.finders:
        if finder.sites is study.world.sites:
            yield from _claims(study, finder, here, trained, data, device, "")
    for kind in study.world.crossings:
        there = here / FOLDER / kind
        if (there / "measure").exists():
            yield _answers(study, trained, there, device, f"{kind}: ")
        for finder in study.finders:
            if finder.sites is kind and kind is not study.world.sites:
                yield from _claims(
                    study, finder, there, trained, there / "data", device, f"{kind}: "
                )


def _answers(study: Study, trained: Path, here: Path, device: str, of: str) -> Difference:
    with tempfile.TemporaryDirectory() as folder, devices.using(device):
        measure_stage(study.subject, trained, here / "data", Path(folder))
        theirs = read_rows(Path(folder) / "answers.jsonl", Answer)
    ours = read_rows(here / "measure" / "answers.jsonl", Answer)
    pairs = [(a.loss or 0.0, b.loss or 0.0) for a, b in zip(ours, theirs, strict=True)]
    gap = max(abs(a - b) for a, b in pairs)
    return Difference(f"{of}loss of answers, nats", gap, LOSS)


def _claims(
    study: Study, finder: Finder, here: Path, trained: Path, data: Path, device: str, of: str
) -> Iterator[Difference]:
    files = {v.name: here / f"find-{v.name}" / "claim.npz" for v in finder.variants()}
    if not all(file.exists() for file in files.values()):
        # What it said against these rows stands in missing.json.
        return
    stored = {name: Claim.load(file) for name, file in files.items()}
    asked = next(iter(stored.values())).questions
    with tempfile.TemporaryDirectory() as folder:
        with devices.using(device):
            find_stage(finder, asked, study.subject, trained, data, Path(folder))
        for place, (name, ours) in enumerate(stored.items()):
            theirs = Claim.load(Path(folder) / str(place) / "claim.npz").arranged(ours.sites)
            size = float(np.abs(ours.scores).max()) or 1.0
            gap = float(np.abs(ours.scores - theirs.scores).max()) / size
            yield Difference(f"{of}{name}: scores", gap, SCORES)
            mine, other = _mark(here, ours), _mark(here, theirs)
            if mine is not None and other is not None:
                yield Difference(f"{of}{name}: AP", abs(mine - other), MARK)


def _mark(here: Path, claim: Claim) -> float | None:
    """Mean average precision under the declared truth, where it speaks of the claim's sites."""
    # Of a crossing the truth stands beside the rows.
    file = here / "truth.npz" if (here / "truth.npz").exists() else here / "data" / "truth.npz"
    truth = Truth.load(file).select(claim.questions)
    if not set(claim.sites) <= set(truth.sites):
        return None
    values: NDArray[np.floating] = truth.values[:, [truth.sites.index(s) for s in claim.sites]]
    found = per_question("average_precision", claim.scores, values == 1, np.isfinite(values))
    return float(np.nanmean(found)) if np.isfinite(found).any() else None
