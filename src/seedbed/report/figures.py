"""Figures of a run as SVG and PNG whose bytes depend on the data only.

Each title states what the figure shows; seeds and questions are counted in the note under it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from seedbed.core.files import atomic_file, write_text
from seedbed.report import (
    attribution_plots,
    decisions,
    directions_plots,
    effects,
    incentives_plots,
    maps,
    plots,
    spread_plots,
    trade_off,
    wording,
)
from seedbed.report.blocks import groups
from seedbed.report.curves import training
from seedbed.report.history import over_training
from seedbed.report.leading import DECLARED, MEASURED
from seedbed.report.palette import MUTED, settings
from seedbed.report.reader import Run

_PNG_DPI = 160
_TITLE_PER_INCH, _NOTE_PER_INCH = 9.6, 14.5


@dataclass(frozen=True)
class Figure:
    """One figure: file name without ending, title, note, and the SVG without the title.

    `folded`: the page shows its title alone until it is opened.
    """

    name: str
    title: str
    note: str
    svg: str
    folded: bool = False


@dataclass(frozen=True)
class Plan:
    """What to draw: `draw(figure)` fills an empty matplotlib figure of `size` inches."""

    name: str
    title: str
    note: str
    size: tuple[float, float]
    draw: Callable[[Any], None]
    folded: bool = False


def plans(run: Run) -> list[Plan]:
    """The figures that the run has data for, in reading order."""
    found: list[Plan | None] = [
        Plan(name, *made, folded)
        for name, folded, made in (
            *incentives_plots.figures(run),
            *attribution_plots.figures(run),
            *decisions.figures(run),
            *spread_plots.figures(run),
            *trade_off.figures(run),
            *directions_plots.figures(run),
        )
    ]
    for truth in run.truths:
        declared = truth == DECLARED
        for name, make in (
            ("quality" if declared else "effects", plots.quality),
            ("cost" if declared else "cost-measured", plots.cost),
            ("composition" if declared else "composition-measured", plots.composition),
        ):
            made = make(run, truth)
            found.append(made and Plan(name, *made))
    more: list[tuple[str, Callable[[Run], plots.Made | None]]] = [
        ("mediation", maps.effects), ("running", maps.running), ("training", training),
        ("history", over_training),
    ]  # fmt: skip
    if MEASURED in run.truths:
        more = [
            ("truths", effects.truths), ("groups", groups), ("removal", effects.removal), *more
        ]  # fmt: skip
    for name, draw in more:
        made = draw(run)
        found.append(made and Plan(name, *made))
    return [plan for plan in found if plan is not None]


def write_figures(run: Run) -> list[Figure]:
    """Write figures/*.svg and *.png into the run folder; return them for the page."""
    return [write_plan(run.path, plan) for plan in plans(run)]


def write_plan(place: Path, plan: Plan) -> Figure:
    """Draw one figure into `place`/figures/, as SVG and PNG."""
    folder = place / "figures"
    with_title, png, bare = render(plan)
    write_text(folder / f"{plan.name}.svg", with_title)
    with atomic_file(folder / f"{plan.name}.png") as temporary:
        temporary.write_bytes(png)
    return Figure(plan.name, plan.title, plan.note, bare, plan.folded)


def render(plan: Plan) -> tuple[str, bytes, str]:
    """(SVG, PNG, SVG without title and note, for the page)."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings(plan.name))
        width, height = plan.size
        figure = Canvas(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        plan.draw(figure)
        figure.patch.set_alpha(0)
        bare = _frozen_svg(figure)
        figure.patch.set_alpha(1)
        title = wording.wrapped(plan.title.replace(" %", "\u00a0%"), int(width * _TITLE_PER_INCH))
        note = wording.wrapped(plan.note, int(width * _NOTE_PER_INCH))
        lines = 0.2 * len(title.splitlines()) + 0.16 * len(note.splitlines()) + 0.1
        figure.set_size_inches(width, height + lines)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, weight="bold")
        figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color=MUTED)
        figure.set_layout_engine("constrained")
        titled = _frozen_svg(figure)
        figure.dpi = _PNG_DPI
        buffer = BytesIO()
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return titled, buffer.getvalue(), bare


def _frozen_svg(figure: Any) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    # The layout is solved once and kept, and the canvas is asked directly, since savefig draws
    # everything twice: most of the time of a report goes into drawing.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    text, dpi = StringIO(), figure.dpi
    canvas = figure.canvas
    FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": "seedbed"})
    figure.set_canvas(canvas)
    figure.dpi = dpi
    # Cells of an image are no photograph: they keep their edges at every size.
    return text.getvalue().replace("<image ", '<image style="image-rendering: pixelated" ')
