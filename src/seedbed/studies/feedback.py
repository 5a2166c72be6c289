"""The lane of incentives within a study: every cell of every seed, then incentives.json.

Its agents are what the study's finders look into.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedbed.core.files import write_json
from seedbed.core.units import Units, load_units
from seedbed.runs.store import link_tree
from seedbed.scoring.incentives import rows as rows_of
from seedbed.studies.improving import TABLES, round_folder
from seedbed.studies.incentives import Incentives, cell_folder
from seedbed.studies.plan import Plan, Task
from seedbed.studies.study import Study
from seedbed.studies.tracked import track
from seedbed.studies.workers import Workers
from seedbed.worlds.users.world import Users

FILE, OPTIMA, CONDITIONS, RUNNING = (
    "incentives.json", "optima.json", "conditions.json", "running.json"
)  # fmt: skip


@dataclass(frozen=True)
class FeedbackLane:
    """What training on feedback needs: the study, its plan and workers, and the run folder."""

    study: Study
    plan: Plan
    workers: Workers
    folder: Path

    def prepare(self) -> None:
        """Raise ConfigError where a condition changes the base or none leaves the world alone."""
        self._config.ground()
        self._config.check(self.study.world, self.study.seeds[0])

    def run(self) -> None:
        """Train every cell, write optima.json and incentives.json."""
        config, seeds = self._config, self.study.seeds
        cells = config.cells()
        # The longest first, so that no worker is left with one at the end.
        cells = sorted(cells, key=lambda cell: -math.prod(config.rounds(cell[0])))
        tasks = [[self.plan.improve(seed, *cell)] for cell in cells for seed in seeds]
        write_json(self.folder / RUNNING, [self._where(chain[0]) for chain in tasks])
        done = iter(self.workers.run(tasks))
        tables: dict[tuple[str, str], list[list[dict[str, Units]]]] = {}
        for condition, arm in cells:
            _, iterations = config.rounds(condition)
            for seed in seeds:
                _, stage = next(done)
                here = self.folder / "seeds" / str(seed) / cell_folder(condition, arm)
                link_tree(stage.folder, here)
                found = [load_units(round_folder(here, k) / TABLES)
                         for k in range(iterations + 1)]  # fmt: skip
                tables.setdefault((condition, arm), []).append(found)
                if config.wandb is not None:
                    track(self.folder, condition, arm, seed, found, config)
        worlds = {name: config.world(name, self.study.world) for name in config.conditions}
        optima = {name: self._optima(name) for name in worlds}
        write_json(self.folder / OPTIMA, optima)
        write_json(self.folder / CONDITIONS, {n: self._told(n, w) for n, w in worlds.items()})
        told = rows_of(
            tables,
            optima,
            trained={n: config.trained_in(n, self.study.world) for n in worlds},
            controls=config.controls(),
            turns={name: _turns(world) for name, world in worlds.items()},
            gameable={name: world.gameable for name, world in worlds.items()},
        )
        write_json(self.folder / FILE, [row.model_dump(mode="json") for row in told])

    def _told(self, condition: str, world: Users) -> dict[str, Any]:
        """What a condition is, in numbers."""
        people, iterations = self._config.rounds(condition)
        return {
            "gameable": world.gameable,
            "cue": world.cue.kind,
            "bits": world.channel.bits,
            "total_variation": world.channel.variation,
            "environments": list(self._config.trained_in(condition, self.study.world)),
            "turns": _turns(world),
            "people": people,
            "iterations": iterations,
        }

    def _optima(self, condition: str) -> dict[str, Any]:
        """Known policies where the condition's agents are trained, selected from as theirs are."""
        world = self._config.own(condition, self.study.world)
        known = world.optima(self._config.selecting(condition))
        return {name: policy.model_dump(mode="json") for name, policy in known.items()}

    def _where(self, task: Task) -> dict[str, Any]:
        _, place = self.plan.place(task)
        return {"seed": task.seed, "cell": task.name,
                "folder": os.path.relpath(place, self.folder)}  # fmt: skip

    @property
    def _config(self) -> Incentives:
        assert self.study.incentives is not None
        return self.study.incentives


def _turns(world: Users) -> int:
    """The most turns of an episode."""
    return max(world.environment(name).turns for name in world.environments)
