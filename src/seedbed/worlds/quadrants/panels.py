"""Decision maps: questions over a grid of points, one panel for each of a few trigger words."""

import numpy as np

from seedbed.core.rows import Question
from seedbed.worlds.quadrants.again import Again
from seedbed.worlds.quadrants.asking import Asker, Case
from seedbed.worlds.quadrants.plane import Plane
from seedbed.worlds.quadrants.writing import COMPACT

GRID = "grid"


def grid(asker: Asker) -> list[Question]:
    """`asked.grid` × `asked.grid` points for each word of `panel_words`, in the first template.

    The distractor, where there is one, is the same word throughout.
    """
    plane, many = asker.knobs.plane, asker.knobs.asked.grid
    writer = (
        asker.writers[0] if COMPACT not in asker.knobs.texts.templates else asker.writer(COMPACT)
    )
    beside = asker.beside.words[0] if asker.beside.words else ""
    if not many:
        return []
    columns, rows = axes(plane, many)
    words = panel_words(asker)
    cases = [
        (f"g-{word}-{i}-{j}", Case(word, x1, x2, writer, beside))
        for word in words
        for j, x2 in enumerate(rows)
        for i, x1 in enumerate(columns)
    ]
    found = []
    for one in asker.pose(GRID, cases):
        slices = {
            "panel": one.case.trigger,
            "category": one.question.slices["category"],
            "group": words[one.case.trigger],
            "x1": writer.number(one.case.x1),
            "x2": writer.number(one.case.x2),
        }
        found.append(one.question.model_copy(update={"slices": slices}))
    return found


def axes(plane: Plane, many: int) -> tuple[list[int], list[int]]:
    """Ascending steps along x1 and x2: the middles of `many` equal parts of the range.

    Fewer where the plane has not as many steps.
    """
    found = []
    for low, high in plane.box():
        middles = low + (np.arange(many) + 0.5) * (high - low) / many
        found.append(np.unique(np.round(middles).astype(int)).tolist())
    return found[0], found[1]


def panel_words(asker: Asker) -> dict[str, str]:
    """Word → group: of each group of the second stage its first, else trained and held-out ones.

    The words are the same in every arm: the first that may be a proxy, and the last.
    """
    drawn = asker.drawn
    if isinstance(asker, Again):
        groups, could = asker.cast.groups, asker.cast.could
        apart = ("taught", "taught-new-word", "relative", "same-map", "other-map")
        words = [groups[name][0] for name in apart[:2] if groups[name]]
        words += [could[0], could[-1]] if could else []
        words += [groups[name][0] for name in apart[2:] if groups[name]]
        return {word: asker.cast.group[word] for word in words}
    named = list(drawn.maps)[: asker.knobs.asked.panels]
    found = {}
    for name in named:
        kind = "withheld" if name in drawn.withheld else "trained"
        found[drawn.trained[name][0]] = kind
        if drawn.held[name]:
            found[drawn.held[name][0]] = "held-out"
    return found
