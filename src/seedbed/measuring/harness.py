"""lm-eval's tasks on a subject, with and without an intervention: rows with intervals.

lm-eval lays the questions out and marks the answers; here only the model stands in for its own.
"""

import functools
import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from seedbed.core.config import Config
from seedbed.core.errors import InputError, MissingExtra
from seedbed.core.rows import Row
from seedbed.core.seeds import derive
from seedbed.measuring.likelihoods import Intervention, Progress, Side
from seedbed.models.subject import Subject
from seedbed.scoring.intervals import wilson


class Harness(Config):
    """What lm-eval runs.

    `tasks` are its names (tasks, groups, tags) or task files (.yaml). `fewshot` examples stand
    before each question (None: as many as the task says), `limit` is the most questions a task
    (None: all), `written` the most tokens of a reply (None: as many as the task says), `chat`
    puts them through the chat template. `dataset` is a folder or id that takes the place of the
    dataset that all these tasks name. `seed` draws the examples.
    """

    tasks: tuple[str, ...] = Field(min_length=1)
    fewshot: int | None = Field(default=None, ge=0)
    limit: int | None = Field(default=None, ge=1)
    written: int | None = Field(default=None, ge=1)
    chat: bool = False
    dataset: str = ""
    seed: int = 0


class HarnessRow(Row):
    """One metric of one task or group, over `n` questions.

    The 95 % interval is Wilson's where every question counts 0 or 1, else lm-eval's standard
    error times 1.96; null where lm-eval gives none. `chosen` is its filter ("none": the reply
    as it is).
    """

    task: str
    metric: str
    chosen: str
    value: float
    low: float | None
    high: float | None
    n: int


class Sample(Row):
    """What one question of one task counted, by metric; `id` is its number in the task."""

    task: str
    id: int
    values: dict[str, float]


@dataclass(frozen=True)
class Evaluated:
    """What lm-eval found: `rows`, `samples` behind them, and `told` about how it was run.

    `told` holds versions of tasks, few-shot counts, lm-eval's version, and `cut`: how many
    requests lost the beginning of their context.
    """

    rows: tuple[HarnessRow, ...]
    samples: tuple[Sample, ...]
    told: dict[str, Any]


def evaluate(
    config: Harness,
    subject: Subject,
    intervention: Intervention | None = None,
    padding: Side = "right",
    progress: Progress = lambda done, total: None,
) -> Evaluated:
    """Run the tasks; the same config and subject give the same rows.

    `progress` is told of passes (of likelihoods) and texts (that are written) as they are done.

    Raises MissingExtra without lm-eval, InputError for a task that is not known, a dataset that
    cannot be had, and requests that the subject cannot take.
    """
    _needed()
    from lm_eval import __version__
    from lm_eval.evaluator import simple_evaluate

    from seedbed.measuring.harness_model import SubjectLM

    manager = _manager(config.tasks)
    loaded = _loaded(manager, config)
    model = SubjectLM(subject, intervention, padding, progress)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(config.seed, "harness"))
        found = simple_evaluate(
            model, tasks=loaded, task_manager=manager, num_fewshot=config.fewshot,
            limit=config.limit, apply_chat_template=config.chat, fewshot_as_multiturn=config.chat,
            gen_kwargs=None if config.written is None else {"max_gen_toks": config.written},
            log_samples=True, bootstrap_iters=1000, random_seed=None, numpy_random_seed=None,
            torch_random_seed=None, fewshot_random_seed=derive(config.seed, "fewshot") % 2**32,
        )  # fmt: skip
    samples = tuple(s for task, kept in sorted(found["samples"].items())
                    for s in _samples(task, kept))  # fmt: skip
    told = {
        "lm_eval": __version__, "cut": model.cut, "versions": found["versions"],
        "fewshot": found["n-shot"], "questions": found["n-samples"],
        "groups": _groups(found),
    }  # fmt: skip
    return Evaluated(tuple(_rows(found, samples)), samples, told)


def _needed() -> None:
    for package in ("lm_eval", "datasets"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "harness")


@functools.cache
def _indexed(folders: tuple[str, ...] | None) -> Any:
    from lm_eval.tasks import TaskManager

    if folders is None:
        return TaskManager()
    return TaskManager(include_path=list(folders), include_defaults=False)


def _manager(tasks: Sequence[str]) -> Any:
    """lm-eval's register of the tasks: of their own folders alone where that will do.

    Reading all 15,000 files of it takes ten seconds.
    """
    import lm_eval.tasks

    home = Path(lm_eval.tasks.__file__).parent
    names = [t for t in tasks if not _is_file(t)]
    parts = [n.split("_") for n in names]
    folders = {home / "_".join(p[:i]) for p in parts for i in range(1, len(p) + 1)}
    near = _indexed(tuple(sorted(str(f) for f in folders if f.is_dir())))
    return near if all(n in near.task_index for n in names) else _indexed(None)


def _is_file(task: str) -> bool:
    return task.endswith((".yaml", ".yml"))


def _loaded(manager: Any, config: Harness) -> list[Any]:
    """The tasks and groups, each with its dataset read."""
    from difflib import get_close_matches

    for task in config.tasks:
        if _is_file(task) and not Path(task).is_file():
            raise InputError(f"harness: tasks: no such file {task}")
        if not _is_file(task) and task not in manager.task_index:
            near = get_close_matches(task, manager.task_index, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InputError(f"harness: tasks: lm-eval has no task {task!r}{hint}")
        if _is_file(task) and config.dataset:
            raise InputError(f"harness: dataset: {task} names its own; change it in that file")
    try:
        if config.dataset:
            return _elsewhere(manager, config)
        found = manager.load(list(config.tasks))
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())
        raise InputError(f"harness: {', '.join(config.tasks)}: the task or its dataset cannot be"
                         f" loaded: {why}") from error  # fmt: skip
    members = {name for children in found.get("group_map", {}).values() for name in children}
    tops = {**found["tasks"], **found.get("groups", {})}
    return [made for name, made in tops.items() if name not in members]


def _elsewhere(manager: Any, config: Harness) -> list[Any]:
    """The tasks with another dataset, which goes down to all tasks of a group."""
    # The manager's own `load` hands the name of a group down too, as if it were the tasks'.
    from lm_eval.tasks._factory import TaskFactory

    place = Path(config.dataset).expanduser()
    given = {"dataset_path": str(place.resolve()) if place.is_dir() else config.dataset}
    index = manager.task_index
    made = [TaskFactory().build(index[t], overrides=given, registry=index) for t in config.tasks]
    return [one for found in made for one in (found if isinstance(found, list) else [found])]


def _groups(found: Mapping[str, Any]) -> dict[str, list[str]]:
    """The tasks of each group, those of its groups among them."""
    members: Mapping[str, Sequence[str]] = found.get("group_subtasks", {})

    def leaves(name: str) -> list[str]:
        below = members.get(name, ())
        return [leaf for child in below for leaf in leaves(child)] if below else [name]

    return {name: leaves(name) for name, below in sorted(members.items()) if below}


def _samples(task: str, kept: Sequence[Mapping[str, Any]]) -> list[Sample]:
    """One sample a question; with several filters a metric is called METRIC,FILTER."""
    values: dict[int, dict[str, float]] = {}
    for one in kept:
        for metric in one["metrics"]:
            number = one[metric]
            if isinstance(number, int | float):
                mine = values.setdefault(int(one["doc_id"]), {})
                mine[f"{metric},{one['filter']}"] = float(number)
    return [Sample(task=task, id=i, values=v) for i, v in sorted(values.items())]


def _rows(found: Mapping[str, Any], samples: Sequence[Sample]) -> list[HarnessRow]:
    rows, groups = [], _groups(found)
    for task, values in sorted({**found["results"], **found.get("groups", {})}.items()):
        for key, value in sorted(values.items()):
            metric, _, chosen = key.partition(",")
            if not chosen or metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            mine = groups.get(task, [task])
            counted = [s.values[key] for s in samples if s.task in mine and key in s.values]
            n = len(counted) or int(values.get("sample_len", 0) or 0)
            low, high = _interval(counted, value, values.get(f"{metric}_stderr,{chosen}"))
            rows.append(HarnessRow(task=task, metric=metric, chosen=chosen, value=float(value),
                                   low=low, high=high, n=n))  # fmt: skip
    return rows


def _interval(
    counted: Sequence[float], value: float, error: Any
) -> tuple[float, float] | tuple[None, None]:
    if counted and set(counted) <= {0.0, 1.0} and math.isclose(sum(counted) / len(counted), value):
        return wilson(sum(counted), len(counted))
    if isinstance(error, int | float) and math.isfinite(error):
        return value - 1.959964 * error, value + 1.959964 * error
    return None, None
