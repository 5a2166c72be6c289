"""Claims of a run as one pandas table, a row a cell; scores and rows pandas reads by itself."""

from pathlib import Path
from typing import Any

import numpy as np

from seedbed.core.errors import InputError, MissingExtra
from seedbed.core.sites import Claim


def claims(folder: str | Path, sites: str = "") -> Any:
    """A DataFrame of every claim of every seed of a run, about its world's own kind of site.

    With `sites`, about that kind, which the run was crossed to.

    Columns: `seed`, `finder`, `question`, `site`, `score`, `rank` (1 is the highest score of
    that question). Raises MissingExtra without pandas, InputError if the run holds no claim.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtra("pandas", "share") from error
    tables = []
    top = Path(folder) / "seeds"
    paths = top.glob(f"*/crossed/{sites}/find-*/claim.npz" if sites else "*/find-*/claim.npz")
    for path in sorted(paths, key=lambda p: (int(p.relative_to(top).parts[0]), p.parts[-2])):
        claim = Claim.load(path)
        table = pandas.DataFrame(
            {
                "seed": int(path.relative_to(top).parts[0]),
                "finder": path.parts[-2].removeprefix("find-"),
                "question": np.repeat(claim.questions, len(claim.sites)),
                "site": np.tile(claim.sites, len(claim.questions)),
                "score": claim.scores.ravel(),
                "rank": ranks(claim).ravel(),
            }
        )
        tables.append(table)
    if not tables:
        what = f" about {sites!r}" if sites else ""
        raise InputError(f"{folder}: no claims{what} here; a folder of a run with scores is needed")
    return pandas.concat(tables, ignore_index=True)


def ranks(claim: Claim) -> Any:
    """The rank [Q, N] of every site of every question: 1 for the highest score."""
    order = np.argsort(-claim.scores, axis=1, kind="stable")
    return np.argsort(order, axis=1, kind="stable") + 1
