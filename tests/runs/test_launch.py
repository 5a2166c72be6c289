from pathlib import Path

import pytest

from seedbed.core.errors import ConfigError, DataError
from seedbed.runs.dispatch import Dispatcher
from seedbed.runs.here import Inline, places
from seedbed.runs.launch import Launch, read_launch, start


def test_options_and_file_make_one_launch(tmp_path: Path) -> None:
    file = tmp_path / "launch.yaml"
    file.write_text("on: slurm\nmemory: 2\nworkers: 4\noptions: {partition: gpu, nice: 5}\n")
    assert read_launch("here") == Launch()
    found = read_launch("here", file, workers=3)
    assert (found.on, found.memory, found.workers) == ("slurm", 2, 3)
    assert found.options == {"partition": "gpu", "nice": 5}
    assert read_launch("ray://head:10001", file).on == "ray://head:10001"


@pytest.mark.parametrize(
    ("on", "text", "what"),
    [
        ("slrum", None, "'slrum' is no place to run; did you mean 'slurm'"),
        ("cloud", None, "there are: here, ray, ray://…, slurm"),
        ("here", "workers: 0\n", r"launch.yaml:1: workers: .* greater than or equal to 1"),
        ("here", "memory: 1\noption: {}\n", "launch.yaml:2: option: .*did you mean 'options'"),
        ("here", "", "is empty"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, on: str, text: str | None, what: str) -> None:
    file = tmp_path / "launch.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=what) as error:
        read_launch(on, file if text is not None else None)
    assert "\n" not in str(error.value)


def test_a_launch_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "launch.yaml").write_text("on: here\n")
    with pytest.raises(DataError, match=r"did you mean .*launch\.yaml"):
        read_launch("here", tmp_path / "lanch.yaml")


def test_here_starts_by_cores_and_threads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert [places(Launch(), threads) for threads in (1, 2, 16)] == [8, 4, 1]
    assert places(Launch(workers=3), 4) == 3
    assert Dispatcher(Launch(), 2, tmp_path).workers == 4
    assert Dispatcher(Launch(on="slurm"), 2, tmp_path).workers is None
    launcher = start(Launch(), 16, tmp_path, lambda *_: None, lambda _: None)
    assert isinstance(launcher, Inline)
    launcher.close()
