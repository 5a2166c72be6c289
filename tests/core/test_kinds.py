import pickle
from pathlib import Path

import pytest

from seedbed.core.config import NestedProblem
from seedbed.core.errors import ConfigError
from seedbed.worlds.base import WORLDS

FILE = """
from seedbed.worlds.base import World


class Mine(World):
    kind: str = "mine"
    size: int = 3


class NoWorld:
    pass
"""


def test_builtin_names_and_near_misses() -> None:
    assert "hops" in WORLDS.names()
    with pytest.raises(ConfigError, match="unknown world kind 'hop'; did you mean 'hops'"):
        WORLDS.resolve("hop")


def test_a_file_is_a_kind_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    world = WORLDS.build({"kind": "own.py:Mine", "size": 5})
    assert world.kind == f"{tmp_path / 'own.py'}:Mine"
    assert WORLDS.build(world.model_dump()) == world
    assert pickle.loads(pickle.dumps(world)) == world
    with pytest.raises(NestedProblem, match="did you mean 'size'") as caught:
        WORLDS.build({"kind": "own.py:Mine", "sise": 5})
    assert caught.value.path == ("sise",)
    for kind, words in (
        ("own.py:NoWorld", "the file has no such world"),
        ("gone.py:X", "no such file"),
    ):
        with pytest.raises(ValueError, match=words):
            WORLDS.build({"kind": kind})


@pytest.mark.parametrize("values", [3, {}, {"kind": 4}, None])
def test_what_is_no_kind_at_all(values: object) -> None:
    with pytest.raises(ValueError, match="a mapping with a 'kind' is needed"):
        WORLDS.build(values)
