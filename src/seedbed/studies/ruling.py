"""The lane of rules within a study: which candidate rule explains what a subject answers?

A unit is a group of questions of one subject. What it was taught is known; what the others took
over is the result. Everything ends in rules.json.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from seedbed.core.files import read_json, read_rows, write_json
from seedbed.core.rows import Document, Question
from seedbed.core.rules import Explained, Rules
from seedbed.core.seeds import stream
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.core.spread import Spreading
from seedbed.core.units import Units
from seedbed.finders.base import Finder
from seedbed.finders.chance import random_claim
from seedbed.measuring.answers import Answer
from seedbed.models.subject import SubjectConfig
from seedbed.runs.store import link_tree
from seedbed.scoring.rows import Cost, SeedResults, collect, number
from seedbed.scoring.units import Resampled
from seedbed.studies.gate import GateRow, group_of
from seedbed.studies.plan import Plan, Task, config_of
from seedbed.studies.reteaching import MEASURED, rows_task, subject_task
from seedbed.studies.spread import NEEDED, cell_name
from seedbed.studies.spreading import FILE as SPREAD
from seedbed.studies.stages import SCRATCH, load_stage, put, run_finder
from seedbed.studies.study import Study
from seedbed.studies.workers import Workers
from seedbed.training.loop import Progress

FILE = "rules.json"
CHANCE = "chance"
LABELS = ("taught", "other")
SUBJECT = "subject"


@dataclass(frozen=True)
class Unit:
    """One group of questions of one subject of one seed, where they lie, and what it answered.

    `taught`: its answers are what this very subject was trained on.
    """

    name: str
    trained: Path
    data: Path
    asked: tuple[str, ...]
    taught: bool


def unit_questions(unit: Unit) -> list[Question]:
    """The questions of a unit."""
    by_id = {q.id: q for q in read_rows(unit.data / "questions.jsonl", Question)}
    return [by_id[q] for q in unit.asked]


def find_task(plan: Plan, seed: int, finder: Finder, units: Sequence[Unit]) -> Task:
    """One finder's claim about all units of a seed that were taught."""
    key = {
        **plan.base,
        "finder": config_of(finder, drop="label"),
        "units": [[u.name, u.trained.name, u.data.name, list(u.asked)] for u in units],
    }
    trained = plan.place(plan.train(seed))[1]
    work = partial(_find, finder, tuple(units), plan.study.subject, trained)
    return Task(seed, "find", f"find-{finder.name}", key, work)


def _find(
    finder: Finder,
    units: Sequence[Unit],
    config: SubjectConfig,
    trained: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    rows: dict[int, list[dict[str, float]]] = {}
    notes: dict[int, dict[str, str]] = {}
    seconds, peak = 0.0, 0.0
    place_of, subject = Path(), None
    for unit in units:
        # The units of one subject follow each other, and a large one takes long to load.
        if subject is None or unit.trained != place_of:
            loaded = load_stage(config, unit.trained)
            place_of, subject = unit.trained, replace(loaded, scratch=folder / SCRATCH)
        asked, names = anonymous(put(config, subject, unit_questions(unit)), subject.seed)
        claims, cost = run_finder(finder, subject, list[Document](), asked, [])
        seconds, peak = seconds + cost.seconds, max(peak, cost.peak_mib)
        for place, claim in enumerate(claims):
            sites = [names[site] for site in claim.sites]
            means = dict(zip(sites, claim.scores.mean(axis=0).tolist(), strict=True))
            rows.setdefault(place, []).append(means)
            told = {f"{unit.name}: {key}": _named(text, names) for key, text in claim.notes.items()}
            notes.setdefault(place, {}).update(told)
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    epoch = read_json(trained / "summary.json")["epoch_seconds"]
    spent = {"seconds": seconds, "peak_mib": peak, "epochs": seconds / epoch if epoch else None}
    for place, found in rows.items():
        every = tuple(sorted({s for row in found for s in row}))
        # A rule that says nothing about a unit is the last that could explain it.
        lowest = min(v for row in found for v in row.values()) - 1
        scores = np.array([[row.get(s, lowest) for s in every] for row in found])
        claim = Claim(tuple(u.name for u in units), every, scores, SiteKind.RULE, notes[place])
        claim.save(folder / str(place) / "claim.npz")
        write_json(folder / str(place) / "cost.json", {**spent, "shared_by": len(rows)})


def anonymous(questions: Sequence[Question], seed: int) -> tuple[list[Question], dict[str, str]]:
    """The questions with rules that no name and no answer tells apart, and the names again.

    What was taught is declared as answers, and `map` is easily guessed.
    """
    rules = sorted({rule for q in questions for rule in q.rules})
    stream(seed, "rules", *rules).shuffle(rules)
    hidden = {rule: f"rule-{i}" for i, rule in enumerate(rules)}
    asked = [
        q.model_copy(
            update={
                "answer": q.choices[0],
                "rules": {hidden[r]: q.rules[r] for r in rules if r in q.rules},
            }
        )
        for q in questions
    ]
    return asked, {name: rule for rule, name in hidden.items()}


def _named(text: str, names: Mapping[str, str]) -> str:
    return re.sub(r"\brule-\d+", lambda found: names.get(found[0], found[0]), text)


def taught_rules(units: Sequence[Unit]) -> Truth:
    """Units × rules: 1 where the rule says the declared answer of every question of the unit.

    0 where it does not, NaN where a rule says nothing about the unit.
    """
    sides = [unit_questions(u) for u in units]
    sites = tuple(sorted({r for side in sides for q in side for r in q.rules}))
    values = np.full((len(units), len(sites)), np.nan)
    for i, side in enumerate(sides):
        for j, rule in enumerate(sites):
            if all(rule in q.rules for q in side):
                values[i, j] = float(all(q.rules[rule] == q.answer for q in side))
    labels = np.where(values == 1, 0, 1).astype(np.int16)
    return Truth(tuple(u.name for u in units), sites, values, labels, LABELS, SiteKind.RULE)


def results_of(
    seed: int, units: Sequence[Unit], claims: Mapping[str, Claim], costs: Mapping[str, Cost]
) -> SeedResults:
    """One seed's taught units as rows to score, each a question whose cause is the unit."""
    truth = taught_rules(units)
    chance = random_claim(seed, truth.questions, truth.sites, SiteKind.RULE)
    placed = {n: _among(c, truth.sites) for n, c in claims.items()}
    questions = [
        Question(id=u.name, prompt=u.name, answer=u.name, cause=u.name,
                 slices={"subject": "first" if u.name.startswith(f"{SUBJECT}/") else "second"})
        for u in units
    ]  # fmt: skip
    right = np.ones(len(units), dtype=bool)
    return SeedResults(seed, questions, right, truth, {**placed, CHANCE: chance}, costs)


def _among(claim: Claim, sites: tuple[str, ...]) -> Claim:
    lowest = float(claim.scores.min()) - 1
    place = {s: i for i, s in enumerate(claim.sites)}
    columns = [
        claim.scores[:, place[s]] if s in place else np.full(len(claim.questions), lowest)
        for s in sites
    ]
    return Claim(claim.questions, sites, np.stack(columns, axis=1), claim.site_kind, claim.notes)


def explained(
    units: Mapping[int, Sequence[Unit]], answers: Mapping[tuple[int, str], Mapping[str, str]]
) -> list[Explained]:
    """What share of each unit's answers each rule says, over the seeds that have the unit.

    `answers[seed, unit]` are the predictions by question.
    """
    names = list(dict.fromkeys(u.name for mine in units.values() for u in mine))
    found = []
    for name in names:
        mine = [(s, u) for s, own in units.items() for u in own if u.name == name]
        tables, taught = [], set[str]()
        for seed, unit in mine:
            asked = unit_questions(unit)
            rules = sorted({r for q in asked for r in q.rules})
            said = answers[seed, name]
            values = np.array([[_says(q, r, said[q.id]) for r in rules] for q in asked])
            tables.append(Units(tuple(q.id for q in asked), tuple(q.cause for q in asked),
                                tuple(rules), values))  # fmt: skip
            if unit.taught:
                taught |= {r for r in rules if all(q.rules.get(r) == q.answer for q in asked)}
        columns = tables[0].columns
        shared = [c for c in columns if all(c in t.columns for t in tables)]
        intervals = Resampled([t.among(shared) for t in tables]).means()
        n = {r: sum(int(np.isfinite(t.column(r)).sum()) for t in tables) for r in shared}
        found += [
            Explained(unit=name, rule=r, value=number(s.value), low=number(s.low),
                      high=number(s.high), n=n[r], taught=r in taught)
            for r, s in zip(shared, intervals, strict=True)
        ]  # fmt: skip
    return found


def _says(question: Question, rule: str, said: str) -> float:
    if rule not in question.rules:
        return float("nan")
    # A chat template takes the spaces off choices, and so off what was said.
    return float(question.rules[rule].strip() == said.strip())


def predictions(folder: Path) -> dict[str, str]:
    """Question → what was answered, from a measured folder."""
    return {a.id: a.prediction for a in read_rows(folder / "answers.jsonl", Answer)}


def write(folder: Path, results: Sequence[SeedResults], rows: Sequence[Explained]) -> None:
    """Write rules.json; `results` is empty where no finder of rules ran."""
    marked = collect(results) if results else []
    scores = tuple(row.model_dump(mode="json") for row in marked)
    found = Rules(scores=scores, explained=tuple(rows))
    write_json(folder / FILE, found.model_dump(mode="json"))


@dataclass(frozen=True)
class RuleLane:
    """What asking about rules needs: the study, its plan and workers, and the run folder."""

    study: Study
    plan: Plan
    workers: Workers
    folder: Path

    def run(self, finders: Sequence[Finder], gate: Sequence[GateRow]) -> None:
        """Explain the answers of every subject that learned, run `finders`, write rules.json."""
        seeds = sorted(self.study.seeds)
        units = {s: [*self._first(s, gate), *self._second(s)] for s in seeds}
        answers = {(s, u.name): predictions(self._answers(s, u)) for s in seeds for u in units[s]}
        taught = {s: [u for u in units[s] if u.taught] for s in seeds}
        chains = [[find_task(self.plan, s, f, taught[s])] for s in seeds for f in finders]
        claims: dict[int, dict[str, Claim]] = {s: {} for s in seeds}
        costs: dict[int, dict[str, Cost]] = {s: {} for s in seeds}
        by_name = {f.name: f for f in finders}
        for task, stage in self.workers.run(chains):
            for place, variant in enumerate(by_name[task.name.removeprefix("find-")].variants()):
                target = self._here(task.seed) / "rules" / f"find-{variant.name}"
                link_tree(stage.folder / str(place), target)
                claims[task.seed][variant.name] = Claim.load(target / "claim.npz")
                costs[task.seed][variant.name] = Cost.read(target / "cost.json")
        results = [results_of(s, taught[s], claims[s], costs[s]) for s in seeds] if finders else []
        write(self.folder, results, explained(units, answers))

    def _first(self, seed: int, gate: Sequence[GateRow]) -> list[Unit]:
        """The groups of the study's subject that passed the gate."""
        by = self.study.world.gate
        trained = self.plan.place(self.plan.train(seed))[1]
        data = self.plan.place(self.plan.data(seed))[1]
        passed = {r.slice for r in gate if r.seed == seed and r.passed}
        groups: dict[str, list[str]] = {}
        for q in read_rows(data / "questions.jsonl", Question):
            if q.split == "id" and q.rules and f"{by.by}={group_of(q, by)}" in passed:
                groups.setdefault(group_of(q, by), []).append(q.id)
        return [
            Unit(f"{SUBJECT}/{name}", trained, data, tuple(ids), taught=True)
            for name, ids in groups.items()
        ]

    def _second(self, seed: int) -> list[Unit]:
        """The groups of the subjects whose second stage fitted."""
        spread = self.study.spread
        if spread is None:
            return []
        found: list[Unit] = []
        told = Spreading.model_validate(read_json(self.folder / SPREAD))
        failed = {(f.arm, f.method) for f in told.fits if f.seed == seed and not f.fitted}
        for arm, method in spread.cells():
            if (arm, method) in failed:
                continue
            trained = self.plan.place(subject_task(self.plan, seed, arm, method))[1]
            data = self.plan.place(rows_task(self.plan, seed, arm))[1]
            groups: dict[str, list[str]] = {}
            for q in read_rows(data / "questions.jsonl", Question):
                groups.setdefault(q.slices["group"], []).append(q.id)
            # Where no share was asked for, only what was learned anyway counts as taught.
            learned = {
                f.group
                for f in told.fits
                if (f.seed, f.arm, f.method) == (seed, arm, method)
                and f.low >= f.needed
                and (f.needed or f.low >= NEEDED)
            }
            name = cell_name(arm, method)
            found += [
                Unit(f"{name}/{g}", trained, data, tuple(ids), g in learned)
                for g, ids in groups.items()
            ]
        return found

    def _answers(self, seed: int, unit: Unit) -> Path:
        """Where the answers of a unit's subject lie."""
        cell, _, _ = unit.name.partition("/")
        here = self._here(seed)
        return here / "measure" if cell == SUBJECT else here / "spread" / cell / MEASURED

    def _here(self, seed: int) -> Path:
        return self.folder / "seeds" / str(seed)
