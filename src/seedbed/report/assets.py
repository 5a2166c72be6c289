"""The files that pages are made of: templates, styles and scripts of this package."""

from importlib.resources import files


def asset(name: str) -> str:
    """A file of this package as text."""
    return files("seedbed.report").joinpath(name).read_text(encoding="utf-8")
