"""Claims and truths as JSONL in long form: a row a cell, for other people's tools.

A claim's row is {question, site, score, rank}; a truth's row is {question, site, value, label},
where cells not listed are 0 and null means that nobody knows.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from seedbed.core.cells import BANDS, Cell, at_cells, depth, symbolic
from seedbed.core.errors import DataError
from seedbed.core.files import read_objects, write_rows
from seedbed.core.sites import Claim, Truth

Entry = tuple[int | None, str, str, Any]


def write_claim(path: Path, claim: Claim) -> None:
    """Write a claim by the name's ending: .npz, else JSONL with the best sites first."""
    if path.suffix == ".npz":
        claim.save(path)
        return
    rows = []
    for question, scores in zip(claim.questions, claim.scores, strict=True):
        for rank, s in enumerate(np.argsort(-scores, kind="stable"), start=1):
            score = float(scores[s])
            rows.append(
                {"question": question, "site": claim.sites[s], "score": score, "rank": rank}
            )
    write_rows(path, rows)


def read_claim(path: Path) -> Claim:
    """Read a claim written by `write_claim` or by others; raises DataError with the line."""
    if path.suffix == ".npz":
        return Claim.load(path)
    return claim_of_cells(
        path,
        (
            (line, _text(path, line, row, "question"), _text(path, line, row, "site", "document"),
             row.get("score"))
            for line, row in read_objects(path)
        ),
    )  # fmt: skip


def claim_of_cells(path: Path, cells: Iterable[Entry], absent: float | None = None) -> Claim:
    """A claim from its cells (line, question, site, score), axes in order of appearance.

    A cell that is not there has the score `absent`. Raises DataError with the line for a score
    that is no finite number or a cell that stands twice, and for missing cells if `absent` is
    None.
    """
    questions: dict[str, int] = {}
    sites: dict[str, int] = {}
    found: dict[tuple[int, int], float] = {}
    for line, question, site, score in cells:
        q = questions.setdefault(question, len(questions))
        s = sites.setdefault(site, len(sites))
        if isinstance(score, bool) or not isinstance(score, int | float) or not np.isfinite(score):
            raise DataError(path, line, f"score: a finite number is needed, it is {score!r}")
        if (q, s) in found:
            raise DataError(path, line, "the same question and site stand on an earlier line")
        found[q, s] = float(score)
    missing = len(questions) * len(sites) - len(found)
    if missing and absent is None:
        raise DataError(
            path, None, f"{missing} cells of {len(questions)} × {len(sites)} lack a score"
        )
    scores = np.full((len(questions), len(sites)), absent or 0.0)
    for place, score in found.items():
        scores[place] = score
    return Claim(tuple(questions), tuple(sites), scores)


def write_truth(path: Path, truth: Truth) -> None:
    """Write every cell that is not a plain 0 of the first label."""
    rows = []
    for q, s in zip(*np.nonzero((truth.values != 0) | (truth.labels != 0)), strict=True):
        value = float(truth.values[q, s])
        rows.append(
            {
                "question": truth.questions[q],
                "site": truth.sites[s],
                "value": None if np.isnan(value) else value,
                "label": truth.names[truth.labels[q, s]],
            }
        )
    write_rows(path, rows)


def read_truth(path: Path, questions: tuple[str, ...], sites: tuple[str, ...]) -> Truth:
    """Read a truth for the axes of a claim; raises DataError for a cell outside them.

    Where the claim is about cells of a computation, a truth that speaks of bands
    (`first@item4`) is spelt out for them.
    """
    blocks = depth(sites)
    if blocks is None or depth(_sites_in(path)) is not None:
        return _read_truth(path, questions, sites, strict=True)
    places = dict.fromkeys(Cell.parse(site).place for site in sites)
    bands = tuple(symbolic(band, place) for band in BANDS for place in places)
    return at_cells(_read_truth(path, questions, bands, strict=False), sites, blocks)


def _sites_in(path: Path) -> tuple[str, ...]:
    if path.suffix == ".npz":
        return Truth.load(path).sites
    return tuple(_text(path, line, row, "site", "document") for line, row in read_objects(path))


def _read_truth(
    path: Path, questions: tuple[str, ...], sites: tuple[str, ...], strict: bool
) -> Truth:
    if path.suffix == ".npz":
        return _fit(path, Truth.load(path), questions, sites)
    row_of = {q: i for i, q in enumerate(questions)}
    column_of = {s: i for i, s in enumerate(sites)}
    values = np.zeros((len(questions), len(sites)))
    names = ["unrelated"]
    labels = np.zeros(values.shape, dtype=np.int16)
    for line, row in read_objects(path):
        site = _text(path, line, row, "site", "document")
        q = row_of.get(_text(path, line, row, "question"))
        if q is None:
            continue
        if site not in column_of:
            if not strict and site.startswith(tuple(symbolic(band, "") for band in BANDS)):
                continue
            raise DataError(path, line, f"site {site!r} is not among the claim's sites")
        value = row.get("value")
        if value not in (0, 1, None):
            raise DataError(path, line, f"value: 1, 0 or null is needed, it is {value!r}")
        label = str(row.get("label", {1: "evidence:0", 0: "unrelated", None: "unknown"}[value]))
        if label not in names:
            names.append(label)
        values[q, column_of[site]] = np.nan if value is None else value
        labels[q, column_of[site]] = names.index(label)
    return Truth(questions, sites, values, labels, tuple(names))


def _fit(path: Path, truth: Truth, questions: tuple[str, ...], sites: tuple[str, ...]) -> Truth:
    for noun, have, want in (
        ("question", truth.questions, questions),
        ("site", truth.sites, sites),
    ):
        known = set(have)
        if missing := [w for w in want if w not in known]:
            raise DataError(path, None, f"knows nothing of the claim's {noun} {missing[0]!r}")
    place = {s: i for i, s in enumerate(truth.sites)}
    columns = [place[s] for s in sites]
    chosen = truth.select(questions)
    return Truth(questions, sites, chosen.values[:, columns], chosen.labels[:, columns],
                 truth.names, truth.site_kind, truth.kind)  # fmt: skip


def _text(path: Path, line: int, row: dict[str, Any], *names: str) -> str:
    for name in names:
        if name in row:
            return str(row[name])
    raise DataError(path, line, f"has no {' or '.join(names)}")
