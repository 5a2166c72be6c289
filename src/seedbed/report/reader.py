"""Reading a run folder: every file of it as typed rows, read on first use.

A damaged or missing file is one line that names it; nothing here writes.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

from seedbed.core.attribution import Attributed
from seedbed.core.config import read_yaml
from seedbed.core.crossed import Crossed
from seedbed.core.errors import InputError
from seedbed.core.files import read_json
from seedbed.core.incentives import IncentiveRow
from seedbed.core.mediation import Measurement
from seedbed.core.rules import Rules
from seedbed.core.selectivity import DirectionRow
from seedbed.core.sites import SiteKind
from seedbed.core.spread import Spreading
from seedbed.report.leading import BY_HOP, DECLARED, LEADING, leading_of, metric_order
from seedbed.report.schema import (
    CHANCE,
    CONTROLS,
    Cost,
    Engine,
    Excluded,
    GateRow,
    Manifest,
    Missing,
    Organisms,
    Score,
    SideRow,
    Steered,
    Told,
)
from seedbed.report.seed_reader import Seed, row_of, rows_of
from seedbed.runs.record import going_on

TOP_TEN = ("recall@10", "top10:")


class Run:
    """A run folder. Raises InputError if `path` is not one or the run is not finished."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_dir():
            what = "is a file, a run folder is needed" if path.exists() else "no such folder"
            raise InputError(f"{path}: {what}{_near(path)}")
        if not (path / "config.yaml").is_file():
            raise InputError(
                f"{path}: not a run folder, there is no config.yaml in it{_near(path)}"
            )
        for name in ("manifest.json", "gate.json") + (() if self.stopped else ("scores.json",)):
            if not (path / name).is_file():
                raise InputError(
                    f"{path}: the run is not finished, there is no {name}; "
                    f"go on with: {going_on(path)}"
                )

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.config.get("name") or self.path.resolve().name)

    @property
    def stopped(self) -> str | None:
        """Why the study ended at the gate; None if it did not."""
        return self.manifest.stopped if (self.path / "manifest.json").is_file() else None

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        return read_yaml(self.path / "config.yaml")

    @cached_property
    def manifest(self) -> Manifest:
        """Versions, machine, times."""
        path = self.path / "manifest.json"
        return row_of(Manifest, read_json(path), path)

    @cached_property
    def scores(self) -> list[Score]:
        """Every scored row; empty if the study ended at the gate.

        Of a handful of sites the top ten are all of them, so such rows are not shown; of two
        kinds a question every metric says the same, so only ROC-AUC is.
        """
        path = self.path / "scores.json"
        rows = rows_of(Score, path) if path.exists() or not self.stopped else []
        few, kinds = bool(rows) and self.few_sites, bool(rows) and self.noun == "kind"
        rows = [r for r in rows if not kinds or (r.metric == BY_HOP and "hop" not in r.slice)]
        return [r for r in rows if not (few and r.metric.startswith(TOP_TEN))]

    @cached_property
    def gate(self) -> list[GateRow]:
        """Accuracy against the gate, seed by seed."""
        return rows_of(GateRow, self.path / "gate.json")

    @cached_property
    def excluded(self) -> list[Excluded]:
        """Questions left out, with reasons; empty if the file is not there."""
        path = self.path / "excluded.json"
        return rows_of(Excluded, path) if path.exists() else []

    @cached_property
    def missing(self) -> list[Missing]:
        """Finders that could not run here, with reasons; empty if the file is not there."""
        path = self.path / "missing.json"
        return rows_of(Missing, path) if path.exists() else []

    @cached_property
    def warnings(self) -> dict[str, tuple[str, ...]]:
        """What finders warn of in their claims → the finders that do, best first."""
        found: dict[str, dict[str, None]] = {}
        scored = [f for truth in self.truths for f in self.finders(truth)]
        for seed in self.seeds:
            for finder in dict.fromkeys(f for f in scored if f in seed.finders):
                if text := seed.notes(finder).get("warning"):
                    found.setdefault(text, {})[finder] = None
        return {text: tuple(finders) for text, finders in found.items()}

    @cached_property
    def mediation(self) -> list[Measurement]:
        """What patching measured; empty if the study asked for no mediation."""
        path = self.path / "mediation.json"
        return rows_of(Measurement, path) if path.exists() else []

    @cached_property
    def directions(self) -> list[DirectionRow]:
        """What directions read and do; empty if the study looked for none."""
        path = self.path / "directions.json"
        return rows_of(DirectionRow, path) if path.exists() else []

    @cached_property
    def sides(self) -> list[SideRow]:
        """The subjects beside the study's own, in its order; empty if it has none."""
        path = self.path / "sides.json"
        return rows_of(SideRow, path) if path.exists() else []

    def steered(self, side: str) -> list[Steered]:
        """What dev chose for steering, seed by seed; "" is the study's own subject."""
        top = self.path / "sides" / side if side else self.path
        paths = [top / "seeds" / str(s.number) / "directions" / "engine.json" for s in self.seeds]
        return [row_of(Steered, read_json(path), path) for path in paths if path.exists()]

    @cached_property
    def incentives(self) -> list[IncentiveRow]:
        """What feedback taught; empty if the study trains nothing on feedback."""
        path = self.path / "incentives.json"
        return rows_of(IncentiveRow, path) if path.exists() else []

    @cached_property
    def conditions(self) -> dict[str, Told]:
        """The conditions of incentives by name; empty if the file is not there."""
        path = self.path / "conditions.json"
        found = read_json(path) if path.exists() else {}
        return {name: row_of(Told, value, path) for name, value in found.items()}

    @cached_property
    def attributed(self) -> Attributed | None:
        """Which transcripts taught the gaming reply; None if the study did not ask."""
        path = self.path / "attribution.json"
        return row_of(Attributed, read_json(path), path) if path.exists() else None

    @cached_property
    def crossed(self) -> list[Crossed]:
        """How finders of other kinds of site fared; empty if the study lists none."""
        path = self.path / "crossed.json"
        return rows_of(Crossed, path) if path.exists() else []

    @cached_property
    def organisms(self) -> Organisms | None:
        """Organisms and the finders of layers; None if the study made none."""
        path = self.path / "organisms.json"
        return row_of(Organisms, read_json(path), path) if path.exists() else None

    @cached_property
    def spreading(self) -> Spreading | None:
        """What the second stage of training spread to; None if there was none."""
        path = self.path / "spread.json"
        return row_of(Spreading, read_json(path), path) if path.exists() else None

    @cached_property
    def rules(self) -> Rules | None:
        """Which rules explain the answers, and finders of rules; None if none were asked."""
        path = self.path / "rules.json"
        return row_of(Rules, read_json(path), path) if path.exists() else None

    @cached_property
    def engines(self) -> list[Engine]:
        """How patching ran, seed by seed."""
        return [seed.engine for seed in self.seeds if seed.engine is not None]

    @cached_property
    def shared(self) -> list[tuple[str, ...]]:
        """Finders whose claims come from one piece of work, and so show one cost."""
        groups: dict[Cost, list[str]] = {}
        for finder in self.seeds[0].finders:
            cost = self.seeds[0].cost(finder)
            if cost.shared_by > 1:
                groups.setdefault(cost, []).append(finder)
        return [tuple(names) for names in groups.values() if len(names) > 1]

    @cached_property
    def seeds(self) -> list[Seed]:
        """The seeds that have a folder, in order."""
        folder = self.path / "seeds"
        numbers = [p for p in folder.glob("*") if p.is_dir() and p.name.isdigit()]
        if not numbers:
            raise InputError(f"{folder}: no seed of this run has a folder here")
        return [Seed(p) for p in sorted(numbers, key=lambda p: int(p.name))]

    @cached_property
    def noun(self) -> str:
        """What the main claims are about: `document`, `cell`, `part` of the input, or `kind`."""
        kind = self.seeds[0].truth.site_kind
        return {SiteKind.INPUT: "part", SiteKind.DIRECTION: "kind"}.get(kind, kind.value)

    def lead(self, truth: str) -> str:
        """The metric that leads under a truth; of two kinds, whether the right one is named."""
        if truth != DECLARED:
            return LEADING[truth]
        return leading_of(SiteKind.DIRECTION if self.noun == "kind" else "")

    @cached_property
    def few_sites(self) -> bool:
        """Whether the claims are about the few parts of an input, rules, or kinds."""
        return self.noun in (SiteKind.RULE, "part", "kind")

    @cached_property
    def _index(self) -> dict[tuple[str, str, str, str], Score]:
        return {row.key: row for row in self.scores}

    def score(self, finder: str, truth: str, metric: str, slice_: str) -> Score | None:
        """One row of the scores, or None."""
        return self._index.get((finder, truth, metric, slice_))

    @cached_property
    def truths(self) -> tuple[str, ...]:
        """Truths with scores, declared first."""
        return tuple(sorted({row.truth for row in self.scores}))

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Metrics with scores, the leading ones first."""
        return tuple(sorted({row.metric for row in self.scores}, key=metric_order))

    def metrics_of(self, truth: str) -> tuple[str, ...]:
        """Those of `metrics` that are marked against this truth."""
        found = {row.metric for row in self.scores if row.truth == truth}
        return tuple(m for m in self.metrics if m in found)

    @cached_property
    def slices(self) -> tuple[str, ...]:
        """Slices with scores: all and correct, then by question, by hop, by both."""
        return tuple(sorted({row.slice for row in self.scores}, key=_slice_order))

    @cached_property
    def hops(self) -> tuple[str, ...]:
        """The single-hop slices, nearest first."""
        return tuple(s for s in self.slices if s.startswith("hop=") and "," not in s)

    def finders(self, truth: str = "declared") -> tuple[str, ...]:
        """Finders without the controls, best first by what leads under this truth."""
        names = {row.finder for row in self.scores if row.truth == truth} - set(CONTROLS)

        def order(name: str) -> tuple[float, str]:
            row = self.score(name, truth, self.lead(truth), "all")
            return (-row.value if row and row.value is not None else float("inf"), name)

        return tuple(sorted(names, key=order))

    def controls(self, truth: str) -> tuple[str, ...]:
        """The controls that have rows under this truth."""
        found = {row.finder for row in self.scores if row.truth == truth}
        return tuple(c for c in CONTROLS if c in found)

    def base_rate(self, truth: str, metric: str, slice_: str) -> float | None:
        """The chance column of the chance row or, without one, of any other; else its value."""
        row = self.score(CHANCE, truth, metric, slice_)
        names = (CHANCE, *self.finders(truth), *self.controls(truth))
        found = (self.score(name, truth, metric, slice_) for name in names)
        level = next((r.chance for r in found if r is not None and r.chance is not None), None)
        return level if level is not None or row is None else row.value


def _slice_order(name: str) -> tuple[int, int, str]:
    fixed = {"all": 0, "correct": 1}
    rank = fixed.get(name, 4 if "," in name else 3 if name.startswith("hop") else 2)
    return rank, 1 if name.startswith("hop>") else 0, name


def _near(path: Path) -> str:
    for folder in (path, path.parent):
        if folder.is_dir():
            found = sorted(p.parent for p in folder.glob("*/config.yaml"))
            if found:
                return f"; run folders here: {', '.join(map(str, found[:4]))}"
    return ""
