"""What directions read on held-out questions, and how alike they are, as tables of units.

One pass over the questions serves all directions, cells and tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from seedbed.core.cells import Cell
from seedbed.core.directions import Directions
from seedbed.core.rows import Question
from seedbed.core.selectivity import CHOSEN, Column
from seedbed.core.units import Units
from seedbed.finders.kept import states_of
from seedbed.finders.lines import evenly
from seedbed.finders.placement import Floats, influences, right
from seedbed.finders.states import States
from seedbed.models.subject import Subject

ALL = "all"
DEPTHS = 16
"""Sites of one place whose directions are compared with one another."""


def told(
    subject: Subject,
    directions: Mapping[str, Directions],
    held_out: Sequence[Question],
    kinds: Mapping[str, str],
) -> dict[str, Units]:
    """All that directions read: `decodable:all` on the questions whose class `kinds` tells, and
    `cosine:all`. {} without directions.
    """
    if not directions:
        return {}
    known = [q for q in held_out if q.id in kinds]
    if not known:
        return cosines(directions)
    causes = {q.id: q.cause or q.id for q in known}
    found: list[Units] = []
    for answer in (False, True):
        # Means over prompt and answer are other states than those over prompts.
        some = {n: d for n, d in directions.items() if bool(d.made.get("answer")) is answer}
        if some:
            names = dict.fromkeys(site for d in some.values() for site in d.sites)
            cells = [Cell.parse(name) for name in names]
            with states_of(subject, known, cells, answer=answer) as states:
                found += decodable(some, states, kinds, causes).values()
    table = replace(found[0], columns=tuple(c for t in found for c in t.columns),
                    values=np.concatenate([t.values for t in found], 1))  # fmt: skip
    return {f"decodable:{ALL}": table, **cosines(directions)}


def decodable(
    directions: Mapping[str, Directions],
    states: States,
    kinds: Mapping[str, str],
    causes: Mapping[str, str] | None = None,
) -> dict[str, Units]:
    """`decodable:all`: a row a question; columns `auc` and `accuracy` by direction and site.

    `auc` holds influence values: their mean over questions is the area under the ROC curve
    whatever the classes' sizes, and its spread that of the area; `accuracy` is 1 on the right
    side of the threshold, 1/2 on it. The site `chosen` repeats the one that was chosen on dev.
    NaN where a question lacks the place. Raises KeyError for a question whose class `kinds` does
    not tell.
    """
    classes = np.array([kinds[q] for q in states.questions])
    columns: dict[str, Floats] = {}
    by_site: dict[str, list[str]] = {}
    for name, d in directions.items():
        for site in d.sites:
            by_site.setdefault(site, []).append(name)
    for site, names in by_site.items():
        x = states.at(Cell.parse(site)).double().numpy()
        here = np.isfinite(x[:, 0])
        for name in names:
            d = directions[name]
            row = d.at(site)
            scores = x[here] @ d.vectors[row].astype(np.float64) - float(d.middle[row])
            positive = classes[here] == d.positive
            marks = {"auc": influences(scores, positive), "accuracy": right(scores, positive)}
            for what, values in marks.items():
                whole = np.full(len(classes), np.nan)
                whole[here] = values
                columns[Column(what, name, site).key] = whole
                if site == d.made.get("site"):
                    columns[Column(what, name, CHOSEN).key] = whole
    values = np.column_stack(list(columns.values()))
    units = states.questions
    told_causes = tuple((causes or {}).get(q, q) for q in units)
    return {f"decodable:{ALL}": Units(units, told_causes, tuple(columns), values)}


def cosines(directions: Mapping[str, Directions]) -> dict[str, Units]:
    """`cosine:all`: the cosine of every two directions of a method at one place of the prompt,
    site A/B, and of every two methods at one site, direction A/B. One unit, since they are
    properties of vectors and not of questions.

    Pairs grow with the square of sites: of a place with more than `DEPTHS`, as many are compared,
    spread evenly in running order, first and last among them.
    """
    columns: dict[str, float] = {}
    for name, d in directions.items():
        vectors = d.vectors.astype(np.float64)
        table = vectors @ vectors.T
        places: dict[str, list[int]] = {}
        for i, site in enumerate(d.sites):
            places.setdefault(Cell.parse(site).place, []).append(i)
        for rows in places.values():
            for i, j in combinations(evenly(rows, DEPTHS), 2):
                site = f"{d.sites[i]}/{d.sites[j]}"
                columns[Column("cosine", name, site).key] = float(table[i, j])
    for (name, d), (other, e) in combinations(directions.items(), 2):
        for site in d.sites:
            if site in e.sites:
                cosine = d.vectors[d.at(site)].astype(np.float64) @ e.vectors[e.at(site)]
                sign = 1 if d.positive == e.positive else -1
                columns[Column("cosine", f"{name}/{other}", site).key] = sign * float(cosine)
    if not columns:
        return {}
    values = np.array([list(columns.values())])
    return {f"cosine:{ALL}": Units(("vectors",), ("vectors",), tuple(columns), values)}
