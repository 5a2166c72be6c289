import itertools
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from seedbed.report.curves import smooth
from seedbed.report.figures import plans, render
from seedbed.report.labels import apart
from seedbed.report.palette import INK, PAPER, luminance, readable_on, roles
from seedbed.report.reader import Run


def test_svg_holds_names_titles_and_no_date(made: Path, page: str) -> None:
    run = Run(made)
    assert page
    for plan in plans(run):
        text = (made / "figures" / f"{plan.name}.svg").read_text(encoding="utf-8")
        ElementTree.fromstring(text)
        assert "<dc:date>" not in text
        assert plan.title.split()[0] in text
        assert "2 seeds" in text
        if plan.name != "training":
            assert all(finder in text for finder in run.finders())


def test_titles_say_what_the_data_say(made: Path) -> None:
    run = Run(made)
    titles = {plan.name: plan.title for plan in plans(run)}
    above = sum(
        row is not None and row.standing == "above"
        for row in (run.score(f, "declared", "roc_auc", "hop>=1") for f in run.finders())
    )
    assert f"{above} of 7 finders stay above chance" in titles["quality"]
    assert "all 2 seeds pass the gate" in titles["training"]
    rows = [
        run.score(run.finders()[0], "declared", f"top10:evidence:{hop}", "all") for hop in range(3)
    ]
    share = sum(row.value or 0 for row in rows if row is not None)
    assert titles["composition"].startswith(f"{share:.0%} of {run.finders()[0]}'s top 10")


def test_stopped_run_has_the_training_figure_only(stopped: Path) -> None:
    found = plans(Run(stopped))
    assert [plan.name for plan in found] == ["training"]
    assert found[0].title == "The gate is not passed at depth 1 and depth 2."


def test_dollar_signs_are_letters_and_the_title_is_left_to_the_page(fresh: Path) -> None:
    path = fresh / "scores.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"bm25"', '"b$m$25"'), encoding="utf-8"
    )
    plan = plans(Run(fresh))[1]
    titled, png, bare = render(plan)
    assert "b$m$25" in bare
    assert "the highest" in titled
    assert "the highest" not in bare
    assert png.startswith(b"\x89PNG")


def test_names_beside_points_stay_clear(made: Path) -> None:
    run = Run(made)
    plan = next(plan for plan in plans(run) if plan.name == "cost")
    figure = Canvas(figsize=plan.size, layout="constrained")
    FigureCanvasAgg(figure)
    plan.draw(figure)
    figure.draw_without_rendering()
    names = [text for text in figure.axes[0].texts if text.get_text() in run.finders()]
    boxes = [text.get_window_extent() for text in names]
    assert len(boxes) == 7
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize(
    ("places", "gap", "expected"),
    [
        ([0.0, 1.0], 0.5, [0.0, 1.0]),
        ([1.0, 1.0], 0.5, [0.75, 1.25]),
        ([2.0, 1.0, 1.1], 0.4, [2.0, 0.85, 1.25]),
    ],
)
def test_apart(places: list[float], gap: float, expected: list[float]) -> None:
    assert apart(places, gap) == pytest.approx(expected)


def test_apart_keeps_order_and_distance() -> None:
    places = [0.3, 0.31, 0.33, 0.9, 0.32, 0.1]
    moved = apart(places, 0.07)
    order = sorted(range(6), key=lambda i: places[i])
    steps = [moved[b] - moved[a] for a, b in itertools.pairwise(order)]
    assert min(steps) >= 0.07 - 1e-12


def test_role_colours_differ_and_letters_on_them_can_be_read() -> None:
    names = ["unrelated", *(f"evidence:{k}" for k in range(4)), "supporting", "mention"]
    names += [f"decoy:{kind}" for kind in ("fluff", "prompt", "shadow")]
    colours = roles(names)
    assert len(set(colours.values())) == len(names)
    for colour in colours.values():
        assert re.fullmatch(r"#[0-9a-fA-F]{6}", colour)
        light, dark = sorted((luminance(colour), luminance(readable_on(colour))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_luminance_of_the_ends() -> None:
    assert luminance(PAPER) == pytest.approx(1)
    assert luminance("#000000") == 0
    assert luminance(INK) < 0.05


def test_smooth_is_the_mean_of_the_last_values() -> None:
    assert smooth([1.0, 2.0, 6.0, 4.0], 2) == [1.0, 1.5, 4.0, 5.0]
    assert smooth([1.0, 2.0], 1) == [1.0, 2.0]
    assert smooth([3.0, 5.0], 9) == [3.0, 4.0]
    assert smooth([], 3) == []
