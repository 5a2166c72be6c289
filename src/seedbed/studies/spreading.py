"""The lane of the second stage within a study: taught again, asked, compared, drawn.

Everything ends in spread.json: who fitted, the shares of each group, and their differences.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedbed.core.files import read_json, write_json
from seedbed.core.spread import Contrast, Fit, Share, Spreading
from seedbed.runs.store import link_tree
from seedbed.scoring.shares import Asked, Cell, between_cells, between_groups, fits, shares
from seedbed.studies import reteaching
from seedbed.studies.plan import Plan, Task
from seedbed.studies.spread import Spread, cell_name
from seedbed.studies.study import Study
from seedbed.studies.workers import Workers

FILE = "spread.json"
Key = tuple[int, str, str]


@dataclass(frozen=True)
class SpreadLane:
    """What running second stages needs: the study, its plan and workers, and the run folder."""

    study: Study
    plan: Plan
    workers: Workers
    folder: Path

    def prepare(self) -> None:
        """Make the rows of every arm, so that what is wrong with them shows before training.

        Raises ConfigError where an arm changes what the study's subject is trained on.
        """
        spread, seeds = reteaching.spread_of(self.plan), self.study.seeds
        spread.check_first_stages(self.study.world, seeds[0])
        self.workers.run(
            [[reteaching.rows_task(self.plan, s, a)] for s in seeds for a in spread.arms]
        )

    def run(self) -> None:
        """Teach, ask and draw every seed × arm × method, and write spread.json.

        Everything is kept in the store, and shown under seeds/N/spread of the run folder.
        """
        spread, seeds = reteaching.spread_of(self.plan), self.study.seeds
        self._show(
            [[reteaching.rows_task(self.plan, s, a), reteaching.before_task(self.plan, s, a)]
             for s in seeds for a in spread.arms]
        )  # fmt: skip
        keys: list[Key] = [(s, arm, method) for s in seeds for arm, method in spread.cells()]
        self._show([[reteaching.subject_task(self.plan, *key)] for key in keys])
        if spread.grid and self.study.world.grid(seeds[0]):
            first = next(iter(spread.arms))
            worlds = {arm: spread.world(arm, self.study.world) for arm in spread.arms}
            before = [[reteaching.map_before(self.plan, s, worlds[first])] for s in seeds]
            after = [[reteaching.map_task(self.plan, *k, worlds[k[1]])] for k in keys]
            self._show([*before, *after])
        asked = {key: self._asked(*key) for key in keys}
        found = self._report(spread, asked)
        write_json(self.folder / FILE, found.model_dump(mode="json"))

    def _show(self, chains: Sequence[Sequence[Task]]) -> None:
        for task, stage in self.workers.run(chains):
            link_tree(stage.folder, self._here(task.seed) / task.name)

    def _asked(self, seed: int, arm: str, method: str) -> Asked:
        here = self._here(seed) / "spread"
        measured = here / cell_name(arm, method) / reteaching.MEASURED
        return reteaching.asked_of(here / f"data-{arm}", here / f"before-{arm}", measured)

    def _report(self, spread: Spread, asked: Mapping[Key, Asked]) -> Spreading:
        world = self.study.world
        needed = {group: spread.least(group) for group in world.TRAINED}
        judged = {
            key: fits(one, spread.taught(world, key[2]), needed, *key) for key, one in asked.items()
        }
        present = {group for one in asked.values() for group in one.groups()}
        groups = [*(g for g in world.GROUPS if g in present), *sorted(present - set(world.GROUPS))]
        told: list[Share] = []
        compared: list[Contrast] = []
        first = spread.cells()[0]
        for arm, method in spread.cells():
            mine = self._counting(judged, arm, method)
            cell = Cell(arm, method, [asked[s, arm, method] for s in mine])
            here = {g for s in self.study.seeds for g in asked[s, arm, method].groups()}
            ours = [g for g in groups if g in here]
            told += shares(arm, method, ours, cell.seeds)
            for group, other in world.CONTRASTS:
                if {group, other} <= here:
                    compared += between_groups(cell, group, other)
            for beside in dict.fromkeys([(first[0], method), (arm, first[1])]):
                if beside == (arm, method):
                    continue
                both = [s for s in self._counting(judged, *beside) if s in mine]
                sides = [Cell(*c, [asked[s, *c] for s in both]) for c in ((arm, method), beside)]
                for group in ours:
                    compared += between_cells(sides[0], sides[1], group)
        every = [f for rows in judged.values() for f in rows]
        return Spreading(
            arms=tuple(spread.arms),
            methods=tuple(spread.methods),
            groups=tuple(groups),
            trained={g: o for g, o in world.TRAINED.items() if g in present},
            about={g: world.GROUPS.get(g, "") for g in groups},
            seconds={m: self._seconds(m, spread) for m in spread.methods},
            stopped=_stopped(every),
            fits=tuple(every),
            shares=tuple(told),
            contrasts=tuple(compared),
        )

    def _counting(self, judged: Mapping[Key, Sequence[Fit]], arm: str, method: str) -> list[int]:
        """The seeds whose subject learned what it was taught."""
        # Sorted, so that the order of seeds in a study moves no interval.
        seeds = sorted(self.study.seeds)
        return [s for s in seeds if all(f.fitted for f in judged[s, arm, method])]

    def _seconds(self, method: str, spread: Spread) -> float:
        """Mean seconds of a second stage's training."""
        spent = [
            read_json(self._here(s) / "spread" / cell_name(arm, method) / "summary.json")["seconds"]
            for s in self.study.seeds
            for arm in spread.arms
        ]
        return float(sum(spent) / len(spent))

    def _here(self, seed: int) -> Path:
        return self.folder / "seeds" / str(seed)


def _stopped(every: Sequence[Fit]) -> str:
    """Why nothing can be said of the spread; "" if some subject learned what it was taught."""
    cells = {(f.seed, f.arm, f.method) for f in every}
    failed = {(f.seed, f.arm, f.method) for f in every if not f.fitted}
    if cells - failed or not cells:
        return ""
    worst = min(every, key=lambda f: f.low - f.needed)
    return (
        f"no subject fitted its second stage; furthest off: {worst.group} under {worst.arm} with"
        f" {worst.method}, seed {worst.seed}: {worst.value:.2f} [{worst.low:.2f},"
        f" {worst.high:.2f}] on {worst.n} questions, needed: lower end ≥ {worst.needed:.2f}."
        " Change: more spread.training.steps, or a larger share of proxies"
    )
