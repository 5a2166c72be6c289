"""Pairs: a held-out question beside one that differs in a single part, and so in its label."""

from dataclasses import replace

import numpy as np

from seedbed.core.rows import Pair
from seedbed.core.seeds import stream
from seedbed.worlds.phrasing import pieces
from seedbed.worlds.quadrants.asking import Asker, Case, Placed
from seedbed.worlds.quadrants.deciding import moved
from seedbed.worlds.quadrants.plane import clear, regions

TURNS = ("x1", "x2", "trigger")
Options = dict[str, list[tuple[str, int, int]]]
"""By the part that differs: word and point of possible other sides."""


def pairs(asker: Asker) -> list[Pair]:
    """One pair for each question of split id; `cause` is the part that differs.

    The two numbers and the trigger come in turn; of a number it is the sign, one digit or all
    of it. Where a part cannot change the label the next one does, and a question of which no
    part can has no pair. The changed point is never one that was trained on.
    """
    held = [one for one in asker.placed if one.question.split == "id"]
    rng = stream(asker.seed, "quadrants", "pairs")
    turns = [TURNS[i % len(TURNS)] for i in range(len(held))]
    rng.shuffle(turns)
    found: list[tuple[Placed, str, Case]] = []
    for one, turn in zip(held, turns, strict=True):
        start = TURNS.index(turn)
        for name in (*TURNS[start:], *TURNS[:start]):
            options = _words(asker, one) if name == "trigger" else _points(asker, one, name)
            if options:
                part = rng.choice(sorted(options))
                trigger, x1, x2 = rng.choice(options[part])
                found.append((one, part, replace(one.case, trigger=trigger, x1=x1, x2=x2)))
                break
    corrupt = asker.pose("id", [(f"{one.question.id}-corrupt", case) for one, _, case in found])
    return [
        Pair(id=f"p-{one.question.id}", clean=one.question, corrupt=other.question, cause=part)
        for (one, part, _), other in zip(found, corrupt, strict=True)
    ]


def _words(asker: Asker, one: Placed) -> Options:
    """Trained words of as many tokens whose map has another label there."""
    own, size = asker.label(one.case.trigger, one.region), len(pieces(one.case.trigger))
    fit = [
        (word, one.case.x1, one.case.x2)
        for word in asker.drawn.taught
        if asker.label(word, one.region) != own and len(pieces(word)) == size
    ]
    return {"trigger": fit} if fit else {}


def _points(asker: Asker, one: Placed, name: str) -> Options:
    """By part, points with another label, as long in writing, and never trained on."""
    plane, case = asker.knobs.plane, one.case
    a, b, alike = moved(plane, name, case)
    own = asker.label(case.trigger, one.region)
    differs = np.array([asker.label(case.trigger, r) != own for r in range(len(plane.names))])
    fits = differs[regions(plane, a, b)] & clear(plane, a, b)
    length = len(case.writer.number(getattr(case, name)))
    found: Options = {}
    for part, mine in alike.items():
        for i in np.flatnonzero(mine & fits).tolist():
            x1, x2 = int(a[i]), int(b[i])
            steps = x1 if name == "x1" else x2
            if (x1, x2) not in asker.trained and len(case.writer.number(steps)) == length:
                found.setdefault(part, []).append((case.trigger, x1, x2))
    return found
