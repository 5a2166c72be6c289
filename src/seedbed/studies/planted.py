"""The lane of layers within a study: organisms made and judged, finders run on them, scored.

Everything ends in organisms.json: the verdict on every organism, and rows as in scores.json.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seedbed.core.files import read_json, write_json
from seedbed.core.sites import Claim
from seedbed.finders.base import Finder
from seedbed.runs.store import link_tree
from seedbed.scoring.rows import Cost, SeedResults, collect
from seedbed.studies.organisms import Organism, Verdict, results_of, stop_reason
from seedbed.studies.plan import Plan, Task
from seedbed.studies.planting import BLOCKS, MEASURED, blocks_stage, judged
from seedbed.studies.study import Study
from seedbed.studies.workers import Workers

FILE = "organisms.json"


@dataclass(frozen=True)
class Lane:
    """What running organisms needs: the study, its plan and workers, and the run folder."""

    study: Study
    plan: Plan
    workers: Workers
    folder: Path

    def run(self, finders: Sequence[Finder]) -> str:
        """Make, judge, find and score; returns why nothing could be scored, or "".

        Finders that share their work are asked once. Everything is kept in the store.
        """
        config, seeds = self.study.organisms, self.study.seeds
        assert config is not None
        self._prepare()
        blocks = self._blocks()
        cells = {s: config.cells(blocks[s]) for s in seeds}
        chains = [[self.plan.organism(s, c, n)] for s in seeds for c, n in cells[s]]
        made = {
            (task.seed, task.name.removeprefix("organisms/")): stage
            for task, stage in self.workers.run(chains)
        }
        admitted: dict[int, list[Organism]] = {}
        verdicts: list[Verdict] = []
        for seed in seeds:
            grown = [self._organism(seed, c, n, made[seed, f"{c}@{n}"].folder)
                     for c, n in cells[seed]]  # fmt: skip
            before = {c: self._here(seed) / "organisms" / f"base-{c}" for c in config.changes}
            gate = self.study.world.gate
            admitted[seed], mine = judged(gate, grown, before, config.questions, seed)
            verdicts += mine
        reason = stop_reason(verdicts)
        rows = [] if reason else self._score(finders, admitted, blocks)
        write_json(
            self.folder / FILE,
            {
                "blocks": max(blocks.values()),
                "stopped": reason,
                "verdicts": [v.model_dump(mode="json") for v in verdicts],
                "scores": rows,
            },
        )
        return reason

    def _prepare(self) -> None:
        """Drift, the changed worlds, and what the subject says in them, shown in the folder."""
        config, seeds = self.study.organisms, self.study.seeds
        assert config is not None
        chains = [
            [self.plan.changed(s, c), self.plan.asked_before(s, c)]
            for s in seeds
            for c in config.changes
        ]
        if config.drift is not None:
            chains += [[self.plan.drift(s)] for s in seeds]
        for task, stage in self.workers.run(chains):
            link_tree(stage.folder, self._here(task.seed) / task.name)

    def _organism(self, seed: int, change: str, layer: int, stage: Path) -> Organism:
        here = self._here(seed) / "organisms"
        link_tree(stage / MEASURED, here / f"{change}@{layer}" / MEASURED)
        return Organism(
            change,
            layer,
            stage,
            self.workers.store.place("data", self.plan.changed(seed, change).key)[1],
        )

    def _score(
        self,
        finders: Sequence[Finder],
        admitted: Mapping[int, Sequence[Organism]],
        blocks: Mapping[int, int],
    ) -> list[dict[str, Any]]:
        seeds = self.study.seeds
        chains = [[self.plan.find_layers(s, f, admitted[s])] for s in seeds for f in finders]
        by_name = {f.name: f for f in finders}
        claims: dict[int, dict[str, Claim]] = {s: {} for s in seeds}
        costs: dict[int, dict[str, Cost]] = {s: {} for s in seeds}
        for task, stage in self.workers.run(chains):
            finder = by_name[task.name.removeprefix("find-")]
            for place, variant in enumerate(finder.variants()):
                target = self._here(task.seed) / "organisms" / f"find-{variant.name}"
                link_tree(stage.folder / str(place), target)
                claims[task.seed][variant.name] = Claim.load(target / "claim.npz")
                costs[task.seed][variant.name] = Cost.read(target / "cost.json")
        results: list[SeedResults] = [
            results_of(s, admitted[s], blocks[s], claims[s], costs[s]) for s in seeds
        ]
        return [row.model_dump(mode="json") for row in collect(results)]

    def _here(self, seed: int) -> Path:
        return self.folder / "seeds" / str(seed)

    def _blocks(self) -> dict[int, int]:
        """By seed, how many blocks the subject has: a worker loads it to count them."""
        plan, tasks = self.plan, []
        for seed in self.study.seeds:
            digest, trained = plan.place(plan.train(seed))
            work = partial(blocks_stage, self.study.subject, trained)
            key = {**plan.base, "train": digest}
            tasks.append([Task(seed, "blocks", "organisms/blocks", key, work)])
        done = self.workers.run(tasks, told=False)
        return {task.seed: int(read_json(stage.folder / BLOCKS)) for task, stage in done}
