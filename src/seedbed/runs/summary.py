"""A run in short: what it was, how it ended, and its leading scores, read from its folder alone."""

import datetime
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import yaml

from seedbed.core.arrays import saved_arrays
from seedbed.core.config import digest
from seedbed.core.errors import DataError
from seedbed.core.files import read_text
from seedbed.core.sites import SiteKind
from seedbed.runs.record import BEFORE, going_on

State = Literal["finished", "stopped", "unfinished", "damaged"]


@dataclass(frozen=True)
class Line:
    """One score of a run over all questions (slice `all`), of the main world or of a crossing.

    `sites` is the kind of site, `finder` the label and `kind` the finder's kind (`chance` and
    `oracle` for the control rows). `metric` is any ranking or measured metric of slice `all`.
    """

    sites: str
    finder: str
    kind: str
    truth: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    chance: float | None
    oracle: float | None
    seconds: float | None
    epochs: float | None


@dataclass(frozen=True)
class Summary:
    """One run folder.

    `digest` is that of its resolved configuration without the name (two runs with the same digest
    are two versions of one run: `code` and `version` tell them apart); `study` its name, `world`
    and `subject` their kinds, `sites` the world's own kind of site. `reason` says why a run was
    stopped, is unfinished or is damaged (file and what is wrong). Times are ISO 8601, `seconds`
    wall time. `missing` are finders that did not run, with the reason. `lacking` says by kind of
    site why there is none in this world.
    """

    folder: Path
    study: str
    digest: str
    world: str
    sites: str
    subject: str
    seeds: tuple[int, ...]
    state: State
    reason: str
    started: str
    finished: str
    seconds: float | None
    version: str
    code: str
    command: str
    lines: tuple[Line, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    lacking: tuple[tuple[str, str], ...] = ()
    bytes: int = 0


SCORES, MANIFEST, CONFIG = "scores.json", "manifest.json", "config.yaml"
FURTHER = {
    "attribution.json": SiteKind.DOCUMENT,
    "rules.json": SiteKind.RULE,
    "organisms.json": SiteKind.LAYER,
}
"""Files whose `scores` are about another kind of site than the world's own."""
FILES = (CONFIG, MANIFEST, SCORES, "gate.json", "missing.json", "crossed.json", *FURTHER)
"""Every file of a run folder that a summary is made from."""
_CONTROLS = ("chance", "oracle", "labels")
_OWN = {"cells": SiteKind.CELL, "parts": SiteKind.INPUT, "classes": SiteKind.DIRECTION,
        "kinds": SiteKind.USER}  # fmt: skip
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS = ("slice", "finder", "truth", "metric")
_NUMBERS = ("value", "low", "high", "chance", "oracle", "seconds", "epochs")


_HIGHEST = 1e100
"""No number of a run comes near; an axis with such a one would have no ticks."""
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


class _Unfit(Exception):
    """A file of the run cannot be read; the message names it."""


def read_summary(folder: Path) -> Summary:
    """Read one run folder; what is wrong with it is in `state` and `reason`, never an exception."""
    known: dict[str, Any] = {"folder": folder, "study": folder.name}
    known |= dict.fromkeys(("digest", "world", "sites", "subject", "started", "finished"), "")
    known |= {"seeds": (), "seconds": None, "version": "", "code": "", "command": ""}
    try:
        known["bytes"] = size_of(folder)
        config = _config(folder)
        if "vary" in config:
            raise _Unfit(f"{CONFIG}: a sweep, which is no run; its arms are folders beside it")
        known |= _configured(config, known["study"])
        known["started"] = _time_of(folder / CONFIG)
        manifest = _json(folder, MANIFEST, dict, needed=False)
        known["sites"] = _sites(folder, known["seeds"], manifest or {})
        if manifest is None:
            return Summary(**known, state="unfinished", reason=_next_step(folder), **_found(folder))
        known |= _manifest(manifest)
        if not all(isinstance(row, dict) for row in _json(folder, "gate.json", list)):
            raise _Unfit("gate.json: a row is no mapping")
        stopped = manifest.get("stopped")
        if stopped:
            return Summary(**known, state="stopped", reason=str(stopped), **_found(folder))
        lines, lacking = _lines(folder, known["sites"], Kinds(config.get("finders")))
        lacking = {**_texts(manifest.get("lacking"), "lacking"), **lacking}
        return Summary(**known, state="finished", reason="", lines=lines,
                       lacking=tuple(sorted(lacking.items())), **_found(folder))  # fmt: skip
    except _Unfit as error:
        return Summary(**known, state="damaged", reason=str(error))


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run, whatever became of it: one of a run's files is there."""
    return any((folder / name).is_file() for name in FILES) or (folder / "seeds").is_dir()


def is_sweep(folder: Path) -> bool:
    """Whether a folder is that of a sweep, whose arms are runs in folders beside it."""
    try:
        text = (folder / CONFIG).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.startswith("vary:") for line in text.splitlines())


class Kinds:
    """Which kind of finder a row's name belongs to, by a study's resolved `finders` alone.

    Finders with several measures end their names in one, or are called by it alone; so the
    longest label or kind that starts a name tells, and else the measures do.
    """

    def __init__(self, finders: Any) -> None:
        self.starts: dict[str, str] = {}
        self.measures: dict[str, str] = {}
        for finder in finders if isinstance(finders, list) else ():
            if not isinstance(finder, dict):
                continue
            kind = str(finder.get("kind", ""))
            self.starts[str(finder.get("label") or kind)] = kind
            measures = finder.get("measure")
            for measure in measures if isinstance(measures, list) else ():
                self.measures.setdefault(str(measure), kind)

    def of(self, name: str) -> str:
        """The kind of the finder called `name`; the name itself where nothing tells."""
        if name in _CONTROLS:
            return name
        fit = [s for s in self.starts if name == s or name.startswith(f"{s}-")]
        if fit:
            return self.starts[max(fit, key=len)]
        return self.measures.get(name, name)


def size_of(folder: Path) -> int:
    """Bytes of all files under a folder, links not followed; 0 if there is no such folder."""
    total = 0
    for top, _, names in os.walk(folder):
        for name in names:
            # A run that is being written takes temporary names away meanwhile.
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(top, name)).st_size
    return total


def digest_of(config: Mapping[str, Any]) -> str:
    """The digest of a resolved configuration without its name, as in the manifest."""
    return digest({"study": {k: v for k, v in config.items() if k != "name"}})


def _config(folder: Path) -> dict[str, Any]:
    try:
        value = yaml.load(_text(folder, CONFIG), Loader=_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or error
        raise _Unfit(f"{CONFIG}{line}: not YAML: {what}") from error
    if not isinstance(value, dict):
        raise _Unfit(f"{CONFIG}: a mapping of keys is needed, found a {type(value).__name__}")
    return value


def _configured(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    kinds = {}
    for key in ("world", "subject"):
        part = config.get(key)
        if not isinstance(part, dict) or not isinstance(part.get("kind"), str):
            raise _Unfit(f"{CONFIG}: no resolved study, there is no {key}.kind")
        kinds[key] = part["kind"]
    seeds = config.get("seeds")
    if not isinstance(seeds, list) or not all(isinstance(s, int) for s in seeds):
        raise _Unfit(f"{CONFIG}: no resolved study, 'seeds' is no list of whole numbers")
    return {**kinds, "study": str(config.get("name") or name), "seeds": tuple(seeds),
            "digest": digest_of(config)}  # fmt: skip


def _manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    names = {"started": "started", "finished": "finished", "version": "seedbed",
             "code": "code_digest", "command": "command"}  # fmt: skip
    found: dict[str, Any] = {}
    for ours, theirs in names.items():
        if not isinstance(value := manifest.get(theirs, ""), str):
            raise _Unfit(f"{MANIFEST}: {theirs}: a text is needed, found {value!r}")
        found[ours] = value
    return {**found, "seconds": _number(manifest, "seconds", MANIFEST)}


def _sites(folder: Path, seeds: Sequence[int], manifest: Mapping[str, Any]) -> str:
    """The world's own kind of site: as the manifest says, else by the truth of the first seed."""
    if isinstance(told := manifest.get("sites"), str) and told:
        return told
    for seed in seeds[:1]:
        here = folder / "seeds" / str(seed)
        for place, kind in _OWN.items():
            if (here / place / "truth.npz").exists():
                return kind
        path = here / "data" / "truth.npz"
        if path.exists():
            try:
                with saved_arrays(path, "a saved truth") as (meta, _):
                    return str(meta["site_kind"])
            except DataError as error:
                raise _Unfit(_within(folder, error)) from error
    return ""


def _lines(folder: Path, own: str, kinds: Kinds) -> tuple[tuple[Line, ...], dict[str, str]]:
    """Every line of a finished run, and why there are none of other kinds of site."""
    lines = _scored(_json(folder, SCORES, list), SCORES, own, kinds)
    for name, sites in FURTHER.items():
        if (value := _json(folder, name, dict, needed=False)) is not None:
            lines += _scored(value.get("scores", []), name, sites, kinds)
    lacking: dict[str, str] = {}
    for row in _json(folder, "crossed.json", list, needed=False) or ():
        if not isinstance(row, dict) or not isinstance(row.get("sites"), str):
            raise _Unfit("crossed.json: a row names no kind of site")
        lines += _scored(row.get("scores", []), "crossed.json", row["sites"], kinds)
        if row.get("reason"):
            lacking[row["sites"]] = str(row["reason"])
    return tuple(lines), lacking


def _scored(rows: Any, name: str, sites: str, kinds: Kinds) -> list[Line]:
    if not isinstance(rows, list):
        raise _Unfit(f"{name}: 'scores' is no list of rows")
    lines = []
    for i, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not all(isinstance(row.get(w), str) for w in _WORDS):
            raise _Unfit(f"{name}: row {i} has no slice, finder, truth or metric")
        if row["slice"] == "all":
            numbers = {k: _number(row, k, f"{name}: row {i}") for k in _NUMBERS}
            finder = row["finder"]
            lines.append(Line(sites=str(sites), finder=finder, kind=kinds.of(finder),
                              truth=row["truth"], metric=row["metric"], **numbers))  # fmt: skip
    return lines


def _found(folder: Path) -> dict[str, Any]:
    rows = _json(folder, "missing.json", list, needed=False) or []
    if not all(isinstance(r, dict) and {"finder", "reason"} <= r.keys() for r in rows):
        raise _Unfit("missing.json: a row has no finder or no reason")
    return {"missing": tuple((str(r["finder"]), str(r["reason"])) for r in rows)}


def _texts(value: Any, key: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise _Unfit(f"{MANIFEST}: {key}: texts by kind of site are needed")
    return value


def _number(row: Mapping[str, Any], key: str, where: str) -> float | None:
    if key not in row:
        raise _Unfit(f"{where}: there is no '{key}'")
    value = row[key]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not _plain(value):
        raise _Unfit(f"{where}: {key}: a number is needed, found {str(value)[:40]!r}")
    return float(value)


def _plain(value: float) -> bool:
    # A whole number of hundreds of digits is no float at all.
    return abs(value) < _HIGHEST and isfinite(value)


def _json(folder: Path, name: str, kind: type[Any], needed: bool = True) -> Any:
    """The value of a JSON file; None if it is not there and not `needed`."""
    if not needed and not (folder / name).exists():
        return None
    text = _text(folder, name)
    try:
        value = json.loads(text)
        if _HALF.search(text):
            # Half of a pair that stands for one letter fits no file and no page.
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise _Unfit(f"{name}: a text in it is no Unicode ({error.reason})") from error
    except (ValueError, RecursionError) as error:
        line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        what = error.msg if isinstance(error, json.JSONDecodeError) else error
        raise _Unfit(f"{name}{line}: not JSON: {what}") from error
    if not isinstance(value, kind):
        need = "a list" if kind is list else "a mapping"
        raise _Unfit(f"{name}: {need} is needed, found a {type(value).__name__}")
    return value


def _text(folder: Path, name: str) -> str:
    try:
        if not (folder / name).exists():
            raise _Unfit(f"{name}: no such file")
        return read_text(folder / name)
    except DataError as error:
        raise _Unfit(_within(folder, error)) from error
    except OSError as error:
        raise _Unfit(f"{name}: cannot read: {error.strerror or error}") from error


def _within(folder: Path, error: DataError) -> str:
    return str(error).replace(f"{folder}{os.sep}", "")


def _time_of(path: Path) -> str:
    at = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    return at.isoformat(timespec="seconds")


def _next_step(folder: Path) -> str:
    kept = folder / BEFORE / MANIFEST
    told = f"; what a finished run left here before lies in {BEFORE}" if kept.exists() else ""
    return f"there is no {MANIFEST}; go on with: {going_on(folder)}{told}"
