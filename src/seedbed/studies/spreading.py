"""The lane of the second stage within a study: taught again, asked, compared, drawn.

Everything ends in spread.json: who fitted, the shares of each group, and their differences.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedbed.core.files import read_json, write_json
from seedbed.core.spread import Contrast, Fit, Share, Spreading
from seedbed.runs.store import link_tree
from seedbed.scoring.shares import Asked, between_arms, between_groups, fits, shares
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

    def run(self) -> None:
        """Teach, ask and draw every seed × arm × method, and write spread.json.

        Everything is kept in the store, and shown under seeds/N/spread of the run folder.
        """
        spread, seeds = reteaching.spread_of(self.plan), self.study.seeds
        chains = [
            [reteaching.rows_task(self.plan, s, arm), reteaching.before_task(self.plan, s, arm)]
            for s in seeds
            for arm in spread.arms
        ]
        self._show(chains)
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
        trained = world.TRAINED
        needed = {group: spread.least(group) for group in trained}
        judged = {key: fits(one, trained, needed, *key) for key, one in asked.items()}
        present = {group for one in asked.values() for group in one.groups()}
        about = world.GROUPS
        groups = [*(g for g in about if g in present), *sorted(present - set(about))]
        told: list[Share] = []
        compared: list[Contrast] = []
        for arm, method in spread.cells():
            mine = self._counting(judged, arm, method)
            ours = [asked[s, arm, method] for s in mine]
            told += shares(arm, method, groups, ours)
            for group, other in world.CONTRASTS:
                compared += between_groups(method, arm, group, other, ours)
            first = next(iter(spread.arms))
            both = [s for s in self._counting(judged, first, method) if s in mine]
            if arm == first:
                continue
            for group in groups:
                sides = [[asked[s, a, method] for s in both] for a in (arm, first)]
                if any(group in one.groups() for one in sides[0]):
                    compared += between_arms(method, arm, first, group, *sides)
        return Spreading(
            arms=tuple(spread.arms),
            methods=tuple(spread.methods),
            groups=tuple(groups),
            trained={g: o for g, o in trained.items() if g in present},
            about={g: about.get(g, "") for g in groups},
            seconds={m: self._seconds(m, spread) for m in spread.methods},
            stopped=_stopped([f for rows in judged.values() for f in rows]),
            fits=tuple(f for rows in judged.values() for f in rows),
            shares=tuple(told),
            contrasts=tuple(compared),
        )

    def _counting(self, judged: Mapping[Key, Sequence[Fit]], arm: str, method: str) -> list[int]:
        """The seeds whose subject learned what it was taught."""
        return [s for s in self.study.seeds if all(f.fitted for f in judged[s, arm, method])]

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
    if cells - failed:
        return ""
    worst = min(every, key=lambda f: f.low - f.needed)
    return (
        f"no subject fitted its second stage; furthest off: {worst.group} under {worst.arm} with"
        f" {worst.method}, seed {worst.seed}: {worst.value:.2f} [{worst.low:.2f},"
        f" {worst.high:.2f}] on {worst.n} questions, needed: lower end ≥ {worst.needed:.2f}."
        " Change: more spread.training.steps, or a larger share of proxies"
    )
