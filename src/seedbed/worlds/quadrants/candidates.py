"""Candidate rules: what the declared rule and each plausible other one would answer."""

from collections.abc import Mapping, Sequence

import numpy as np

from seedbed.worlds.quadrants.drawn import Drawn
from seedbed.worlds.quadrants.lines import Lines
from seedbed.worlds.quadrants.plane import Ints, Plane, regions
from seedbed.worlds.quadrants.shortcuts import best_line, counts, tally, values

MAP = "map"
UNROTATED, LINE = "unrotated", "line"
LEADING = ("x1.sign", "x2.sign", "x1.units", "x2.units")


class Candidates:
    """What each rule says about a point, given the word's category.

    - `map`: the category's own map; `other-map-1`, …: each other distinct map;
    - `unrotated`: its map with the boundary along the axes;
    - `line`: the two sides of the one straight line that is right most often, unless the
      boundary is one;
    - `by-x1.sign`, …: the label that the category's training lines had most often with that token;
    - `distractor`: the label whose company the word beside the trigger kept.
    """

    def __init__(
        self, plane: Plane, drawn: Drawn, made: Lines, suggests: Mapping[str, str]
    ) -> None:
        self.plane, self.drawn, self.suggests = plane, drawn, suggests
        self.lines = {}
        if plane.boundary != "line":
            self.lines = {labels: best_line(plane, labels) for labels in drawn.distinct}
        self.fitted = {place: self._fit(place, made) for place in LEADING}

    def _fit(self, place: str, made: Lines) -> dict[str, tuple[str, ...]]:
        seen = values(self.plane, made.x1, made.x2)[place]
        order = list(self.drawn.maps)
        of = np.array([order.index(self.drawn.taught[w]) for w in made.words])[made.word]
        found = {}
        for index, (category, labels) in enumerate(self.drawn.maps.items()):
            mine = of == index
            table = tally(seen[mine], made.region[mine], len(labels))
            # Where the category has no such line, all of the plane speaks.
            table = table + 1e-9 * counts(self.plane)[place]
            kinds = tuple(sorted(set(labels)))
            into = np.array([[label == kind for kind in kinds] for label in labels], dtype=float)
            found[category] = tuple(kinds[k] for k in (table @ into).argmax(axis=1))
        return found

    def say(
        self, a: Ints, b: Ints, own: Ints, category: Sequence[str], beside: Sequence[str]
    ) -> list[dict[str, str]]:
        """Rule → label for each of the points (a, b), which lie in the regions `own`."""
        plane, maps = self.plane, self.drawn.maps
        straight = None if plane.straight is None else regions(plane.straight, a, b).tolist()
        lines = {m: line.say(plane, a, b) for m, line in self.lines.items()}
        at = {place: v.tolist() for place, v in values(plane, a, b).items()}
        found = []
        for i, (name, region) in enumerate(zip(category, own.tolist(), strict=True)):
            others = [m for m in self.drawn.distinct if m != maps[name]]
            said = {MAP: maps[name][region]}
            said |= {f"other-map-{k + 1}": m[region] for k, m in enumerate(others)}
            if straight is not None:
                said[UNROTATED] = maps[name][straight[i]]
            if lines:
                said[LINE] = lines[maps[name]][i]
            said |= {f"by-{place}": by[name][at[place][i]] for place, by in self.fitted.items()}
            if beside[i]:
                said["distractor"] = self.suggests[beside[i]]
            found.append(said)
        return found
