"""Rows, truth and claims to and from the format of Hugging Face `datasets`, without loss.

Arrow wants the same keys in every row, so a mapping travels as a list of {name, value} and
`meta`, which may hold anything, as JSON text. Truth and claims travel in long form: a row a cell.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from seedbed.core.config import digest, first_problem
from seedbed.core.errors import DataError, InputError, MissingExtra
from seedbed.core.files import atomic_folder, read_json, read_rows, write_json, write_rows
from seedbed.core.frames import ranks
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.core.tables import write_claim

ABOUT = "seedbed.json"
"""What rows cannot hold: the finders' notes, the names of the truth's labels, their order."""
ROWS: dict[str, type[BaseModel]] = {"documents": Document, "questions": Question, "pairs": Pair}
TRUTH, CLAIMS, CROSSED = "truth", "claims", "crossed"
_MAPPINGS = ("slices", "rules", "marks")


@dataclass(frozen=True)
class Shared:
    """The rows of one seed, with what is known and claimed of them; any part may be absent."""

    documents: Sequence[Document] = ()
    questions: Sequence[Question] = ()
    pairs: Sequence[Pair] = ()
    truth: Truth | None = None
    claims: Mapping[str, Claim] = field(default_factory=dict)

    @classmethod
    def of_run(cls, folder: Path, seed: int, sites: str = "") -> "Shared":
        """One seed of a run: its world's own kind of site, or the crossed one called `sites`.

        Raises InputError if the run has no such seed or seed no such sites.
        """
        here = folder / "seeds" / str(seed)
        if not here.is_dir():
            known = sorted(p.name for p in (folder / "seeds").glob("*") if p.name.isdigit())
            there = f"there are: {', '.join(known)}" if known else "there are none"
            raise InputError(f"{folder}: has no seed {seed}; {there}")
        if sites:
            if sites not in (known := crossed_of(folder, seed)):
                there = f"there are: {', '.join(known)}" if known else "it has but its world's own"
                raise InputError(f"{folder}: seed {seed} has no claims about {sites!r}; {there}")
            here = here / CROSSED / sites
        claims = {p.parent.name.removeprefix("find-"): Claim.load(p)
                  for p in sorted(here.glob("find-*/claim.npz"))}  # fmt: skip
        rows = cls.of_rows(here / "data")
        truth = Truth.load(here / "truth.npz") if sites else rows.truth
        return cls(rows.documents, rows.questions, rows.pairs, truth, claims)

    @classmethod
    def of_rows(cls, folder: Path) -> "Shared":
        """Rows and truth as `seedbed data` writes them, claims as `write` does."""
        found: dict[str, Any] = {}
        for name, row in ROWS.items():
            path = folder / f"{name}.jsonl"
            # An empty file is what a world without pairs writes.
            if path.exists() and path.stat().st_size:
                found[name] = read_rows(path, row)
        if (folder / "truth.npz").exists():
            found["truth"] = Truth.load(folder / "truth.npz")
        if not found:
            raise InputError(f"{folder}: no rows here; one of {', '.join(ROWS)}.jsonl is needed")
        claims = {p.stem: Claim.load(p) for p in sorted((folder / CLAIMS).glob("*.npz"))}
        return cls(**found, claims=claims)

    def write(self, folder: Path) -> None:
        """Write as JSONL; truth and claims as .npz too, which lose nothing."""
        _check_out(folder)
        with atomic_folder(folder) as temporary:
            for name in ROWS:
                write_rows(temporary / f"{name}.jsonl", getattr(self, name))
            if self.truth is not None:
                self.truth.save(temporary / "truth.npz")
            for name, claim in self.claims.items():
                claim.save(temporary / CLAIMS / f"{name}.npz")
                write_claim(temporary / CLAIMS / f"{name}.jsonl", claim)
            write_json(temporary / ABOUT, {"rows": self.counts()})

    def counts(self) -> dict[str, int]:
        """How many rows of each kind, and claims."""
        counts = {name: len(getattr(self, name)) for name in ROWS}
        return {**counts, TRUTH: int(self.truth is not None), CLAIMS: len(self.claims)}


def crossed_of(folder: Path, seed: int) -> list[str]:
    """The other kinds of site, beside its world's own, that a seed of a run has claims about."""
    found = (folder / "seeds" / str(seed) / CROSSED).glob("*/truth.npz")
    return sorted(p.parent.name for p in found if any(p.parent.glob("find-*/claim.npz")))


def write_datasets(shared: Shared, folder: Path, parquet: bool = False) -> None:
    """Write a dataset for each kind of rows: a folder of `save_to_disk`, or a Parquet file.

    Raises MissingExtra without the package `datasets`, InputError if `folder` holds other things.
    """
    _check_out(folder)
    tables: dict[str, tuple[dict[str, Any], Any]] = {
        name: (_columns(rows), _features()[name])
        for name in ROWS
        if (rows := [_encoded(row) for row in getattr(shared, name)])
    }
    if shared.truth is not None:
        tables[TRUTH] = _truth_columns(shared.truth), _features()[TRUTH]
    if shared.claims:
        tables[CLAIMS] = _claim_columns(shared.claims), _features()[CLAIMS]
    module = _module()
    with atomic_folder(folder) as temporary:
        for name, (columns, features) in tables.items():
            made = module.Dataset.from_dict(columns, features=features)
            if parquet:
                made.to_parquet(temporary / f"{name}.parquet")
                continue
            # Its own fingerprint is random, and the same rows should give the same bytes.
            same = digest(columns)[:16]
            made = module.Dataset(made.data, info=made.info, fingerprint=same)
            made.save_to_disk(temporary / name)
        write_json(temporary / ABOUT, _about(shared))


def read_datasets(folder: Path) -> Shared:
    """Read what `write_datasets` wrote, or a folder of such datasets fetched from elsewhere.

    Raises DataError with the row for one that is unfit, MissingExtra without `datasets`.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; one with datasets is needed")
    about = read_json(folder / ABOUT) if (folder / ABOUT).exists() else {}
    found: dict[str, Any] = {}
    for name, row in ROWS.items():
        if (rows := _rows_of(folder, name)) is not None:
            found[name] = [_decoded(folder / name, i, row, value) for i, value in enumerate(rows)]
    if (rows := _rows_of(folder, TRUTH)) is not None:
        found["truth"] = _truth(folder / TRUTH, list(rows), about.get(TRUTH, {}))
    if (rows := _rows_of(folder, CLAIMS)) is not None:
        found["claims"] = _claims(folder / CLAIMS, list(rows), about.get(CLAIMS, {}))
    if not found:
        names = ", ".join((*ROWS, TRUTH, CLAIMS))
        raise InputError(f"{folder}: no datasets here; folders or .parquet files named: {names}")
    return Shared(**found)


def _module() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra("datasets", "share") from error
    datasets.disable_progress_bars()
    return datasets


def _features() -> dict[str, Any]:
    module = _module()
    text, whole, number = (module.Value(kind) for kind in ("string", "int64", "float64"))
    texts = [{"name": text, "value": text}]
    question = {
        "id": text, "prompt": text, "choices": [text], "answer": text, "cause": text,
        "split": text, "slices": texts, "places": [{"name": text, "start": whole, "end": whole}],
        "rules": texts, "label": text,
    }  # fmt: skip
    document = {
        "id": text, "text": text, "targets": [[whole]], "weight": number, "role": text,
        "facts": [text], "shows": [text], "marks": [{"name": text, "value": number}], "meta": text,
    }  # fmt: skip
    cell = {"question": text, "site": text, "sites": text}
    kinds = {
        "documents": document,
        "questions": question,
        "pairs": {"id": text, "clean": question, "corrupt": question, "cause": text},
        TRUTH: {**cell, "value": number, "label": text},
        CLAIMS: {"finder": text, **cell, "score": number, "rank": whole},
    }
    return {name: module.Features(columns) for name, columns in kinds.items()}


def _encoded(row: BaseModel) -> dict[str, Any]:
    plain = row.model_dump(mode="json")
    for twin in ("clean", "corrupt"):
        if twin in plain:
            plain[twin] = _encoded(getattr(row, twin))
    for key in _MAPPINGS:
        if key in plain:
            plain[key] = [{"name": n, "value": v} for n, v in plain[key].items()]
    if "places" in plain:
        places = plain["places"].items()
        plain["places"] = [{"name": n, "start": a, "end": b} for n, (a, b) in places]
    if "meta" in plain:
        plain["meta"] = json.dumps(plain["meta"], ensure_ascii=False)
    return plain


def _decoded(path: Path, index: int, row: type[BaseModel], value: Mapping[str, Any]) -> Any:
    try:
        return row.model_validate(_plain(value))
    except ValidationError as error:
        raise DataError(path, index + 1, first_problem(error, row)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(path, index + 1, f"not a row of seedbed's: {error}") from error


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    plain = dict(value)
    for twin in ("clean", "corrupt"):
        if twin in plain:
            plain[twin] = _plain(plain[twin])
    for key in _MAPPINGS:
        if key in plain:
            plain[key] = {entry["name"]: entry["value"] for entry in plain[key]}
    if "places" in plain:
        plain["places"] = {e["name"]: (e["start"], e["end"]) for e in plain["places"]}
    if "meta" in plain:
        plain["meta"] = json.loads(plain["meta"])
    return plain


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {key: [row[key] for row in rows] for key in rows[0]}


def _cells(axes: Truth | Claim) -> dict[str, Any]:
    count = len(axes.questions) * len(axes.sites)
    return {
        "question": [q for q in axes.questions for _ in axes.sites],
        "site": list(axes.sites) * len(axes.questions),
        "sites": [str(axes.site_kind)] * count,
    }


def _truth_columns(truth: Truth) -> dict[str, Any]:
    values = [None if np.isnan(v) else float(v) for v in truth.values.ravel()]
    return {
        **_cells(truth),
        "value": values,
        "label": [truth.names[k] for k in truth.labels.ravel()],
    }


def _claim_columns(claims: Mapping[str, Claim]) -> dict[str, list[Any]]:
    """Every claim's cells in order of its axes; rank 1 is the highest score of a question."""
    columns: dict[str, list[Any]] = {}
    for name, claim in claims.items():
        cells = {"finder": [name] * claim.scores.size, **_cells(claim),
                 "score": claim.scores.ravel().tolist(),
                 "rank": ranks(claim).ravel().tolist()}  # fmt: skip
        for key, values in cells.items():
            columns.setdefault(key, []).extend(values)
    return columns


def _about(shared: Shared) -> dict[str, Any]:
    truth = shared.truth
    known = {} if truth is None else {"names": list(truth.names), "kind": truth.kind}
    notes = {n: {"notes": c.notes, "dtype": str(c.scores.dtype)} for n, c in shared.claims.items()}
    return {"rows": shared.counts(), TRUTH: known, CLAIMS: notes}


def _rows_of(folder: Path, name: str) -> Iterable[Mapping[str, Any]] | None:
    """The rows of one dataset; None if it is not there."""
    if (folder / f"{name}.parquet").is_file():
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise MissingExtra("datasets", "share") from error
        try:
            found: list[Mapping[str, Any]] = pyarrow.parquet.read_table(
                folder / f"{name}.parquet"
            ).to_pylist()
        except (OSError, ValueError) as error:
            raise DataError(folder / f"{name}.parquet", None, f"not Parquet: {error}") from error
        return found
    if not (folder / name).is_dir():
        return None
    try:
        loaded: Iterable[Mapping[str, Any]] = _module().load_from_disk(str(folder / name))
    except (OSError, ValueError) as error:
        what = " ".join(str(error).split())
        raise DataError(folder / name, None, f"not a dataset on disk: {what}") from error
    return loaded


def _grid(
    path: Path, rows: Sequence[Mapping[str, Any]], key: str
) -> tuple[tuple[str, ...], tuple[str, ...], list[list[Any]]]:
    """Axes and one value a cell; raises DataError where a cell is missing or stands twice."""
    try:
        questions = tuple(dict.fromkeys(row["question"] for row in rows))
        sites = tuple(dict.fromkeys(row["site"] for row in rows))
        cells = {(row["question"], row["site"]): row[key] for row in rows}
    except KeyError as error:
        raise DataError(path, None, f"has no column {error}") from error
    if len(cells) != len(rows) or len(cells) != len(questions) * len(sites):
        raise DataError(path, None, f"{len(rows)} rows are not the cells of"
                        f" {len(questions)} questions × {len(sites)} sites")  # fmt: skip
    return questions, sites, [[cells[q, s] for s in sites] for q in questions]


def _truth(path: Path, rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> Truth:
    questions, sites, values = _grid(path, rows, "value")
    labels = _grid(path, rows, "label")[2]
    names = tuple(about.get("names") or dict.fromkeys(label for row in labels for label in row))
    number = {name: i for i, name in enumerate(names)}
    known = np.array([[np.nan if v is None else v for v in row] for row in values])
    index = np.array([[number[label] for label in row] for row in labels], dtype=np.int16)
    return Truth(questions, sites, known, index, names, _site_kind(path, rows),
                 about.get("kind", "declared"))  # fmt: skip


def _claims(
    path: Path, rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]
) -> dict[str, Claim]:
    return {name: _claim(path, list(some), about.get(name, {})) for name, some in _by_finder(rows)}


def _claim(path: Path, rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> Claim:
    questions, sites, scores = _grid(path, rows, "score")
    values = np.array(scores, dtype=about.get("dtype", "float64"))
    return Claim(questions, sites, values, _site_kind(path, rows), dict(about.get("notes", {})))


def _by_finder(
    rows: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(str(row.get("finder", "claim")), []).append(row)
    yield from groups.items()


def _site_kind(path: Path, rows: Sequence[Mapping[str, Any]]) -> SiteKind:
    try:
        return SiteKind(rows[0].get("sites", "document"))
    except ValueError as error:
        raise DataError(path, 1, f"sites: {error}") from error


def _check_out(folder: Path) -> None:
    if folder.is_file():
        raise InputError(f"{folder}: is a file, a folder is needed")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / ABOUT).exists():
        raise InputError(f"{folder}: holds other things; give a new folder")
