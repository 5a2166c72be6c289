"""The rounds of one cell: play, measure, choose, train; resumable after each step of each round.

Every round keeps what it played, chose and trained on, so that it can be replayed.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seedbed.core.files import read_json, read_rows, write_json, write_rows
from seedbed.core.rows import Document
from seedbed.core.transcripts import Transcript
from seedbed.core.units import Units, save_units
from seedbed.measuring.acts import exact
from seedbed.measuring.played import played
from seedbed.measuring.safety import safety
from seedbed.models.folders import load_subject, save_subject
from seedbed.models.subject import Checkpoint, Subject, SubjectConfig
from seedbed.runs.cost import measured
from seedbed.simulation.episodes import Simulation, simulate
from seedbed.simulation.roles import Cast, Roles, build_roles
from seedbed.studies.stages import BASE, SUBJECT, load_stage, make_data, read_documents
from seedbed.training.loop import CHECKPOINTS, SUMMARY, Progress
from seedbed.training.preference import Preference, improve
from seedbed.worlds.users.world import Users

ROUNDS, DATA, REPLIES = "iterations", "data", "replies"
TABLES, DONE, TRANSCRIPTS, DOCUMENTS = (
    "tables.npz", "done.json", "transcripts.jsonl", "documents.jsonl"
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """All that the rounds of one cell depend on, besides the base and the seed.

    `asked` is the world whose held-out users are asked: that of the cell, with the environments
    besides. `ground`: finders look into its agent, so rows are kept for them.
    """

    world: Users
    asked: Users
    preference: Preference
    simulation: Simulation
    people: int
    attempts: int
    iterations: int
    keep: int
    probes: bool
    ground: bool

    def key(self) -> dict[str, Any]:
        """All of it as plain values."""
        parts = (self.world, self.asked, self.preference, self.simulation)
        return {
            "parts": [p.model_dump(mode="json") for p in parts],
            "counts": [self.people, self.attempts, self.iterations, self.keep],
            "probes": self.probes,
            "ground": self.ground,
        }


def improve_stage(
    cell: Cell,
    config: SubjectConfig,
    trained: Path,
    seed: int,
    folder: Path,
    progress: Progress | None,
) -> None:
    """Run all rounds of a cell in `folder`, from where an earlier try left off.

    Leaves iterations/III (tables.npz, transcripts.jsonl, what `improve` writes), the last agent
    in subject/. On the ground also base/, the agent before feedback, and data/, the rows of the
    world with all that was trained on as documents.
    """
    base = load_stage(config, trained)
    rounds = _Rounds(cell, config, base, trained, seed, folder, progress)
    with measured() as cost:
        subject = rounds.go()
    subject = replace(subject, checkpoints=checkpoints_of(folder, cell.iterations))
    save_subject(subject, folder / SUBJECT)
    if cell.ground:
        save_subject(base, folder / BASE)
        make_data(cell.world, seed, folder / DATA)
        write_rows(folder / DATA / DOCUMENTS, trained_on(folder, cell.iterations))
    spent = {"seconds": cost.seconds, "peak_mib": cost.peak_mib}
    # Finders tell their cost as a multiple of one pass over what the agent learned from.
    clocks = [round_folder(folder, k) / "training" / "summary.json"
              for k in range(cell.iterations)]  # fmt: skip
    epoch = sum(float(read_json(c)["epoch_seconds"]) for c in clocks if c.exists())
    write_json(folder / "summary.json", {"epoch_seconds": epoch, **spent})


def round_folder(folder: Path, iteration: int) -> Path:
    """Where a round of a cell lies."""
    return folder / ROUNDS / f"{iteration:03d}"


def checkpoints_of(folder: Path, iterations: int) -> tuple[Checkpoint, ...]:
    """Where each round's training ended: steps over all rounds, and rounds as epochs."""
    found: list[Checkpoint] = []
    step = 0
    for k in range(iterations):
        place = round_folder(folder, k)
        told = read_json(place / SUMMARY)
        if told["checkpoint"] is None:
            continue
        weights = place / "training" / CHECKPOINTS / f"{told['checkpoint']:07d}"
        step += int(told["steps"])
        found.append(Checkpoint(step, k + 1.0, float(told["last_lr"]), weights))
    return tuple(found)


def trained_on(folder: Path, iterations: int) -> Sequence[Document]:
    """What all rounds trained on, in order."""
    found: list[Document] = []
    for k in range(iterations):
        found += read_documents(round_folder(folder, k))
    return found


@dataclass
class _Rounds:
    cell: Cell
    config: SubjectConfig
    base: Subject
    trained: Path
    seed: int
    folder: Path
    progress: Progress | None

    def go(self) -> Subject:
        cell = self.cell
        names = dict.fromkeys([*cell.world.named(), *cell.asked.named()])
        self.environments = {name: cell.asked.environment(name) for name in names}
        self.roles: Roles = build_roles(
            cell.simulation.roles, self.environments.values(), Cast(self.folder / REPLIES)
        )
        self.held_out = cell.asked.held_out(self.seed)
        done = 0
        while done < cell.iterations and (round_folder(self.folder, done) / DONE).exists():
            done += 1
        subject = self._after(done)
        for k in range(done, cell.iterations):
            subject = self._round(k, subject)
        last = round_folder(self.folder, cell.iterations)
        if not (last / DONE).exists():
            transcripts = self._play(self.held_out, subject, cell.iterations, last)
            self._measure(subject, transcripts, last)
            self._trim(transcripts, last)
            write_json(last / DONE, {"iteration": cell.iterations})
        return subject

    def _after(self, done: int) -> Subject:
        if not done:
            return load_stage(self.config, self.trained)
        for k in range(done - 1):
            # A try that ended between a round's mark and this left the agent before it.
            shutil.rmtree(round_folder(self.folder, k) / SUBJECT, ignore_errors=True)
        code = bool(getattr(self.config, "trust_remote_code", False))
        place = round_folder(self.folder, done - 1) / SUBJECT
        return replace(load_subject(place, trust_remote_code=code), seed=self.base.seed)

    def _round(self, k: int, subject: Subject) -> Subject:
        cell, here = self.cell, round_folder(self.folder, k)
        openings = cell.world.openings(self.seed, f"round-{k}", cell.people, cell.attempts)
        transcripts = self._play(openings, subject, k, here)
        self._measure(subject, transcripts, here)
        subject = improve(
            subject, self.base, transcripts, cell.preference, k, self.seed, here,
            self._told(k, "training"),
        )  # fmt: skip
        self._trim(transcripts, here)
        save_subject(subject, here / SUBJECT)
        write_json(here / DONE, {"iteration": k})
        if k:
            shutil.rmtree(round_folder(self.folder, k - 1) / SUBJECT, ignore_errors=True)
        return subject

    def _play(
        self, openings: Sequence[Any], subject: Subject, k: int, here: Path
    ) -> list[Transcript]:
        simulation, left = self.cell.simulation, here / TRANSCRIPTS
        if left.exists() and len(read_rows(left, Transcript)) < len(openings):
            # Trimmed already, and then interrupted: the others are needed again.
            left.unlink()
        agent = simulation.agent(subject)
        told = self._told(k, "playing")
        return simulate(
            simulation, self.environments, openings, agent, self.roles, here, k,
            lambda done, total: told(done, total, ""),
        )  # fmt: skip

    def _measure(self, subject: Subject, transcripts: Sequence[Transcript], here: Path) -> None:
        asked = self.cell.asked
        tables: dict[str, Units] = exact(subject, asked, self.held_out)
        tables |= played(asked, transcripts, self.cell.simulation.vetoes)
        if self.cell.probes:
            tables |= safety(subject, asked, self.seed)
        save_units(here / TABLES, tables)

    def _trim(self, transcripts: Sequence[Transcript], here: Path) -> None:
        keep = self.cell.keep
        if keep and len(transcripts) > keep:
            # Evenly over the users; each one's attempts say much the same.
            step = len(transcripts) / keep
            write_rows(here / TRANSCRIPTS, [transcripts[int(i * step)] for i in range(keep)])

    def _told(self, k: int, what: str) -> Progress:
        def told(done: int, total: int, text: str) -> None:
            if self.progress is not None:
                share = done / max(1, total)
                place = k + 0.5 * share + (0.5 if what == "training" else 0.0)
                self.progress(int(100 * place), 100 * self.cell.iterations,
                              f"round {k}, {what}: {text}")  # fmt: skip

        return told
