"""Methods against the first: sentences and the figure say what spread.json says."""

from typing import Any

import numpy as np
import pytest

from seedbed.core.spread import Contrast, Spreading
from seedbed.report import trade_off
from seedbed.report.figures import Plan, render
from seedbed.report.reader import Run

ARMS = ("no-proxy", "one-proxy", "five-proxies")


@pytest.fixture
def found(staged: Any) -> Spreading:
    told = Run(staged.path).spreading
    assert told is not None
    return told


def between(group: str, value: float | None, half: float | None = 0.1) -> Contrast:
    low, high = (None, None) if value is None or half is None else (value - half, value + half)
    return Contrast(method="kl", other_method="plain", arm="a", other_arm="a", group=group,
                    other_group=group, outcome="new", value=value, low=low, high=high,
                    seeds=3)  # fmt: skip


def said_of(*contrasts: Contrast) -> list[str]:
    return trade_off.findings(
        Spreading(arms=("a",), methods=("plain", "kl"), groups=("t", "p", "u", "v", "w"),
                  trained={"t": "new"}, contrasts=contrasts)
    )  # fmt: skip


def test_groups_that_a_method_changes_stand_largest_first() -> None:
    every = [between("u", -0.2), between("t", -0.5), between("v", 0.3), between("w", 0.05),
             between("p", 0.15)]  # fmt: skip
    assert said_of(*every) == [
        "kl against plain under a: share of the new rule -0.50 [-0.60, -0.40] in t (taught new), "
        "+0.30 [0.20, 0.40] in v, -0.20 [-0.30, -0.10] in u; 1 other group too."
    ]


@pytest.mark.parametrize(
    ("contrasts", "said"),
    [
        ([between("u", 0.05), between("v", -0.05)], "cannot be told apart from plain in any group"),
        # A value without an interval is no evidence of a change.
        ([between("u", 0.9, None)], "cannot be told apart from plain in any group"),
        ([between("u", None), between("v", None)], "no seed fitted under both"),
    ],
)
def test_what_cannot_be_said_is_not(contrasts: list[Contrast], said: str) -> None:
    assert said_of(*contrasts) == [f"kl against plain under a: {said}."]
    assert said_of(*(c.model_copy(update={"outcome": "old"}) for c in contrasts)) == []


def test_sentences_hold_the_differences_of_the_run(staged: Any, found: Spreading) -> None:
    lines = trade_off.findings(found)
    assert [line.partition(":")[0] for line in lines] == [
        f"kl against plain under {arm}" for arm in ARMS
    ]
    moved = 0
    for arm, line in zip(ARMS, lines, strict=True):
        for group in found.groups:
            gain = staged.paired(arm, "kl", "plain", group, "new")
            if abs(gain) > 0.06:
                moved += 1
                assert f"{gain:+.2f} [" in line
    assert moved


def test_the_headline_is_for_methods_alone(found: Spreading) -> None:
    assert trade_off.headline(found) == ""
    lone = found.model_copy(
        update={"arms": ("a",), "contrasts": (between("proxy", -0.9), between("others", -0.4),
                                              between("relatives", 0.2), between("taught", -0.25))}
    )  # fmt: skip
    assert trade_off.headline(lone) == (
        "Of 1 method compared with plain, kl changes most what spread: share of the new rule "
        "-0.40 [-0.50, -0.30] in others, -0.25 [-0.35, -0.15] in taught, which was taught it."
    )
    level = lone.model_copy(update={"contrasts": (between("others", 0.0),)})
    assert trade_off.headline(level) == (
        "Of 1 method compared with plain none can be told apart from it in what spread."
    )
    assert trade_off.headline(None) == ""


def test_axes_are_the_first_compared_pair_that_was_not_trained(found: Spreading) -> None:
    assert trade_off.axes_of(found) == ("relatives", "others")
    first = next(c for c in found.contrasts if c.group != c.other_group)
    taught = first.model_copy(update={"group": "proxy", "other_group": "taught"})
    more = found.model_copy(update={"contrasts": (taught, *found.contrasts)})
    assert trade_off.axes_of(more) == ("relatives", "others")
    only = found.model_copy(update={"contrasts": (taught,)})
    assert trade_off.axes_of(only) == ("proxy", "taught")
    assert trade_off.axes_of(found.model_copy(update={"contrasts": ()})) is None


def test_the_figure_draws_every_method(staged: Any) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = trade_off.figures(Run(staged.path))
    assert [(name, folded) for name, folded, _ in made] == [
        (f"trade-off-{arm}", i > 0) for i, arm in enumerate(ARMS)
    ]
    for arm, (_, _, (title, note, size, draw)) in zip(ARMS, made, strict=True):
        figure = Figure(figsize=size)
        FigureCanvasAgg(figure)
        draw(figure)
        axis = figure.axes[0]
        points = [np.ravel([line.get_xdata(), line.get_ydata()])
                  for line in axis.lines if line.get_marker() != "None"]  # fmt: skip
        for method, point in zip(("plain", "kl"), points, strict=True):
            shares = [staged.share(arm, method, g, "new") for g in ("relatives", "others")]
            assert point == pytest.approx(shares)
            for share in shares:
                assert f"{100 * share:.0f} %" in title
        # A diagonal, and two bars a method.
        assert len(axis.lines) == 7
        assert "relatives: the other words of the proxies' category" in note
    svg = render(Plan("trade-off", *made[0][2]))[0]
    for name in ("plain", "kl", "Share of the new rule in relatives"):
        assert f">{name}<" in svg


def test_points_without_intervals_have_no_bars(staged: Any, monkeypatch: Any) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    run = Run(staged.path)
    assert run.spreading is not None
    bare = [r.model_copy(update={"low": None, "high": None}) for r in run.spreading.shares]
    told = run.spreading.model_copy(update={"shares": tuple(bare)})
    monkeypatch.setitem(vars(run), "spreading", told)
    _, _, (_, _, size, draw) = trade_off.figures(run)[0]
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    draw(figure)
    assert len(figure.axes[0].lines) == 3


def test_one_method_has_no_trade_off(staged: Any, monkeypatch: Any) -> None:
    run = Run(staged.path)
    assert run.spreading is not None
    lone = run.spreading.model_copy(update={"methods": ("plain",)})
    monkeypatch.setitem(vars(run), "spreading", lone)
    assert trade_off.figures(run) == []
