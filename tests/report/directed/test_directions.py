from pathlib import Path

import pytest

from seedbed.core.cells import Cell
from seedbed.core.selectivity import CHOSEN, DirectionRow
from seedbed.report.directions import Side, axis_words, depth, first_of_loop, sides, site_words
from seedbed.report.reader import Run
from seedbed.report.schema import Choice, Steered


def row(
    direction: str, site: str, dose: float | None = None, name: str = "flipped", value: float = 0.5
) -> DirectionRow:
    return DirectionRow(
        side="", section="steering", direction=direction, site=site, name=name, slice="all",
        dose=dose, value=value, low=0.4, high=0.6, units=3,
    )  # fmt: skip


def test_blocks_of_a_loop_follow_one_another_run_by_run() -> None:
    names = ["resid_post.3@b", "resid_pre.2r1@b", "resid_pre.0@b", "resid_pre.1r1@b",
             "resid_pre.3@b", "resid_pre.2r0@b", "resid_pre.1r0@b"]  # fmt: skip
    assert first_of_loop(names) == 1
    found = sorted(names, key=lambda n: depth(Cell.parse(n), 1))
    assert [axis_words(n) for n in found] == ["0", "1.0", "2.0", "1.1", "2.1", "3", "out 3"]
    assert site_words("resid_pre.1r3@b") == "into block 1, run 3 at b"


def test_sites_stand_in_running_order_whatever_the_order_of_rows() -> None:
    names = ["resid_pre.1@b", "resid_pre.1@last", "resid_pre.0@b", "resid_pre.0@last"]
    side = Side("", [row("probe", n, 1.0) for n in names])
    assert side.sites == (names[2], names[3], names[0], names[1])
    assert list(side.over_sites("steering", "flipped", "probe", dose=1.0)) == list(side.sites)


def test_where_dev_did_not_choose_the_first_that_was_steered_leads() -> None:
    read = row("words", "resid_pre.0@b").model_copy(update={"section": "decodable"})
    first = read.model_copy(update={"direction": "surface-free"})
    rows = [first, row("random", CHOSEN, value=0.99), row("difference", CHOSEN, value=0.1),
            row("probe", CHOSEN, value=0.9)]  # fmt: skip
    assert Side("", rows).lead == "difference"
    assert Side("", rows).directions == ("surface-free", "difference", "probe", "random")


def test_what_was_most_selective_on_dev_leads_whatever_the_order() -> None:
    rows = [row(d, CHOSEN) for d in ("difference", "probe", "random")]
    margins = [{"difference": 0.5, "probe": 0.4, "random": 0.9}, {"difference": 0.1, "probe": 0.4}]
    choices = [
        Steered(chosen={d: Choice(site="resid_pre.0@b", dose=1.0, dev=m) for d, m in by.items()})
        for by in margins
    ]
    assert Side("", rows, "", choices).lead == "probe"


def test_the_best_reader_of_each_site_counts() -> None:
    rows = [row(d, f"resid_pre.{i}@b", name="auc", value=v).model_copy(
                update={"section": "decodable"})
            for d, values in (("difference", (0.9, 0.6)), ("probe", (0.7, 0.8)),
                              ("random", (0.99, 0.99)))
            for i, v in enumerate(values)]  # fmt: skip
    found = Side("", rows).readable()
    assert [(s, r.direction) for s, r in found.items()] == [
        ("resid_pre.0@b", "difference"), ("resid_pre.1@b", "probe")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("picked", "dose"), [([4.0, 4.0, 2.0], 4.0), ([], 1.0), ([8.0], 1.0), ([2.0, 4.0], 2.0)]
)
def test_the_dose_shown_is_the_one_that_dev_chose_most_often(
    picked: list[float], dose: float
) -> None:
    choices = [Steered(chosen={"probe": Choice(site="resid_pre.0@b", dose=d)}) for d in picked]
    rows = [row("probe", "resid_pre.0@b", d) for d in (1.0, 2.0, 4.0)]
    assert Side("", rows, "", choices).swept == dose


def test_a_choice_made_by_every_seed_goes_before_a_dose() -> None:
    rows = [row("probe", CHOSEN, d) for d in (1.0, None, 2.0)]
    assert Side("", rows).dose("steering", "flipped", CHOSEN) is None
    assert Side("", rows[:1]).dose("steering", "flipped", CHOSEN) == 1.0


def test_sides_are_read_with_what_was_declared_and_chosen(directed: Path) -> None:
    found = {side.name: side for side in sides(Run(directed))}
    assert list(found) == ["", "exceptions", "recurrent"]
    assert found["exceptions"].negative.startswith("stored exceptions")
    assert found[""].negative == ""
    assert len(found["recurrent"].choices) == 2
    assert found["recurrent"].swept == 2.0
    # Cosines of two methods are no direction.
    assert all("/" not in d for d in found[""].directions)
