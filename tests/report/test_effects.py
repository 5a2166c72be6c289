from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from seedbed.report.effects import removal, truths
from seedbed.report.figures import plans
from seedbed.report.plots import looks, lowest, quality
from seedbed.report.ranked import ranked_on
from seedbed.report.reader import Run


def test_titles_say_what_the_rows_say(retrained: Path) -> None:
    run = Run(retrained)
    found = {plan.name: plan.title for plan in plans(run)}
    rows = ranked_on(run, "measured", "lds", "all")
    level = sum(row.standing != "above" for row in rows)
    assert found["effects"].startswith(f"{rows[0].finder} predicts retraining best, ")
    assert f"{level} of 7 finders predict no better than chance" in found["effects"]
    first = run.finders("declared")[0]
    best = "is best under both truths" if first == rows[0].finder else "predicts retraining best"
    assert best in found["truths"]
    drop = ranked_on(run, "measured", "drop@8", "all")[0]
    assert f"Without {drop.finder}'s top 8 the answer loses {drop.value:.2f}" in found["removal"]
    assert f"without 8 random documents {drop.chance:.2f}" in found["removal"]


def test_every_finder_and_control_is_named(retrained: Path, retrained_page: str) -> None:
    assert retrained_page
    run = Run(retrained)
    for name, controls in (
        ("effects", {"labels", "chance", "ceiling"}),
        ("truths", {"labels", "chance", "ceiling"}),
        ("removal", {"labels", "chance"}),
        ("groups", {"family0", "link:0:0"}),
    ):
        text = (retrained / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        words = {"".join(node.itertext()).strip() for node in ElementTree.fromstring(text).iter()}
        assert controls <= words, name
        if name != "groups":
            assert set(run.finders("measured")) <= words, name


def test_names_in_a_crowd_do_not_hide_each_other(retrained: Path) -> None:
    run = Run(retrained)
    plan = next(plan for plan in plans(run) if plan.name == "truths")
    figure = Canvas(figsize=plan.size, layout="constrained")
    FigureCanvasAgg(figure)
    plan.draw(figure)
    figure.draw_without_rendering()
    named = {*run.finders("measured"), "labels"}
    boxes = [t.get_window_extent() for t in figure.axes[0].texts if t.get_text() in named]
    assert len(boxes) == 8
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_axes_reach_below_zero_only_for_signed_metrics(retrained: Path) -> None:
    run = Run(retrained)
    assert lowest(run, "measured", "lds") < 0
    assert lowest(run, "declared", "average_precision") == 0


def test_finders_look_alike_in_every_figure_and_unlike_each_other(retrained: Path) -> None:
    found = looks(Run(retrained))
    assert len(set(found.values())) == len(found) == 7


def test_more_finders_than_colours_still_differ(fresh_retrained: Path, edit: Any) -> None:
    edit(fresh_retrained / "scores.json", lambda rows: [
        {**row, "finder": f"{row['finder']}-{k}"} for row in rows for k in range(5)
        if row["finder"] not in ("chance", "oracle", "labels")
    ])  # fmt: skip
    found = looks(Run(fresh_retrained))
    assert len(set(found.values())) == len(found) == 35


def test_without_retraining_there_is_nothing_to_draw(made: Path) -> None:
    run = Run(made)
    assert truths(run) is None
    assert removal(run) is None
    assert quality(run, "measured") is None


def test_curves_need_no_random_finder(fresh_retrained: Path, edit: Any) -> None:
    edit(fresh_retrained / "scores.json", lambda rows: [
        {**row, "chance": None} if row["metric"].startswith("drop@") else row
        for row in rows if row["finder"] != "chance"
    ])  # fmt: skip
    made = removal(Run(fresh_retrained))
    assert made is not None
    assert "random documents" not in made[0]
