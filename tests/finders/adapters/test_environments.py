"""Environments of peers: whole or not there at all, and the reason said."""

from pathlib import Path

import pytest

from seedbed.core.errors import ConfigError, InputError
from seedbed.core.files import read_json, write_json
from seedbed.finders.adapters import environments
from seedbed.finders.adapters.environments import (
    folder_of,
    install,
    peer_named,
    python_of,
    remove,
    unavailable,
)
from seedbed.finders.adapters.peers import PEERS, Peer

BERGSON = PEERS["bergson"]


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))


def filled(peer: Peer, folder: Path, say: object) -> None:
    assert not folder.exists(), "what was half-made is gone"
    python_of(peer).parent.mkdir(parents=True)
    python_of(peer).touch()


def test_names_and_their_near_misses() -> None:
    assert peer_named("dattri-llm") is PEERS["dattri_llm"]
    with pytest.raises(ConfigError, match="did you mean 'kronfluence'"):
        peer_named("kronfluense")


def test_whole_or_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    install_it = "run `seedbed adapters install bergson`"
    assert unavailable(BERGSON) == f"bergson is not installed: {install_it}"
    folder_of(BERGSON).mkdir(parents=True)
    (folder_of(BERGSON) / "half").touch()
    assert unavailable(BERGSON) == f"bergson is not installed: {install_it}"
    monkeypatch.setattr(environments, "_fill", filled)
    assert install(BERGSON) == folder_of(BERGSON)
    assert unavailable(BERGSON) == ""
    # A second call finds all in place; `filled` would refuse.
    install(BERGSON)
    record = folder_of(BERGSON) / environments.RECORD
    write_json(record, {**read_json(record), "torch": "1.0"})
    assert unavailable(BERGSON) == (
        f"bergson is out of date (bergson==2.5.1 with torch 1.0): {install_it}"
    )
    install(BERGSON)
    assert unavailable(BERGSON) == ""
    python_of(BERGSON).unlink()
    assert "has lost its Python" in unavailable(BERGSON)
    assert remove(BERGSON)
    assert not remove(BERGSON)
    assert "is not installed" in unavailable(BERGSON)


def test_interrupted_installations_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(peer: Peer, folder: Path, say: object) -> None:
        folder.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(environments, "_fill", interrupted)
    with pytest.raises(KeyboardInterrupt):
        install(BERGSON)
    assert not folder_of(BERGSON).exists()


def test_without_a_package_index_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    monkeypatch.setattr(environments, "_ours", lambda project: "2.13.0")
    said: list[str] = []
    with pytest.raises(InputError) as caught:
        install(BERGSON, said.append)
    assert said == ["making the environment", "installing torch==2.13.0"]
    message = str(caught.value)
    assert message.startswith("bergson: pip cannot install it: ERROR: No matching distribution")
    assert message.endswith("nothing was kept")
    assert "\n" not in message
    assert not folder_of(BERGSON).exists()


def test_our_own_build_of_torch_is_asked_for_where_its_makers_keep_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str]] = []

    def pip(peer: Peer, wanted: list[str]) -> None:
        asked.append(wanted)
        if len(wanted) == 1:
            raise InputError("not there")

    monkeypatch.setattr(environments, "_pip", pip)
    environments._install_torch(BERGSON, "torch==2.13.0+cpu")
    url = "https://download.pytorch.org/whl/cpu"
    assert asked == [["torch==2.13.0+cpu"], ["--extra-index-url", url, "torch==2.13.0+cpu"]]
    asked.clear()
    with pytest.raises(InputError, match="not there"):
        environments._install_torch(BERGSON, "torch==2.13.0")
    assert len(asked) == 1
