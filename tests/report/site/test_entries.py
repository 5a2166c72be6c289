from dataclasses import replace

import pytest
from tests.report.site.conftest import line, made_up

from seedbed.report.site_entries import (
    addresses,
    addresses_of,
    entries_of,
    is_control,
    leading_metric,
    versions,
)
from seedbed.report.site_lists import finders_table
from seedbed.report.site_tables import value_cell


@pytest.mark.parametrize(
    ("finder", "kind", "sites", "control"),
    [
        ("bm25", "bm25", "document", False),
        ("chance", "chance", "document", True),
        ("oracle", "oracle", "cell", True),
        ("labels", "labels", "document", True),
        ("user-ratings-shuffled", "user-ratings", "user", True),
        ("mine", "randomised", "document", True),
        ("surface", "directions", "direction", True),
        ("random", "directions", "direction", True),
        ("mine-words", "directions", "direction", True),
        ("randomness", "mine", "document", False),
        ("surface", "mine", "document", False),
    ],
)
def test_controls(finder: str, kind: str, sites: str, control: bool) -> None:
    assert is_control(line(finder, kind=kind, sites=sites)) is control


def test_the_metric_that_leads() -> None:
    both = {"roc_auc", "average_precision", "mrr"}
    assert leading_metric("document", "declared", both) == "average_precision"
    assert leading_metric("direction", "declared", both) == "roc_auc"
    assert leading_metric("document", "measured", {"drop@3", "lds", "single_r"}) == "lds"
    assert (
        leading_metric("cell", "measured", {"roc_auc", "average_precision"}) == "average_precision"
    )
    assert leading_metric("cell", "measured", {"recall@2%", "pearson"}) == "pearson"
    assert leading_metric("user", "declared", both) == "average_precision"
    assert leading_metric("cell", "declared", ()) == ""


def test_addresses_do_not_depend_on_the_order() -> None:
    runs = [made_up("b"), made_up("a"), made_up("a", started="2025-01-01T00:00:00+00:00")]
    forth = {e.run: e.slug for e in entries_of(runs)}
    back = {e.run: e.slug for e in entries_of(runs[::-1])}
    assert forth == back
    assert forth[runs[2]] == "a-a0000000"
    assert forth[runs[1]] == "a-a0000000-2"


def test_addresses_are_plain_and_distinct() -> None:
    found = addresses(["A/b", "a b", "../..", "<i>", "ü"])
    assert len(set(found.values())) == 5
    assert all(name.replace("-", "").isalnum() for name in found.values())


def test_parts_keep_truths_and_kinds_apart_and_the_own_kind_first() -> None:
    run = made_up(
        "s", line("x", sites="cell"), line("y", truth="measured", metric="lds"), line("y")
    )
    (entry,) = entries_of([run])
    assert list(entry.parts) == [("document", "declared"), ("document", "measured"),
                                 ("cell", "declared")]  # fmt: skip


def test_best_is_never_a_control_and_needs_a_value() -> None:
    run = made_up(
        "s", line("oracle", 1.0), line("weak", 0.2), line("random", 0.9), line("none", None)
    )
    (entry,) = entries_of([run])
    best = entry.best("document", "declared")
    assert best is not None
    assert best.line.finder == "weak"
    (only,) = entries_of([replace(run, lines=(line("oracle", 1.0), line("none", None)))])
    assert only.best("document", "declared") is None


def test_versions_are_runs_of_one_configuration() -> None:
    runs = [made_up("a"), made_up("a", code="d" * 16), made_up("b"), made_up("c", digest="")]
    found = versions(entries_of([*runs, made_up("c", digest="")]))
    assert {digest: len(own) for digest, own in found.items()} == {"a00000000000": 2}


def test_of_equals_the_cheapest_leads() -> None:
    lines = (line("a", 1.0, seconds=9.0), line("b", 1.0, seconds=1.0), line("c", 1.0, seconds=None))
    (entry,) = entries_of([made_up("s", *lines)])
    assert [n.line.finder for n in entry.leads("document", "declared")] == ["b", "a", "c"]


def test_one_unit_alone_has_no_interval() -> None:
    """A width of 0 is no certainty, but at an end of the scale all units may agree."""
    alone, agreed = line("a", 0.75, low=0.75, high=0.75), line("b", 1.0, low=1.0, high=1.0)
    entry = entries_of([made_up("x", alone, agreed)])[0]
    assert [n.standing for n in entry.numbers] == ["unknown", "above"]
    assert [value_cell(n).small for n in entry.numbers] == ["no interval", "[1.00, 1.00]"]


def test_a_finder_of_several_kinds_of_site_is_found_under_each() -> None:
    both = made_up("x", line("random-draw"), line("words"), line("words", sites="direction"))
    entries = entries_of([both])
    rows = finders_table("t", entries, addresses_of(entries, ())).rows
    assert [(r.head.text, r.facts["kind"], r.control) for r in rows] == [
        ("words", "document direction", False), ("random-draw", "document", True),
    ]  # fmt: skip
    assert rows[0].cells[-1].text == "control for some"
