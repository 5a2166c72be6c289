"""Configuration: Python is the schema, YAML holds only values, unknown keys are errors.

Every problem becomes one line that names the file, the line, the key and the near miss.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from seedbed.core.errors import ConfigError
from seedbed.core.files import read_text

ConfigT = TypeVar("ConfigT", bound=BaseModel)
KeyPath = Sequence[str | int]


class NestedProblem(ValueError):
    """A problem inside a value that is built by kind: where in it, and what."""

    def __init__(self, inner: ValidationError, model: type[BaseModel]) -> None:
        self.path: tuple[str | int, ...] = _path(inner)
        super().__init__(_what(inner, model))


class Config(BaseModel):
    """Base of all configuration: frozen, unknown keys refused, defaults validated."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def digest(value: Any) -> str:
    """SHA-256 (hex) of a JSON-able value or a Config, independent of key order."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; raises ConfigError with the line that does not parse."""
    text = read_text(path)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else f"{path}"
        raise ConfigError(f"{where}: not YAML: {getattr(error, 'problem', error)}") from error
    if value is None:
        raise ConfigError(f"{path}: is empty; a mapping of keys is needed")
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: a mapping of keys is needed, found a {type(value).__name__}")
    return value


def apply_sets(values: dict[str, Any], sets: Sequence[str]) -> dict[str, Any]:
    """Apply `a.b.0.c=value` assignments (values are YAML) to a copy of `values`."""
    result: dict[str, Any] = json.loads(json.dumps(values, default=str))
    for item in sets:
        key, eq, raw = item.partition("=")
        if not eq or not key:
            raise ConfigError(f"--set {item}: write it as key.subkey=value")
        try:
            value = yaml.safe_load(raw)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {item}: the value is not YAML") from error
        _assign(result, key.split("."), value, item)
    return result


def _assign(node: Any, keys: list[str], value: Any, item: str) -> None:
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(node, list):
            if not key.isdigit() or int(key) >= len(node):
                here = ".".join(keys[:depth])
                raise ConfigError(
                    f"--set {item}: {here} has entries 0 to {len(node) - 1}, not {key}"
                )
            place: Any = int(key)
        elif isinstance(node, dict):
            place = key
            if not last and node.get(key) is None:
                node[key] = {}
        else:
            raise ConfigError(f"--set {item}: {'.'.join(keys[:depth])} is a value, it has no keys")
        if last:
            node[place] = value
        else:
            node = node[place]


def validate(model: type[ConfigT], values: dict[str, Any], source: str | Path) -> ConfigT:
    """Build `model`; raises ConfigError with one line that names file, line and key."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{_place(source, error)}: {first_problem(error, model)}") from error


def _place(source: str | Path, error: ValidationError) -> str:
    if not isinstance(source, Path) or not source.is_file():
        return str(source)
    line = _line_of(yaml.compose(source.read_text(encoding="utf-8")), _path(error))
    return f"{source}:{line}" if line else f"{source}"


def _line_of(node: Any, path: KeyPath) -> int | None:
    line: int | None = None
    for part in path:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, node = key.start_mark.line + 1, value
                    break
        elif isinstance(node, yaml.SequenceNode) and part in range(len(node.value)):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """The first problem of a validation error in words, with the near miss for a key."""
    key = ".".join(str(part) for part in _path(error))
    return f"{key}: {_what(error, model)}" if key else _what(error, model)


def _path(error: ValidationError) -> tuple[str | int, ...]:
    first = _worst(error)
    inner = first.get("ctx", {}).get("error")
    # Of a value that may be one of several types pydantic names the type too, which is no key.
    loc = [part for part in first["loc"] if not (isinstance(part, str) and "[" in part)]
    return (*loc, *(inner.path if isinstance(inner, NestedProblem) else ()))


def _worst(error: ValidationError) -> ErrorDetails:
    """The problem to name: an unknown key before one that is missing, as it may be just that;
    of a list that may also be a single value the entry that is wrong.
    """
    first, *others = error.errors()
    if first["type"] == "missing":
        return next((p for p in others if p["type"] == "extra_forbidden"), first)
    if isinstance(first["input"], list):
        above = first["loc"][:-1]
        entries = (p for p in others if p["loc"][: len(above)] == above)
        return next((p for p in entries if isinstance(p["loc"][-1], int)), first)
    return first


def _what(error: ValidationError, model: type[BaseModel]) -> str:
    problems = error.errors()
    first = _worst(error)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        owner = _model_at(model, first["loc"][:-1])
        known = sorted(owner.model_fields) if owner else []
        near = get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
        return f"unknown key; {hint}{more}"
    if first["type"] == "missing":
        return f"is missing{more}"
    if first["type"] == "tuple_type":
        return f"a list is needed (found {_short(first['input'])}){more}"
    what = first["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    given = first.get("input")
    if first["type"] == "literal_error":
        near = get_close_matches(str(given), re.findall(r"'([^']*)'", what), n=1)
        more = f"; did you mean '{near[0]}'?{more}" if near else more
    quiet = isinstance(given, dict | list | BaseModel) or first["type"] == "value_error"
    return f"{what}{more}" if quiet else f"{what} (found {_short(given)}){more}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    named = False
    for part in path:
        if isinstance(part, int) or named:
            named = False
            continue
        if current is None or part not in current.model_fields:
            return None
        annotation = current.model_fields[part].annotation
        # The next part is a name that the user gave, and no key of the model.
        named = get_origin(annotation) is dict
        current = _model_in(annotation)
    return current


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        if (found := _model_in(part)) is not None:
            return found
    return None


def merged(knobs: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`knobs` with `changes`, nested ones key by key."""
    found = dict(knobs)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = merged(found[key], value) if both else value
    return found
