"""The rows of incentives.json from what was measured in every cell, seed and round of a study.

What a number is, stands with the function that makes its section; see `incentives_sections`,
`incentives_checks` and `incentives_across`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from seedbed.core.incentives import IncentiveRow
from seedbed.scoring.incentives_across import lengths, matrix, optimum
from seedbed.scoring.incentives_cells import Cell, Rounds
from seedbed.scoring.incentives_checks import agreement, failures, probes, vetoes
from seedbed.scoring.incentives_sections import (
    behaviour,
    emergence,
    goodhart,
    over_controls,
    targeting,
)


def rows(
    tables: Mapping[tuple[str, str], Sequence[Rounds]],
    optima: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
    trained: Mapping[str, Sequence[str]] | None = None,
    controls: Sequence[str] = (),
    turns: Mapping[str, int] | None = None,
    gameable: Mapping[str, float] | None = None,
) -> list[IncentiveRow]:
    """All rows, cell by cell; `tables[condition, arm][seed][round]` are tables by name.

    Tables are called exact:ENV, played:ENV, again=JUDGE:ENV or safety:FORM; a round that not all
    seeds have has no rows. `optima[condition][name]` are the known policies as plain values,
    `trained[condition]` the environments that agents are trained in (default: all asked about),
    `controls` the arms that the others are compared with, `turns[condition]` the most turns of an
    episode, where these differ, `gameable[condition]` the share of users of that kind (default: as
    many as were asked). Raises ValueError where arms of a condition have not the same
    number of seeds.
    """
    known = {
        key: Cell(*key, found, tuple((trained or {}).get(key[0], ())), (gameable or {}).get(key[0]))
        for key, found in tables.items()
    }
    found: list[IncentiveRow] = []
    for (condition, arm), cell in known.items():
        beside = {c: known[condition, c] for c in controls if (condition, c) in known and c != arm}
        if any(len(other.tables) != len(cell.tables) for other in beside.values()):
            raise ValueError(f"arms of condition {condition!r} have different numbers of seeds")
        found += behaviour(cell)
        if arm not in controls:
            found += over_controls(cell, beside)
        for section in (targeting, emergence, goodhart, vetoes, matrix, probes, agreement):
            found += section(cell)
        found += lengths(cell, known, turns or {})
        found += failures(cell)
    for condition, policies in (optima or {}).items():
        for policy in policies.values():
            found += optimum(condition, policy)
    return found
