from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from seedbed.core.config import Config, apply_sets, digest, read_yaml, validate
from seedbed.core.errors import ConfigError


class Inner(Config):
    steps: int = Field(default=3, ge=1)
    rate: float = 0.1


class Outer(Config):
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = Field(default_factory=dict)


class Needing(Config):
    needed: int
    many: tuple[int, ...] = ()
    sign: Literal["up", "down"] | tuple[Literal["up", "down"], ...] = "up"


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("inner:\n  stps: 4\n", [":2:", "inner.stps", "unknown key", "did you mean 'steps'"]),
        ("inner:\n  zzz: 4\n", ["inner.zzz", "known keys: rate, steps"]),
        ("inner:\n  steps: many\n", [":2:", "inner.steps", "integer", "'many'"]),
        ("many:\n- steps: 2\n- steps: 0\n", [":3:", "many.1.steps", "greater than or equal to 1"]),
        ("named:\n  mine: {stps: 1}\n", [":2:", "named.mine.stps", "did you mean 'steps'"]),
        ("innr: {}\n", [":1:", "did you mean 'inner'"]),
        ("inner: {stps: 1, rte: 2}\n", ["and 1 more"]),
    ],
)
def test_a_problem_is_one_line_with_place_and_near_miss(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        validate(Outer, read_yaml(path), path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("neded: 1\n", [":1: neded: unknown key", "did you mean 'needed'", "and 1 more"]),
        ("many: [1]\n", [": needed: is missing"]),
        ("needed: 1\nmany: 3\n", [":2: many: a list is needed (found 3)"]),
        ("needed: 1\nsign: [up, dwn]\n", [":2: sign.1: ", "did you mean 'down'"]),
        ("needed: 1\nsign: dow\n", [":2: sign: ", "did you mean 'down'"]),
    ],
)
def test_the_problem_named_is_the_one_to_mend(tmp_path: Path, text: str, words: list[str]) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        validate(Needing, read_yaml(path), path)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "is empty"), ("- 1\n", "found a list"), ("a: [1\n", "not YAML")],
)
def test_yaml_that_is_no_mapping(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_yaml(_file(tmp_path, text))


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    _file(tmp_path, "a: 1\n")
    with pytest.raises(Exception, match=r"did you mean .*study\.yaml"):
        read_yaml(tmp_path / "studdy.yaml")


def test_sets_change_a_copy_only() -> None:
    values: dict[str, Any] = {"a": {"b": [{"c": 1}]}}
    changed = apply_sets(values, ["a.b.0.c=2.5", "a.d.e=[1, x]", "f=null"])
    assert changed == {"a": {"b": [{"c": 2.5}], "d": {"e": [1, "x"]}}, "f": None}
    assert values == {"a": {"b": [{"c": 1}]}}


@pytest.mark.parametrize("item", ["a.b.7.c=1", "a.b.x=1", "novalue", "=3", "a.b.0.c.d=1", "a=[1"])
def test_unfit_sets_are_named(item: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        apply_sets({"a": {"b": [{"c": 1}]}}, [item])


@given(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4)))
def test_digest_ignores_key_order_and_sees_every_value(values: dict[str, Any]) -> None:
    assert digest(values) == digest(dict(reversed(values.items())))
    assert digest(values) != digest({**values, "other key": 1})
