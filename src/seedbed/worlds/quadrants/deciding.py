"""The declared truth: which parts of a prompt can change the label when they alone change."""

import numpy as np
from numpy.typing import NDArray

from seedbed.core.sites import SiteKind, Truth
from seedbed.worlds.quadrants.asking import NEW_RANGE, Asker, Case, Placed
from seedbed.worlds.quadrants.plane import Ints, Plane, regions
from seedbed.worlds.quadrants.shortcuts import values
from seedbed.worlds.quadrants.writing import place_names

NAMES = ("decides", "idle", "absent", "unknown")
"""What a part can be for a question; `unknown`: whether a distractor counts, nobody can say."""


def declared(asker: Asker) -> Truth:
    """Questions × parts: 1 iff some other value of the part alone changes the declared label.

    Other values are those written alike and within the range (for points beyond it, within
    what lies beyond); any other trained word for the trigger. A part that the prompt lacks is
    NaN, as is a distractor that kept a label's company in training.
    """
    knobs, placed = asker.knobs, asker.placed
    sites = place_names(knobs.plane, knobs.distractor is not None)
    truth = np.full((len(placed), len(sites)), np.nan)
    index = {name: i for i, name in enumerate(NAMES)}
    labels = np.full(truth.shape, index["absent"], dtype=np.int16)
    for q, one in enumerate(placed):
        deciding = changing(asker, one)
        for s, site in enumerate(sites):
            if site not in one.question.places:
                continue
            if site == "distractor" and asker.beside.share > 0:
                labels[q, s] = index["unknown"]
                continue
            truth[q, s] = float(site in deciding)
            labels[q, s] = index["decides" if site in deciding else "idle"]
    ids = tuple(one.question.id for one in placed)
    return Truth(ids, sites, truth, labels, NAMES, SiteKind.INPUT, "declared")


def changing(asker: Asker, one: Placed) -> set[str]:
    """The parts of which some other value alone changes the label."""
    plane, trigger = asker.knobs.plane, one.case.trigger
    own = asker.label(trigger, one.region)
    differs = np.array([asker.label(trigger, r) != own for r in range(len(plane.names))])
    found = set()
    for name in ("x1", "x2"):
        a, b, alike = moved(plane, name, one.case, far=one.question.split == NEW_RANGE)
        changed = differs[regions(plane, a, b)]
        found |= {part for part, mine in alike.items() if bool(changed[mine].any())}
    if any(asker.label(word, one.region) != own for word in asker.drawn.taught):
        found.add("trigger")
    return found


def moved(
    plane: Plane, name: str, case: Case, far: bool = False
) -> tuple[Ints, Ints, dict[str, NDArray[np.bool_]]]:
    """The points with any value of the coordinate `name`, and which differ in each part alone.

    Of the number itself that is all but its own value; of a digit, those with its own other
    digits and sign.
    """
    first = name == "x1"
    value, still = (case.x1, case.x2) if first else (case.x2, case.x1)
    low, high = plane.box(far)[0 if first else 1]
    steps = np.arange(low, high + 1)
    at = {part: v for part, v in values(plane, steps, steps).items() if part.startswith(name)}
    same = {part: v == v[value - low] for part, v in at.items()}
    alike = {name: steps != value}
    for part in at:
        alike[part] = ~same[part] & np.all([same[p] for p in at if p != part], axis=0)
    rest = np.full(steps.shape, still)
    return (steps, rest, alike) if first else (rest, steps, alike)
