"""Results of a run by the file names of the 2-D trigger experiment, for scripts that read those.

training_history.json and final_full_accuracy.json under seed_<n>/; their keys are not published,
so they are this project's own.
"""

from pathlib import Path
from typing import Any

from seedbed.core.files import write_json
from seedbed.report.reader import Run
from seedbed.report.seed_reader import Seed


def export_original(run: Path, out: Path) -> list[Path]:
    """Write both files of every seed of a run folder; returns their paths.

    History: a row each checkpoint that was asked (`looks.history`) with epoch, step, the mean
    training loss since the one before, and accuracy and loss (nats a token of the answer) by
    split. Final: accuracy by split and by trigger over all questions, which were all asked.
    Raises InputError if `run` is no finished run folder.
    """
    found = []
    for seed in Run(run).seeds:
        folder = out / f"seed_{seed.number}"
        for name, value in (
            ("training_history.json", _history(seed)),
            ("final_full_accuracy.json", _final(seed)),
        ):
            write_json(folder / name, value)
            found.append(folder / name)
    return found


def _history(seed: Seed) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    before = 0
    for step in sorted({s.step for s in seed.snapshots}):
        asked = [s for s in seed.snapshots if s.step == step]
        losses = [h.loss for h in seed.history if before < h.step <= step]
        splits = {s.slice.removeprefix("split="): s for s in asked}
        rows.append(
            {
                "step": step,
                "epoch": asked[0].epoch,
                "train_loss": sum(losses) / len(losses) if losses else None,
                "accuracy": {name: s.accuracy for name, s in splits.items()},
                "loss": {name: s.loss for name, s in splits.items()},
            }
        )
        before = step
    return rows


def _final(seed: Seed) -> dict[str, dict[str, float]]:
    right: dict[str, dict[str, list[bool]]] = {"split": {}, "trigger": {}}
    for key, question in seed.questions.items():
        correct = seed.answers[key].correct
        right["split"].setdefault(question.split, []).append(correct)
        if (trigger := question.slices.get("trigger")) is not None:
            name = f"{question.split}: {trigger}"
            right["trigger"].setdefault(name, []).append(correct)
    return {
        by: {name: sum(r) / len(r) for name, r in groups.items()} for by, groups in right.items()
    }
