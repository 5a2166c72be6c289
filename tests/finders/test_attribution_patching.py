import re

import numpy as np
import pytest
import torch

from seedbed.core.cells import Cell
from seedbed.core.rows import Pair
from seedbed.finders.attribution_patching import AttributionPatching, recall
from seedbed.finders.contract_cells import check_cell_finder, example_pairs, list_question
from seedbed.finders.outcomes import Outcome
from seedbed.finders.pairs import sides_of
from seedbed.finders.patching import Patching
from seedbed.models.blocks import Site
from seedbed.models.hooks import read
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import TokenSequence, pad


def _example(scale: float = 8.0) -> tuple[Subject, list[Pair]]:
    """The contract's subject with larger weights, so that the model is far from linear."""
    subject, pairs = example_pairs()
    with torch.no_grad():
        for name, p in subject.model.named_parameters():
            if p.dim() > 1:
                p.mul_(scale if "embed" in name else 3.0)
    return subject, pairs


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("direction", ["noising", "denoising"])
def test_contract(steps: int, direction: str) -> None:
    check_cell_finder(AttributionPatching.model_validate({"steps": steps, "direction": direction}))


@pytest.mark.parametrize("outcome", ["logit-difference", "expected"])
def test_one_step_is_the_slope_of_exact_patching(outcome: Outcome) -> None:
    subject, pairs = _example()
    # In float64 a finite difference is exact enough to tell; norms stay in float32.
    subject.model.double().requires_grad_(False)
    finder = AttributionPatching(outcome=outcome, sample=0)
    claim = finder.find(subject, [], [p.clean for p in pairs], pairs)
    side = sides_of(subject, pairs)[0]
    step, checked = 1e-2, 0
    for i, site in enumerate(claim.sites):
        cell = Cell.parse(site)
        positions = side.map(cell.place, "noising")
        if not positions:
            continue
        ours, theirs = (
            _states(subject, ids, cell)[[pair[n] for pair in positions]]
            for n, ids in enumerate((side.clean.ids, side.corrupt.ids))
        )
        ends = []
        for sign in (1, -1):
            values = ours + sign * step * (theirs - ours)
            logits = _patched(subject, side.clean.ids, cell, positions, values)
            ends.append(float(side.value(logits[list(side.clean.choices)], outcome)))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert claim.scores[0, i] == pytest.approx(abs(slope), rel=1e-2, abs=1e-4)
        checked += abs(slope) > 1e-3
    assert checked >= 4


def test_many_steps_add_up_to_the_total_effect() -> None:
    # Completeness (Sundararajan et al. 2017, proposition 1): at the first block the path is
    # the straight line itself, and of one swapped word only its own place differs.
    subject, pairs = _example()
    questions = [p.clean for p in pairs]
    exact = Patching().find(subject, [], questions, pairs)
    first = [s for s in exact.sites if s.startswith("resid_pre.0@")]
    wanted = exact.scores[:, [exact.sites.index(s) for s in first]].sum(1)
    gaps = []
    for steps in (1, 64):
        finder = AttributionPatching(steps=steps, sample=0)
        found = finder.find(subject, [], questions, pairs).arranged(exact.sites)
        ours = found.scores[:, [exact.sites.index(s) for s in first]].sum(1)
        gaps.append(np.abs(ours - wanted).max())
    assert gaps[1] < 0.02 * wanted.max() < gaps[0]


def test_the_notes_tell_how_well_it_agrees() -> None:
    subject, pairs = _example()
    questions = [p.clean for p in pairs]
    exact = Patching().find(subject, [], questions, pairs)
    found = AttributionPatching(steps=8, sample=10**6).find(subject, [], questions, pairs)
    told = re.fullmatch(
        r"with exact patching of (\d+) of (\d+) cells that can matter: Pearson (\S+),"
        r" recall of the top 2% (\S+)",
        found.notes["agreement"],
    )
    assert told is not None
    alive = exact.scores > 0
    assert told[1] == told[2] == str(alive.sum())
    guessed = found.arranged(exact.sites).scores
    # Signed in the notes, without sign in the claims, so theirs may only be larger.
    assert float(told[3]) >= np.corrcoef(exact.scores[alive], guessed[alive])[0, 1] - 1e-3
    assert float(told[4]) == pytest.approx(recall(exact.scores[alive], guessed[alive]), abs=0.005)
    plain = AttributionPatching(sample=0).find(subject, [], questions, pairs)
    assert "agreement" not in plain.notes
    some = AttributionPatching(sample=7).find(subject, [], questions, pairs)
    assert some.notes["agreement"].startswith(f"with exact patching of 7 of {alive.sum()} cells")


def test_cells_that_cannot_matter_score_exactly_nothing() -> None:
    subject, pairs = _example()
    questions = [p.clean for p in pairs]
    exact = Patching().find(subject, [], questions, pairs)
    found = AttributionPatching(steps=2, sample=0).find(subject, [], questions, pairs)
    nothing = exact.scores == 0
    assert nothing.any()
    assert (found.arranged(exact.sites).scores[nothing] == 0).all()


def test_places_of_unequal_length_are_aligned_and_noted() -> None:
    clean = list_question("q", ["ant", "bee", "cat"], 1)
    corrupt = list_question("r", ["ant", "bee-hive", "cat"], 2)
    pair = Pair(id="p", clean=clean, corrupt=corrupt)
    made = Tiny(layers=2, width=16, heads=2).build([clean.prompt, corrupt.prompt], [], 0)
    found = AttributionPatching(steps=4).find(made, [], [clean], [pair])
    assert "item2" in found.notes["alignment"]
    assert np.isfinite(found.scores).all()
    assert found.scores.any()


def test_recall_is_of_the_largest_of_either_sign() -> None:
    exact = np.linspace(0.01, 1, 100) * np.tile([1, -1], 50)
    assert recall(exact, -exact) == 1
    assert recall(exact, exact[::-1]) == 0
    swapped = exact.copy()
    swapped[-1], swapped[0] = 0, 5
    assert recall(exact, swapped) == 0.5


def _states(subject: Subject, ids: tuple[int, ...], cell: Cell) -> torch.Tensor:
    site = Site(cell.stream, cell.layer)
    batch = pad([TokenSequence(ids, (False,) * len(ids))])
    return read(subject.model, batch, [site])[site][0]


def _patched(
    subject: Subject, ids: tuple[int, ...], cell: Cell,
    positions: tuple[tuple[int, int], ...], values: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    block = subject.model.model.layers[cell.layer]

    def put(hidden: torch.Tensor) -> torch.Tensor:
        hidden = hidden.clone()
        hidden[0, [p for p, _ in positions]] = values
        return hidden

    if cell.stream == "resid_pre":
        handle = block.register_forward_pre_hook(lambda _, args: (put(args[0]), *args[1:]))
    else:
        handle = block.register_forward_hook(lambda _, __, out: put(out))
    logits: torch.Tensor = subject.model(torch.tensor([ids])).logits[0, -1]
    handle.remove()
    return logits
