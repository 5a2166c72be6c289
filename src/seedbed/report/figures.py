"""Figures of a run as SVG and PNG whose bytes depend on the data only.

Each title states what the figure shows; seeds and questions are counted in the note under it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any

from seedbed.core.files import atomic_file, write_text
from seedbed.report import plots, wording
from seedbed.report.curves import training
from seedbed.report.palette import settings
from seedbed.report.reader import Run

_TITLE_WIDTH = 88


@dataclass(frozen=True)
class Figure:
    """One figure: file name without ending, title, note, and the SVG without the title."""

    name: str
    title: str
    note: str
    svg: str


@dataclass(frozen=True)
class Plan:
    """What to draw: `draw(figure)` fills an empty matplotlib figure of `size` inches."""

    name: str
    title: str
    note: str
    size: tuple[float, float]
    draw: Callable[[Any], None]


def plans(run: Run) -> list[Plan]:
    """The figures that the run has data for, in reading order."""
    found: list[Plan | None] = []
    for truth in run.truths:
        suffix = "" if truth == run.truths[0] else f"-{truth}"
        for name, make in (
            ("quality", plots.quality),
            ("cost", plots.cost),
            ("composition", plots.composition),
        ):
            made = make(run, truth)
            found.append(made and Plan(f"{name}{suffix}", *made))
    made = training(run)
    found.append(made and Plan("training", *made))
    return [plan for plan in found if plan is not None]


def write_figures(run: Run) -> list[Figure]:
    """Write figures/*.svg and *.png into the run folder; return them for the page."""
    return [_write(run, plan) for plan in plans(run)]


def _write(run: Run, plan: Plan) -> Figure:
    folder = run.path / "figures"
    titled = _render(plan, "svg", title=True)
    write_text(folder / f"{plan.name}.svg", titled.decode())
    with atomic_file(folder / f"{plan.name}.png") as temporary:
        temporary.write_bytes(_render(plan, "png", title=True))
    return Figure(plan.name, plan.title, plan.note, _render(plan, "svg", title=False).decode())


def _render(plan: Plan, kind: str, title: bool) -> bytes:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings(plan.name))
        extra = 0.75 if title else 0.0
        figure = Canvas(figsize=(plan.size[0], plan.size[1] + extra), layout="constrained")
        FigureCanvasAgg(figure)
        if title:
            figure.suptitle(
                wording.wrapped(plan.title, _TITLE_WIDTH), x=0.01, ha="left", fontsize=11.5, weight="bold"
            )
            figure.supxlabel(wording.wrapped(plan.note, 120), x=0.01, ha="left", fontsize=8)
        plan.draw(figure)
        if kind == "png":
            buffer = BytesIO()
            figure.savefig(buffer, format="png", metadata={"Software": None})
            return buffer.getvalue()
        text = StringIO()
        metadata = {"Date": None, "Creator": "seedbed"}
        figure.savefig(text, format="svg", metadata=metadata, transparent=not title)
        return text.getvalue().encode()
