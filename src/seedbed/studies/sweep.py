"""A sweep: one study run again for each value of one key, and all its scores side by side.

Every arm is a study of its own in a folder of its own; what arms share is made once.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from seedbed.core.config import Config, apply_sets, read_yaml, validate
from seedbed.core.errors import ConfigError, GateError
from seedbed.core.files import read_json, write_json
from seedbed.runs.record import locked, write_config
from seedbed.studies.run import DEFAULT_OUT, run
from seedbed.studies.study import Study, parse_seeds
from seedbed.studies.workers import Reporter

SWEEP = "sweep.json"


class Sweep(Config):
    """What a sweep file holds.

    `study` is a study file, relative to the sweep's own; `set` changes keys of it for every
    arm (`training.steps: 400`), `vary` names one key and its values.
    """

    name: str = ""
    study: Path
    set: dict[str, Any] = Field(default_factory=dict)
    vary: dict[str, tuple[Any, ...]] = Field(min_length=1, max_length=1)

    @field_validator("vary")
    @classmethod
    def _values_differ(cls, value: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for key, values in value.items():
            if len(values) < 2:
                raise ValueError(f"{key}: a sweep needs at least two values")
            if len({arm_name(v) for v in values}) < len(values):
                raise ValueError(f"{key}: the same value stands twice")
        return value

    @property
    def key(self) -> str:
        """The key that varies."""
        return next(iter(self.vary))


def arm_name(value: Any) -> str:
    """A value as part of a folder's name."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in str(value))


def load_sweep(path: Path, seeds: str | None = None) -> tuple[Sweep, list[tuple[Any, Study]]]:
    """Read a sweep file: (the sweep, its arms as value and study).

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
    for value in sweep.vary[sweep.key]:
        changed = apply_sets(base, ())
        for key, other in {**sweep.set, sweep.key: value}.items():
            _put(changed, key, other, path)
        changed["name"] = f"{sweep.name}-{arm_name(value)}"
        where = f"{path}, {sweep.key} = {value}, in {source}"
        arms.append((value, validate(Study, changed, where)))
    return sweep, arms


def _put(values: dict[str, Any], key: str, value: Any, path: Path) -> None:
    node: Any = values
    *parents, last = key.split(".")
    for part in parents:
        if isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, dict):
            node = node.setdefault(part, {})
        else:
            raise ConfigError(f"{path}: {key}: the study has no such key")
    if isinstance(node, list) and last.isdigit() and int(last) < len(node):
        node[int(last)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise ConfigError(f"{path}: {key}: the study has no such key")


def run_sweep(
    sweep: Sweep,
    arms: list[tuple[Any, Study]],
    out: Path | None = None,
    workers: int | None = None,
    reporter: Reporter | None = None,
    begin: Callable[[Any], None] | None = None,
) -> Path:
    """Run every arm beside the folder `out` (default: runs/NAME) and return that folder.

    Writes sweep.json: the key, the arms (value, run folder, why it stopped at the gate if it
    did) and every row of their scores with its `arm`. An arm that stops is recorded and the
    others go on. `begin` is told the value of each arm.
    """
    folder = (out or DEFAULT_OUT / sweep.name).resolve()
    with locked(folder):
        (folder / SWEEP).unlink(missing_ok=True)
        write_config(folder, sweep.model_dump(mode="json"))
        made: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for value, study in arms:
            if begin is not None:
                begin(value)
            place = folder.with_name(f"{folder.name}-{arm_name(value)}")
            stopped = ""
            try:
                run(study, place, workers, reporter)
            except GateError as error:
                stopped = str(error)
            made.append({"value": value, "run": place.name, "stopped": stopped})
            if not stopped:
                rows += [{"arm": value, **row} for row in read_json(place / "scores.json")]
        write_json(folder / SWEEP, {"key": sweep.key, "arms": made, "rows": rows})
    return folder
