"""What Weights & Biases is told of a cell that is whole: every round's means and transcripts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from seedbed.core.files import read_rows
from seedbed.core.incentives import ALL, GAMEABLE, OTHER
from seedbed.core.transcripts import Transcript
from seedbed.core.units import Units
from seedbed.scoring.rows import number
from seedbed.scoring.units import nanmean
from seedbed.simulation.tracking import Tracker
from seedbed.studies.improving import TRANSCRIPTS, round_folder
from seedbed.studies.incentives import Incentives, cell_folder


def track(
    run: Path,
    condition: str,
    arm: str,
    seed: int,
    rounds: Sequence[Mapping[str, Units]],
    config: Incentives,
) -> None:
    """Send every round of a cell to Weights & Biases: means by kind of user, and transcripts."""
    assert config.wandb is not None
    name = f"{condition}+{arm}-{seed}"
    here = run / "seeds" / str(seed) / cell_folder(condition, arm)
    knobs = {"condition": condition, "arm": arm, "seed": seed,
             **config.arms[arm].preference.model_dump(mode="json")}  # fmt: skip
    with Tracker(run / "wandb" / name, name, knobs, group=run.name, mode=config.wandb) as tracker:
        for k, tables in enumerate(rounds):
            said = round_folder(here, k) / TRANSCRIPTS
            tracker.log(k, means(tables), read_rows(said, Transcript))


def means(tables: Mapping[str, Units]) -> dict[str, float | None]:
    """TABLE/KIND/COLUMN → its mean over users or episodes of that kind; null: nobody knows."""
    found: dict[str, float | None] = {}
    for name, table in tables.items():
        kinds = {ALL: np.ones(len(table.units), dtype=bool)}
        if GAMEABLE in table.columns:
            of = table.column(GAMEABLE)
            kinds |= {GAMEABLE: of == 1, OTHER: of == 0}
        for kind, rows in kinds.items():
            for column in table.columns:
                value = float(nanmean(table.column(column)[rows], 0))
                found[f"{name}/{kind}/{column}"] = number(value)
    return found
