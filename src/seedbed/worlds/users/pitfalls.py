"""What YAML takes in silence and nobody means: `yes` as a truth value, a key given twice."""

from pathlib import Path

import yaml

from seedbed.core.config import read_yaml
from seedbed.core.errors import ConfigError
from seedbed.core.files import read_text

_BOOL = "tag:yaml.org,2002:bool"
_PLAIN = {"true", "false"}


def read_careful(path: Path) -> dict[str, object]:
    """A YAML mapping; raises ConfigError with the line of a pitfall."""
    values = read_yaml(path)
    node = yaml.compose(read_text(path))
    _walk(node, path, set())
    return values


def _walk(node: yaml.Node | None, path: Path, seen: set[int]) -> None:
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        _scalar(node, path)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _walk(item, path, seen)
    elif isinstance(node, yaml.MappingNode):
        keys: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode):
                _scalar(key, path)
                if key.value in keys and key.value != "<<":
                    raise ConfigError(f"{path}:{line}: {key.value}: stands twice, first on line"
                                      f" {keys[key.value]}")  # fmt: skip
                keys[key.value] = line
            _walk(value, path, seen)


def _scalar(node: yaml.ScalarNode, path: Path) -> None:
    if node.tag == _BOOL and node.value.lower() not in _PLAIN:
        raise ConfigError(
            f"{path}:{node.start_mark.line + 1}: {node.value}: YAML reads it as a truth value;"
            f' write "{node.value}" in quotes for the word, or true or false'
        )
