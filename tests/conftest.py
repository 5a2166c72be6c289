"""One torch thread and no network for every test, and the smallest study that runs whole."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from seedbed.cli.start import new_command


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def own_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the world and finder that `seedbed new` writes: colours.py, overlap.py."""
    folder = tmp_path_factory.mktemp("own")
    new_command("world", "colours", folder)
    new_command("finder", "overlap", folder)
    return folder


@pytest.fixture
def small_study(own_kinds: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes small.yaml (seconds to run), with changes by key, and returns its path."""

    def write(**changes: Any) -> Path:
        values: dict[str, Any] = {
            "world": {"kind": f"{own_kinds / 'colours.py'}:Colours", "people": 12,
                      "gate": {"by": "topic", "margin": 0.2}},
            "subject": {"kind": "tiny", "layers": 1, "width": 32},
            "training": {"steps": 120, "batch": 18, "optimizer": {"lr": 1e-2},
                         "checkpoint_every": 20},
            "finders": [{"kind": f"{own_kinds / 'overlap.py'}:Overlap", "label": "overlap"},
                        {"kind": "bm25"}],
            "seeds": [0, 1],
            "questions": 12,
        }  # fmt: skip
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump({**values, **changes}))
        return path

    return write
