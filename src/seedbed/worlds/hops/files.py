"""The files of influence-benchmarking-hops, so that its data and rankings can be used here.

Two forms of document row are read: its generator's (`uid`, `func`, …) and its README's
(`training_status`, `metadata`). Rankings are the same rows with a score and a rank.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from seedbed.core.errors import DataError, InputError
from seedbed.core.files import read_rows, write_rows
from seedbed.core.rows import Document

FIELDS = ("func", "base_func", "role", "type", "hop_depth", "constant")
"""The original's fields beside `uid`, `parent_uid` and `text`; they live in `Document.meta`."""

SCORE = "influence_score"
TRAINED = "train"


@dataclass(frozen=True)
class Ranked:
    """A document with its influence (higher = more) and its rank (1 = most)."""

    document: Document
    score: float
    rank: int


def read_original(path: Path) -> list[Document]:
    """Documents of either form; `role` is the original's, `weight` 0 if it was not trained on.

    A base's document carries the fact `F = constant`; a wrapper's the fact `F -> G` where the
    row says what it calls (key `called`, or depth 1, which calls its base). Raises DataError
    with the line for a row without a text, with a duplicate uid, or with an unfit hop_depth.
    """
    return read_rows(path, Document, lambda line, row: _document(path, line, row))


def write_original(
    path: Path, documents: Sequence[Document], form: Literal["generator", "readme"] = "generator"
) -> None:
    """Write `documents` in one of the original's forms, atomically.

    Raises InputError naming the document and the field of `meta` that is missing.
    """
    write_rows(path, [_row(d, form) for d in documents])


def read_ranked(path: Path) -> list[Ranked]:
    """A ranking, most influential first; the score is the key that ends in `influence_score`.

    Without a `rank` the rank follows from the scores, ties in the file's order. Raises DataError
    for a row with no such key or several, for a score that is not a finite number, and where
    a rank contradicts the scores.
    """
    scores: dict[str, float] = {}
    ranks: dict[str, int] = {}

    def adapt(line: int, row: dict[str, Any]) -> dict[str, Any]:
        keys = [key for key in row if key.endswith(SCORE)]
        if len(keys) != 1:
            found = "none" if not keys else ", ".join(keys)
            raise DataError(path, line, f"one key ending in '{SCORE}' is needed, found {found}")
        score, rank = row[keys[0]], row.get("rank")
        if (
            isinstance(score, bool)
            or not isinstance(score, int | float)
            or not math.isfinite(score)
        ):
            raise DataError(path, line, f"{keys[0]}: a finite number is needed, found {score!r}")
        if rank is not None and (isinstance(rank, bool) or not isinstance(rank, int) or rank < 1):
            raise DataError(path, line, f"rank: a whole number from 1 is needed, found {rank!r}")
        rest = {key: value for key, value in row.items() if key not in (keys[0], "rank")}
        found_row = _document(path, line, rest)
        scores[found_row["id"]] = float(score)
        if rank is not None:
            ranks[found_row["id"]] = rank
        return found_row

    documents = read_rows(path, Document, adapt)
    if ranks and len(ranks) != len(documents):
        raise DataError(
            path, None, f"{len(ranks)} of {len(documents)} rows have a rank: all or none"
        )
    order = sorted(documents, key=lambda d: (ranks.get(d.id, 0), -scores[d.id]))
    for above, below in pairwise(order):
        if ranks and ranks[above.id] == ranks[below.id]:
            raise DataError(path, None, f"rank {ranks[above.id]} stands twice")
        if scores[above.id] < scores[below.id]:
            raise DataError(path, None, f"{above.id!r} ranks above {below.id!r} with a lower score")
    return [Ranked(d, scores[d.id], ranks.get(d.id, i)) for i, d in enumerate(order, start=1)]


def write_ranked(
    path: Path, documents: Sequence[Document], scores: Sequence[float], method: str = ""
) -> None:
    """Write `documents` by falling score, ties by id; the key is `[method_]influence_score`.

    Raises InputError if there is not one finite score for each document.
    """
    if len(scores) != len(documents):
        raise InputError(f"{path}: {len(scores)} scores for {len(documents)} documents")
    for document, score in zip(documents, scores, strict=True):
        if not math.isfinite(score):
            raise InputError(f"{path}: the score of document {document.id!r} is {score}")
    key = f"{method}_{SCORE}" if method else SCORE
    order = sorted(zip(documents, scores, strict=True), key=lambda pair: (-pair[1], pair[0].id))
    write_rows(
        path,
        [
            {**_row(document, "generator"), key: float(score), "rank": rank}
            for rank, (document, score) in enumerate(order, start=1)
        ],
    )


def _document(path: Path, line: int, row: dict[str, Any]) -> dict[str, Any]:
    """The fields of a Document, from a row of either form."""
    if not isinstance(row.get("text"), str) or not row["text"]:
        raise DataError(path, line, "text: is missing or empty; every row needs one")
    nested = row.get("metadata", {})
    if not isinstance(nested, dict):
        raise DataError(path, line, f"metadata: an object is needed, found {type(nested).__name__}")
    flat = {**nested, **{k: v for k, v in row.items() if k not in ("metadata", "text")}}
    depth = flat.get("hop_depth")
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int)):
        raise DataError(path, line, f"hop_depth: a whole number is needed, found {depth!r}")
    key = flat.pop("uid", None)
    weight = 1.0 if flat.get("training_status", TRAINED) == TRAINED else 0.0
    return {
        "id": str(key) if key is not None else f"line-{line}",
        "text": row["text"],
        "weight": weight,
        "role": str(flat.get("role", "")),
        "facts": _facts(flat),
        "meta": flat,
    }


def _facts(flat: dict[str, Any]) -> tuple[str, ...]:
    func, role = flat.get("func"), flat.get("role")
    if func and role == "constant" and flat.get("constant") is not None:
        return (f"{func} = {flat['constant']}",)
    base = flat.get("base_func") if flat.get("hop_depth") == 1 else None
    called = flat.get("called") or base
    return (f"{func} -> {called}",) if func and role == "identity" and called else ()


def _row(document: Document, form: str) -> dict[str, Any]:
    meta = document.meta
    for name in ("hop_depth",) if form == "readme" else FIELDS:
        if name not in meta:
            raise InputError(
                f"document {document.id!r}: meta has no {name!r}, which the file needs"
            )
    if form == "generator":
        named = {name: meta[name] for name in FIELDS}
        parent = str(meta.get("parent_uid", document.id))
        return {"uid": document.id, "parent_uid": parent, **named, "text": document.text}
    status = str(meta.get("training_status") or (TRAINED if document.weight else "held_out"))
    outer = ("hop_depth", "training_status", "split_group")
    return {
        "text": document.text,
        "hop_depth": meta["hop_depth"],
        "training_status": status,
        "split_group": str(meta.get("split_group", "")),
        "metadata": {"uid": document.id} | {k: v for k, v in meta.items() if k not in outer},
    }
