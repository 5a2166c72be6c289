import numpy as np
import pytest

from seedbed.core.directions import Directions
from seedbed.core.errors import InputError
from seedbed.measuring.interventions import END, always, placed, random_like
from seedbed.models.hooks import Add, Edit, Rows
from seedbed.models.steering import Steer


def directions(*sites: str) -> Directions:
    vectors = np.eye(8)[: len(sites)]
    steps = np.arange(2.0, 2.0 + len(sites))
    return Directions(sites, vectors, np.zeros(len(sites)), steps, 3 * steps, "a", "b")


def rows(edit: Edit) -> tuple[tuple[int, int], ...]:
    """The first position of each row and the one behind its last."""
    assert isinstance(edit.positions, Rows)
    assert edit.passes is None
    return tuple((r.start, r.stop) for r in edit.positions.rows if isinstance(r, range))


MEANT = {
    ("last", "prompt"): ((2, 3), (4, 5)),
    ("last", "generated"): ((3, END), (5, END)),
    ("last", "both"): ((2, END), (4, END)),
    ("all", "prompt"): ((0, 3), (0, 5)),
    ("all", "generated"): ((3, END), (5, END)),
    ("all", "both"): ((0, END), (0, END)),
}


@pytest.mark.parametrize("tokens", ["last", "all"])
@pytest.mark.parametrize("during", ["prompt", "generated", "both"])
def test_tokens_are_those_of_each_row(tokens: str, during: str) -> None:
    steer = Steer.model_validate({"tokens": tokens, "during": during, "strength": -1.5})
    (edit,) = placed(steer, directions("resid_pre.1@last"))([3, 5])
    assert rows(edit) == MEANT[tokens, during]
    assert isinstance(edit, Add)
    assert edit.vector.tolist() == pytest.approx([-3.0, *[0.0] * 7])


def test_each_direction_acts_where_it_was_read() -> None:
    found = placed(Steer(tokens="place"), directions("resid_pre.0@last", "resid_pre.1@mean"))
    last, mean = found([3, 5])
    assert rows(last) == ((2, 3), (4, 5))
    assert rows(mean) == ((0, END), (0, END))
    with pytest.raises(InputError, match="item4: no positions of the place"):
        placed(Steer(tokens="place"), directions("resid_pre.0@item4"))


def test_strength_zero_is_nothing_at_all() -> None:
    assert placed(Steer(strength=0.0), directions("resid_pre.0@last"))([3]) == []


def test_a_random_direction_takes_steps_as_long() -> None:
    given = directions("resid_pre.0@last", "resid_pre.1@last")
    first, again, second = (random_like(given, draw) for draw in (0, 0, 1))
    assert np.array_equal(first.vectors, again.vectors)
    assert np.linalg.norm(first.vectors, axis=1) == pytest.approx([1, 1])
    assert abs(float(first.vectors[0] @ second.vectors[0])) < 0.95
    assert abs(float(first.vectors[0] @ first.vectors[1])) < 0.95
    assert (first.sites, first.spread.tolist()) == (given.sites, given.spread.tolist())
    alone = random_like(given.among(["resid_pre.1@last"]), 0)
    assert np.array_equal(alone.vectors[0], first.vectors[1])


def test_the_same_edits_whatever_the_batch() -> None:
    import torch

    edits: list[Edit] = [Add("resid_pre.0", torch.ones(8))]
    at = always(edits)
    assert at([3]) == at([5, 6, 7]) == edits
