import numpy as np
import pytest

from seedbed.core.cells import Cell, at_cells, places_of, residual_cells, symbolic
from seedbed.core.rows import Question
from seedbed.core.sites import SiteKind, Truth


@pytest.mark.parametrize(
    "cell",
    [
        Cell("resid_pre", 0, "item1"),
        Cell("resid_post", 11, "last"),
        Cell("head", 3, "a b@c", 7),
    ],
)
def test_a_name_gives_its_cell_back(cell: Cell) -> None:
    assert Cell.parse(cell.name) == cell


@pytest.mark.parametrize("name", ["resid.3@x", "resid_pre@x", "head.1@x", "mlp_out.1.2@x", "x"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"cell|head"):
        Cell.parse(name)


def test_places_follow_one_another_as_in_the_longest_prompt() -> None:
    spans = {"item1": (0, 9), "item2": (10, 11), "cue": (12, 13), "last": (12, 13)}
    short = Question(id="a", prompt="xxxxxxxxx y =", answer="1", places=spans)
    spans = {"item1": (0, 1), "item2": (2, 3), "item3": (4, 5), "cue": (6, 7)}
    long = Question(id="b", prompt="x y z =", answer="1", places=spans)
    assert places_of([short, long]) == ("item1", "item2", "item3", "cue", "last")


def test_a_symbolic_truth_is_spelt_out_by_bands() -> None:
    sites = tuple(symbolic(b, p) for b in ("first", "inner", "last") for p in ("item1", "last"))
    values = np.array([[1.0, 0, np.nan, np.nan, 0, 1]])
    truth = Truth(("q",), sites, values, np.zeros((1, 6), np.int16), ("x",), SiteKind.CELL)
    cells = [c.name for c in residual_cells(2, ("item1", "elsewhere", "last"))]
    found = at_cells(truth, cells, 2)
    by_name = dict(zip(found.sites, found.values[0].tolist(), strict=True))
    assert by_name["resid_pre.0@item1"] == 1
    assert by_name["resid_pre.0@last"] == 0
    assert by_name["resid_post.1@last"] == 1
    assert np.isnan([by_name["resid_pre.1@item1"], by_name["resid_pre.0@elsewhere"]]).all()
    assert found.names[found.labels[0, 1]] == "absent"
    # A block's own output is no boundary of the whole model.
    assert np.isnan(at_cells(truth, ["attn_out.0@item1"], 2).values).all()
