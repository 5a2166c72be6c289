"""The declared truth about cells within a study: a world's places spelt out for its subject.

A world knows no model's depth, so its truth speaks of bands; claims have one site a cell.
"""

from collections.abc import Sequence
from pathlib import Path

from seedbed.core.cells import at_cells, depth
from seedbed.core.errors import InputError
from seedbed.core.files import write_json
from seedbed.core.sites import Claim, Truth
from seedbed.finders.chance import random_claim

TRUTH = Path("cells", "truth.npz")


def add_truth_and_chance(here: Path, finders: Sequence[str]) -> None:
    """Write the truth of the claims' cells and a chance claim into one seed's folder.

    Claims keep the order of the first one's cells. Raises InputError where one speaks of
    other cells.
    """
    claims = {name: Claim.load(here / f"find-{name}" / "claim.npz") for name in finders}
    first, leading = next(iter(claims.items()))
    for name, claim in claims.items():
        if set(claim.sites) != set(leading.sites):
            raise InputError(f"finder '{name}': its cells are not those of '{first}'")
        if claim.sites != leading.sites:
            claim.arranged(leading.sites).save(here / f"find-{name}" / "claim.npz")
    declared = Truth.load(here / "data" / "truth.npz").select(leading.questions)
    blocks = depth(leading.sites)
    if blocks is None:
        raise InputError(f"finder '{first}': its sites are not named as cells are")
    at_cells(declared, leading.sites, blocks).save(here / TRUTH)
    drawn = random_claim(int(here.name), leading.questions, leading.sites, leading.site_kind)
    drawn.save(here / "find-chance" / "claim.npz")
    nothing = {"seconds": 0.0, "peak_mib": 0.0, "epochs": None, "shared_by": 1}
    write_json(here / "find-chance" / "cost.json", nothing)
