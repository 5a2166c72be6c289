"""crossed.json: how finders of other kinds of site than the world's own did on the same subject."""

from typing import Any

from seedbed.core.rows import Row
from seedbed.core.sites import SiteKind


class Crossed(Row):
    """One kind of site: what its declared truth says here, and every row of its scores.

    `scores` are rows as in scores.json, marked against the view's declared truth and, for cells,
    against exact patching (`truth: measured`); `asked` counts questions over all seeds, `causes`
    what intervals are drawn from, seed by seed. `reason` says why there are no scores, where there
    are none.
    """

    sites: SiteKind
    meaning: str
    asked: int = 0
    causes: int = 0
    scores: tuple[dict[str, Any], ...] = ()
    reason: str = ""
