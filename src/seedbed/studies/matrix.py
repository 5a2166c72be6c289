"""A matrix: one study for each world, run side by side, so that every kind of finder meets it.

A matrix file names studies by size; what one size leaves out of a world's sites is an error.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from seedbed.core.config import Config, read_yaml, validate
from seedbed.core.errors import ConfigError, DataError
from seedbed.core.files import read_json, write_json
from seedbed.runs.launch import Launch
from seedbed.runs.record import locked
from seedbed.scoring.measured import CHANCE, ORACLE
from seedbed.studies.crossing import FILE as CROSSED
from seedbed.studies.many import Ended, Job, run_many
from seedbed.studies.marking import FILE as SCORES
from seedbed.studies.run import DEFAULT_OUT
from seedbed.studies.study import Study, load_study
from seedbed.studies.workers import Reporter

FILE = "matrix.json"


class Matrix(Config):
    """What a matrix file holds: by size, study files by name, relative to the file itself.

    A study's name is that of its run folder.
    """

    name: str = ""
    sizes: dict[str, dict[str, Path]] = Field(min_length=1)

    @field_validator("sizes")
    @classmethod
    def _names_are_folders(cls, values: dict[str, dict[str, Path]]) -> dict[str, dict[str, Path]]:
        for size, studies in values.items():
            if not studies:
                raise ValueError(f"{size}: names no study")
            for name in (size, *studies):
                if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
                    raise ValueError(f"'{name}' must consist of letters, digits, - _ and .")
        return values


@dataclass(frozen=True)
class Sized:
    """One size of a matrix: the file's name for it all, and its studies by name."""

    name: str
    size: str
    studies: Mapping[str, Study]


@dataclass(frozen=True)
class Gap:
    """A kind of site that a world has and no score speaks of, and why."""

    study: str
    sites: str
    reason: str


def load_matrix(path: Path, size: str | None = None, seeds: str | None = None) -> Sized:
    """Read the studies of one size (default: the file's first).

    Raises ConfigError in one line, DataError for a study file that is not there.
    """
    values = read_yaml(path)
    if "sizes" not in values and "world" in values:
        raise ConfigError(f"{path}: this is a study file; run it with: seedbed run {path}")
    values.setdefault("name", path.stem)
    matrix = validate(Matrix, values, path)
    size = size or next(iter(matrix.sizes))
    if size not in matrix.sizes:
        near = get_close_matches(size, matrix.sizes, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(matrix.sizes)}"
        raise ConfigError(f"--size {size}: {path} has no such size; {hint}")
    studies = {}
    for name, source in matrix.sizes[size].items():
        try:
            studies[name] = load_study(path.parent / source, (), seeds)
        except (ConfigError, DataError) as error:
            raise ConfigError(f"{path}: sizes.{size}.{name}: {error}") from error
    return Sized(matrix.name, size, studies)


def run_matrix(
    matrix: Sized,
    out: Path | None = None,
    launch: Launch | None = None,
    reporter: Reporter | None = None,
    begin: Callable[[Job], None] | None = None,
) -> tuple[Path, list[Ended], list[Gap]]:
    """Run every study into OUT/NAME (default OUT: runs/NAME-SIZE); OUT, how each ended, the gaps.

    Writes matrix.json. What ends `run_many` ends this too, and the same call goes on.
    """
    folder = (out or DEFAULT_OUT / f"{matrix.name}-{matrix.size}").resolve()
    jobs = [Job(study, folder / name, name) for name, study in matrix.studies.items()]
    clock = time.perf_counter()
    with locked(folder):
        (folder / FILE).unlink(missing_ok=True)
        ended = run_many(jobs, launch or Launch(), reporter, begin=begin)
        missing = [gap for one in ended if not one.stopped for gap in gaps(one.job)]
        told: dict[str, Any] = {
            "name": matrix.name,
            "size": matrix.size,
            "seconds": time.perf_counter() - clock,
            "studies": [_told(one) for one in ended],
            "missing": [vars(gap) for gap in missing],
        }
        write_json(folder / FILE, told)
    return folder, ended, missing


def gaps(job: Job) -> list[Gap]:
    """The kinds of site of a finished study's world about which no finder has a score."""
    world, folder = job.study.world, job.folder
    found = [] if _scored(read_json(folder / SCORES)) else [(world.sites, "no finder was scored")]
    path = folder / CROSSED
    rows = {row["sites"]: row for row in read_json(path)} if path.exists() else {}
    for kind in world.crossings:
        if kind not in rows:
            found.append((kind, _absent(job.study, kind, folder)))
        elif not _scored(rows[kind]["scores"]):
            found.append((kind, rows[kind]["reason"] or "no finder was scored"))
    return [Gap(job.name, str(kind), reason) for kind, reason in found]


def _absent(study: Study, kind: str, folder: Path) -> str:
    named = [f.name for f in study.finders if f.sites == kind and f.kind != CHANCE]
    if not named:
        return f"the study lists no finder of {kind}s"
    told = {row["finder"]: row["reason"] for row in read_json(folder / "missing.json")}
    return "; ".join(told[n] for n in named if n in told) or f"{', '.join(named)}: not scored"


def _scored(rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(row["finder"] not in (CHANCE, ORACLE) for row in rows)


def _told(one: Ended) -> dict[str, Any]:
    return {"name": one.job.name, "run": one.job.folder.name, "study": one.job.study.name,
            "world": one.job.study.world.kind, "stopped": one.stopped,
            "seconds": one.seconds}  # fmt: skip
