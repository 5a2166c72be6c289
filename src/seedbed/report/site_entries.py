"""Runs on a site: their addresses, which line leads, and which finders are controls.

A finder's page and a study's page gather what several runs say of it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

from seedbed.core.errors import SeedbedError
from seedbed.core.files import read_text
from seedbed.core.sites import SiteKind
from seedbed.report import wording
from seedbed.report.directions import CONTROLS as DIRECTIONS
from seedbed.report.leading import DECLARED, LDS, MEASURED, leading_of, metric_order
from seedbed.report.schema import CHANCE, CONTROLS, ORACLE
from seedbed.runs.summary import Line, Summary
from seedbed.scoring.crossed import PEARSON

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TRUTHS = (DECLARED, MEASURED)
NOUNS = {
    SiteKind.DOCUMENT: "documents",
    SiteKind.CELL: "cells",
    SiteKind.INPUT: "input parts",
    SiteKind.DIRECTION: "directions",
    SiteKind.LAYER: "layers",
    SiteKind.RULE: "rules",
    SiteKind.USER: "kinds of user",
}
"""Kinds of site for a reader, in the order of columns."""
CONTROL_KINDS = frozenset({"randomised", "part-length", "rule-consensus", "weight-difference"})
CONTROL_WORDS = frozenset({"random", "randomised", "shuffled"})
"""Finders of these kinds, and those whose name has one of these words, are controls."""


def noun(sites: str) -> str:
    """A kind of site for a reader."""
    return NOUNS[SiteKind(sites)] if sites in set(SiteKind) else sites


def is_control(line: Line) -> bool:
    """Whether a line is that of a control, which never counts as the best finder."""
    if line.finder in CONTROLS or line.kind in CONTROLS or line.kind in CONTROL_KINDS:
        return True
    if line.sites == SiteKind.DIRECTION and any(
        line.finder == name or line.finder.endswith(f"-{name}") for name in DIRECTIONS
    ):
        # A labelled finder's names end in what it measured.
        return True
    return not CONTROL_WORDS.isdisjoint(re.split(r"[-_/ ]", line.finder))


def leading_metric(sites: str, truth: str, metrics: Iterable[str]) -> str:
    """The metric that leads for a kind of site under a truth, of those at hand.

    As `leading.leading_of` says under the declared truth; under the measured one LDS, or the
    correlation with exact patching. Where the runs have no such rows, the first by
    `metric_order`; "" of none.
    """
    first = (leading_of(sites),) if truth == DECLARED else (LDS, PEARSON)

    def order(name: str) -> tuple[int, tuple[int, int, str]]:
        return first.index(name) if name in first else len(first), metric_order(name)

    return min(metrics, key=order, default="")


@dataclass(frozen=True)
class Number:
    """One line of a run with its address: `at` names it on every page of the site."""

    at: str
    slug: str
    line: Line

    @property
    def control(self) -> bool:
        """Whether it is a control's."""
        return is_control(self.line)

    @property
    def standing(self) -> str:
        """Where the whole interval lies against chance: above, level, below, or unknown."""
        line = self.line
        if line.value is None or line.low is None or line.high is None or line.chance is None:
            return "unknown"
        if not wording.bounded(line.value, line.low, line.high):
            return "unknown"
        if line.low > line.chance:
            return "above"
        return "below" if line.high < line.chance else "level"


@dataclass(frozen=True)
class Entry:
    """A run and its name in addresses."""

    run: Summary
    slug: str

    @cached_property
    def text(self) -> str:
        """The resolved configuration as it stands in the folder; "" where it cannot be read."""
        try:
            return read_text(self.run.folder / "config.yaml")
        except (SeedbedError, OSError):
            return ""

    @cached_property
    def config(self) -> dict[str, Any]:
        """The same as values; empty where it is no mapping."""
        try:
            value = yaml.load(self.text, Loader=_LOADER)
        except (yaml.YAMLError, ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    @cached_property
    def numbers(self) -> tuple[Number, ...]:
        """Every line with its address, in the order of the summary."""
        return tuple(
            Number(f"{self.slug}.{i}", self.slug, line) for i, line in enumerate(self.run.lines)
        )

    @cached_property
    def parts(self) -> dict[tuple[str, str], list[Number]]:
        """Numbers by kind of site and truth, never mixed; the world's own kind first."""
        found: dict[tuple[str, str], list[Number]] = {}
        for number in self.numbers:
            found.setdefault((number.line.sites, number.line.truth), []).append(number)
        order = [str(kind) for kind in NOUNS]

        def place(part: tuple[str, str]) -> tuple[bool, int, str]:
            known = order.index(part[0]) if part[0] in order else len(order)
            return part[0] != self.run.sites, known, part[1]

        return {part: found[part] for part in sorted(found, key=place)}

    def leads(self, sites: str, truth: str) -> list[Number]:
        """The leading number of every finder of a part, best first, controls last."""
        numbers = self.parts.get((sites, truth), [])
        metric = leading_metric(sites, truth, {n.line.metric for n in numbers})
        return sorted((n for n in numbers if n.line.metric == metric), key=standing_order)

    def best(self, sites: str, truth: str) -> Number | None:
        """The best finder's leading number; None where no finder but controls has a value."""
        found = self.leads(sites, truth)
        return found[0] if found and not found[0].control and found[0].line.value is not None \
            else None  # fmt: skip

    @property
    def lead(self) -> Number | None:
        """The best number under the first part that has one."""
        return next((b for part in self.parts if (b := self.best(*part)) is not None), None)


def standing_order(number: Number) -> tuple[bool, int, float, float, str]:
    """Sort key: finders by value, highest first, of equals the cheapest; then controls.

    Chance and oracle stand at the end.
    """
    line = number.line
    last = {CHANCE: 1, ORACLE: 2}.get(line.finder, 0)
    value = float("inf") if line.value is None else -line.value
    cost = float("inf") if line.seconds is None else line.seconds
    return number.control, last, value, cost, line.finder


def entries_of(runs: Sequence[Summary]) -> list[Entry]:
    """Runs with addresses that depend on the runs only: study and digest, then a counter."""
    ordered = sorted(runs, key=lambda r: (r.study, r.digest, r.started, str(r.folder)))
    names = [f"{plain(r.study)}-{r.digest[:8]}" if r.digest else plain(r.study) for r in ordered]
    return [Entry(run, slug) for run, slug in zip(ordered, distinct(names), strict=True)]


def plain(text: str) -> str:
    """A name that can stand in any address: letters, digits, dashes and underscores."""
    found = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")[:60]
    return found or "unnamed"


def distinct(names: Sequence[str]) -> list[str]:
    """The names, each used again with `-2`, `-3` and so on."""
    taken: set[str] = set()
    found = []
    for name in names:
        free, count = name, 1
        while free in taken:
            count += 1
            free = f"{name}-{count}"
        taken.add(free)
        found.append(free)
    return found


def addresses(names: Iterable[str]) -> dict[str, str]:
    """Each distinct name with an address of its own."""
    ordered = sorted(set(names))
    return dict(zip(ordered, distinct([plain(n) for n in ordered]), strict=True))


@dataclass(frozen=True)
class Addresses:
    """Where the pages of studies, finders and worlds lie, relative to the site's first page."""

    studies: Mapping[str, str]
    finders: Mapping[str, str]
    worlds: Mapping[str, str]

    def study(self, name: str) -> str:
        """The page of a study."""
        return f"studies/{self.studies[name]}.html"

    def finder(self, name: str) -> str:
        """The page of a finder."""
        return f"finders/{self.finders[name]}.html"

    def world(self, name: str) -> str:
        """The leaderboards of a world; "" of none."""
        return f"worlds/{self.worlds[name]}.html" if name in self.worlds else ""

    @staticmethod
    def run(entry: Entry) -> str:
        """The page of a run."""
        return f"runs/{entry.slug}.html"


def addresses_of(entries: Sequence[Entry], worlds: Iterable[str]) -> Addresses:
    """Addresses of everything that these runs name, and of `worlds`."""
    return Addresses(
        addresses(e.run.study for e in entries),
        addresses(n.line.finder for e in entries for n in e.numbers),
        addresses({e.run.world for e in entries if e.run.world} | set(worlds)),
    )


def newest_first(entries: Iterable[Entry]) -> list[Entry]:
    """By when they began, the newest first."""
    return sorted(sorted(entries, key=lambda e: e.slug), key=lambda e: e.run.started, reverse=True)


def by_study(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Runs by the name of their study, sorted; newest first within."""
    found: dict[str, list[Entry]] = {}
    for entry in newest_first(entries):
        found.setdefault(entry.run.study, []).append(entry)
    return dict(sorted(found.items()))


def versions(entries: Iterable[Entry]) -> Mapping[str, list[Entry]]:
    """Runs of one configuration by its digest, where there are several; newest first within."""
    found: dict[str, list[Entry]] = {}
    for entry in newest_first(entries):
        if entry.run.digest:
            found.setdefault(entry.run.digest, []).append(entry)
    return {digest: runs for digest, runs in found.items() if len(runs) > 1}
