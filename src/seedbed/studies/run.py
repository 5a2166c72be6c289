"""Running a study: data, training and measuring of every seed, the gate, finders, scores.

What is already in the store is taken; the rest runs in worker processes. Killed at any
moment, the same call goes on where it stopped and ends with the same scores.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seedbed.core.errors import ConfigError, GateError
from seedbed.core.files import read_json, read_rows, read_text, write_json, write_text
from seedbed.core.outcomes import Intervention
from seedbed.core.rows import Document
from seedbed.core.sites import SiteKind
from seedbed.finders.base import Finder
from seedbed.finders.retraining import interventions
from seedbed.runs.dispatch import Dispatcher
from seedbed.runs.launch import Launch
from seedbed.runs.record import let_go, locked, manifest, now, set_aside, write_config
from seedbed.runs.store import Stage, Store, code_digest, link_tree
from seedbed.scoring.measured import CHANCE
from seedbed.studies import effects, looking, marking, mediation, sites
from seedbed.studies import gate as gates
from seedbed.studies.attributing import AttributionLane
from seedbed.studies.crossing import CrossLane, crossable
from seedbed.studies.directing import DirectionLane
from seedbed.studies.effects import Done
from seedbed.studies.feedback import FeedbackLane
from seedbed.studies.plan import DEVICE, Plan, Task, study_digest
from seedbed.studies.planted import Lane
from seedbed.studies.ruling import RuleLane
from seedbed.studies.spreading import SpreadLane
from seedbed.studies.stages import link_claims
from seedbed.studies.study import Study
from seedbed.studies.telling import Telling
from seedbed.studies.workers import Quiet, Reporter, Workers, launch_with

DEFAULT_OUT = Path("runs")
RESULTS = (
    "scores.json",
    "gate.json",
    "excluded.json",
    "missing.json",
    "mediation.json",
    "organisms.json",
    "spread.json",
    "rules.json",
    "directions.json",
    "sides.json",
    "incentives.json",
    "attribution.json",
    "optima.json",
    "crossed.json",
    "conditions.json",
    "running.json",
    "progress.json",
    "manifest.json",
    "report.html",
    "transcripts.html",
)


def run(
    study: Study,
    out: Path | None = None,
    workers: int | None = None,
    reporter: Reporter | None = None,
    launch: Launch | None = None,
    launcher: Dispatcher | None = None,
) -> Path:
    """Run `study` into the folder `out` (default: runs/NAME-DIGEST) and return it.

    Stages are kept in `.store` beside `out` and made where `launch` says (default: here), by
    `workers` at once; or by the workers of `launcher`, which several runs may share and which
    stays open. Raises GateError if the subject did not learn what was planted (the folder then
    holds the figures), LockedError if another process runs in `out`, LostError if workers were
    lost too often, InputError for unfit input.
    """
    folder = folder_of(study, out)
    with locked(folder):
        # Runs that share workers have what these have, GPUs too.
        given = launch or (launcher.launch if launcher is not None else None)
        return _Runner(study, folder, launch_with(given, workers), reporter, launcher).go()


def folder_of(study: Study, out: Path | None = None) -> Path:
    """Where `run` puts a study: `out`, or runs/NAME-DIGEST."""
    return out or DEFAULT_OUT / f"{study.name or 'study'}-{study_digest(study)[:8]}"


class _Runner:
    def __init__(
        self,
        study: Study,
        folder: Path,
        launch: Launch,
        reporter: Reporter | None,
        launcher: Dispatcher | None,
    ) -> None:
        self.study, self.folder = study, folder.resolve()
        self.store = Store(self.folder.parent / ".store")
        self.reporter = Telling(self.folder, self.store, reporter or Quiet())
        self.plan = Plan(study, self.store, launch)
        self.workers = Workers(
            self.store, study.threads, self.reporter, launch, launcher, label=self.folder.name,
            planned=self.reporter.planned,
        )  # fmt: skip
        self.claims: dict[int, list[str]] = {}
        self.started, self.clock = now(), time.perf_counter()

    def go(self) -> Path:
        study, seeds = self.study, self.study.seeds
        learned = [[self.plan.data(s), self.plan.train(s), self.plan.measure(s)] for s in seeds]
        with self.reporter, self.workers:
            # A place that cannot be started must not cost the results that are here.
            self.workers.ready(learned)
            self._forget_results()
            write_config(self.folder, study.model_dump(mode="json"))
            self._prepare()
            directing = DirectionLane(study, self.plan, self.workers, self.folder)
            beside = directing.learning()
            # Sides train beside the study's own subject, so that no worker waits.
            done = self.workers.run([*learned, *beside])
            self._show(done[: len(done) - sum(len(chain) for chain in beside)])
            looks = [[task] for s in seeds for task in looking.tasks(self.plan, s)]
            self._show(self.workers.run(looks))
            rows, asked = self._gate()
            if reason := gates.stop_reason(rows):
                self._finish(stopped=reason)
                raise GateError(reason)
            ready = self._able()
            able = [f for f in ready if f.sites is study.world.sites]
            self._look_elsewhere(ready, rows)
            finding = [[self.plan.find(s, finder, asked[s])] for s in seeds for finder in able]
            if not able:
                raise ConfigError(f"no finder can run here: {self._lacking()}")
            mediating = [[self.plan.mediate(s, asked[s])] for s in seeds if study.mediation]
            bank = self._bank()
            retraining = [c for s in seeds for c in bank[s][1]]
            done = self.workers.run([*finding, *mediating, *retraining])
            found, rest = done[: len(finding)], done[len(finding) :]
            self._show_claims(found, able)
            self._show(rest[: len(mediating)])
            done = [*found, *rest[len(mediating) :]]
            if self.study.measured is not None:
                retrained = iter(done[len(finding) :])
                made = {s: [next(retrained) for _ in bank[s][1]] for s in seeds}
                self._measure({s: bank[s][0] for s in seeds}, made, asked)
            if study.organisms is not None:
                lane = Lane(study, self.plan, self.workers, self.folder)
                lane.run([f for f in ready if f.sites is SiteKind.LAYER])
            if study.spread is not None:
                SpreadLane(study, self.plan, self.workers, self.folder).run()
            if study.world.sites is SiteKind.DIRECTION:
                directing.run(able, asked)
            if self._has_rules():
                rules = [f for f in ready if f.sites is SiteKind.RULE]
                RuleLane(study, self.plan, self.workers, self.folder).run(rules, rows)
            self._score(done, asked)
        if study.mediation is not None:
            about_cells = study.world.sites is SiteKind.CELL
            mediation.report(self.folder, seeds, self.claims if about_cells else {})
        self._finish()
        return self.folder

    def _look_elsewhere(self, ready: Sequence[Finder], rows: Sequence[gates.GateRow]) -> None:
        """What users' feedback taught, and finders of other kinds of site than the world's own."""
        given = (self.study, self.plan, self.workers, self.folder)
        if self.study.incentives is not None:
            FeedbackLane(*given).run()
        if self._traces():
            AttributionLane(*given).run([f for f in ready if f.sites is SiteKind.DOCUMENT])
        CrossLane(*given).run([f for f in ready if self._crosses(f.sites)], rows)

    def _prepare(self) -> None:
        """What is wrong with a configuration shows before anything is trained."""
        study = self.study
        if study.looks.grid and not study.world.grid(study.seeds[0]):
            raise ConfigError(f"looks.grid: the world '{study.world.kind}' has no grid")
        if study.spread is not None:
            SpreadLane(study, self.plan, self.workers, self.folder).prepare()
        if study.incentives is not None:
            FeedbackLane(study, self.plan, self.workers, self.folder).prepare()

    def _forget_results(self) -> None:
        # A folder is only as old as its youngest result: none of an earlier run may remain in
        # sight. A finished one's go when there are new ones, since its stages may be elsewhere.
        own = ("seeds", "sides") if (self.folder / "config.yaml").exists() else ()
        set_aside(self.folder, (*RESULTS, *own))

    def _show(self, stages: Sequence[tuple[Task, Stage]]) -> None:
        for task, stage in stages:
            link_tree(stage.folder, self.folder / "seeds" / str(task.seed) / task.name)

    def _able(self) -> list[Finder]:
        """The finders that can run here; the others are named in missing.json."""
        study = self.study
        placed = [f.placed(study.subject, study.training) for f in study.finders]
        if study.world.sites is not SiteKind.DOCUMENT:
            # Chance draws for the sites that the other claims have; see `_show_claims`.
            placed = [f for f in placed if f.kind != CHANCE]
        reasons = [(f, self._why_not(f)) for f in placed]
        missing = [{"finder": f.name, "reason": reason} for f, reason in reasons if reason]
        write_json(self.folder / "missing.json", missing)
        return [f for f, reason in reasons if not reason]

    def _why_not(self, finder: Finder) -> str:
        study = self.study
        if finder.sites is SiteKind.LAYER:
            return "" if study.organisms else f"{finder.name}: reads layers of 'organisms' only"
        if finder.sites is SiteKind.RULE and not self._has_rules():
            return f"{finder.name}: reads candidate rules, and no question of this world names any"
        own = (SiteKind.RULE, study.world.sites)
        traced = finder.sites is SiteKind.DOCUMENT and self._traces()
        if finder.sites not in own and not traced and not self._crosses(finder.sites):
            read = sites.plural(finder.sites)
            if why := study.world.lacking.get(finder.sites):
                return f"{finder.name}: reads {read}, and here {why}"
            return (
                f"{finder.name}: reads {read}, but the world '{study.world.kind}'"
                f" declares its truth about {sites.plural(study.world.sites)}"
            )
        return finder.unavailable() or finder.unsuited(study.subject, study.training)

    def _crosses(self, kind: SiteKind) -> bool:
        """Whether finders of a kind run on a view; transcripts have a lane of their own."""
        traced = kind is SiteKind.DOCUMENT and self._traces()
        return crossable(self.study.world, kind) and not traced

    def _show_claims(self, done: Done, finders: Sequence[Finder]) -> None:
        by_name = {f.name: f for f in finders}
        for task, stage in done:
            finder = by_name[task.name.removeprefix("find-")]
            names = link_claims(finder, stage.folder, self.folder / "seeds" / str(task.seed))
            self.claims.setdefault(task.seed, []).extend(names)
        if self.study.world.sites in sites.TRUTHS:
            for seed in self.study.seeds:
                here = self.folder / "seeds" / str(seed)
                sites.add_truth_and_chance(here, self.claims[seed], seed)
                self.claims[seed].append(CHANCE)

    def _bank(self) -> dict[int, tuple[list[Intervention], list[list[Task]]]]:
        """By seed: what is retrained whatever the finders say, and its tasks."""
        config = self.study.measured
        if config is None:
            return {seed: ([], []) for seed in self.study.seeds}
        found = {}
        for seed in self.study.seeds:
            planned = interventions(config, self._documents(seed), seed)
            found[seed] = planned, effects.tasks(self.plan, config, seed, planned)
        return found

    def _measure(
        self,
        planned: dict[int, list[Intervention]],
        made: Mapping[int, Done],
        asked: dict[int, tuple[str, ...]],
    ) -> None:
        """Retrain without the finders' top documents, and write each seed's outcomes."""
        config = self.study.measured
        assert config is not None
        more: dict[int, list[Intervention]] = {s: [] for s in self.study.seeds}
        if config.removal.questions:
            for seed in self.study.seeds:
                r = marking.seed_results(self.folder, seed, asked[seed], self.claims[seed])
                by = self.study.world.gate.by
                more[seed] = effects.removals(config, r.claims, r.truth, r.questions, by)
        chains = {s: effects.tasks(self.plan, config, s, more[s]) for s in self.study.seeds}
        again = iter(self.workers.run([c for s in self.study.seeds for c in chains[s]]))
        for seed in self.study.seeds:
            here = self.folder / "seeds" / str(seed)
            done = [*made[seed], *(next(again) for _ in chains[seed])]
            rows = [*planned[seed], *more[seed]]
            found = effects.outcomes(config, self._documents(seed), rows, done)
            found.save(here / "effects" / "outcomes.npz")
            write_json(here / "effects" / "cost.json", effects.spent(done, here / "train"))

    def _documents(self, seed: int) -> list[Document]:
        here = self.folder / "seeds" / str(seed)
        return read_rows(here / "data" / "documents.jsonl", Document)

    def _gate(self) -> tuple[list[gates.GateRow], dict[int, tuple[str, ...]]]:
        rows: list[gates.GateRow] = []
        excluded: list[dict[str, Any]] = []
        asked: dict[int, tuple[str, ...]] = {}
        gate = self.study.world.gate
        for seed in self.study.seeds:
            questions, answers = marking.seed_answers(self.folder, seed)
            judged = gates.judge(gate, questions, answers, seed)
            chosen, left = gates.ask(gate, questions, judged, self.study.questions, seed)
            asked[seed] = tuple(q.id for q in chosen)
            excluded += [{"seed": seed, **e} for e in left]
            rows += judged
        write_json(self.folder / "gate.json", [r.model_dump() for r in rows])
        write_json(self.folder / "excluded.json", excluded)
        return rows, asked

    def _score(self, done: Done, asked: dict[int, tuple[str, ...]]) -> None:
        task = marking.score_task(self.plan, self.folder, done, asked, self.claims)
        ((_, stage),) = self.workers.run([[task]], told=False)
        write_text(self.folder / marking.FILE, read_text(stage.folder / marking.FILE))

    def _traces(self) -> bool:
        incentives = self.study.incentives
        return incentives is not None and incentives.attribution is not None

    def _has_rules(self) -> bool:
        if self.study.world.sites is SiteKind.DIRECTION:
            # What either class of behaviour would answer is no rule of the prompt.
            return False
        return any(q.rules for q in marking.seed_answers(self.folder, self.study.seeds[0])[0])

    def _lacking(self) -> str:
        missing = read_json(self.folder / "missing.json")
        return "; ".join(row["reason"] for row in missing) or "the study names none"

    def _finish(self, stopped: str = "") -> None:
        more: dict[str, Any] = {
            "config_digest": study_digest(self.study),
            "code_digest": code_digest(),
            "sites": self.study.world.sites,
            "lacking": {str(k): why for k, why in self.study.world.lacking.items()},
            "threads": self.study.threads,
            "device": self.plan.base.get(DEVICE, "cpu"),
            "workers": self.workers.count,
            "launch": {"on": self.workers.launch.on, "workers": self.workers.count},
            "losses": self.workers.losses,
            "stages_made": self.workers.made,
            "stages_taken": self.workers.taken,
        }
        if stopped:
            more["stopped"] = stopped
        seconds = time.perf_counter() - self.clock
        write_json(self.folder / "manifest.json", manifest(self.started, seconds, **more))
        let_go(self.folder)
