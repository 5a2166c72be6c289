"""What an interrupted training needs to go on with the same result: weights, optimiser, place.

Saved by the clock, not by the step: how often it is written never changes what is trained.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from seedbed.core.errors import DataError
from seedbed.core.files import atomic_folder, read_json
from seedbed.models.folders import load_weights, save_weights

EVERY_SECONDS = 15.0
History = list[dict[str, float]]


class ResumeState:
    """The newest state of one training, in one folder."""

    def __init__(self, folder: Path, every: float = EVERY_SECONDS) -> None:
        self.folder, self.every = folder, every
        self._saved = self._began = time.monotonic()
        self._cost = 0.0

    def load(self, model: Any, optimizer: Any) -> tuple[int, History, float]:
        """(steps done, history, seconds spent); (0, [], 0) if there is nothing to resume."""
        if not self.folder.exists():
            return 0, [], 0.0
        load_weights(model, self.folder)
        path = self.folder / "optimizer.pt"
        try:
            optimizer.load_state_dict(torch.load(path, weights_only=True))
        except (RuntimeError, OSError, ValueError, EOFError) as error:
            raise DataError(path, None, f"the resume state is damaged: {error}") from error
        place = read_json(self.folder / "place.json")
        return int(place["step"]), place["history"], float(place["seconds"])

    def due(self) -> bool:
        """Whether `every` seconds, and 20 times what saving took, have passed since the last."""
        self._began = time.monotonic()
        return self._began - self._saved >= max(self.every, 20 * self._cost)

    def save_if_due(
        self, model: Any, optimizer: Any, step: int, history: History, spent: float
    ) -> None:
        """`save` if it is `due`."""
        if self.due():
            self.save(model, optimizer, step, history, spent)

    def save(self, model: Any, optimizer: Any, step: int, history: History, spent: float) -> None:
        """Save what `load` reads; what it takes is counted from the last `due` on."""
        with atomic_folder(self.folder) as temporary:
            save_weights(model, temporary)
            torch.save(optimizer.state_dict(), temporary / "optimizer.pt")
            place = {"step": step, "history": history, "seconds": spent}
            (temporary / "place.json").write_text(json.dumps(place), encoding="utf-8")
        self._saved = time.monotonic()
        self._cost = self._saved - self._began

    def remove(self) -> None:
        """Forget the state once the training is whole."""
        shutil.rmtree(self.folder, ignore_errors=True)
