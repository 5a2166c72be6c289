"""The lane of directions within a study: what they read, what steering along them changes.

It runs on the study's own subject and on every side alike, and ends in directions.json.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seedbed.core.directions import FILE as VECTORS
from seedbed.core.directions import Directions
from seedbed.core.files import read_rows, write_json
from seedbed.core.rows import CHOOSE, Question
from seedbed.core.selectivity import UNRELATED, DirectionRow
from seedbed.core.sites import Truth
from seedbed.core.units import Units, load_units, save_units
from seedbed.finders.base import Finder
from seedbed.finders.steering import Steering, steered
from seedbed.finders.told import told
from seedbed.measuring.answers import Answer
from seedbed.measuring.recurrences import by_recurrences, recurs
from seedbed.models.subject import SubjectConfig
from seedbed.runs.cost import measured
from seedbed.runs.store import link_tree
from seedbed.scoring.directions import rows as rows_of
from seedbed.studies import gate as gates
from seedbed.studies.plan import Plan, Task
from seedbed.studies.sides import SideRow
from seedbed.studies.stages import (
    link_claims,
    load_stage,
    put,
    put_pairs,
    read_documents,
    read_pairs,
)
from seedbed.studies.study import Study
from seedbed.studies.workers import Workers
from seedbed.training.loop import Progress

FILE = "directions.json"
SIDES = "sides.json"
TABLES = "tables.npz"
Asked = Mapping[int, tuple[str, ...]]


@dataclass(frozen=True)
class DirectionLane:
    """What trying directions needs: the study, its plan and workers, and the run folder."""

    study: Study
    plan: Plan
    workers: Workers
    folder: Path

    def learning(self) -> list[list[Task]]:
        """Data, training and answers of every side and seed, one chain each."""
        return [
            [plan.data(seed), plan.train(seed), plan.measure(seed)]
            for plan in self._plans().values()
            for seed in self.study.seeds
        ]

    def run(self, finders: Sequence[Finder], asked: Asked) -> None:
        """Find directions on every side that learned, try them, write directions.json.

        `asked` are the questions put to the study's own subject.
        """
        plans = self._plans()
        sides: dict[str, tuple[Plan, Asked]] = {"": (self.plan, asked)}
        self._show(self.learning())
        told_of = []
        if own := self.study.world.negative:
            told_of.append(SideRow(side="", negative=own, gate=(), left_out="").model_dump())
        for name, plan in plans.items():
            row, questions = self._judge(name, plan)
            told_of.append(row.model_dump(mode="json"))
            if not row.left_out:
                sides[name] = plan, questions
        write_json(self.folder / SIDES, told_of)
        wanted = [
            (name, seed, finder)
            for name in sides
            if name
            for seed in self.study.seeds
            for finder in finders
        ]
        finding = [
            [sides[name][0].find(seed, finder, sides[name][1][seed])]
            for name, seed, finder in wanted
        ]
        for (name, seed, finder), (_, stage) in zip(wanted, self.workers.run(finding), strict=True):
            link_claims(finder, stage.folder, self._here(name, seed))
        chains = [
            [tell_task(plan, seed, finders, questions[seed], self.study.looks.recurrences)]
            for plan, questions in sides.values()
            for seed in self.study.seeds
        ]
        done = iter(self.workers.run(chains))
        found: list[DirectionRow] = []
        for name in sides:
            tables: list[dict[str, Units]] = []
            for seed in self.study.seeds:
                _, stage = next(done)
                link_tree(stage.folder, self._here(name, seed) / "directions")
                tables.append(load_units(stage.folder / TABLES))
            found += rows_of(name, tables)
        write_json(self.folder / FILE, [row.model_dump(mode="json") for row in found])

    def _plans(self) -> dict[str, Plan]:
        return {n: Plan(self.study.beside(n), self.plan.store, self.plan.launch)
                for n in self.study.sides}  # fmt: skip

    def _here(self, side: str, seed: int) -> Path:
        top = self.folder / "sides" / side if side else self.folder
        return top / "seeds" / str(seed)

    def _show(self, chains: Sequence[Sequence[Task]]) -> None:
        done = iter(self.workers.run(chains))
        for name in self.study.sides:
            for seed in self.study.seeds:
                for task, stage in (next(done) for _ in range(3)):
                    link_tree(stage.folder, self._here(name, seed) / task.name)

    def _judge(self, name: str, plan: Plan) -> tuple[SideRow, Asked]:
        """Was it learned on this side, and which questions are asked about?"""
        gate, rows, asked = plan.study.world.gate, [], {}
        for seed in self.study.seeds:
            here = self._here(name, seed)
            questions = read_rows(here / "data" / "questions.jsonl", Question)
            answers = read_rows(here / "measure" / "answers.jsonl", Answer)
            judged = gates.judge(gate, questions, answers, seed)
            chosen, _ = gates.ask(gate, questions, judged, self.study.questions, seed)
            asked[seed] = tuple(q.id for q in chosen)
            rows += judged
        reason = gates.stop_reason(rows)
        negative = self.study.sides[name].negative or plan.study.world.negative
        return SideRow(side=name, negative=negative, gate=tuple(rows), left_out=reason), asked


def tell_task(
    plan: Plan,
    seed: int,
    finders: Sequence[Finder],
    asked: Sequence[str],
    recurrences: tuple[int, ...],
) -> Task:
    """What the directions of a seed read and do, on the questions named.

    A subject of recurrent depth answers them at each number of `recurrences` too.
    """
    trained, data = plan.place(plan.train(seed)), plan.place(plan.data(seed))
    study = plan.study
    claims = {}
    for finder in finders:
        digest, folder = plan.place(plan.find(seed, finder, tuple(asked)))
        for place, variant in enumerate(finder.variants()):
            claims[variant.name] = digest, folder / str(place)
    key = {
        **plan.base,
        "train": trained[0],
        "data": data[0],
        "claims": {name: digest for name, (digest, _) in claims.items()},
        "order": list(claims),
        "steering": study.steering and study.steering.model_dump(mode="json"),
        "recurrences": recurrences,
        "asked": list(asked),
    }
    folders = {name: folder for name, (_, folder) in claims.items()}
    given = (study.steering, recurrences, folders, tuple(asked))
    work = partial(_tell, *given, study.subject, trained[1], data[1])
    return Task(seed, "directions", "directions", key, work)


def _tell(
    steering: Steering | None,
    recurrences: Sequence[int],
    claims: Mapping[str, Path],
    asked: Sequence[str],
    config: SubjectConfig,
    trained: Path,
    data: Path,
    folder: Path,
    progress: Progress | None,
) -> None:
    subject = load_stage(config, trained)
    every = {q.id: q for q in read_rows(data / "questions.jsonl", Question)}
    kinds = classes(Truth.load(data / "truth.npz"))
    test = put(config, subject, [every[q] for q in asked])
    directions = {
        name: Directions.load(path / VECTORS)
        for name, path in claims.items()
        if (path / VECTORS).exists()
    }
    engine: dict[str, Any] = {}
    with measured() as cost:
        tables = told(subject, directions, test, kinds)
        if steering is not None:
            dev, apart = (
                put(config, subject, [q for q in every.values() if q.split == split])
                for split in (CHOOSE, UNRELATED)
            )
            wanted = {*asked, *(q.id for q in dev)}
            pairs = [p for p in read_pairs(data) if p.clean.id in wanted]
            documents = read_documents(data)
            # Those about the target would be changed by what is wanted.
            beside = [d for d in documents if d.role == UNRELATED] or documents
            found = steered(
                steering, subject, directions, dev, test, apart, kinds,
                put_pairs(config, subject, pairs), beside,
            )  # fmt: skip
            tables, engine = {**tables, **found.tables}, found.engine
        if recurrences and recurs(subject):
            tables |= by_recurrences(subject, test, recurrences)
    save_units(folder / TABLES, tables)
    spent = {"seconds": cost.seconds, "peak_mib": cost.peak_mib}
    write_json(folder / "engine.json", {**engine, **spent})


def classes(truth: Truth) -> dict[str, str]:
    """Question → its class, by the declared truth; a question of neither class is left out."""
    return {
        question: truth.sites[int(row.argmax())]
        for question, row in zip(truth.questions, truth.values == 1, strict=True)
        if row.any()
    }
