"""The lane of crossings within a study: finders of other kinds of site on the same subject.

A world lends its rows in the arrangement of another kind and declares the truth about it; what
every listed finder of that kind makes of them ends in crossed.json.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from seedbed.core.crossed import Crossed
from seedbed.core.errors import ConfigError, DataError, DiskError, InputError, MissingExtra
from seedbed.core.files import digest_of_files, read_json, read_rows, write_json, write_rows
from seedbed.core.rows import Question
from seedbed.core.seeds import stream
from seedbed.core.sites import SiteKind, Truth
from seedbed.finders.base import Finder
from seedbed.models.subject import SubjectConfig
from seedbed.runs.store import link_tree
from seedbed.scoring.crossed import collect_crossed
from seedbed.scoring.measured import CHANCE
from seedbed.studies import gate as gates
from seedbed.studies import sites
from seedbed.studies.directing import classes
from seedbed.studies.effects import Done
from seedbed.studies.marking import results_in
from seedbed.studies.plan import Plan, Task, config_of
from seedbed.studies.stages import (
    SCRATCH,
    find_stage,
    link_claims,
    measure_stage,
    read_documents,
)
from seedbed.studies.study import Study
from seedbed.studies.workers import Workers
from seedbed.training.loop import Progress
from seedbed.worlds.base import World

FILE, FOLDER, SCORES, LACKING = "crossed.json", "crossed", "scores.json", "lacking.json"
DOCUMENTS = "documents.jsonl"
EXACT = "patching"
"""The kind of finder whose claims are the measured truth about cells."""
Asked = Mapping[int, tuple[str, ...]]


def crossable(world: World, kind: SiteKind) -> bool:
    """Whether a world lends its rows to finders of a kind of site that is not its own."""
    return kind is not world.sites and kind in world.crossings


@dataclass(frozen=True)
class CrossLane:
    """What crossing needs: the study, its plan and workers, and the run folder."""

    study: Study
    plan: Plan
    workers: Workers
    folder: Path

    def run(self, finders: Sequence[Finder], gate: Sequence[gates.GateRow]) -> None:
        """Run finders of every kind of site that the world lends itself to, write crossed.json.

        Nothing is written where none of `finders` is of such a kind.
        """
        seeds, world = self.study.seeds, self.study.world
        by_kind = {kind: [f for f in finders if f.sites is kind]
                   for kind in SiteKind if crossable(world, kind)}  # fmt: skip
        by_kind = {kind: able for kind, able in by_kind.items() if able}
        if not by_kind:
            return
        self._show(self.workers.run([[self._view(s, k)] for k in by_kind for s in seeds]))
        reasons = {kind: self._lacking(kind) for kind in by_kind}
        asked: dict[SiteKind, Asked] = {}
        for kind in [k for k, reason in reasons.items() if not reason]:
            found = {s: self._asked(s, kind, gate) for s in seeds}
            if empty := [s for s, mine in found.items() if not mine]:
                which = "of one class at most" if kind is SiteKind.DIRECTION else "none"
                reasons[kind] = f"seed {empty[0]}: {which} of its questions passed the gate"
            else:
                asked[kind] = found
        measuring = [[self._measure(s, k)] for k in asked for s in seeds]
        finding = [[self._find(s, k, f, asked[k][s])]
                   for k in asked for s in seeds for f in by_kind[k]]  # fmt: skip
        done = self.workers.run([*measuring, *finding])
        self._show(done[: len(measuring)])
        refused = _refusals(done[len(measuring) :])
        scorable = {k: [f for f in able if f.name not in refused] for k, able in by_kind.items()}
        for kind in [k for k in asked if not scorable[k]]:
            refusing = (f"{f.name}: {refused[f.name]}" for f in by_kind[kind])
            reasons[kind] = "; ".join(refusing)
            del asked[kind]
        claims = self._claims(
            [(t, stage) for t, stage in done[len(measuring) :] if _finder(t) not in refused],
            {f.name: f for f in finders},
        )
        scoring = [[self._score(k, asked[k], claims[k], done, scorable[k])] for k in asked]
        marked = {Path(task.name).parent.name: read_json(stage.folder / SCORES)
                  for task, stage in self.workers.run(scoring, told=False)}  # fmt: skip
        rows = [
            Crossed(
                sites=kind,
                meaning=world.crossings[kind],
                asked=sum(map(len, asked[kind].values())) if kind in asked else 0,
                causes=self._causes(kind, asked[kind]) if kind in asked else 0,
                scores=marked.get(kind, ()),
                reason=reasons[kind],
            )
            for kind in by_kind
        ]
        write_json(self.folder / FILE, [row.model_dump(mode="json") for row in rows])
        self._name_missing(
            [
                (f.name, refused.get(f.name) or reasons[kind])
                for kind in by_kind
                for f in by_kind[kind]
                if f.name in refused or reasons[kind]
            ]
        )

    def _view(self, seed: int, kind: SiteKind) -> Task:
        world = self.study.world
        digest, _, data = self.plan.ground(seed)
        key = {**self.plan.base, "world": config_of(world), "seed": seed, "kind": kind,
               "ground": digest}  # fmt: skip
        if inputs := world.inputs():
            key["inputs"] = digest_of_files(inputs)
        return Task(seed, "view", f"{FOLDER}/{kind}/data", key,
                    partial(_view, world, kind, seed, data))  # fmt: skip

    def _measure(self, seed: int, kind: SiteKind) -> Task:
        digest, trained, _ = self.plan.ground(seed)
        rows = self.plan.place(self._view(seed, kind))
        key = {**self.plan.base, "train": digest, "data": rows[0]}
        work = partial(_measure, self.study.subject, trained, rows[1])
        return Task(seed, "measure", f"{FOLDER}/{kind}/measure", key, work)

    def _find(self, seed: int, kind: SiteKind, finder: Finder, asked: Sequence[str]) -> Task:
        digest, trained, _ = self.plan.ground(seed)
        rows = self.plan.place(self._view(seed, kind))
        key = {**self.plan.base, "train": digest, "view": rows[0], "asked": list(asked),
               "finder": config_of(finder, drop="label")}  # fmt: skip
        work = partial(_find, finder, tuple(asked), self.study.subject, trained, rows[1])
        return Task(seed, "find", f"{FOLDER}/{kind}/find-{finder.name}", key, work)

    def _score(
        self, kind: SiteKind, asked: Asked, names: Mapping[int, Sequence[str]], done: Done,
        finders: Sequence[Finder],
    ) -> Task:  # fmt: skip
        folders = {s: self._here(s, kind) for s in self.study.seeds}
        exact = next((f.name for f in finders if f.kind == EXACT), "")
        own = [
            [t.name, t.seed, s.digest] for t, s in done if t.name.startswith(f"{FOLDER}/{kind}/")
        ]
        key = {**self.plan.base, "claims": own, "exact": exact,
               "names": {str(s): list(n) for s, n in names.items()}}  # fmt: skip
        work = partial(_score, folders, dict(asked), dict(names), exact)
        return Task(self.study.seeds[0], "score", f"{FOLDER}/{kind}/scores", key, work)

    def _asked(
        self, seed: int, kind: SiteKind, gate: Sequence[gates.GateRow]
    ) -> tuple[str, ...]:  # fmt: skip
        """The questions that finders of a kind are asked, by the rule of the study's own."""
        data = self._here(seed, kind) / "data"
        questions = read_rows(data / "questions.jsonl", Question)
        own = [row for row in gate if row.seed == seed]
        count, world = self.study.questions, self.study.world
        chosen, _ = gates.ask(world.gate, questions, own, count, seed)
        ids = tuple(q.id for q in chosen)
        if kind is SiteKind.DIRECTION:
            return balanced(ids, classes(Truth.load(data / "truth.npz")), seed)
        return ids

    def _claims(
        self, done: Done, finders: Mapping[str, Finder]
    ) -> dict[SiteKind, dict[int, list[str]]]:  # fmt: skip
        """By kind and seed, the names of all claims, which lie beside the truth and chance."""
        names: dict[SiteKind, dict[int, list[str]]] = {}
        for task, stage in done:
            finder = finders[_finder(task)]
            here = self._here(task.seed, finder.sites)
            mine = names.setdefault(finder.sites, {}).setdefault(task.seed, [])
            mine += link_claims(finder, stage.folder, here)
        for kind, by_seed in names.items():
            for seed, mine in by_seed.items():
                sites.add_truth_and_chance(self._here(seed, kind), mine, seed, sites.CROSSED)
                mine.append(CHANCE)
        return names

    def _causes(self, kind: SiteKind, asked: Asked) -> int:
        """How many causes the questions asked have, over all seeds: what intervals rest on."""
        found = 0
        for seed, ids in asked.items():
            questions = read_rows(self._here(seed, kind) / "data" / "questions.jsonl", Question)
            found += len({q.cause for q in questions if q.id in set(ids)})
        return found

    def _lacking(self, kind: SiteKind) -> str:
        for seed in self.study.seeds:
            path = self._here(seed, kind) / "data" / LACKING
            if path.exists():
                reason: str = read_json(path)["reason"]
                return reason
        return ""

    def _name_missing(self, lost: Sequence[tuple[str, str]]) -> None:
        if lost:
            path = self.folder / "missing.json"
            more = [{"finder": name, "reason": f"{name}: {reason}"} for name, reason in lost]
            write_json(path, [*read_json(path), *more])

    def _show(self, stages: Done) -> None:
        for task, stage in stages:
            link_tree(stage.folder, self.folder / "seeds" / str(task.seed) / task.name)

    def _here(self, seed: int, kind: SiteKind) -> Path:
        return self.folder / "seeds" / str(seed) / FOLDER / kind


def balanced(asked: Sequence[str], of: Mapping[str, str], seed: int) -> tuple[str, ...]:
    """As many questions of each class as the rarer one has, drawn by the seed, in their order.

    None where all are of one class: nothing would be told apart.
    """
    groups: dict[str, list[str]] = {name: [] for name in sorted(set(of.values()))}
    for question in asked:
        groups[of[question]].append(question)
    least = min((len(mine) for mine in groups.values()), default=0)
    rng = stream(seed, "crossed", "balanced")
    kept = {q for mine in groups.values() for q in rng.sample(mine, least)}
    return tuple(q for q in asked if q in kept)


def _view(
    world: World, kind: SiteKind, seed: int, data: Path, folder: Path, progress: Progress | None
) -> None:
    """Write the data folder of a view, or lacking.json where this configuration has none."""
    try:
        view = world.view(kind, seed, read_documents(data))
    except ConfigError as error:
        write_json(folder / LACKING, {"reason": str(error)})
        return
    write_rows(folder / "questions.jsonl", view.questions)
    write_rows(folder / "pairs.jsonl", view.pairs)
    view.truth.save(folder / "truth.npz")
    if (data / DOCUMENTS).exists():
        (folder / DOCUMENTS).unlink(missing_ok=True)
        try:
            os.link(data / DOCUMENTS, folder / DOCUMENTS)
        except OSError:
            shutil.copyfile(data / DOCUMENTS, folder / DOCUMENTS)


def _measure(
    subject: SubjectConfig, trained: Path, data: Path, folder: Path, progress: Progress | None
) -> None:
    measure_stage(subject, trained, data, folder)


def _find(
    finder: Finder, asked: Sequence[str], subject: SubjectConfig, trained: Path, data: Path,
    folder: Path, progress: Progress | None,
) -> None:  # fmt: skip
    """`find_stage`, or lacking.json where the finder says that the view does not suit it.

    What one finder cannot do is no reason to lose what the others found.
    """
    try:
        find_stage(finder, asked, subject, trained, data, folder)
    except (DataError, DiskError, MissingExtra):
        # Of the machine, not of the view: mended, the same stage is tried again.
        raise
    except InputError as error:
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)
        write_json(folder / LACKING, {"reason": str(error)})


def _finder(task: Task) -> str:
    return Path(task.name).name.removeprefix("find-")


def _refusals(done: Done) -> dict[str, str]:
    """Finder → what it said against the view of the first seed that does not suit it."""
    found: dict[str, str] = {}
    for task, stage in done:
        path = stage.folder / LACKING
        if path.exists():
            found.setdefault(_finder(task), f"seed {task.seed}: {read_json(path)['reason']}")
    return found


def _score(
    folders: Mapping[int, Path], asked: Asked, names: Mapping[int, Sequence[str]], exact: str,
    folder: Path, progress: Progress | None,
) -> None:  # fmt: skip
    results = [results_in(here, s, asked[s], names[s]) for s, here in folders.items()]
    rows = collect_crossed(results, exact)
    write_json(folder / SCORES, [row.model_dump(mode="json") for row in rows])
