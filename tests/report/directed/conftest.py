"""A run folder with made-up tables of directions: drawn by a seed around levels that are known.

They go through the scoring of real runs, so that names of tables and columns are the real ones.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from seedbed.core.cells import Cell
from seedbed.core.files import read_json, write_json, write_text
from seedbed.core.seeds import generator
from seedbed.core.selectivity import CHOSEN, Column
from seedbed.core.units import Units
from seedbed.report.page import write_report
from seedbed.scoring.directions import rows

SEEDS, PLACES, KINDS = (0, 1), ("a", "b", "last"), ("computed", "stored")
DOSES, COUNTS = (1.0, 2.0, 4.0), (1, 2, 4, 8, 12)
REASON = "stored exceptions to a computation leave no direction that tells the kinds apart"
PLAIN = [f"resid_pre.{i}" for i in range(4)] + ["resid_post.3"]
LOOP = ["resid_pre.0", *(f"resid_pre.{b}r{r}" for r in range(2) for b in (1, 2)), "resid_pre.3",
        "resid_post.3"]  # fmt: skip
READERS = ("difference", "probe", "random", "shuffled")
PUSHED = (*READERS[:2], "random-0", "random-1", "random-2")
Values = dict[Column, NDArray[np.float64]]


class Made:
    """The tables of one side and seed: `reads` by depth and place, `acts` where patching does."""

    def __init__(self, name: str, seed: int, edges: Sequence[str], strength: float) -> None:
        self.rng = generator(seed, "directions", name)
        self.edges, self.strength = edges, strength
        self.sites = [f"{e}@{p}" for e in edges for p in PLACES]
        self.kinds = np.array(["stored", "computed"] * 20)
        self.causes = [f"c{i // 4}" for i in range(40)]

    def reads(self, site: str) -> float:
        """How often a question lies on its kind's side; the place `a` reads little at first."""
        late = self.edges.index(site.partition("@")[0]) / (len(self.edges) - 1)
        wide = {"a": 0.1, "b": 0.35, "last": 0.5}[Cell.parse(site).place]
        return 0.5 + self.strength * min(0.49, wide + late)

    def acts(self, site: str) -> float:
        """Patching acts at b early and at the last place late."""
        late = self.edges.index(site.partition("@")[0]) / (len(self.edges) - 1)
        at = {"b": 0.9 * (late < 0.3), "last": 0.98 * (late > 0.6)}
        return at.get(Cell.parse(site).place, 0.02)

    def tables(self) -> dict[str, Units]:
        return {**self._decodable(), **self._patching(), **self._steering(), **self._effect(),
                **self._cosine()}  # fmt: skip

    def _shares(self, share: float) -> NDArray[np.float64]:
        return (self.rng.random(40) < share).astype(float)

    def _decodable(self) -> dict[str, Units]:
        found: Values = {}
        for name in READERS:
            for site in [*self.sites, CHOSEN]:
                level = self.reads(self.sites[-1] if site == CHOSEN else site)
                level = level if name in READERS[:2] else 0.5
                noise = self.rng.uniform(-0.01, 0.01, 40)
                found[Column("auc", name, site)] = np.clip(level + noise, 0, 1)
                found[Column("accuracy", name, site)] = self._shares(level)
        return {"decodable:all": self._table(found)}

    def _patching(self) -> dict[str, Units]:
        found = {Column("flipped", "", s): self._shares(self.acts(s)) for s in self.sites}
        return self._by_kind("patching", found)

    def _steering(self) -> dict[str, Units]:
        found: Values = {}
        for name in PUSHED:
            own = name in READERS[:2]
            best = self.sites[PLACES.index("b")]
            for site in self.sites:
                for dose in DOSES if site == best else (2.0,):
                    share = self.strength * self.acts(site) * dose / 5 if own else 0.01 * dose
                    self._push(found, name, site, dose, share)
                gone = self._shares(0.04 if own else 0.0)
                found[Column("ablated-flipped", name, site)] = gone
            for shown in (*DOSES, None):
                for what in ("flipped", "changed", "moved", "kl"):
                    at = Column(what, name, best, 2.0 if shown is None else shown)
                    found[Column(what, name, CHOSEN, shown)] = found[at]
        pushed = {"selectivity:all": self._selectivity(found)}
        return {**self._by_kind("steering", found), **pushed}

    def _push(self, found: Values, name: str, site: str, dose: float, share: float) -> None:
        flipped = self._shares(share)
        found[Column("flipped", name, site, dose)] = flipped
        found[Column("changed", name, site, dose)] = np.maximum(flipped, self._shares(share / 4))
        found[Column("moved", name, site, dose)] = 5 * share + self.rng.normal(size=40) / 3
        found[Column("kl", name, site, dose)] = share * self.rng.exponential(size=40)

    def _selectivity(self, found: Values) -> Units:
        made: Values = {}
        nothing = np.full(40, np.nan)
        for name in PUSHED:
            for dose in (*DOSES, None):
                target = found[Column("flipped", name, CHOSEN, dose)]
                unrelated = self._shares(0.02 * (dose or 2.0))
                gap = target.mean() - unrelated.mean()
                both = np.concatenate([gap + 2 * (target - target.mean()),
                                       gap - 2 * (unrelated - unrelated.mean())])  # fmt: skip
                made[Column("target", name, CHOSEN, dose)] = np.append(target, nothing)
                made[Column("unrelated", name, CHOSEN, dose)] = np.append(nothing, unrelated)
                made[Column("difference", name, CHOSEN, dose)] = both
        units = tuple(f"u{i}" for i in range(80))
        causes = (*self.causes, *(f"u{i // 4}" for i in range(40)))
        return Units(units, causes, tuple(c.key for c in made), np.stack([*made.values()], 1))

    def _effect(self) -> dict[str, Units]:
        found: Values = {}
        for name in PUSHED:
            for site in self.sites:
                size = (0.2 + self.acts(site)) * (1.0 if name in READERS else 0.15)
                found[Column("kl", name, site)] = size * self.rng.exponential(size=40)
                found[Column("logit", name, site)] = 3 * size * self.rng.exponential(size=40)
        return self._by_kind("effect", found)

    def _cosine(self) -> dict[str, Units]:
        found: dict[str, float] = {}
        for place in PLACES:
            here = [f"{e}@{place}" for e in self.edges]
            for i, a in enumerate(here):
                for j in range(i + 1, len(here)):
                    value = 0.75 ** (j - i) + 0.1 * float(self.rng.normal())
                    found[Column("cosine", "difference", f"{a}/{here[j]}").key] = value
        found[Column("cosine", "difference/probe", self.sites[0]).key] = 0.7
        return {"cosine:all": Units(("vectors",), ("vectors",), tuple(found),
                                    np.array([list(found.values())]))}  # fmt: skip

    def recurrences(self) -> dict[str, Units]:
        """Computed answers need several runs, stored ones none."""
        found = {}
        for kind in KINDS:
            needs = 4.0 if kind == "computed" else 0.3
            levels = {Column("accuracy", dose=c): self._shares(0.98 * (1 - 0.5 ** (c / needs * 2)))
                      for c in COUNTS}  # fmt: skip
            found[f"recurrence:{kind}"] = self._table(levels)
        return found

    def _by_kind(self, section: str, found: Values) -> dict[str, Units]:
        tables = {f"{section}:all": self._table(found)}
        for kind in KINDS:
            tables[f"{section}:{kind}"] = self._table(found, self.kinds == kind)
        return tables

    def _table(self, found: Values, kept: NDArray[np.bool_] | None = None) -> Units:
        rows_ = np.flatnonzero(np.ones(40, dtype=bool) if kept is None else kept)
        values = np.stack([*found.values()], 1)[rows_]
        return Units(tuple(f"u{i}" for i in rows_), tuple(self.causes[i] for i in rows_),
                     tuple(c.key for c in found), values)  # fmt: skip


def write(path: Path) -> Path:
    """Put directions.json, sides.json and what dev chose into a run folder."""
    sides: dict[str, tuple[list[str], float]] = {
        "": (PLAIN, 1.0), "exceptions": (PLAIN, 0.05), "recurrent": (LOOP, 0.95),
    }  # fmt: skip
    found = []
    for name, (edges, strength) in sides.items():
        made = [Made(name, seed, edges, strength) for seed in SEEDS]
        tables = [m.tables() for m in made]
        if name == "recurrent":
            tables = [{**t, **m.recurrences()} for t, m in zip(tables, made, strict=True)]
        found += [row.model_dump(mode="json") for row in rows(name, tables)]
        for seed in SEEDS:
            top = path / "sides" / name if name else path
            chosen = {d: {"site": "resid_pre.0@b", "dose": 2.0, "dev": 0.5} for d in PUSHED}
            write_json(top / "seeds" / str(seed) / "directions" / "engine.json",
                       {"target": "flipped", "chosen": chosen})  # fmt: skip
    write_json(path / "directions.json", found)
    gate = read_json(path / "gate.json")
    told = [("exceptions", REASON, ""), ("recurrent", "", ""),
            ("iterated", "", "not learned, so no finder was run: kind=computed")]  # fmt: skip
    write_json(path / "sides.json", [
        {"side": name, "negative": reason, "gate": gate, "left_out": left}
        for name, reason, left in told
    ])  # fmt: skip
    config = yaml.safe_load((path / "config.yaml").read_text())
    config["name"] = "recall"
    write_text(path / "config.yaml", yaml.safe_dump(config, sort_keys=False))
    return path


@pytest.fixture(scope="session")
def directed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with directions; read only, but for its report and figures."""
    return write(shutil.copytree(made, tmp_path_factory.mktemp("runs") / "directed"))


@pytest.fixture(scope="session")
def directed_page(directed: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the same run with one side alone, whose figures are few."""
    run = shutil.copytree(directed, tmp_path_factory.mktemp("runs") / "one")
    found = [row for row in read_json(run / "directions.json") if row["side"] == "exceptions"]
    write_json(run / "directions.json", found)
    return write_report(run).read_text(encoding="utf-8")


@pytest.fixture
def fresh_directed(directed: Path, tmp_path: Path) -> Path:
    """A run with directions to change."""
    return Path(shutil.copytree(directed, tmp_path / "directed"))
