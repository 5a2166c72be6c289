"""Every exception that seedbed raises on purpose.

SeedbedError
├── InputError            something the user gave is wrong           exit 2
│   ├── ConfigError       a study file, a --set, a config value
│   ├── DataError         a row of a JSONL file, with its line
│   ├── MissingExtra      an optional package is not installed
│   │   └── MissingPeer   the environment of an adapter is not installed
│   └── DiskError         a file could not be written
├── GateError             no subject learned what was planted        exit 3
├── LockedError           another process writes the same run        exit 4
└── LostError             workers, nodes or jobs were lost too often  exit 5
"""

from pathlib import Path
from typing import Any, Self


class SeedbedError(Exception):
    """Base of all; `exit_code` is what the command line returns."""

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        # Constructors differ; a worker process sends an error back as class and message.
        return type(self)._rebuild, (str(self),)

    @classmethod
    def _rebuild(cls, message: str) -> Self:
        error = cls.__new__(cls)
        Exception.__init__(error, message)
        return error


class InputError(SeedbedError):
    """The input is wrong and the message says what and where, in one line."""

    exit_code = 2


class ConfigError(InputError):
    """A configuration value is unknown or unfit."""


class DataError(InputError):
    """A data file is unfit. `line` counts from 1; None speaks of the whole file."""

    def __init__(self, path: str | Path, line: int | None, what: str) -> None:
        where = f"{path}:{line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {what}")


class MissingExtra(InputError):
    """A module needs a package that an extra of seedbed installs."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'seedbed[{extra}]'")


class MissingPeer(MissingExtra):
    """An adapter needs an environment that `seedbed adapters install` makes."""

    def __init__(self, why: str) -> None:
        InputError.__init__(self, why)


class DiskError(InputError):
    """Writing failed; nothing half-written was left behind."""


class GateError(SeedbedError):
    """The subject did not learn the planted cause, so no finder runs on it."""

    exit_code = 3


class LockedError(SeedbedError):
    """Another process holds the lock of this run folder."""

    exit_code = 4


class LostError(SeedbedError):
    """A worker, node or job was lost more often than a call is tried again."""

    exit_code = 5
