import json
from io import StringIO
from pathlib import Path

from rich.console import Console

from seedbed.report.directions_tables import grids
from seedbed.report.grids import Grid
from seedbed.report.reader import Run
from seedbed.report.sections import sections
from seedbed.report.tables import show


def found(run: Path) -> dict[str, Grid]:
    return {grid.name: grid for grid in grids(Run(run))}


def cell(grid: Grid, row: str, head: str) -> float | None:
    return dict(grid.rows)[row][grid.heads.index(head) - 1].value


def value(run: Path, **wanted: object) -> float | None:
    rows = json.loads((run / "directions.json").read_text())
    (row,) = [r for r in rows if all(r[k] == v for k, v in wanted.items())]
    return None if row["value"] is None else float(row["value"])


def test_every_side_has_its_tables(directed: Path) -> None:
    every = ("chosen", "sites", "doses")
    wanted = [f"directions-{t}{s}" for s in ("", "-exceptions", "-recurrent") for t in every]
    assert list(found(directed)) == [*wanted, "directions-recurrences-recurrent"]


def test_what_directions_read_and_do_at_the_chosen_site(directed: Path) -> None:
    grid = found(directed)["directions-chosen"]
    at = {"side": "", "site": "chosen", "dose": None, "slice": "all"}
    for head, section, name in (
        ("AUC", "decodable", "auc"), ("flips", "steering", "flipped"),
        ("flips over random", "steering", "over-random"),
        ("unrelated", "selectivity", "unrelated"), ("selectivity", "selectivity", "difference"),
        ("selectivity over random", "selectivity", "over-random"),
    ):  # fmt: skip
        expected = value(directed, section=section, name=name, direction="difference", **at)
        assert expected is not None
        assert cell(grid, "difference", head) == expected, head
    assert cell(grid, "random-max", "flips") is not None
    assert cell(grid, "random", "flips over random") is None
    assert {"random", "random-max", "shuffled"} <= grid.controls
    assert "probe" not in grid.controls
    # What is flipped is the target, and does not stand twice.
    assert "target" not in grid.heads


def test_sites_are_read_patched_and_steered_side_by_side(directed: Path) -> None:
    grid = found(directed)["directions-sites-recurrent"]
    names = [name for name, _ in grid.rows]
    assert names[:5] == ["into block 0 at a", "into block 0 at b", "into block 0 at last",
                         "into block 1, run 0 at a", "into block 1, run 0 at b"]  # fmt: skip
    here = {"side": "recurrent", "site": "resid_pre.2r1@last"}
    row = "into block 2, run 1 at last"
    assert cell(grid, row, "AUC difference") == value(
        directed, name="auc", direction="difference", **here
    )
    assert cell(grid, row, "patching flips, stored") == value(
        directed, section="patching", name="flipped", slice="stored", **here
    )
    steer = {"section": "steering", "name": "flipped", "dose": 2.0}
    assert cell(grid, row, "steering difference flips, stored") == value(
        directed, direction="difference", slice="stored", **steer, **here
    )
    assert cell(grid, row, "steering random flips") == value(
        directed, direction="random", slice="all", **steer, **here
    )


def test_recurrences_by_kind(directed: Path) -> None:
    grid = found(directed)["directions-recurrences-recurrent"]
    assert grid.heads == ("recurrences", "computed", "stored")
    assert [name for name, _ in grid.rows] == ["1", "2", "4", "8", "12"]
    assert cell(grid, "8", "computed") == value(
        directed, section="recurrence", slice="computed", dose=8.0
    )


def test_page_and_terminal_show_the_section(directed: Path, directed_page: str, made: Path) -> None:
    assert 'id="directions"' in directed_page
    assert "Directions and steering" in directed_page
    console = Console(file=StringIO(), width=100, no_color=True)
    show(directed, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above
    assert "Directions at the sites chosen on dev" in text
    assert "recurrent: Accuracy by recurrences at" in text
    assert max(map(len, text.splitlines())) <= 100
    assert all(section.anchor != "directions" for section in sections(Run(made)))
