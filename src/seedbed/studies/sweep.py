"""A sweep: one study run again over values of keys, and all its scores side by side.

Several keys make a grid. Every arm is a study of its own in a folder of its own; they run side by
side, and what they share is made once.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from seedbed.core.config import Config, apply_sets, digest, read_yaml, validate
from seedbed.core.errors import ConfigError, InputError
from seedbed.core.files import read_json, write_json
from seedbed.runs.dispatch import Dispatcher
from seedbed.runs.launch import Launch
from seedbed.runs.record import locked, write_config
from seedbed.studies.many import Job, run_many
from seedbed.studies.run import DEFAULT_OUT
from seedbed.studies.study import Study, parse_seeds
from seedbed.studies.workers import Reporter, launch_with

SWEEP = "sweep.json"
LONGEST = 40
"""A value's part of a folder's name; a longer one is cut and ends in a digest."""


class Sweep(Config):
    """What a sweep file holds.

    `study` is a study file, relative to the sweep's own; `set` changes keys of it for every
    arm (`training.steps: 400`), `vary` names keys and their values: every combination is an arm,
    the last key varying fastest.
    """

    name: str = ""
    study: Path
    set: dict[str, Any] = Field(default_factory=dict)
    vary: dict[str, tuple[Any, ...]] = Field(min_length=1)

    @field_validator("vary")
    @classmethod
    def _values_differ(cls, value: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for key, values in value.items():
            if len(values) < 2:
                raise ValueError(f"{key}: a sweep needs at least two values")
            if len({digest(v) for v in values}) < len(values):
                raise ValueError(f"{key}: the same value stands twice")
        for key in value:
            for other in value:
                if other.startswith(f"{key}."):
                    raise ValueError(f"{other}: lies within '{key}', which varies too")
        return value

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that vary, in the file's order."""
        return tuple(self.vary)


@dataclass(frozen=True)
class Choice:
    """One combination of values by key, and its part of a folder's name."""

    name: str
    values: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The combination in words."""
        return said(self.values)


Arm = tuple[Choice, Study]


def said(values: Mapping[str, Any]) -> str:
    """Keys and values in words: `training.batch = 8, training.steps = 40`."""
    return ", ".join(f"{key} = {value}" for key, value in values.items())


def arm_name(value: Any) -> str:
    """A value as part of a folder's name; a list's or mapping's marks become single dashes."""
    text = "".join(c if c.isalnum() or c in "._-" else "-" for c in str(value))
    if isinstance(value, list | tuple | dict):
        text = re.sub("-+", "-", text).strip("-")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 9]}-{digest(value)[:8]}"


def arm_names(vary: Mapping[str, Sequence[Any]]) -> list[str]:
    """A name for every combination: `40`, or `batch-8+steps-40` of several keys; all differ.

    A key is called by as many of its last parts as tell it from the others.
    """
    called = dict(zip(vary, short(list(vary)), strict=True))
    single = len(vary) == 1
    parts = [
        [arm_name(v) if single else f"{called[key]}-{arm_name(v)}" for v in values]
        for key, values in vary.items()
    ]
    # Values that differ only in marks would share a folder.
    told = [
        [
            n if names.count(n) == 1 else f"{n}-{digest(v)[:8]}"
            for n, v in zip(names, vs, strict=True)
        ]
        for names, vs in zip(parts, vary.values(), strict=True)
    ]
    return ["+".join(combined) for combined in product(*told)]


def short(keys: Sequence[str]) -> list[str]:
    """Each key by as few of its last parts as tell it from the others."""
    parts = [key.split(".") for key in keys]
    most = max(map(len, parts))
    found = []
    for own in parts:
        tails = (own[-n:] for n in range(1, most + 1))
        # A key that another one ends with is called by all its parts.
        found.append(next((t for t in tails if _ending(parts, t) == 1), own))
    return [".".join(tail) for tail in found]


def _ending(keys: Sequence[Sequence[str]], tail: Sequence[str]) -> int:
    return sum(key[-len(tail) :] == tail for key in keys)


def load_sweep(path: Path, seeds: str | None = None) -> tuple[Sweep, list[Arm]]:
    """Read a sweep file: (the sweep, its arms in the order of the grid).

    Raises ConfigError in one line, for an arm that is no valid study too.
    """
    values = read_yaml(path)
    values.setdefault("name", path.stem)
    sweep = validate(Sweep, values, path)
    source = path.parent / sweep.study
    base = read_yaml(source)
    if seeds is not None:
        base["seeds"] = parse_seeds(seeds)
    arms = []
    for name, chosen in zip(arm_names(sweep.vary), product(*sweep.vary.values()), strict=True):
        own = dict(zip(sweep.keys, chosen, strict=True))
        changed = apply_sets(base, ())
        for key, value in {**sweep.set, **own}.items():
            _put(changed, key, value, path)
        changed["name"] = f"{sweep.name}-{name}"
        where = f"{path}, {said(own)}, in {source}"
        arms.append((Choice(name, own), validate(Study, changed, where)))
    return sweep, arms


def _put(values: dict[str, Any], key: str, value: Any, path: Path) -> None:
    node: Any = values
    *parents, last = key.split(".")
    for part in parents:
        if isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, dict):
            if node.get(part) is None:
                node[part] = {}
            node = node[part]
        else:
            raise ConfigError(f"{path}: {key}: the study has no such key")
    # Arms must not share what a later key of theirs reaches into.
    value = json.loads(json.dumps(value, default=str))
    if isinstance(node, list) and last.isdigit() and int(last) < len(node):
        node[int(last)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise ConfigError(f"{path}: {key}: the study has no such key")


def run_sweep(
    sweep: Sweep,
    arms: Sequence[Arm],
    out: Path | None = None,
    workers: int | None = None,
    reporter: Reporter | None = None,
    begin: Callable[[Choice], None] | None = None,
    launch: Launch | None = None,
    launcher: Dispatcher | None = None,
) -> Path:
    """Run every arm beside the folder `out` (default: runs/NAME) and return that folder.

    Writes sweep.json: the keys, the arms (name, values by key, run folder, why it stopped if it
    did) and every row of their scores with its `arm`; with one key also `key` and each arm's
    `value`. An arm that stops at the gate or whose input turns out unfit (a loss that is not
    finite) is recorded and the others go on; raises InputError if none is left. `begin` is told
    each arm when its turn comes. `launch` and `launcher` are those of `run`.
    """
    launch = launch_with(launch, workers)
    folder = (out or DEFAULT_OUT / sweep.name).resolve()
    chosen = {choice.name: choice for choice, _ in arms}
    jobs = [Job(s, folder.with_name(f"{folder.name}-{c.name}"), c.name) for c, s in arms]
    with locked(folder):
        (folder / SWEEP).unlink(missing_ok=True)
        write_config(folder, sweep.model_dump(mode="json"))
        told = (lambda job: begin(chosen[job.name])) if begin is not None else None
        ended = run_many(jobs, launch, reporter, begin=told, launcher=launcher)
        unfit = [e for e in ended if e.unfit is not None]
        if len(unfit) == len(ended):
            raise InputError(f"{chosen[unfit[0].job.name].label}: {unfit[0].stopped}")
        made: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for one in ended:
            choice, place = chosen[one.job.name], one.job.folder
            made.append({"name": choice.name, "values": dict(choice.values), "run": place.name,
                         "stopped": one.stopped})  # fmt: skip
            if not one.stopped:
                scores = read_json(place / "scores.json")
                rows += [{"arm": _told_by(choice), **row} for row in scores]
        write_json(folder / SWEEP, _summary(sweep, made, rows))
    return folder


def _told_by(choice: Choice) -> Any:
    """What rows are told apart by: the value, or the values by key of several."""
    values = choice.values
    return next(iter(values.values())) if len(values) == 1 else dict(values)


def _summary(
    sweep: Sweep, arms: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> dict[str, Any]:
    found: dict[str, Any] = {"keys": list(sweep.keys), "arms": arms, "rows": rows}
    if len(sweep.keys) == 1:
        key = sweep.keys[0]
        found["key"] = key
        found["arms"] = [{**arm, "value": arm["values"][key]} for arm in arms]
    return found
