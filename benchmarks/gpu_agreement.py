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
from seedbed.core.rows import Question
from seedbed.core.sites import Claim, Truth
from seedbed.finders.base import Finder
from seedbed.measuring.answers import Answer
from seedbed.models import devices
from seedbed.runs.store import Store
from seedbed.scoring.ranking import per_question
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
    """Answers, then every claim about the world's own sites, of one seed of a finished CPU run."""
    study = load_study(run / "config.yaml")
    plan = Plan(study.model_copy(update={"device": devices.CPU}), Store(run.parent / ".store"))
    here = run / "seeds" / str(seed)
    _, trained, data = plan.ground(seed)
    own = plan.place(plan.train(seed))[1]
    with tempfile.TemporaryDirectory() as folder, devices.using(device):
        measure_stage(study.subject, own, here / "data", Path(folder))
        theirs = read_rows(Path(folder) / "answers.jsonl", Answer)
    ours = read_rows(here / "measure" / "answers.jsonl", Answer)
    gap = max(abs(a.loss - b.loss) for a, b in zip(ours, theirs, strict=True))
    yield Difference("loss of answers, nats", gap, LOSS)
    for finder in _able(study, here):
        yield from _claims(study, finder, here, trained, data, device)


def _able(study: Study, here: Path) -> list[Finder]:
    return [
        f for f in study.finders
        if f.sites is study.world.sites and f.kind != "chance"
        and all((here / f"find-{v.name}" / "claim.npz").exists() for v in f.variants())
    ]  # fmt: skip


def _claims(
    study: Study, finder: Finder, here: Path, trained: Path, data: Path, device: str
) -> Iterator[Difference]:
    stored = {v.name: Claim.load(here / f"find-{v.name}" / "claim.npz") for v in finder.variants()}
    asked = next(iter(stored.values())).questions
    with tempfile.TemporaryDirectory() as folder:
        with devices.using(device):
            find_stage(finder, asked, study.subject, trained, data, Path(folder))
        for place, (name, ours) in enumerate(stored.items()):
            theirs = Claim.load(Path(folder) / str(place) / "claim.npz").arranged(ours.sites)
            size = float(np.abs(ours.scores).max()) or 1.0
            gap = float(np.abs(ours.scores - theirs.scores).max()) / size
            yield Difference(f"{name}: scores", gap, SCORES)
            marks = [_mark(here, c) for c in (ours, theirs)]
            if None not in marks:
                yield Difference(f"{name}: AP", abs(float(marks[0]) - float(marks[1])), MARK)  # type: ignore[arg-type]  # both are numbers


def _mark(here: Path, claim: Claim) -> float | None:
    """Mean average precision under the declared truth, where it speaks of the claim's sites."""
    truth = Truth.load(here / "data" / "truth.npz").select(claim.questions)
    if not set(claim.sites) <= set(truth.sites):
        return None
    values: NDArray[np.float64] = truth.values[:, [truth.sites.index(s) for s in claim.sites]]
    found = per_question("average_precision", claim.scores, values == 1, np.isfinite(values))
    return float(np.nanmean(found)) if np.isfinite(found).any() else None


def held_out(run: Path, seed: int) -> list[Question]:
    """The questions of a seed's data folder."""
    return read_rows(run / "seeds" / str(seed) / "data" / "questions.jsonl", Question)
