"""`seedbed adapters` says what is there and what to do."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from seedbed.cli.main import app
from seedbed.core.errors import ConfigError, InputError
from seedbed.finders.adapters import checking, environments
from seedbed.finders.adapters.peers import Peer


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")


def test_check_names_every_package_and_the_command_that_installs_it() -> None:
    done = CliRunner().invoke(app, ["adapters", "check"])
    assert done.exit_code == 0
    for name, pin in (("bergson", "bergson==2.5.1"), ("dattri_llm", "dattri-llm==0.1.0")):
        line = next(line for line in done.output.splitlines() if line.startswith(name))
        assert pin in line
        assert f"run `seedbed adapters install {name}`" in line


def test_removing_what_is_not_there() -> None:
    done = CliRunner().invoke(app, ["adapters", "remove", "traker"])
    assert done.output.strip() == "traker is not installed"


@pytest.mark.parametrize("command", ["install", "remove", "check"])
def test_unknown_names(command: str) -> None:
    done = CliRunner().invoke(app, ["adapters", command, "bergsen"])
    assert isinstance(done.exception, ConfigError)
    assert "did you mean 'bergson'" in str(done.exception)


def test_a_package_that_does_not_work_is_said_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(peer: Peer) -> str:
        raise InputError(f"{peer.name}: no such luck")

    monkeypatch.setattr(environments, "unavailable", lambda peer: "")
    monkeypatch.setattr(checking, "self_test", broken)
    done = CliRunner().invoke(app, ["adapters", "check", "traker"])
    assert "installed" in done.output
    assert "traker: no such luck" in done.output
    assert isinstance(done.exception, InputError)
    assert str(done.exception) == "installed but not working: traker"


def test_install_says_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def filled(peer: Peer, folder: Path, say: object) -> None:
        folder.mkdir(parents=True)

    monkeypatch.setattr(environments, "_fill", filled)
    done = CliRunner().invoke(app, ["adapters", "install", "dattri-llm"])
    assert done.stdout.strip() == str(tmp_path / "envs" / "dattri_llm")
    done = CliRunner().invoke(app, ["adapters", "remove", "dattri-llm"])
    assert done.stdout.strip() == f"removed {tmp_path / 'envs' / 'dattri_llm'}"
