"""The declared truth within a study, brought to the sites that its claims speak of.

A world knows no model's depth, so its truth about cells speaks of bands; its truth about parts
of the input may know parts that the questions asked lack.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from seedbed.core.cells import at_cells, depth
from seedbed.core.errors import InputError
from seedbed.core.files import write_json
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.finders.chance import random_claim

TRUTHS = {
    SiteKind.CELL: Path("cells", "truth.npz"),
    SiteKind.INPUT: Path("parts", "truth.npz"),
    SiteKind.DIRECTION: Path("classes", "truth.npz"),
    SiteKind.USER: Path("kinds", "truth.npz"),
}
CROSSED = Path("truth.npz")
"""Where the truth of a view stands, beside the claims about its sites."""
NOUNS = {SiteKind.DIRECTION: "class", SiteKind.USER: "kind of user"}


def plural(kind: SiteKind) -> str:
    """Several sites of a kind, as a reader would say."""
    return "parts of the input" if kind is SiteKind.INPUT else f"{kind}s"


def add_truth_and_chance(
    here: Path, finders: Sequence[str], seed: int, place: Path | None = None
) -> None:
    """Write the truth of the claims' sites and a chance claim beside the claims of one seed.

    The truth goes to `place` below `here` (default: where its kind of site belongs). Claims keep
    the order of the first one's sites. Raises InputError where one speaks of other sites.
    """
    claims = {name: Claim.load(here / f"find-{name}" / "claim.npz") for name in finders}
    first, leading = next(iter(claims.items()))
    for name, claim in claims.items():
        if set(claim.sites) != set(leading.sites):
            raise InputError(f"finder '{name}': its sites are not those of '{first}'")
        if claim.sites != leading.sites:
            claim.arranged(leading.sites).save(here / f"find-{name}" / "claim.npz")
    declared = Truth.load(here / "data" / "truth.npz").select(leading.questions)
    spelt = _spelt(declared, leading.sites, first)
    spelt.save(here / (place or TRUTHS[declared.site_kind]))
    drawn = random_claim(seed, leading.questions, leading.sites, leading.site_kind)
    drawn.save(here / "find-chance" / "claim.npz")
    nothing = {"seconds": 0.0, "peak_mib": 0.0, "epochs": None, "shared_by": 1}
    write_json(here / "find-chance" / "cost.json", nothing)


def truth_of(here: Path) -> Truth:
    """The truth that one seed's claims are marked against."""
    for place in (CROSSED, *TRUTHS.values()):
        if (here / place).exists():
            return Truth.load(here / place)
    return Truth.load(here / "data" / "truth.npz")


def _spelt(declared: Truth, sites: tuple[str, ...], finder: str) -> Truth:
    if declared.site_kind is SiteKind.CELL:
        blocks = depth(sites)
        if blocks is None:
            raise InputError(f"finder '{finder}': its sites are not named as cells are")
        return at_cells(declared, sites, blocks)
    for site in sites:
        if site not in declared.sites:
            what = NOUNS.get(declared.site_kind, "part")
            raise InputError(f"finder '{finder}': the world has no {what} '{site}'")
    index = [declared.sites.index(site) for site in sites]
    return replace(
        declared,
        sites=sites,
        values=declared.values[:, index],
        labels=declared.labels[:, index],
    )
