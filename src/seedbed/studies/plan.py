"""The stages of a study and the keys they are stored under.

A key holds the stage's own configuration, the digests of its inputs, the code's digest and
the threads; labels and names of a study change nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from seedbed.core.config import digest
from seedbed.core.files import digest_of_files
from seedbed.core.kinds import Kinded
from seedbed.core.outcomes import Intervention
from seedbed.finders.base import Finder
from seedbed.finders.retraining import retraining_seed
from seedbed.models import devices
from seedbed.runs.launch import Launch
from seedbed.runs.store import Store, code_digest
from seedbed.studies import improving, planting, stages, together
from seedbed.studies.incentives import cell_folder
from seedbed.studies.organisms import Organism, Organisms
from seedbed.studies.study import Study
from seedbed.training.loop import Progress
from seedbed.worlds.base import World

DEVICE = "device"
"""The entry of a task's key that says where its models run; without it on the CPU."""


class Work(Protocol):
    """Fills a folder and may report progress."""

    def __call__(self, folder: Path, progress: Progress | None) -> None:
        """Write the stage's files into `folder`, which may hold what an earlier try left."""


@dataclass(frozen=True)
class Task:
    """One stage of one seed: its name in the store, its place in the run folder, key and work.

    All finders share one name in the store, so that relabelling one makes nothing anew.
    """

    seed: int
    stage: str
    name: str
    key: dict[str, Any]
    work: Work


class Plan:
    """Builds the tasks of a study; digests follow from configuration alone.

    Of `launch` the GPUs of a worker count, which the study's `device: auto` goes by, and the
    processes that train a subject together.
    """

    def __init__(self, study: Study, store: Store, launch: Launch | None = None) -> None:
        self.study, self.store, self.launch = study, store, launch or Launch()
        self.base: dict[str, Any] = {"code": code_digest(), "threads": study.threads}
        if (device := devices.resolve(study.device, self.launch.gpus)) != devices.CPU:
            # What a GPU made is no answer to who asks for what a CPU makes.
            self.base[DEVICE] = device

    def data(self, seed: int) -> Task:
        """Rows and truth."""
        return self.rows(self.study.world, seed, "data")

    def train(self, seed: int) -> Task:
        """The trained subject."""
        study, data = self.study, self.place(self.data(seed))
        key = {
            **self.base,
            "subject": config_of(study.subject),
            "training": study.training and study.training.model_dump(mode="json"),
            "data": data[0],
            **together.key(self.launch),
        }
        work: Work = partial(_train, study.world, study.subject, study.training, seed, data[1])
        if together.wanted(self.launch) and study.training is not None:
            device = self.base.get(DEVICE, devices.CPU)
            work = together.Together(work, self.launch.processes, self.launch.accelerate, device)
        return Task(seed, "train", "train", key, work)

    def measure(self, seed: int) -> Task:
        """Answers to every question."""
        return self.measured(self.train(seed), self.data(seed), "measure")

    def measured(self, trained: Task, data: Task, name: str) -> Task:
        """Answers of the subject that `trained` leaves to the questions of `data`."""
        subject, rows = self.place(trained), self.place(data)
        key = {**self.base, "train": subject[0], "data": rows[0]}
        work = partial(_measure, self.study.subject, subject[1], rows[1])
        return Task(trained.seed, "measure", name, key, work)

    def find(self, seed: int, finder: Finder, asked: tuple[str, ...]) -> Task:
        """One finder's claim."""
        digest, trained, data = self.ground(seed)
        key = {
            **self.base,
            "train": digest,
            "finder": config_of(finder, drop="label"),
            "asked": asked,
        }
        work = partial(_find, finder, asked, self.study.subject, trained, data)
        return Task(seed, "find", f"find-{finder.name}", key, work)

    def ground(self, seed: int) -> tuple[str, Path, Path]:
        """What finders look into: its digest, the stage with the subject, and that with the rows.

        The subject that learned from its users, where the study has any.
        """
        if self.study.incentives is None:
            digest, trained = self.place(self.train(seed))
            return digest, trained, self.place(self.data(seed))[1]
        digest, improved = self.place(self.improve(seed, *self.study.incentives.ground()))
        return digest, improved, improved / improving.DATA

    def improve(self, seed: int, condition: str, arm: str) -> Task:
        """All rounds of one arm under one condition."""
        study, trained = self.study, self.place(self.train(seed))
        config = study.incentives
        assert config is not None
        cell = config.cell(condition, arm, study.world)
        key = {**self.base, "train": trained[0], "seed": seed, "cell": cell.key()}
        work = partial(_improve, cell, study.subject, trained[1], seed)
        return Task(seed, "improve", cell_folder(condition, arm), key, work)

    def mediate(self, seed: int, asked: tuple[str, ...]) -> Task:
        """Causal mediation by patching."""
        trained, data = self.place(self.train(seed)), self.place(self.data(seed))
        config = self.study.mediation
        assert config is not None
        key = {
            **self.base,
            "train": trained[0],
            "mediation": config.model_dump(mode="json"),
            "asked": asked,
        }
        given = (config, asked, self.study.world.gate.by, self.study.subject)
        work = partial(_mediate, *given, trained[1], data[1])
        return Task(seed, "mediate", "mediation", key, work)

    def changed(self, seed: int, change: str) -> Task:
        """Rows of the world under one of the organisms' changes."""
        world = self._organisms.world(change, self.study.world)
        return self.rows(world, seed, f"organisms/data-{change}")

    def rows(self, world: World, seed: int, name: str) -> Task:
        """Rows and truth of a world, under a name of the run folder."""
        key = {**self.base, "world": config_of(world), "seed": seed}
        if inputs := world.inputs():
            key["inputs"] = digest_of_files(inputs)
        return Task(seed, "data", name, key, partial(_data, world, seed))

    def asked_before(self, seed: int, change: str) -> Task:
        """What the study's subject answers in a changed world."""
        return self.measured(
            self.train(seed), self.changed(seed, change), f"organisms/base-{change}"
        )

    def drift(self, seed: int) -> Task:
        """The subject trained further on its own world; the subject itself without a drift."""
        trained, data = self.place(self.train(seed)), self.place(self.data(seed))
        training = self._organisms.drift
        if training is None:
            return self.train(seed)
        key = {
            **self.base,
            "train": trained[0],
            "training": training.model_dump(mode="json"),
            "data": data[0],
        }
        work = partial(_drift, training, self.study.subject, trained[1], data[1])
        return Task(seed, "drift", "organisms/drift", key, work)

    def organism(self, seed: int, change: str, layer: int) -> Task:
        """One block trained on a changed world."""
        origin, data = self.place(self.drift(seed)), self.place(self.changed(seed, change))
        training, subject = self._organisms.training, self.study.subject
        key = {
            **self.base,
            "origin": origin[0],
            "training": training.model_dump(mode="json"),
            "data": data[0],
            "change": change,
            "layer": layer,
        }
        work = partial(_organism, training, change, layer, subject, origin[1], data[1])
        return Task(seed, "organism", f"organisms/{change}@{layer}", key, work)

    def find_layers(self, seed: int, finder: Finder, organisms: Sequence[Organism]) -> Task:
        """One finder's claims about the organisms of a seed."""
        trained = self.place(self.train(seed))
        key = {
            **self.base,
            "train": trained[0],
            "finder": config_of(finder, drop="label"),
            "organisms": [[o.name, o.folder.name, list(o.asked)] for o in organisms],
        }
        work = partial(_find_layers, finder, tuple(organisms), self.study.subject, trained[1])
        return Task(seed, "find", f"find-{finder.name}", key, work)

    @property
    def _organisms(self) -> Organisms:
        assert self.study.organisms is not None
        return self.study.organisms

    def retrain(self, seed: int, intervention: Intervention, repeat: int) -> Task:
        """One retraining of the measured truth."""
        study, data = self.study, self.place(self.data(seed))
        assert study.measured is not None
        assert study.training is not None
        training = study.training.model_copy(update={"checkpoint_every": 0.0, "track": ()})
        own = retraining_seed(study.measured, seed, repeat)
        key = {
            **self.base,
            "subject": config_of(study.subject),
            "training": training.model_dump(mode="json"),
            "data": data[0],
            "output": study.measured.output,
            "left_out": digest({"rows": list(intervention.left_out)}),
            "seed": own,
        }
        given = (study.subject, training, study.measured.output, data[1], intervention.left_out)
        name = "-".join(filter(None, (intervention.kind, intervention.name, str(repeat))))
        return Task(seed, "retrain", f"retrain {name}", key, partial(_retrain, *given, own))

    def place(self, task: Task) -> tuple[str, Path]:
        """The digest of a task and where the store keeps what it leaves."""
        return self.store.place(task.stage, task.key)


def config_of(value: Kinded, drop: str = "") -> dict[str, Any]:
    """A configuration and, for a class from a file, that file's SHA-256."""
    plain: dict[str, Any] = value.model_dump(mode="json", exclude={drop} if drop else None)
    if ".py:" in value.kind:
        source = Path(value.kind.rpartition(":")[0]).read_bytes()
        plain["source"] = hashlib.sha256(source).hexdigest()
    return plain


def _data(world: Any, seed: int, folder: Path, progress: Progress | None) -> None:
    stages.make_data(world, seed, folder)


def _train(
    world: World,
    subject: Any,
    training: Any,
    seed: int,
    data: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    stages.train_stage(subject, training, seed, data, folder, progress, world.check_labels)


def _measure(
    subject: Any, trained: Path, data: Path, folder: Path, progress: Progress | None
) -> None:
    stages.measure_stage(subject, trained, data, folder)


def _find(
    finder: Any,
    asked: Any,
    subject: Any,
    trained: Path,
    data: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    stages.find_stage(finder, asked, subject, trained, data, folder)


def _improve(
    cell: improving.Cell,
    subject: Any,
    trained: Path,
    seed: int,
    folder: Path,
    progress: Progress | None,
) -> None:
    improving.improve_stage(cell, subject, trained, seed, folder, progress)


def _mediate(
    config: Any,
    asked: Any,
    by: str,
    subject: Any,
    trained: Path,
    data: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    stages.mediate_stage(config, asked, by, subject, trained, data, folder)


def _drift(
    training: Any, subject: Any, trained: Path, data: Path, folder: Path, progress: Progress | None
) -> None:
    planting.further_stage(training, "drift", subject, trained, data, folder, progress)


def _organism(
    training: Any,
    change: str,
    layer: int,
    subject: Any,
    origin: Path,
    data: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    planting.organism_stage(training, change, layer, subject, origin, data, folder, progress)


def _find_layers(
    finder: Any,
    organisms: Any,
    subject: Any,
    trained: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    planting.find_layers_stage(finder, organisms, subject, trained, folder)


def _retrain(
    subject: Any,
    training: Any,
    output: Any,
    data: Path,
    left_out: Any,
    own: int,
    folder: Path,
    progress: Progress | None,
) -> None:
    stages.retrain_stage(subject, training, output, data, left_out, own, folder, progress)


def study_digest(study: Study) -> str:
    """Digest of a study's resolved configuration without its name."""
    return digest({"study": study.model_dump(mode="json", exclude={"name"})})
