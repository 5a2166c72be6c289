"""The lane of attribution within a study: which transcripts taught the gaming act?

Finders of documents look into the agent that learned from its users; their claims are marked
against what the world declares and against agents that learn again without a group of transcripts.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from seedbed.core.attribution import Attributed
from seedbed.core.files import read_json, read_rows, write_json
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.core.outcomes import Intervention, Outcomes
from seedbed.core.rows import Document, Question, in_turns
from seedbed.core.seeds import derive, stream
from seedbed.core.sites import Claim
from seedbed.finders.base import Finder
from seedbed.finders.chance import random_claim
from seedbed.measuring.choices import score_choices
from seedbed.models.subject import Subject, SubjectConfig
from seedbed.runs.store import link_tree
from seedbed.scoring.attribution import SeedReplays, replayed
from seedbed.scoring.measured import CHANCE, collect_measured
from seedbed.scoring.rows import Cost, SeedResults, collect
from seedbed.studies.attribution import Attribution
from seedbed.studies.effects import Done
from seedbed.studies.improving import Cell, round_folder
from seedbed.studies.plan import Plan, Task, config_of
from seedbed.studies.stages import BASE, find_stage, load_stage, put, read_documents
from seedbed.studies.study import Study
from seedbed.studies.workers import Workers
from seedbed.training.loop import Progress
from seedbed.training.preference import learned, reference_of, seed_of
from seedbed.worlds.users.asking import ACT
from seedbed.worlds.users.evidence import attribution_truth
from seedbed.worlds.users.world import Users

FILE, FOLDER, OUTPUTS = "attribution.json", "attribution", "outputs.json"


def asked_about(questions: Sequence[Question], count: int, seed: int) -> list[Question]:
    """`count` questions about acts of gameable users, then as many of the others.

    Of each kind causes take turns. Their answers are the gaming replies.
    """
    found: list[Question] = []
    for kind in (GAMEABLE, OTHER):
        causes: dict[str, list[Question]] = {}
        for q in questions:
            if q.split == ACT and q.slices.get("kind") == kind:
                causes.setdefault(q.cause, []).append(q)
        rng = stream(seed, "attribution", "questions", kind)
        lines = [rng.sample(causes[c], len(causes[c])) for c in sorted(causes)]
        rng.shuffle(lines)
        found += in_turns(lines)[:count]
    return found


def masked(documents: Sequence[Document], left_out: Sequence[int], first: int) -> list[Document]:
    """A round's documents, those among `left_out` with no weight; its first has number `first`."""
    gone = set(left_out)
    return [d.model_copy(update={"weight": 0.0}) if first + i in gone else d
            for i, d in enumerate(documents)]  # fmt: skip


def replay(
    cell: Cell, base: Subject, improved: Path, left_out: Sequence[int], seed: int, folder: Path,
    progress: Progress | None = None,
) -> Subject:  # fmt: skip
    """The agent that learns from `base` what a cell's rounds chose, less some of it.

    `left_out` are numbers of documents over all rounds: they keep their places in batches and
    their share in what a batch is divided by, but nothing is learned from them. `base` is trained
    in place. Raises what `train` raises.
    """
    reference = reference_of(base)
    subject, first = base, 0
    for k in range(cell.iterations):
        documents = read_documents(round_folder(improved, k))
        training = cell.preference.training_at(k)
        if documents:
            own = replace(subject, seed=seed_of(seed, k), loss="answer", checkpoints=())
            rows = masked(documents, left_out, first)
            here = folder / f"{k:03d}"
            trained = learned(own, reference, rows, cell.preference, training, here, progress)
            subject = replace(trained, seed=base.seed, checkpoints=())
        first += len(documents)
    return subject


def replay_stage(
    cell: Cell, config: SubjectConfig, improved: Path, asked: Sequence[str],
    left_out: Sequence[int], seed: int, folder: Path, progress: Progress | None,
) -> None:  # fmt: skip
    """Write outputs.json: log-odds and shares of the answers of the questions named."""
    rounds = folder / "rounds"
    # A round takes a second or so: an interrupted replay begins anew.
    shutil.rmtree(rounds, ignore_errors=True)
    base = load_stage(config, improved, BASE)
    subject = replay(cell, base, improved, left_out, seed, rounds, progress)
    shutil.rmtree(rounds, ignore_errors=True)
    write_json(folder / OUTPUTS, _outputs(config, subject, improved, asked))


def own_stage(
    config: SubjectConfig, improved: Path, asked: Sequence[str], folder: Path,
    progress: Progress | None,
) -> None:  # fmt: skip
    """Write outputs.json of the agent that is replayed."""
    write_json(folder / OUTPUTS, _outputs(config, load_stage(config, improved), improved, asked))


def _outputs(
    config: SubjectConfig, subject: Subject, improved: Path, asked: Sequence[str]
) -> dict[str, list[float]]:
    by_id = {q.id: q for q in read_rows(improved / "data" / "questions.jsonl", Question)}
    questions = put(config, subject, [by_id[q] for q in asked])
    odds = []
    for question, scores in zip(questions, score_choices(subject, questions), strict=True):
        values = np.array(scores.logprobs, dtype=np.float64)
        rest = np.logaddexp.reduce(np.delete(values, question.target))
        odds.append(float(values[question.target] - rest))
    return {"odds": odds, "shares": (1 / (1 + np.exp(-np.array(odds)))).tolist()}


@dataclass(frozen=True)
class _Ground:
    """One seed's agent: its stage, what it was trained on, what is asked, what is left out."""

    seed: int
    digest: str
    improved: Path
    documents: list[Document]
    asked: list[Question]
    groups: list[Intervention]

    @property
    def gaming(self) -> list[Question]:
        """Questions about gameable users, which finders are asked."""
        return [q for q in self.asked if q.slices["kind"] == GAMEABLE]


@dataclass(frozen=True)
class AttributionLane:
    """What tracing harmful acts needs: the study, its plan and workers, and the run folder."""

    study: Study
    plan: Plan
    workers: Workers
    folder: Path

    def run(self, finders: Sequence[Finder]) -> None:
        """Run `finders` on every seed's agent, replay its training, write attribution.json."""
        grounds = [self._ground(seed) for seed in self.study.seeds]
        finding = [[self._find(g, f)] for g in grounds for f in finders]
        owns = [[self._own(g)] for g in grounds]
        replays = [[self._replay(g, i, r)] for g in grounds for i in g.groups
                   for r in range(self._config.repeats)]  # fmt: skip
        done = self.workers.run([*finding, *owns, *replays])
        claims, costs = self._claims(done[: len(finding)], finders)
        rest = done[len(finding) + len(owns) :]
        each = len(rest) // len(grounds) if grounds else 0
        marked, gone = [], []
        for n, ground in enumerate(grounds):
            own = read_json(done[len(finding) + n][1].folder / OUTPUTS)["odds"]
            seen = self._replays(ground, own, rest[n * each : (n + 1) * each])
            gone.append(seen)
            if ground.gaming:
                marked.append(self._results(ground, seen, claims[ground.seed], costs[ground.seed]))
        scores = [*collect(marked), *collect_measured(marked)] if marked and finders else []
        found = Attributed(
            scores=tuple(row.model_dump(mode="json") for row in scores),
            replays=tuple(replayed(gone)),
        )
        write_json(self.folder / FILE, found.model_dump(mode="json"))

    def _ground(self, seed: int) -> _Ground:
        digest, improved, data = self.plan.ground(seed)
        documents = read_documents(data)
        questions = read_rows(data / "questions.jsonl", Question)
        asked = asked_about(questions, self._config.questions, seed)
        return _Ground(seed, digest, improved, documents, asked,
                       self._config.groups(documents, seed))  # fmt: skip

    def _find(self, ground: _Ground, finder: Finder) -> Task:
        asked = tuple(q.id for q in ground.gaming)
        key = {**self.plan.base, "train": ground.digest, "asked": asked,
               "finder": config_of(finder, drop="label")}  # fmt: skip
        given = (finder, asked, self.study.subject, ground.improved, ground.improved / "data")
        work = partial(_find, *given)
        return Task(ground.seed, "find", f"find-{finder.name}", key, work)

    def _own(self, ground: _Ground) -> Task:
        asked = tuple(q.id for q in ground.asked)
        key = {**self.plan.base, "train": ground.digest, "asked": asked}
        work = partial(own_stage, self.study.subject, ground.improved, asked)
        return Task(ground.seed, "outputs", "outputs", key, work)

    def _replay(self, ground: _Ground, group: Intervention, repeat: int) -> Task:
        seed = derive(ground.seed, "replay", repeat) if repeat else ground.seed
        asked = tuple(q.id for q in ground.asked)
        config = self.study.incentives
        assert config is not None
        cell = config.cell(*config.ground(), self.study.world)
        key = {**self.plan.base, "train": ground.digest, "asked": asked, "seed": seed,
               "left_out": list(group.left_out)}  # fmt: skip
        work = partial(replay_stage, cell, self.study.subject, ground.improved, asked,
                       group.left_out, seed)  # fmt: skip
        return Task(ground.seed, "replay", f"replay {group.name} {repeat}", key, work)

    def _claims(
        self, done: Done, finders: Sequence[Finder]
    ) -> tuple[dict[int, dict[str, Claim]], dict[int, dict[str, Cost]]]:
        by_name = {f.name: f for f in finders}
        claims: dict[int, dict[str, Claim]] = {s: {} for s in self.study.seeds}
        costs: dict[int, dict[str, Cost]] = {s: {} for s in self.study.seeds}
        for task, stage in done:
            for place, variant in enumerate(by_name[task.name.removeprefix("find-")].variants()):
                target = self._here(task.seed) / f"find-{variant.name}"
                link_tree(stage.folder / str(place), target)
                claims[task.seed][variant.name] = Claim.load(target / "claim.npz")
                costs[task.seed][variant.name] = Cost.read(target / "cost.json")
        return claims, costs

    def _replays(self, ground: _Ground, own: Sequence[float], done: Done) -> SeedReplays:
        read = [read_json(stage.folder / OUTPUTS) for _, stage in done]
        shape = (len(ground.groups), self._config.repeats, len(ground.asked))
        return SeedReplays(
            questions=tuple(q.id for q in ground.asked),
            causes=tuple(q.cause for q in ground.asked),
            users=tuple(q.slices["kind"] for q in ground.asked),
            groups=tuple(g.name for g in ground.groups),
            documents=tuple(len(g.left_out) for g in ground.groups),
            odds=np.array([r["odds"] for r in read]).reshape(shape),
            shares=np.array([r["shares"] for r in read]).reshape(shape),
            own=np.array(own),
        )

    def _results(
        self, ground: _Ground, seen: SeedReplays, claims: Mapping[str, Claim],
        costs: Mapping[str, Cost],
    ) -> SeedResults:  # fmt: skip
        asked = ground.gaming
        world = self.study.world
        assert isinstance(world, Users)
        truth = attribution_truth(asked, ground.documents, world.named())
        outcomes = outcomes_of(ground.documents, ground.groups, seen).select(truth.questions)
        outcomes.save(self._here(ground.seed) / "outcomes.npz")
        truth.save(self._here(ground.seed) / "truth.npz")
        chance = random_claim(ground.seed, truth.questions, truth.sites)
        known = [seen.questions.index(q.id) for q in asked]
        return SeedResults(
            ground.seed, asked, seen.own[known] > 0, truth, {**claims, CHANCE: chance}, costs,
            outcomes,
        )  # fmt: skip

    def _here(self, seed: int) -> Path:
        return self.folder / "seeds" / str(seed) / FOLDER

    @property
    def _config(self) -> Attribution:
        assert self.study.incentives is not None
        assert self.study.incentives.attribution is not None
        return self.study.incentives.attribution


def outcomes_of(
    documents: Sequence[Document], groups: Sequence[Intervention], seen: SeedReplays
) -> Outcomes:
    """Replays as outcomes of interventions; outputs are log-odds."""
    kept = np.ones((len(groups), len(documents)), dtype=bool)
    for row, group in zip(kept, groups, strict=True):
        row[list(group.left_out)] = False
    return Outcomes(tuple(g.kind for g in groups), tuple(g.name for g in groups), seen.questions,
                    tuple(d.id for d in documents), kept, seen.odds)  # fmt: skip


def _find(
    finder: Finder, asked: Sequence[str], subject: SubjectConfig, trained: Path, data: Path,
    folder: Path, progress: Progress | None,
) -> None:  # fmt: skip
    find_stage(finder, asked, subject, trained, data, folder)
