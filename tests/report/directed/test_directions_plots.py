import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed.report.directions import sides
from seedbed.report.directions_plots import figures
from seedbed.report.figures import Plan, plans, render
from seedbed.report.reader import Run


@pytest.fixture(scope="module")
def drawn(directed: Path) -> dict[str, Plan]:
    return {p.name: p for p in plans(Run(directed)) if p.name.startswith("directions")}


def axes_of(plan: Plan) -> list[Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=plan.size, layout="constrained")
    plan.draw(figure)
    return figure.axes


def test_every_side_has_its_figures(drawn: dict[str, Plan]) -> None:
    each = ("map", "cosine", "dose", "effect")
    wanted = [f"directions-{f}{s}" for s in ("", "-exceptions", "-recurrent") for f in each]
    assert list(drawn) == [*wanted, "directions-recurrences"]
    assert drawn["directions-cosine"].folded
    assert not drawn["directions-map"].folded


def test_the_map_draws_every_site_in_its_cell(directed: Path, drawn: dict[str, Plan]) -> None:
    rows = json.loads((directed / "directions.json").read_text())
    patched = {r["site"]: r["value"] for r in rows
               if (r["side"], r["section"], r["name"], r["slice"])
               == ("recurrent", "patching", "flipped", "all")}  # fmt: skip
    panels = axes_of(drawn["directions-map-recurrent"])
    panel = next(a for a in panels if a.get_title() == "Patching flips")
    mesh = panel.collections[0].get_array()
    depths = ["0", "1r0", "2r0", "1r1", "2r1", "3"]
    wanted = [[patched[f"resid_pre.{d}@{p}"] for p in ("a", "b", "last")] for d in depths]
    np.testing.assert_allclose(np.asarray(mesh)[:-1], wanted)


def test_titles_say_what_the_numbers_are(directed: Path, drawn: dict[str, Plan]) -> None:
    side = sides(Run(directed))[0]
    read = side.readable()
    high = sum((r.value or 0) >= 0.9 for r in read.values())
    title = drawn["directions-map"].title
    assert title.startswith(f"The kind is readable at {high} of {len(read)} sites")
    assert drawn["directions-dose-recurrent"].title.startswith("recurrent: Steering along")


def test_without_directions_there_is_no_figure(made: Path) -> None:
    assert figures(Run(made)) == []


def test_the_same_numbers_give_the_same_bytes(drawn: dict[str, Plan]) -> None:
    plan = drawn["directions-recurrences"]
    assert render(plan) == render(plan)
