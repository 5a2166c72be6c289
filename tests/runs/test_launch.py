from pathlib import Path

import pytest

from seedbed.core.errors import ConfigError, DataError
from seedbed.runs.dispatch import Dispatcher
from seedbed.runs.here import Inline, places
from seedbed.runs.launch import Launch, Launcher, Report, Told, read_launch, start


def test_options_and_file_make_one_launch(tmp_path: Path) -> None:
    file = tmp_path / "launch.yaml"
    # A bare `on` is true to YAML.
    file.write_text("on: slurm\nmemory: 2\nworkers: 4\noptions: {partition: gpu, nice: 5}\n")
    assert read_launch() == read_launch("here") == Launch()
    found = read_launch(None, file, workers=3)
    assert (found.on, found.memory, found.workers) == ("slurm", 2, 3)
    assert found.options == {"partition": "gpu", "nice": 5}
    # What the command line says comes first, the default place too.
    assert [read_launch(on, file).on for on in ("ray://head:10001", "here")] == [
        "ray://head:10001", "here",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("on", "text", "what"),
    [
        ("ray://", None, r"'ray://' names no machine and port, as ray://head:10001 does"),
        ("slrum", None, "'slrum' is no place to run; did you mean 'slurm'"),
        ("cloud", None, "there are: here, ray, ray://…, slurm"),
        (None, "workers: 0\n", r"launch.yaml:1: workers: .* greater than or equal to 1"),
        (None, "on: slrum\n", r"launch.yaml:1: on: 'slrum' is no place"),
        (None, "memory: 1\noption: {}\n", "launch.yaml:2: option: .*did you mean 'options'"),
        (None, "", "is empty"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path, on: str | None, text: str | None, what: str
) -> None:
    file = tmp_path / "launch.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=what) as error:
        read_launch(on, file if text is not None else None)
    assert "\n" not in str(error.value)


def test_a_launch_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "launch.yaml").write_text("on: here\n")
    with pytest.raises(DataError, match=r"did you mean .*launch\.yaml"):
        read_launch(None, tmp_path / "lanch.yaml")


def test_here_starts_by_cores_and_threads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("seedbed.runs.here.cores", lambda: 8)
    assert [places(Launch(), threads) for threads in (1, 2, 16)] == [8, 4, 1]
    assert places(Launch(workers=3), 4) == 3
    assert Dispatcher(Launch(), 2, tmp_path).workers == 4
    assert Dispatcher(Launch(on="slurm"), 2, tmp_path).workers is None
    launcher = start(Launch(), 16, tmp_path, lambda *_: None, lambda _: None)
    assert isinstance(launcher, Inline)
    launcher.close()


def test_a_launcher_may_tell_something_as_it_starts(tmp_path: Path) -> None:
    told: list[str] = []

    def begins(launch: Launch, threads: int, folder: Path, report: Report, tell: Told) -> Launcher:
        tell("no node has room; waiting for one")
        return Inline(report)

    with Dispatcher(Launch(workers=2), 1, tmp_path, begins) as shared:
        token = shared.enter(lambda *_: None, told.append)
        assert shared.submit(token, lambda report: 7, "seven").result() == 7
    assert told == ["no node has room; waiting for one"]


def test_a_place_that_cannot_be_reached_is_tried_once(tmp_path: Path) -> None:
    tries: list[str] = []

    def begins(launch: Launch, threads: int, folder: Path, report: Report, tell: Told) -> Launcher:
        tries.append(launch.on)
        raise ConfigError("--on: it cannot be reached")

    with Dispatcher(Launch(on="ray"), 1, tmp_path, begins) as shared:
        token = shared.enter(lambda *_: None, lambda _: None)
        for _ in range(2):
            with pytest.raises(ConfigError, match="cannot be reached") as error:
                shared.submit(token, lambda report: 7, "seven")
            assert error.value is shared.broken
    assert tries == ["ray"]
