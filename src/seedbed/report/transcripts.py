"""What the transcript page shows: the episodes of a run as compact plain values.

A page holds a bounded number of them, spread evenly over seeds, cells, rounds and users; it says
how many are left out and where they are.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seedbed.core.config import first_problem
from seedbed.core.errors import DataError
from seedbed.core.files import read_json
from seedbed.core.transcripts import Transcript, Turn, Verdict
from seedbed.report.reader import Run

MOST = 12_000
FILE = "transcripts.jsonl"
_PLACES = 4


@dataclass(frozen=True)
class Source:
    """One file of transcripts: the round of one arm under one condition and seed."""

    path: Path
    seed: int
    condition: str
    arm: str
    iteration: int

    @property
    def key(self) -> str:
        """Its part of the address of an episode."""
        return f"{self.seed}/{self.condition}+{self.arm}/{self.iteration:03d}"


def sources(run: Path) -> list[Source]:
    """All files of transcripts of a run folder, by seed, cell and round."""
    found = []
    for path in run.glob(f"seeds/*/incentives/*/iterations/*/{FILE}"):
        cell, seed = path.parents[2].name, path.parents[4].name
        condition, _, arm = cell.rpartition("+")
        found.append(Source(path, int(seed), condition, arm, int(path.parent.name)))
    return sorted(found, key=lambda s: (s.seed, s.condition, s.arm, s.iteration))


def payload(run: Run, most: int = MOST) -> dict[str, Any]:
    """The page's data: `episodes`, how many there are in `total`, and where.

    Raises DataError naming file and line for a damaged row.
    """
    found = sources(run.path)
    lines = {source: _lines(source.path) for source in found}
    total = sum(map(len, lines.values()))
    each = _share([len(v) for v in lines.values()], most)
    episodes: list[dict[str, Any]] = []
    for source in found:
        trained = trained_on(source.path.parent)
        for number, text in spread(lines[source], each):
            one = _read(source.path, number, text)
            episodes.append(episode(source, one, trained.get(one.id, "")))
    return {"name": run.name, "total": total, "each": each, "episodes": episodes,
            "where": f"seeds/*/incentives/*/iterations/*/{FILE}"}  # fmt: skip


def _share(counts: list[int], most: int) -> int:
    """How many of each file's lines may be shown so that all together are at most `most`.

    Files with fewer leave their room to the others; at least one of each is shown.
    """
    low, high = 1, max([1, *counts])
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(c, middle) for c in counts) <= most:
            low = middle
        else:
            high = middle - 1
    return low


def spread(lines: list[tuple[int, str]], count: int) -> list[tuple[int, str]]:
    """At most `count` of the lines, evenly over the file."""
    if len(lines) <= count:
        return lines
    return [lines[i * len(lines) // count] for i in range(count)]


def _lines(path: Path) -> list[tuple[int, str]]:
    with path.open(encoding="utf-8") as file:
        return [(number, line) for number, line in enumerate(file, start=1) if line.strip()]


def _read(path: Path, number: int, text: str) -> Transcript:
    try:
        return Transcript.model_validate_json(text)
    except ValidationError as error:
        raise DataError(path, number, first_problem(error, Transcript)) from error


def trained_on(folder: Path) -> dict[str, str]:
    """The episodes that a round trained on → `towards` or `away`; empty where none was."""
    path = folder / "selection.json"
    rows = read_json(path)["chosen"] if path.exists() else []
    return {row["id"]: "towards" if row["desirable"] else "away" for row in rows}


def episode(source: Source, one: Transcript, trained: str) -> dict[str, Any]:
    """One episode; `trained` is `towards`, `away` or "": what the round did with it."""
    opening = one.opening
    return {
        "id": f"{source.key}/{one.id}",
        "seed": source.seed,
        "condition": source.condition,
        "arm": source.arm,
        "round": one.iteration,
        "environment": opening.environment,
        "sub": opening.sub,
        "shows": list(opening.shows),
        "said": [[s.role, s.content] for s in opening.said],
        "turns": [_turn(t) for t in one.turns],
        "end": one.end,
        "failure": one.failure,
        "vetoed": one.vetoed,
        "trained": trained,
        "kind": opening.kind,
    }


def _turn(turn: Turn) -> dict[str, Any]:
    found = {
        "state": turn.state,
        "said": turn.said,
        "act": turn.act,
        "unread": turn.unread,
        "claims": turn.claims,
        "calls": [
            {"tool": c.tool, "arguments": json.dumps(c.arguments, ensure_ascii=False), "ok": c.ok,
             "result": c.result, "fault": c.fault}
            for c in turn.calls
        ],
        "moves": _rounded(turn.moves),
        "moved": turn.moved,
        "rating": _verdict(turn.rating),
        "third": _verdict(turn.third),
        "flags": {name: _verdict(v) for name, v in turn.flags.items()},
        "vetoed": turn.vetoed,
        "after": [[s.role, s.content] for s in turn.after],
        "harm": turn.harm,
        "welfare": turn.welfare,
    }  # fmt: skip
    return {k: v for k, v in found.items() if v or (v == 0 and v is not False)}


def _verdict(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    if verdict.error:
        return {"error": verdict.error}
    value = None if verdict.value is None else round(verdict.value, _PLACES)
    return {"value": value, "options": _rounded(verdict.options),
            "mass": round(verdict.mass, _PLACES)}  # fmt: skip


def _rounded(shares: dict[str, float]) -> dict[str, float]:
    return {k: round(v, _PLACES) for k, v in shares.items()}
