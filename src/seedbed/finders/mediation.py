"""Causal mediation by patching: total, direct and indirect effects, and their controls.

With M a cell and Y the outcome: indirect = Y(clean, M from corrupt) − Y(clean), direct =
Y(corrupt, M from clean) − Y(clean) (Pearl 2001; Vig et al. 2020, section 3), pair by pair.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from seedbed.core.cells import Cell, Stream
from seedbed.core.config import Config
from seedbed.core.errors import InputError
from seedbed.core.rows import Pair, Question
from seedbed.core.units import Units
from seedbed.finders.asking import uneven
from seedbed.finders.controls import EVERYWHERE, controls
from seedbed.finders.groups import grouped, series
from seedbed.finders.interchange import interchange
from seedbed.finders.outcomes import Outcome, numbers_of
from seedbed.finders.pairs import Effects, Sides, effects, places_in, sides_of
from seedbed.finders.probes import probes
from seedbed.models.blocks import Blocks, blocks_of
from seedbed.models.subject import Subject

Floats = NDArray[np.float64]
States = Mapping[str, Mapping[str, int]]


class Mediation(Config):
    """Patch every cell of every pair asked about, both ways.

    `streams`: the residual stream, what attention or MLPs add to it, or single heads.
    `outcomes`: `expected` is the mean of the choices as numbers under their softmax,
    `logit-difference` the logit of the corrupt answer less that of the clean one. `trials`
    interchange patches test for a running count, `probes` read it (where the world tells the
    true one). `patch: false` switches the patching of cells off, as a control of the tool itself.
    """

    streams: tuple[Literal["resid", "attn_out", "mlp_out", "head"], ...] = Field(
        default=("resid",), min_length=1
    )
    outcomes: tuple[Outcome, ...] = Field(default=("expected", "logit-difference"), min_length=1)
    trials: int = Field(default=200, ge=0)
    probes: bool = True
    patch: bool = True


@dataclass(frozen=True)
class Mediated:
    """Tables by name, SECTION:OUTCOME, and how the engine ran."""

    tables: dict[str, Units]
    engine: dict[str, Any]


def mediate(
    config: Mediation,
    subject: Subject,
    pairs: Sequence[Pair],
    questions: Sequence[Question],
    states: States,
) -> Mediated:
    """Measure all of it on one subject.

    `pairs` are patched, `questions` lend donors and probe examples; `states` hold the true
    running state by question and place. Raises InputError without pairs, for a pair that does
    not differ at a place, for choices that an outcome cannot read, and for states of a place
    that its question lacks.
    """
    if not pairs:
        raise InputError("mediation: there is no pair to patch")
    for question in questions:
        for place in states.get(question.id, {}):
            if place not in question.places:
                raise InputError(f"states: question {question.id!r} has no place {place!r}")
    blocks = blocks_of(subject.model)
    sides = sides_of(subject, pairs)
    # What cannot be told is refused before anything is run.
    listed = series(sides)
    for side in sides if "expected" in config.outcomes else ():
        numbers_of(side.choices)
    places = places_in(sides)
    cells = cells_of(config, blocks, places)
    noised = effects(subject, sides, cells, config.outcomes, "noising", config.patch)
    denoised = effects(subject, sides, cells, config.outcomes, "denoising", config.patch)
    edges = blocks.cells([EVERYWHERE])
    tables: dict[str, Units] = {}
    for outcome in config.outcomes:
        tables |= _tables(outcome, sides, listed, cells, noised[outcome], denoised[outcome])
    tables |= controls(subject, sides, edges, config.outcomes, questions, states)
    if states and config.trials:
        found = interchange(subject, questions, states, edges, config.trials)
        if found is not None:
            tables["interchange:"] = found
    if states and config.probes:
        tables["probes:"] = probes(subject, questions, states, edges)
    return Mediated(
        tables, _engine(noised[config.outcomes[0]], denoised[config.outcomes[0]], sides)
    )


def cells_of(config: Mediation, blocks: Blocks, places: Sequence[str]) -> list[Cell]:
    """All cells of the streams asked for, stream by stream and layer by layer."""
    found: list[Cell] = []
    for name in dict.fromkeys(config.streams):
        if name == "resid":
            found += blocks.cells(places)
            continue
        stream: Stream = name
        heads = range(blocks.heads) if name == "head" else [None]
        found += [Cell(stream, layer, p, h)
                  for layer in range(len(blocks)) for h in heads for p in places]  # fmt: skip
    return found


def _tables(
    outcome: Outcome, sides: Sequence[Sides], listed: frozenset[str], cells: Sequence[Cell],
    noised: Effects, denoised: Effects,
) -> dict[str, Units]:  # fmt: skip
    total = noised.donor - noised.start
    indirect = noised.moved
    # Denoising undoes a part of the total; the direct effect is what it leaves.
    direct = total[:, None] + denoised.moved
    units, causes = tuple(s.id for s in sides), tuple(s.cause for s in sides)
    columns, values = ["total"], [total]
    for name, array in (("indirect", indirect), ("direct", direct)):
        for cell, column in grouped(name, array, cells, sides, listed, total):
            columns.append(f"{name} {cell.name}")
            values.append(column)
    by_place = {f"indirect {c.name}": indirect[:, i] for i, c in enumerate(cells)}
    return {
        f"effects:{outcome}": Units(units, causes, tuple(columns), np.stack(values, 1)),
        f"map:{outcome}": Units(
            units, causes, ("total", *by_place), np.stack([total, *by_place.values()], 1)
        ),
    }


def _engine(noised: Effects, denoised: Effects, sides: Sequence[Sides]) -> dict[str, Any]:
    given = (noised.given, denoised.given)
    patches = sum(len(g.noop) for g in given)
    ran = sum(int((~g.noop).sum()) for g in given)
    empty = sum(int(g.empty.sum()) for g in given)
    return {
        "pairs": len(sides),
        "patches": patches,
        "ran": ran,
        "empty": empty,
        "tier": given[0].tier,
        "checked": max(g.checked for g in given),
        "note": "" if ran else "nothing was patched, so every effect is exactly 0",
        "alignment": uneven([(s.clean, s.corrupt) for s in sides]),
    }
