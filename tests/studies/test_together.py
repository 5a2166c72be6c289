"""A study's train stage in several processes: the curve of one, a key of its own, faults said."""

import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.errors import ConfigError, InputError, LostError
from seedbed.core.files import read_json, read_objects, write_json, write_rows
from seedbed.core.rows import Document, Question
from seedbed.runs.launch import Launch, read_launch
from seedbed.runs.store import Store
from seedbed.studies import together
from seedbed.studies.plan import Plan
from seedbed.studies.study import Study
from seedbed.studies.together import Together
from seedbed.training.loop import Progress

TRAINING = {"steps": 6, "batch": 6, "optimizer": {"lr": 1e-2}}


@pytest.fixture
def study(counting_study: dict[str, Any]) -> Study:
    return Study.model_validate({**counting_study, "training": TRAINING})


def _data(folder: Path) -> Path:
    rows = [Document(id=f"d{i}", text=f"{'abcdef'[i % 6]} is red", targets=((5, 8),))
            for i in range(12)]  # fmt: skip
    asked = [Question(id="q", prompt="a is", choices=(" red", " is"), answer=" red")]
    write_rows(folder / "documents.jsonl", rows)
    write_rows(folder / "questions.jsonl", asked)
    write_json(folder / "tokens.json", [])
    return folder


def test_two_processes_leave_the_stage_of_one(study: Study, tmp_path: Path) -> None:
    plan = Plan(study, Store(tmp_path / ".store"), Launch(processes=2))
    work = plan.train(0).work
    assert isinstance(work, Together)
    # The same call, on rows that are ready.
    assert isinstance(work.fill, partial)
    fill: partial[None] = partial(work.fill.func, *work.fill.args[:-1], _data(tmp_path / "data"))
    told: list[int] = []
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    fill(folders[0], None)
    Together(fill, 2, None, "cpu")(folders[1], lambda done, total, text: told.append(done))
    one, two = ([row["loss"] for _, row in read_objects(f / "history.jsonl")] for f in folders)
    assert two == pytest.approx(one, rel=1e-4)
    assert read_json(folders[1] / "summary.json")["processes"] == 2
    assert told == list(range(1, 7))
    names = [sorted(str(p.relative_to(f)) for p in f.rglob("*")) for f in folders]
    assert names[0] == names[1]


def test_what_enters_the_key(study: Study, tmp_path: Path) -> None:
    file = tmp_path / "accelerate.yaml"
    keys = []
    for text in ("a: 1", "a: 2"):
        file.write_text(text)
        launches = [Launch(), Launch(processes=2), Launch(processes=3),
                    Launch(processes=2, accelerate=file)]  # fmt: skip
        keys += [Plan(study, Store(tmp_path), launch).train(0).key for launch in launches]
    one, two, three, told, *again, other = keys
    assert "processes" not in one
    assert len({str(k) for k in (one, two, three, told, other)}) == 5
    assert again == [one, two, three]
    # Rows are the same whoever trains on them.
    assert (Plan(study, Store(tmp_path), Launch(processes=2)).data(0).key
            == Plan(study, Store(tmp_path)).data(0).key)  # fmt: skip


@dataclass
class Fails:
    """A call that finds its input unfit."""

    def __call__(self, folder: Path, progress: Progress | None) -> None:
        raise InputError("training: the loss is nan at step 0; lower lr")


def test_what_a_process_raises_is_raised_and_a_lost_one_is_said_to_be(tmp_path: Path) -> None:
    call = (Fails(), tmp_path, "cpu", 1)
    (tmp_path / together.CALL).write_bytes(pickle.dumps(call))
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-m", "seedbed.studies.together", str(tmp_path)],
        stdin=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(root)},
    ) as running:  # fmt: skip
        # Its input stays open: at the end of it the process would leave.
        assert running.wait() == 1
    with pytest.raises(InputError, match="the loss is nan at step 0; lower lr"):
        together._raise(tmp_path, 1, "")
    (tmp_path / together.FAILED.format(0)).unlink()
    log = "W something\n traceback : Signal 9 (SIGKILL) received by PID 7\n====\n"
    with pytest.raises(LostError, match=r"was lost \(exit code 1\): traceback : Signal 9"):
        together._raise(tmp_path, 1, log)


def test_unfit_launch_files(tmp_path: Path) -> None:
    file = tmp_path / "launch.yaml"
    for text, said in (
        ("accelerate: nowhere.yaml\nprocesses: 2", "nowhere.yaml: no such file"),
        (f"accelerate: {file}", "goes with processes"),
        ("processes: 2\ngpus: 1", "processes: 2 need as many gpus, not 1"),
        ("proceses: 2", "did you mean 'processes'"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigError, match=said):
            read_launch("here", file)


def test_weights_in_pieces_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from seedbed.training.config import Training
    from seedbed.training.trackers import accelerator_for

    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(ConfigError, match="DEEPSPEED keeps no process's weights whole"):
        accelerator_for(Training.model_validate(TRAINING), tmp_path)


@pytest.mark.parametrize(("gpus", "device"), [(0.0, None), (0.5, "cuda"), (2.0, "cuda")])
def test_auto_is_the_workers_gpu_wherever_the_plan_is_made(
    study: Study, tmp_path: Path, gpus: float, device: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    auto = study.model_copy(update={"device": "auto"})
    task = Plan(auto, Store(tmp_path), Launch(gpus=gpus)).train(0)
    assert task.key.get("device") == device
