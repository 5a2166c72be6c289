"""Where models and data sets lie: folders `transformers datasets experiments`, or the hub cache.

Nothing is downloaded here; what is not on disk is an error that lists where was looked.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from seedbed.core.errors import InputError

Noun = Literal["model", "dataset"]
FOLDERS: dict[Noun, str] = {"model": "transformers", "dataset": "datasets"}


def hub_cache() -> Path:
    """The folder of the Hugging Face hub's downloads.

    $HF_HUB_CACHE, else hub/ in $HF_HOME, else huggingface/hub in the user's cache folder.
    """
    if chosen := os.environ.get("HF_HUB_CACHE"):
        return Path(chosen).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(cache).expanduser() / "huggingface" / "hub"


@dataclass(frozen=True)
class Workspace:
    """A workspace folder `root`; None: only paths as they stand and the hub cache are looked at.

    Raises InputError if `root` is no folder.
    """

    root: Path | None = None

    def __post_init__(self) -> None:
        if self.root is not None and not self.root.expanduser().is_dir():
            raise InputError(f"workspace {self.root}: no such folder")

    def model(self, name: str) -> Path:
        """The folder of a model: `huginn-0125`, `transformers/huginn-0125`, a hub id or a path.

        Raises InputError with the places looked at and the nearest name.
        """
        return self._find("model", name)

    def dataset(self, name: str) -> Path:
        """The folder or file of a data set: `cais/mmlu`, `lirefs/items.json`, a path.

        Raises InputError as `model` does.
        """
        return self._find("dataset", name)

    @property
    def experiments(self) -> Path:
        """Where results are written; it need not exist yet. Raises InputError without a root."""
        if self.root is None:
            raise InputError("experiments: a workspace folder is needed")
        return self.root.expanduser() / "experiments"

    def _find(self, noun: Noun, name: str) -> Path:
        if not name.strip():
            raise InputError(f"{noun}: a name is needed")
        given = Path(name).expanduser()
        places = [given, *self._own(noun, name)]
        for place in places:
            if _fits(noun, place):
                return place
        kept = sorted(cached(noun, name))
        if len(kept) > 1:
            names = ", ".join(repo for repo, _ in kept)
            raise InputError(f"{noun} {name!r}: the hub cache holds several: {names}; name one")
        if kept:
            return snapshot(noun, *kept[0])
        looked = ", ".join(str(place) for place in [*places, hub_cache()])
        raise InputError(
            f"{noun} {name!r}: not found; looked at {looked}{self._nearest(noun, name)}"
        )

    def _own(self, noun: Noun, name: str) -> list[Path]:
        """Places in the workspace, the most literal first; a hub id's owner may be left out."""
        if self.root is None:
            return []
        root = self.root.expanduser()
        inner = root / FOLDERS[noun]
        last = [inner / name.rpartition("/")[2]] if noun == "model" else []
        return list(dict.fromkeys([root / name, inner / name, *last]))

    def _nearest(self, noun: Noun, name: str) -> str:
        known = {repo for repo, _ in _repositories(noun)}
        if self.root is not None:
            inner = self.root.expanduser() / FOLDERS[noun]
            known |= {p.name for p in inner.glob("*")} if noun == "model" else set()
            known |= {p.relative_to(inner).as_posix() for p in inner.glob("*/*")}
        short = name.removeprefix(f"{FOLDERS[noun]}/")
        near = get_close_matches(short, sorted(known), n=1, cutoff=0.5)
        return f"; did you mean {near[0]!r}?" if near else ""


def _fits(noun: Noun, place: Path) -> bool:
    return place.is_dir() or (noun == "dataset" and place.is_file())


def cached(noun: Noun, name: str) -> list[tuple[str, Path]]:
    """(repository, its folder) of everything in the hub cache that `name` may mean.

    A name without an owner means every owner's.
    """
    short = name.removeprefix(f"{FOLDERS[noun]}/")
    return [
        (repo, folder)
        for repo, folder in _repositories(noun)
        if repo == short or ("/" not in short and repo.rpartition("/")[2] == short)
    ]


def _repositories(noun: Noun) -> Iterator[tuple[str, Path]]:
    for folder in sorted(hub_cache().glob(f"{noun}s--*")):
        if any((folder / "snapshots").glob("*")):
            yield "/".join(folder.name.split("--")[1:]), folder


def snapshot(noun: Noun, repo: str, folder: Path) -> Path:
    """The files of a cached repository: what `main` points at, else its only snapshot.

    Raises InputError where several lie there and none of them is `main`.
    """
    main = folder / "refs" / "main"
    if main.is_file():
        chosen = folder / "snapshots" / main.read_text(encoding="utf-8").strip()
        if chosen.is_dir():
            return chosen
    kept = sorted(p for p in (folder / "snapshots").glob("*") if p.is_dir())
    if len(kept) == 1:
        return kept[0]
    raise InputError(
        f"{noun} {repo!r}: {folder} holds {len(kept)} snapshots and none of them is 'main';"
        " give the path of one"
    )
