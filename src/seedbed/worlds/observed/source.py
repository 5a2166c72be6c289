"""Where items come from: a set that comes with the package, a file, a data set on disk, the hub.

Built-in names go first, then paths, the workspace and the hub's cache.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import Field

from seedbed.core.config import Config
from seedbed.core.errors import DataError, InputError, MissingExtra
from seedbed.core.files import read_json, read_objects
from seedbed.core.items import Item
from seedbed.core.workspace import Workspace
from seedbed.worlds.observed.builtin import BUILTIN
from seedbed.worlds.observed.foreign import Fields, item_of

LISTED = (".json", ".jsonl")
TABLES = (".parquet", ".arrow")
SAVED = ("dataset_info.json", "dataset_dict.json", "state.json")


class Source(Config):
    """A set of items.

    `path` is a built-in name, a JSON list or JSONL file, a folder of a data set, or a hub id;
    of data sets, `part` is the split and `subset` the configuration. `categories` keeps only
    items of these.
    """

    path: str = Field(min_length=1)
    part: str = ""
    subset: str = ""
    fields: Fields = Fields()
    categories: tuple[str, ...] = ()


def read_items(source: Source, workspace: Path | None = None) -> list[Item]:
    """The items of a source, in its order.

    Raises InputError or DataError in one line for what is not there, unfit or named twice.
    """
    if source.path in BUILTIN:
        found = list(BUILTIN[source.path]().asked)
    else:
        found = _identified(*_rows(source, workspace), source.fields)
    return _of_categories(found, source)


def unrelated_items(source: Source) -> list[Item]:
    """The items that a built-in set brings for the split `unrelated`; of others none."""
    return list(BUILTIN[source.path]().unrelated) if source.path in BUILTIN else []


def files_of(source: Source, workspace: Path | None = None) -> tuple[Path, ...]:
    """The files on disk that items are read from; none of a built-in set."""
    if source.path in BUILTIN:
        return ()
    place = locate(source, workspace)
    if place is None or place.is_file():
        return (place,) if place else ()
    kept = {*LISTED, *TABLES}
    return tuple(p for p in _inside(place) if p.suffix in kept)


def locate(source: Source, workspace: Path | None) -> Path | None:
    """The file or folder of a source; None for a hub id that is not on disk yet.

    Raises InputError for what is neither, with the nearest name.
    """
    try:
        return Workspace(workspace).dataset(source.path)
    except InputError as error:
        hub_id = source.path.count("/") == 1 and not Path(source.path).suffix
        if hub_id and Path(source.path).parts[0] not in (".", "..", "~", "/"):
            return None
        near = get_close_matches(source.path, list(BUILTIN), n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise InputError(f"items: {error}{hint}") from error


def _rows(
    source: Source, workspace: Path | None
) -> tuple[Path, Iterator[tuple[int, Mapping[str, Any]]]]:
    """(what messages call the source, its objects with their lines or places from 1)."""
    place = locate(source, workspace)
    if place is not None and place.is_dir():
        place = _only_list(place) or place
    if place is not None and place.is_file():
        return place, _listed(place)
    return Path(source.path) if place is None else place, _table(source, place)


def _only_list(folder: Path) -> Path | None:
    """The one JSON file of a folder that is no saved data set; raises DataError for several."""
    if any((folder / name).exists() for name in SAVED):
        return None
    inside = _inside(folder)
    if any(p.suffix in TABLES for p in inside):
        return None
    lists = [p for p in inside if p.suffix in LISTED and p.parent == folder]
    if not lists:
        raise DataError(folder, None, "holds no .json, .jsonl, .parquet or .arrow file")
    if len(lists) > 1:
        names = ", ".join(p.name for p in lists)
        raise DataError(folder, None, f"holds several files, name one of them: {names}")
    return lists[0]


def _inside(folder: Path) -> list[Path]:
    """Files of a folder as data sets lie in folders: at most `subset/split/file` deep, sorted."""
    return sorted(p for deep in ("*", "*/*", "*/*/*") for p in folder.glob(deep) if p.is_file())


def _listed(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.suffix != ".json":
        yield from read_objects(path)
        return
    values = read_json(path)
    if not isinstance(values, list) or not values:
        raise DataError(path, None, "a JSON list of items is needed")
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict):
            kind = type(value).__name__
            raise DataError(path, number, f"a JSON object is needed, found {kind}")
        yield number, value


def _table(source: Source, place: Path | None) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Rows of a data set, numbered from 1; raises InputError with the first line of the cause."""
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra("datasets", "harness") from error
    try:
        if place is not None and any((place / name).exists() for name in SAVED):
            loaded = datasets.load_from_disk(str(place))
        else:
            name = source.path if place is None else str(place)
            # Streams leave no second copy of what lies on disk already.
            loaded = datasets.load_dataset(name, source.subset or None, streaming=place is not None)
    except (OSError, ValueError, KeyError, datasets.exceptions.DatasetsError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"items {source.path!r}: cannot be read as a data set: {why}") from error
    yield from enumerate(_part(source, loaded), start=1)


def _part(source: Source, loaded: Any) -> Any:
    if not isinstance(loaded, Mapping):
        if source.part:
            raise InputError(f"items {source.path!r}: has no splits, so 'part' must be empty")
        return loaded
    names = ", ".join(loaded)
    if not source.part and len(loaded) == 1:
        return next(iter(loaded.values()))
    if source.part not in loaded:
        given = f"no split is called {source.part!r}" if source.part else "has several splits"
        raise InputError(f"items {source.path!r}: {given}; set 'part' to one of {names}")
    return loaded[source.part]


def _identified(
    path: Path, rows: Iterator[tuple[int, Mapping[str, Any]]], fields: Fields
) -> list[Item]:
    found: list[Item] = []
    places: dict[str, int] = {}
    for place, row in rows:
        item = item_of(path, place, row, fields)
        if item.id in places:
            raise DataError(
                path, place,
                f"{fields.id} {item.id!r} stands at {places[item.id]} already;"
                " fields.id: '' numbers the items instead",
            )  # fmt: skip
        places[item.id] = place
        found.append(item)
    if not found:
        raise DataError(path, None, "is empty; at least one item is needed")
    return found


def _of_categories(items: list[Item], source: Source) -> list[Item]:
    check_categories(items, source.categories, source.path)
    return [i for i in items if not source.categories or i.category in source.categories]


def check_categories(items: Sequence[Item], names: Sequence[str], path: str) -> None:
    """Raise InputError for a name that no item has as its category, with the nearest one."""
    known = sorted({item.category for item in items})
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known)}"
            raise InputError(f"categories: {path!r} has no category '{name}'; {hint}")
