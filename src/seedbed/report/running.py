"""What any study has come to, while it runs and after: its stages, the gate, the leading scores.

Plain values from the files of the run folder and of the store beside it; reads only.
"""

import os
import platform
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from seedbed.core import progress
from seedbed.core.config import read_yaml
from seedbed.core.errors import SeedbedError
from seedbed.core.files import read_json
from seedbed.core.progress import Progress
from seedbed.report.behind_files import own_truth, seeds
from seedbed.report.leading import DECLARED, LEADING, MEASURED, leading_of
from seedbed.report.schema import GateRow, Manifest, Score
from seedbed.report.seed_reader import row_of, rows_of
from seedbed.runs.record import going_on
from seedbed.runs.store import part_of

STORE = ".store"
RUNNING, SILENT, IDLE, FINISHED, STOPPED = "running", "silent", "idle", "finished", "stopped"
QUIET = 180.0
"""Seconds without a word from another machine after which a run counts as silent."""
_GATE_ROWS = 24


def state_of(run: Path) -> dict[str, Any]:
    """The state of a run folder.

    `state` is running, silent (its process is gone or says nothing), idle (nothing tells that it
    runs), finished or stopped, `why` a line on it. `stages` hold `kinds` [kind, done, planned],
    `now` what is being made, `newest` what ended last, `losses`; None where nothing tells. `gate`
    are rows of gate.json, `scores` the leading row of every finder over all questions; `trouble`
    says what could not be read.
    """
    found: dict[str, Any] = {"name": run.resolve().name, "study": "", "world": "", "seeds": [],
                             "stages": None, "gate": [], "scores": [], "trouble": ""}  # fmt: skip
    try:
        config = read_yaml(run / "config.yaml")
        found["study"] = str(config.get("name") or "")
        found["world"] = str((config.get("world") or {}).get("kind", ""))
        found["seeds"] = list(config.get("seeds") or [])
        known = told(run)
        found |= _standing(run, known)
        if known is not None and found["state"] in (RUNNING, SILENT):
            found["stages"] = _stages(known, run.resolve().parent / STORE)
        found["gate"] = _gate(run)
        found["scores"] = _scores(run)
    except (SeedbedError, OSError, AttributeError, TypeError) as error:
        found["trouble"] = " ".join(str(error).split())
        found.setdefault("state", IDLE)
        found.setdefault("why", "")
    return found


def told(run: Path) -> Progress | None:
    """What the running study tells; None if there is no such file. Raises DataError."""
    path = run / progress.NAME
    return row_of(Progress, read_json(path), path) if path.exists() else None


def _standing(run: Path, known: Progress | None) -> dict[str, Any]:
    path = run / "manifest.json"
    if path.exists():
        manifest = row_of(Manifest, read_json(path), path)
        state = STOPPED if manifest.stopped else FINISHED
        return {"state": state, "why": manifest.stopped or "", "seconds": manifest.seconds}
    go_on = f"go on with: {going_on(run)}"
    if known is None:
        return {"state": IDLE, "why": f"nothing tells that it runs; {go_on}", "seconds": None}
    age = time.time() - (run / progress.NAME).stat().st_mtime
    here = known.host == platform.node()
    seconds = time.time() - datetime.fromisoformat(known.started).timestamp()
    if (here and _alive(known.pid)) or (not here and age < QUIET):
        return {"state": RUNNING, "why": "", "seconds": seconds, "age": age}
    why = "its process is gone" if here else f"no word from {known.host}"
    return {"state": SILENT, "why": f"{why}; {go_on}", "seconds": seconds - age, "age": age}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _stages(known: Progress, store: Path) -> dict[str, Any]:
    saying = {(row.seed, row.name): row for row in known.now}
    now = [
        {"seed": r.seed, "name": r.name, "share": r.done / r.total if r.total else None,
         "text": r.text}
        for r in known.now
    ]  # fmt: skip
    parts = {part.name.partition(".part")[0] for part in store.glob("*.part*")}
    # Many stages say nothing of how far they are, but their folder is there while they are made.
    now += [
        {"seed": row.seed, "name": row.name, "share": None, "text": ""}
        for row in known.waiting
        if (row.seed, row.name) not in saying and row.folder in parts
    ]
    newest = [row.model_dump(mode="json") for row in reversed(known.newest)]
    return {
        "planned": known.planned, "done": known.done, "taken": known.taken,
        "seconds": known.seconds, "kinds": [list(row) for row in known.kinds], "now": now,
        "newest": newest, "losses": list(known.losses), "lost": known.lost,
    }  # fmt: skip


def in_store(folder: Path) -> Path:
    """Where a stage lies in the store: under its name when whole, else while it is made."""
    return folder if folder.exists() else part_of(folder)


def _gate(run: Path) -> list[dict[str, Any]]:
    path = run / "gate.json"
    rows = rows_of(GateRow, path) if path.exists() else []
    return [
        {"seed": r.seed, "slice": r.slice, "n": r.n, "accuracy": r.accuracy, "low": r.low,
         "high": r.high, "bar": r.bar, "passed": r.passed, "required": r.required}
        for r in rows[:_GATE_ROWS]
    ]  # fmt: skip


def _scores(run: Path) -> list[dict[str, Any]]:
    """The leading score of each finder under each truth, over all questions, best first."""
    path = run / "scores.json"
    rows = rows_of(Score, path) if path.exists() else []
    here = [own_truth(run / "seeds" / str(seed))[0] for seed in seeds(run)[:1]]
    leads = {DECLARED: leading_of(here[0] if here else ""), MEASURED: LEADING[MEASURED]}
    found: list[dict[str, Any]] = []
    for truth, lead in leads.items():
        mine = [r for r in rows if (r.truth, r.metric, r.slice) == (truth, lead, "all")]
        found += [
            {"finder": r.finder, "truth": truth, "metric": r.metric, "value": r.value,
             "low": r.low, "high": r.high, "chance": r.chance, "oracle": r.oracle}
            for r in sorted(mine, key=lambda r: (-(r.value or 0.0), r.finder))
        ]  # fmt: skip
    return found
