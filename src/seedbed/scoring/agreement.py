"""Do claims about cells agree with what exact patching measured there?

Cells that patching cannot touch are left out: agreeing on zeros is no merit.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from seedbed.core.sites import Claim
from seedbed.core.units import Units
from seedbed.scoring.effects import pearson

Floats = NDArray[np.float64]
TOP, LEAST = 0.02, 2
SAME = 1e-4


def agreement(claim: Claim, effects: Units) -> tuple[Floats, Floats]:
    """(Pearson correlation, recall of the top 2 %) of each unit [U] of `effects`.

    The top are at least two cells. `effects` has one unit a question and one column a cell; sizes
    are compared, whatever their sign. NaN for a question with fewer than three cells that move
    anything.
    """
    row = {q: i for i, q in enumerate(claim.questions)}
    column = {s: i for i, s in enumerate(claim.sites)}
    index = [column[c] for c in effects.columns]
    correlations, recalls = [], []
    for unit, values in zip(effects.units, np.abs(effects.values), strict=True):
        scores = np.abs(np.asarray(claim.scores[row[unit], index], dtype=np.float64))
        use = np.isfinite(values) & (values > 0)
        correlations.append(_pearson(scores[use], values[use]))
        recalls.append(_recall(scores[use], values[use]))
    return np.array(correlations), np.array(recalls)


def top_share(effects: Units) -> Floats:
    """[U] the recall that a random order of the cells has: the share of them that are on top."""
    found = []
    for values in np.abs(effects.values):
        use = values[np.isfinite(values) & (values > 0)]
        found.append(float(_best(use)[0].mean()) if len(use) >= 3 else float("nan"))
    return np.array(found)


def agreements(claims: Mapping[str, Sequence[Claim]], effects: Sequence[Units]) -> list[Units]:
    """By seed, a table with columns `pearson NAME` and `recall NAME` for each finder."""
    tables = []
    for seed, table in enumerate(effects):
        columns, values = [], []
        for name, of_seeds in claims.items():
            marks = agreement(of_seeds[seed], table)
            columns += [f"pearson {name}", f"recall {name}"]
            values += [*marks]
        tables.append(Units(table.units, table.causes, tuple(columns), np.stack(values, axis=1)))
    return tables


def _pearson(scores: Floats, values: Floats) -> float:
    return float(pearson(scores, values)) if len(values) >= 3 else float("nan")


def _best(values: Floats) -> tuple[NDArray[np.bool_], int]:
    """(which effects are the largest, how many are drawn)."""
    k = max(LEAST, round(TOP * len(values)))
    # Effects that rounding alone tells apart, such as two cells that both carry everything.
    return values >= np.sort(values)[-k] - SAME * values.max(), k


def _recall(scores: Floats, values: Floats) -> float:
    if len(values) < 3:
        return float("nan")
    best, k = _best(values)
    # Ties go against the claim.
    found = np.lexsort((best, -scores))[:k]
    return float(best[found].mean())
