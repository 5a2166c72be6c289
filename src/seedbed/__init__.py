"""seedbed: plant a known cause, train a model on it, look for the cause, score every method.

The public names are imported on first use, so that `import seedbed` does not load torch.
"""

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("seedbed")

_PUBLIC = {
    "Claim": "seedbed.core.sites",
    "Document": "seedbed.core.rows",
    "Pair": "seedbed.core.rows",
    "Question": "seedbed.core.rows",
    "SiteKind": "seedbed.core.sites",
    "Truth": "seedbed.core.sites",
    "World": "seedbed.worlds.base",
    "Finder": "seedbed.finders.base",
    "Subject": "seedbed.models.subject",
    "Study": "seedbed.studies.study",
    "run": "seedbed.studies.run",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 (names resolved by __getattr__)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'seedbed' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
