"""Rows of the measured truth: every claim marked against retrained subjects.

`labels` is the declared truth as a claim; `oracle` is the ceiling that seed noise leaves.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from seedbed.core.sites import SiteKind
from seedbed.scoring.effects import KINDS, RESAMPLES, Effects, Kind, Marks, drops
from seedbed.scoring.intervals import Bootstrap
from seedbed.scoring.rows import (
    LABELS,
    ScoreRow,
    SeedResults,
    number,
    oracle_claim,
    question_slices,
    score_row,
    slice_keys,
)

Floats = NDArray[np.float64]
Masks = Mapping[str, NDArray[np.bool_]]
CHANCE, ORACLE = "chance", "oracle"


def collect_measured(results: Sequence[SeedResults]) -> list[ScoreRow]:
    """Rows of truth "measured"; none if no subject was retrained.

    Metrics: `lds`, `group_r` and `single_r` (correlation over documents of one fact, or single
    ones, left out), each with 0 as chance and the ceiling as oracle; `drop@k`, the fall in nats
    of the output without a finder's top k documents, beside that of a random k and of the
    labels' k. Intervals are over seeds, causes and interventions.
    """
    results = sorted((r for r in results if r.outcomes is not None), key=lambda r: r.seed)
    if not results:
        return []
    keys = slice_keys(results)
    masks = [question_slices(r, keys) for r in results]
    bootstrap = Bootstrap([[q.cause for q in r.questions] for r in results], RESAMPLES)
    rows: list[ScoreRow] = []
    for kind in KINDS:
        rows += _of_kind(kind, results, masks, bootstrap)
    return rows + _drops(results, masks, bootstrap)


def _of_kind(
    kind: Kind,
    results: Sequence[SeedResults],
    masks: Sequence[Masks],
    bootstrap: Bootstrap,
) -> list[ScoreRow]:
    effects = [Effects(kind, r.outcomes, r.seed) for r in results if r.outcomes is not None]
    if any(e.count < 2 for e in effects):
        return []
    agreements = [e.agreement() for e in effects]
    marks: dict[str, list[Marks]] = {name: [] for name in (*_names(results), LABELS)}
    for name, found in marks.items():
        for result, effect in zip(results, effects, strict=True):
            claim = result.claims.get(name) or oracle_claim(result.truth)
            found.append(effect.mark(np.asarray(claim.scores, dtype=np.float64)))
    rows = []
    for part, use in _parts(masks):
        tops = bootstrap.interval(*_cut(agreements, use), effects[0].ceiling)
        top = number(tops.value)
        for name, found in marks.items():
            interval = bootstrap.interval(*_cut(found, use))
            rows.append(score_row(name, "measured", kind.metric, part, interval, 0.0, top, results))
        rows.append(score_row(ORACLE, "measured", kind.metric, part, tops, 0.0, top, results))
    return rows


def _names(results: Sequence[SeedResults]) -> list[str]:
    """Finders on documents: retraining leaves out nothing else."""
    claims = results[0].claims
    return [name for name, claim in claims.items() if claim.site_kind is SiteKind.DOCUMENT]


def _parts(masks: Sequence[Masks]) -> Iterator[tuple[str, list[NDArray[np.bool_]]]]:
    """Every slice of any seed, with its mask under each; empty where a seed has no such slice."""
    for part in dict.fromkeys(name for m in masks for name in m):
        yield part, [m.get(part, np.zeros(len(m["all"]), dtype=bool)) for m in masks]


def _cut(
    marks: Sequence[Marks], use: Sequence[NDArray[np.bool_]]
) -> tuple[list[Floats], list[Floats]]:
    """Values and draws with NaN for the questions that a slice does not hold."""
    values = [np.where(u, m.values, np.nan) for m, u in zip(marks, use, strict=True)]
    return values, [np.where(u, m.draws, np.nan) for m, u in zip(marks, use, strict=True)]


def _drops(
    results: Sequence[SeedResults],
    masks: Sequence[Masks],
    bootstrap: Bootstrap,
) -> list[ScoreRow]:
    found = [drops(r.outcomes) for r in results if r.outcomes is not None]
    sizes = sorted({k for f in found for _, k in f})
    rows = []
    for part, use in _parts(masks):
        for k in sizes:
            intervals = {}
            for name in (n for n in (*results[0].claims, LABELS) if (n, k) in found[0]):
                blank = [np.full(len(r.questions), np.nan) for r in results]
                values = [f.get((name, k), b) for f, b in zip(found, blank, strict=True)]
                cut = [np.where(u, v, np.nan) for v, u in zip(values, use, strict=True)]
                intervals[name] = bootstrap.interval(cut)
            level = number(intervals[CHANCE].value) if CHANCE in intervals else None
            top = number(intervals[LABELS].value)
            rows += [
                score_row(name, "measured", f"drop@{k}", part, interval, level, top, results)
                for name, interval in intervals.items()
            ]
    return rows
