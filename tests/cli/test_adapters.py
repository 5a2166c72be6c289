"""`seedbed adapters` says what is there and what to do."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from seedbed.cli.main import app
from seedbed.core.errors import ConfigError


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
