import numpy as np
import pytest

from seedbed.core.cells import Cell
from seedbed.core.errors import InputError
from seedbed.core.rows import Pair
from seedbed.finders.contract_cells import LAYERS, example_pairs
from seedbed.finders.outcomes import Outcome
from seedbed.finders.pairs import Direction, effects, pairs_for, sides_of
from seedbed.finders.patching import Patching

DIRECTIONS: tuple[Direction, ...] = ("noising", "denoising")
OUTCOMES: tuple[Outcome, ...] = ("logit-difference", "expected")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_holds_of_every_causal_model_holds_of_the_claim(
    direction: Direction, outcome: Outcome
) -> None:
    subject, pairs = example_pairs()
    questions = [p.clean for p in pairs]
    claim = Patching(direction=direction, outcome=outcome).find(subject, [], questions, pairs)
    sides = sides_of(subject, pairs)
    for row, side in zip(claim.scores, sides, strict=True):
        scores = dict(zip(claim.sites, row.tolist(), strict=True))
        swapped = side.places.index(side.swapped)
        for name, value in scores.items():
            cell = Cell.parse(name)
            if cell.place in side.places and side.places.index(cell.place) < swapped:
                assert value == 0
            if cell.stream == "resid_post" and cell.place != "last":
                assert value == 0
        total = scores[f"resid_pre.0@{side.swapped}"]
        assert total > 0
        assert scores[f"resid_post.{LAYERS - 1}@last"] == pytest.approx(total, abs=1e-5)


def test_noising_and_denoising_meet_at_the_ends() -> None:
    subject, pairs = example_pairs()
    sides = sides_of(subject, pairs)
    cells = [Cell("resid_pre", 0, f"item{i}") for i in range(1, 6)]
    there, back = (effects(subject, sides, cells, ["expected"], d)["expected"] for d in DIRECTIONS)
    np.testing.assert_allclose(there.donor, back.start, atol=1e-6)
    np.testing.assert_allclose(there.start, back.donor, atol=1e-6)
    for i, side in enumerate(sides):
        c = [cell.place for cell in cells].index(side.swapped)
        assert there.moved[i, c] == pytest.approx(there.donor[i] - there.start[i], abs=1e-6)
        assert back.moved[i, c] == pytest.approx(-there.moved[i, c], abs=1e-6)


def test_effects_point_towards_the_corrupt_answer_whichever_way_the_count_goes() -> None:
    subject, pairs = example_pairs(2)
    swapped = [Pair(id=p.id, clean=p.corrupt, corrupt=p.clean) for p in pairs]
    cells = [Cell("resid_post", LAYERS - 1, "last")]
    for outcome in OUTCOMES:
        one, other = (
            effects(subject, sides_of(subject, ps), cells, [outcome], "noising")[outcome]
            for ps in (pairs, swapped)
        )
        # From clean to corrupt and back: the same way in numbers, and each towards its corrupt.
        np.testing.assert_allclose(one.moved, other.moved, atol=1e-5)


def test_a_pair_with_nothing_to_patch_says_so() -> None:
    subject, pairs = example_pairs(1)
    pair = pairs[0]
    same = pair.model_copy(update={"corrupt": pair.clean.model_copy(update={"id": "again"})})
    claim = Patching().find(subject, [], [pair.clean], [same])
    assert (claim.scores == 0).all()
    assert "nothing was patched" in claim.notes["warning"]


def test_a_pair_that_does_not_differ_has_no_swapped_place() -> None:
    subject, pairs = example_pairs(1)
    same = pairs[0].model_copy(update={"corrupt": pairs[0].clean})
    with pytest.raises(InputError, match="do not differ"):
        _ = sides_of(subject, [same])[0].swapped


def test_a_question_without_a_pair_is_named() -> None:
    _, pairs = example_pairs(2)
    with pytest.raises(InputError, match="'q1'"):
        pairs_for([p.clean for p in pairs], pairs[:1])


def test_pairs_without_places_are_patched_token_by_token() -> None:
    subject, pairs = example_pairs(3)
    bare = [
        p.model_copy(update={"clean": p.clean.model_copy(update={"places": {}}),
                             "corrupt": p.corrupt.model_copy(update={"places": {}})})
        for p in pairs
    ]  # fmt: skip
    claim = Patching().find(subject, [], [p.clean for p in bare], bare)
    named = Patching().find(subject, [], [p.clean for p in pairs], pairs)
    assert "resid_pre.0@t-2" in claim.sites
    assert len(claim.sites) == 3 * max(len(s.clean.ids) for s in sides_of(subject, bare))
    for i, (side, twin) in enumerate(zip(sides_of(subject, bare), sides_of(subject, pairs),
                                         strict=True)):  # fmt: skip
        count = len(side.clean.ids)
        for place, positions in twin.clean.places.items():
            name = "last" if positions[0] == count - 1 else f"t{positions[0] - count}"
            for edge in ("resid_pre.0", "resid_pre.1", f"resid_post.{LAYERS - 1}"):
                mine = claim.scores[i, claim.sites.index(f"{edge}@{name}")]
                theirs = named.scores[i, named.sites.index(f"{edge}@{place}")]
                assert mine == pytest.approx(theirs, abs=1e-6)
