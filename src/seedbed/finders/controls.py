"""Controls of patching: what must come out as nothing, as everything, and as no more than luck.

`identity` puts a run's own states back (exactly 0), `full` all of the donor's (the total
effect); `random-place` patches some other place of each pair, `random-donor` takes the swapped
place from another question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seedbed.core.cells import Cell
from seedbed.core.rows import Question
from seedbed.core.seeds import stream
from seedbed.core.units import Units
from seedbed.finders.asking import Asked, aligned, ask
from seedbed.finders.outcomes import Outcome
from seedbed.finders.pairs import Sides
from seedbed.finders.patches import Patch, Patched, Run, patched_logits
from seedbed.models.blocks import site_of
from seedbed.models.hooks import Replace, edited, evaluating, read
from seedbed.models.subject import Subject
from seedbed.models.tokens import Batch, TokenSequence, pad

Floats = NDArray[np.float64]
States = Mapping[str, Mapping[str, int]]
EVERYWHERE = "everywhere"


def controls(
    subject: Subject,
    sides: Sequence[Sides],
    edges: Sequence[Cell],
    outcomes: Sequence[Outcome],
    questions: Sequence[Question],
    states: States,
) -> dict[str, Units]:
    """A table of controls for each outcome, as effects beside the total, by edge of the blocks.

    A random donor is a question of the same cause with the same state up to that place, whose
    item there changes it as much as the recipient's does, so nothing should move whether a part
    or a running state is carried; without `states` any question of that cause. NaN for a pair
    that has no such donor, or no other place.
    """
    identity = _identity(subject, sides, edges)
    patches, tokens = [], [s.clean.choices for s in sides]
    donors = _donors(subject, sides, questions, states)
    runs: list[Run] = []
    names: list[tuple[int, str, bool]] = []
    for i, side in enumerate(sides):
        own, other = len(runs), len(runs) + 1
        donor = donors[i] or side.clean
        runs += [side.run("noising"), Run(side.clean.ids, donor.ids)]
        lent = aligned(side.clean, donor, side.swapped) if donors[i] else ()
        even = len(side.clean.ids) == len(side.corrupt.ids)
        everywhere = tuple((p, p) for p in range(len(side.clean.ids))) if even else ()
        others = [p for p in side.places if p != side.swapped]
        rng = stream(subject.seed, "controls", "place", side.id)
        elsewhere = side.map(rng.choice(others), "noising") if others else ()
        for edge in edges:
            placed = {
                ("full", EVERYWHERE): (own, everywhere),
                ("random-place", "random"): (own, elsewhere),
                ("random-donor", "swapped"): (other, lent),
            }
            for (name, place), (run, positions) in placed.items():
                patches.append(Patch(run, edge.stream, edge.layer, positions, step=edge.step))
                cell = replace(edge, place=place)
                names.append((i, f"{name} {cell.name}", bool(positions)))
    doubled = [t for t in tokens for _ in range(2)]
    given = patched_logits(subject, runs, patches, doubled, seed=subject.seed)
    return {f"controls:{o}": _table(o, sides, identity, names, given) for o in outcomes}


def _table(
    outcome: Outcome,
    sides: Sequence[Sides],
    identity: Mapping[str, torch.Tensor],
    names: Sequence[tuple[int, str, bool]],
    given: Patched,
) -> Units:
    start = np.array([float(s.value(given.base[2 * i], outcome)) for i, s in enumerate(sides)])
    total = np.array([float(s.value(given.donor[2 * i], outcome)) for i, s in enumerate(sides)])
    columns: dict[str, Floats] = {"total": total - start}
    for edge, logits in identity.items():
        base, again = (
            np.array([float(s.value(row, outcome)) for s, row in zip(sides, part, strict=True)])
            for part in logits
        )
        columns[f"identity {edge}"] = again - base
    for (i, name, there), logits in zip(names, given.logits, strict=True):
        column = columns.setdefault(name, np.full(len(sides), np.nan))
        if there:
            column[i] = float(sides[i].value(logits, outcome)) - start[i]
    units, causes = tuple(s.id for s in sides), tuple(s.cause for s in sides)
    return Units(units, causes, tuple(columns), np.stack(list(columns.values()), axis=1))


@torch.no_grad()
def _identity(
    subject: Subject, sides: Sequence[Sides], edges: Sequence[Cell]
) -> dict[str, torch.Tensor]:
    """By edge, logits [2, sides, choices]: untouched, and with every state put back in place.

    Both run in the same batches, so that rounding is the same and the difference exactly 0.
    """
    model = subject.model
    named = {replace(e, place=EVERYWHERE).name: site_of(e) for e in edges}
    found: dict[str, list[list[torch.Tensor]]] = {name: [[], []] for name in named}
    for start in range(0, len(sides), subject.batch):
        part = sides[start : start + subject.batch]
        rows = [TokenSequence(s.clean.ids, (False,) * len(s.clean.ids)) for s in part]
        batch = pad(rows).to(subject.device)
        ends = torch.tensor([len(r.ids) - 1 for r in rows])
        choices = torch.tensor([s.clean.choices for s in part])

        held = read(model, batch, list(named.values()))
        positions = range(batch.ids.shape[1])
        with evaluating(model):
            before = _logits(model, batch, ends, choices)
            for name, site in named.items():
                with edited(model, [Replace(site, positions, held[site])]):
                    again = _logits(model, batch, ends, choices)
                found[name][0].append(before)
                found[name][1].append(again)
    return {name: torch.stack([torch.cat(p) for p in parts]) for name, parts in found.items()}


def _logits(model: Any, batch: Batch, ends: torch.Tensor, choices: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = model(input_ids=batch.ids, attention_mask=batch.mask).logits.cpu()
    return out[torch.arange(len(ends)), ends].gather(1, choices).float()


def _donors(
    subject: Subject, sides: Sequence[Sides], questions: Sequence[Question], states: States
) -> list[Asked | None]:
    asked: dict[str, Asked] = {}
    found: list[Asked | None] = []
    for side in sides:
        rng = stream(subject.seed, "controls", "donor", side.id)
        place, held = side.swapped, _held(states.get(side.id, {}), side)
        fit = [
            q for q in questions
            if q.id != side.id and q.cause == side.cause and place in q.places
            and (not states or _held(states.get(q.id, {}), side) == held)
        ]  # fmt: skip
        if not fit:
            found.append(None)
            continue
        chosen = rng.choice(fit)
        if chosen.id not in asked:
            asked[chosen.id] = ask(subject, chosen)
        found.append(asked[chosen.id])
    return found


def _held(states: Mapping[str, int], side: Sides) -> tuple[int | None, int | None]:
    """(the state at the swapped place, by how much it changed there)."""
    return states.get(side.swapped), step_at(states, side.swapped, side.places)


def step_at(states: Mapping[str, int], place: str, order: Sequence[str]) -> int | None:
    """By how much a place changes the running state; None where it has none."""
    if place not in states:
        return None
    before = [p for p in order[: order.index(place)] if p in states]
    return states[place] - (states[before[-1]] if before else 0)
