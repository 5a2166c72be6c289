"""Scores of a crossing: against the declared truth, and for cells against exact patching.

The reference is one finder's claim, so its own row is left out and the oracle stands in its place.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seedbed.core.units import Units
from seedbed.scoring.agreement import agreement, top_share
from seedbed.scoring.intervals import Bootstrap, Interval
from seedbed.scoring.measured import ORACLE
from seedbed.scoring.rows import (
    ScoreRow,
    SeedResults,
    collect,
    number,
    question_slices,
    score_row,
    slice_keys,
)

PEARSON, RECALL = "pearson", "recall@2%"
Floats = NDArray[np.float64]


def collect_crossed(results: Sequence[SeedResults], exact: str = "") -> list[ScoreRow]:
    """Rows as in scores.json; those of truth "measured" where `exact` names the reference."""
    rows = collect(results)
    return [*rows, *against_exact(results, exact)] if exact else rows


def against_exact(results: Sequence[SeedResults], exact: str) -> list[ScoreRow]:
    """Every other finder against the sizes of effects that `exact` claims, question by question.

    `pearson`: correlation over the cells that move anything; `recall@2%`: the share of the
    strongest of them that stand on top of the claim (see `agreement`). Chance is 0 and the share
    of cells that are drawn, the oracle 1.
    """
    results = sorted(results, key=lambda r: r.seed)
    bootstrap = Bootstrap([[q.cause for q in r.questions] for r in results])
    keys = slice_keys(results)
    masks = [question_slices(r, keys) for r in results]
    tables = [_effects(r, exact) for r in results]
    levels = [top_share(t) for t in tables]
    others = [name for name in results[0].claims if name != exact]
    marks = {
        name: [agreement(r.claims[name], t) for r, t in zip(results, tables, strict=True)]
        for name in others
    }
    rows = []
    for part in dict.fromkeys(name for m in masks for name in m):
        use = [m.get(part, np.zeros(len(m["all"]), dtype=bool)) for m in masks]
        for place, metric in enumerate((PEARSON, RECALL)):
            share = number(bootstrap.interval(_cut(levels, use)).value) if place else 0.0
            for name, found in marks.items():
                interval = bootstrap.interval(_cut([f[place] for f in found], use))
                rows.append(
                    score_row(name, "measured", metric, part, interval, share, 1.0, results)
                )
            one = Interval(1.0, 1.0, 1.0)
            rows.append(score_row(ORACLE, "measured", metric, part, one, share, 1.0, results))
    return rows


def _effects(result: SeedResults, exact: str) -> Units:
    claim = result.claims[exact].among(tuple(q.id for q in result.questions))
    causes = tuple(q.cause for q in result.questions)
    return Units(claim.questions, causes, claim.sites, np.asarray(claim.scores, dtype=np.float64))


def _cut(values: Sequence[Floats], use: Sequence[NDArray[np.bool_]]) -> list[Floats]:
    return [np.where(u, v, np.nan) for v, u in zip(values, use, strict=True)]
