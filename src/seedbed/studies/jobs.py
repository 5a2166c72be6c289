"""Jobs: one step of looking for a direction in a model that exists, as a file of settings.

States are saved, directions made of them, and the model is asked with and without them in place.
A job that needs directions takes those of the job that it names, or runs that one first.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from seedbed.core.config import Config, apply_sets, read_yaml, validate
from seedbed.core.errors import ConfigError, DataError, InputError
from seedbed.core.files import digest_of_files, read_json, write_json
from seedbed.core.workspace import Workspace
from seedbed.finders.directions import Measure
from seedbed.finders.kept import Precision
from seedbed.measuring.harness import Harness
from seedbed.measuring.written import Writing
from seedbed.models.reading import Precision as Weights
from seedbed.models.steering import Steer
from seedbed.models.subject import Subject
from seedbed.worlds.observed.source import Source, files_of
from seedbed.worlds.observed.world import Observed

Step = Literal["states", "directions", "effect", "accuracy", "harness"]
SETTINGS, RESULT = "job.json", "result.json"
CONTENTS = "contents"
SHARED = ("subject", "world", "seed")
"""What a job gives to the one that it needs."""
Say = Callable[[str], None]


class Model(Config):
    """A model by its place in the workspace, a path or a hub id in the cache.

    `device` auto: the GPU where there is one. `start` begins every text with the BOS token even
    where the tokenizer by itself does not.
    """

    path: str = Field(min_length=1)
    trust_remote_code: bool = False
    dtype: Weights = "auto"
    batch: int = Field(default=8, ge=1)
    device: str = "auto"
    start: bool = True


class Reading(Config):
    """Which states are read: at the `last` token of a prompt, or their mean over `all` tokens.

    `layers` count the residual stream's edges in running order (none: all of them): what block
    0, 1, … takes in; in a recurrent-depth model what each run of each block does (Huginn-0125:
    0–1 prelude, 2 + 4r + b core block b at recurrence r, 130–131 coda); after the last of
    these, what it hands on. `answer`: a mean goes over the tokens of the right answer too.
    """

    tokens: Literal["last", "all"] = "last"
    layers: tuple[int, ...] = ()
    answer: bool = False
    precision: Precision = "float32"


class Making(Config):
    """How directions are made of the states: one file for each measure, controls among them."""

    measure: tuple[Measure, ...] = ("difference", "probe", "shuffled", "random")
    ridges: tuple[float, ...] = Field(default=(0.01, 0.1, 1.0), min_length=1)


class Intervening(Config):
    """Which direction is put in place, how, and at which layers (counted as in `reading`).

    `controls` random directions of the same steps are put there in turn.
    """

    direction: Measure = "difference"
    layers: tuple[int, ...] = Field(min_length=1)
    steer: Steer = Steer()
    controls: int = Field(default=1, ge=0)


class Effect(Config):
    """Effect per layer: over `questions` of each class of the test split, beside random draws."""

    measure: tuple[Measure, ...] = ("difference",)
    questions: int = Field(default=24, ge=1)
    small: float = Field(default=0.02, gt=0)
    random: int = Field(default=3, ge=0)


class Accuracy(Config):
    """Accuracy by generation on the test split: how items are put, where worked examples are from.

    Without `examples` they are items of the train split. `most`: items asked of each class (0:
    all).
    """

    writing: Writing = Writing()
    examples: Source | None = None
    most: int = Field(default=0, ge=0)


class Job(Config):
    """One step on one model, and what it needs."""

    step: Step
    subject: Model
    world: Observed = Observed()
    reading: Reading = Reading()
    directions: Making = Making()
    intervention: Intervening | None = None
    effect: Effect = Effect()
    accuracy: Accuracy = Accuracy()
    harness: Harness | None = None
    needs: str = ""
    seed: int = 0

    @model_validator(mode="after")
    def _has_what_its_step_needs(self) -> Self:
        if self.step == "harness" and self.harness is None:
            raise ValueError("harness: is missing, and the step 'harness' needs it")
        if self.step == "effect" and not self.needs:
            raise ValueError("needs: is missing; name the job whose directions are looked at")
        if self.intervention is not None and not self.needs:
            raise ValueError("needs: is missing; name the job whose directions are put in place")
        if self.needs and self.step in ("states", "directions"):
            raise ValueError(f"needs: the step '{self.step}' needs no other job")
        if self.intervention is not None and self.step == "effect":
            raise ValueError("intervention: the step 'effect' puts none in place")
        if self.needs and self.intervention is None and self.step != "effect":
            raise ValueError("intervention: is missing; needs names directions to put in place")
        return self


@dataclass(frozen=True)
class Place:
    """Where jobs read and write: the workspace, the folder of job files, the folder of results."""

    workspace: Workspace
    files: Path
    out: Path


@dataclass(frozen=True)
class Task:
    """A job as its step sees it: where results go, and the model, read once it is wanted."""

    job: Job
    name: str
    place: Place
    say: Say

    @property
    def folder(self) -> Path:
        """Where the job's results go."""
        return self.place.out / self.name

    @cached_property
    def subject(self) -> Subject:
        """The model on its device."""
        return model_of(self.job.subject, self.place.workspace, self.job.seed)

    @cached_property
    def world(self) -> Observed:
        """The items, looked for in the workspace."""
        return self.job.world.model_copy(update={"workspace": self.place.workspace.root})


def model_of(model: Model, workspace: Workspace, seed: int) -> Subject:
    """The subject of a job; raises InputError for a place or a device that there is not."""
    from dataclasses import replace

    import torch

    from seedbed.models.folders import RECORD, load_subject
    from seedbed.models.pretrained import Pretrained

    folder = workspace.model(model.path)
    if (folder / RECORD).exists():
        subject = load_subject(folder, trust_remote_code=model.trust_remote_code)
    else:
        config = Pretrained(
            path=str(folder),
            dtype=model.dtype,
            start=model.start,
            add_tokens=False,
            trust_remote_code=model.trust_remote_code,
        )
        subject = config.build([], [], seed)  # fmt: skip
    device = model.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        subject.model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"subject.device: {device!r}: {error}") from error
    return replace(subject, seed=seed, batch=model.batch)


def load_job(path: Path, sets: tuple[str, ...] = ()) -> Job:
    """The job of a file; raises ConfigError naming file, line and key."""
    return validate(Job, apply_sets(read_yaml(path), sets), path)


def run_job(
    path: Path, workspace: Path | None = None, sets: tuple[str, ...] = (),
    out: Path | None = None, say: Say = lambda _: None,
) -> Path:  # fmt: skip
    """Run the job of a file; returns its folder, OUT/NAME (OUT: the workspace's experiments/).

    What is there already stays: an interrupted job goes on, a finished one is not run again.
    Raises InputError where the folder holds the results of other settings.
    """
    job, space = load_job(path, sets), Workspace(workspace)
    if workspace is None and out is None:
        raise InputError("no place for results: give --workspace FOLDER or --out FOLDER")
    place = Place(space, path.parent, space.experiments if out is None else out)
    return run_in(Task(job, path.stem, place, say))


def run_in(task: Task, *, asked: bool = False) -> Path:
    """`run_job` of a job that is read already; `asked` for by another, finished ones will do as
    they are if they are of the same model, items and seed.
    """
    from seedbed.runs.record import locked
    from seedbed.studies import job_steps

    if not (task.folder / RESULT).exists():
        _look(task)
    with locked(task.folder):
        _begun(task, SHARED if asked else tuple(Job.model_fields))
        if (task.folder / RESULT).exists():
            task.say(f"{task.name}: finished already, in {task.folder}")
            return task.folder
        found = needed(task)
        task.say(f"{task.name}: {task.job.step} of {task.job.subject.path}")
        about, rows = job_steps.STEPS[task.job.step](task, found)
        write_json(task.folder / RESULT, {"about": about, "rows": rows})
    return task.folder


def _look(task: Task) -> None:
    """Raises InputError for a model, items or a job that is not there, before a folder is made."""
    task.place.workspace.model(task.job.subject.path)
    if task.job.step != "harness":
        files_of(task.job.world.items, task.place.workspace.root)
    if task.job.needs:
        _needs(task)


def _needs(task: Task) -> Path:
    """The file of the job that this one needs."""
    path = task.place.files / f"{task.job.needs}.yaml"
    if not path.is_file():
        near = get_close_matches(path.stem, [p.stem for p in path.parent.glob("*.yaml")], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{task.name}: needs: there is no job file {path}{hint}")
    return path


def needed(task: Task) -> Path | None:
    """The folder of the job that this one needs, which is run first unless it is finished.

    It runs with this job's model, items and seed, so that its directions are of this model.
    """
    if not (name := task.job.needs):
        return None
    path = _needs(task)
    mine = {key: getattr(task.job, key) for key in SHARED}
    other = Task(load_job(path).model_copy(update=mine), name, task.place, task.say)
    if other.job.step != "directions":
        raise ConfigError(f"{task.name}: needs: {name} makes no directions")
    task.say(f"{task.name}: takes the directions of {name}")
    if "subject" in task.__dict__:
        other.__dict__["subject"] = task.subject
    folder = run_in(other, asked=True)
    if "subject" in other.__dict__:
        # The same model is not read twice.
        task.__dict__["subject"] = other.subject
    return folder


def _begun(task: Task, keys: Sequence[str]) -> None:
    """Write the settings, or see that `keys` are those of what is there already.

    The size of batches and the device are settings of no result. A folder without results, of a
    job that failed at once, is begun anew.
    """
    path = task.folder / SETTINGS
    mine = {**json.loads(task.job.model_dump_json()), CONTENTS: _contents(task)}
    if all(p.name == SETTINGS or p.name.startswith(".") for p in task.folder.iterdir()):
        write_json(path, mine)
        return
    known = read_json(path)
    if not isinstance(known, dict) or not isinstance(known.get("subject"), dict):
        raise DataError(path, None, "not the settings of a job")
    for key in ("batch", "device"):
        known["subject"][key] = mine["subject"][key]
    finished = (task.folder / RESULT).exists()
    every = [k for k in mine if known.get(k) != mine[k]]
    if other := [k for k in every if k in (*keys, CONTENTS) or not finished]:
        raise InputError(
            f"{task.folder}: holds results of other settings ({_difference(known, mine, other)});"
            " remove it, or give --out another folder"
        )
    if every:
        task.say(f"{task.name}: taken as it is, though its file differs:"
                 f" {_difference(known, mine, every)}")  # fmt: skip


def _contents(task: Task) -> dict[str, str]:
    """SHA-256 of what the model's folder and the files of items hold."""
    folder = task.place.workspace.model(task.job.subject.path)
    found = {"model": digest_of_files(sorted(p for p in folder.iterdir() if p.is_file()))}
    if task.job.step != "harness":
        found["items"] = digest_of_files(task.world.inputs())
    return found


def _difference(known: dict[str, Any], mine: dict[str, Any], other: list[str]) -> str:
    """The first setting that differs, down to its own key."""
    path, a, b = other[0], known.get(other[0]), mine[other[0]]
    while isinstance(a, dict) and isinstance(b, dict):
        key = next(k for k in {**a, **b} if a.get(k) != b.get(k))
        path, a, b = f"{path}.{key}", a.get(key), b.get(key)
    return f"{path} was {json.dumps(a)}, is {json.dumps(b)}"
