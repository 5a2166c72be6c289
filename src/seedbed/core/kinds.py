"""Finding a class by its `kind`: a built-in name, an installed plug-in, or a file.

A built-in is any class with a non-empty default `kind` in a module of the package, so a new
one is one file; plug-ins are entry points of the group; `path/to/file.py:Class` is a file.
"""

import importlib.util
import inspect
import pkgutil
import sys
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, SupportsIndex, TypeVar, cast

from pydantic import ValidationError

from seedbed.core.config import Config, NestedProblem
from seedbed.core.errors import ConfigError

KindT = TypeVar("KindT", bound="Kinded")


class Kinded(Config):
    """A configuration whose `kind` names its class."""

    kind: str = ""

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        # Another process knows no module by the name of a file: it loads the file itself.
        if ".py:" in self.kind:
            return _rebuild, (self.kind, self.model_dump(mode="json"))
        return super().__reduce_ex__(protocol)


def _rebuild(kind: str, values: dict[str, Any]) -> Any:
    return class_in_file(kind, "kind").model_validate(values)


def class_in_file(kind: str, noun: str) -> Any:
    """The attribute that `path/to/file.py:Name` names; None if the file has none.

    Raises ConfigError if there is no such file.
    """
    name, _, attribute = kind.rpartition(":")
    path = Path(name).resolve()
    if not path.is_file():
        raise ConfigError(f"{noun} kind '{kind}': no such file {path}")
    module_name = f"seedbed_file_{path.stem}"
    loaded = sys.modules.get(module_name)
    if loaded is None or getattr(loaded, "__file__", None) != str(path):
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = loaded
        spec.loader.exec_module(loaded)
    return getattr(loaded, attribute, None)


@cache
def _builtin(package: str, base: type[Any]) -> dict[str, type[Any]]:
    found: dict[str, type[Any]] = {}
    for module in pkgutil.walk_packages(import_module(package).__path__, package + "."):
        for _, cls in inspect.getmembers(import_module(module.name), inspect.isclass):
            own = issubclass(cls, base) and cls.__module__ == module.name
            if own and (kind := cast(type[Kinded], cls).model_fields["kind"].default):
                found[kind] = cls
    return found


class Kinds(Generic[KindT]):
    """The classes of one noun (world, finder, subject)."""

    def __init__(self, noun: str, package: str, base: type[KindT]) -> None:
        self.noun, self.package, self.base = noun, package, base

    @property
    def group(self) -> str:
        """The entry-point group of plug-ins, such as `seedbed.worlds`."""
        return self.package

    def names(self) -> dict[str, type[KindT]]:
        """All kinds that can be named without a path, sorted."""
        found = dict(_builtin(self.package, self.base))
        for point in entry_points(group=self.group):
            found.setdefault(point.name, point.load())
        return dict(sorted(found.items()))

    def resolve(self, kind: str) -> type[KindT]:
        """The class of `kind`; raises ConfigError with the near miss."""
        if ".py:" in kind:
            return self._from_file(kind)
        names = self.names()
        if kind not in names:
            near = get_close_matches(kind, names, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names)}"
            raise ConfigError(f"unknown {self.noun} kind '{kind}'; {hint}")
        return names[kind]

    def _from_file(self, kind: str) -> type[KindT]:
        cls = class_in_file(kind, self.noun)
        if not (inspect.isclass(cls) and issubclass(cls, self.base)):
            raise ConfigError(f"{self.noun} kind '{kind}': the file has no such {self.noun}")
        return cls

    def build(self, values: Any) -> KindT:
        """Build from a mapping with `kind`, a bare kind, or an object already built.

        Raises ValueError (which pydantic turns into an error with the place) if unfit.
        """
        if isinstance(values, self.base):
            return values
        if isinstance(values, str):
            values = {"kind": values}
        if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
            raise ValueError(f"a mapping with a 'kind' is needed; known: {', '.join(self.names())}")
        try:
            cls = self.resolve(values["kind"])
        except ConfigError as error:
            raise ValueError(str(error)) from error
        kind = values["kind"]
        if ".py:" in kind:
            name, _, attribute = kind.rpartition(":")
            kind = f"{Path(name).resolve()}:{attribute}"
        try:
            return cls.model_validate({**values, "kind": kind})
        except ValidationError as error:
            raise NestedProblem(error, cls) from error
