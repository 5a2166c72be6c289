"""`seedbed run`: a study from its file to the report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seedbed.cli.launching import LaunchFile, On, Workers

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

    from seedbed.runs.store import Stage
    from seedbed.studies.plan import Task

Sets = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value: training.steps=500."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("run")(run_command)


def run_command(
    study: Annotated[Path, typer.Argument(help="A study file, or the config.yaml of a run.")],
    sets: Sets = [],  # noqa: B006 (typer reads the default, nothing changes it)
    seeds: Annotated[str | None, typer.Option(help="Seeds, such as 0-4 or 0,3.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder (default: runs/NAME-DIGEST).")
    ] = None,
    workers: Workers = None,
    on: On = None,
    launch: LaunchFile = None,
    report: Annotated[bool, typer.Option(help="Write report.html and figures.")] = True,
) -> None:
    """Run a study: plant, train, find, score, show. Run it again to go on or to see it again."""
    from rich.console import Console

    from seedbed.core.errors import GateError
    from seedbed.runs.launch import read_launch
    from seedbed.studies import run
    from seedbed.studies.run import folder_of
    from seedbed.studies.study import load_study

    console = Console(stderr=True)
    place = read_launch(on, launch, workers)
    loaded = load_study(study, tuple(sets), seeds)
    with Display(console) as display:
        try:
            folder = run(loaded, out, reporter=display, launch=place)
        except GateError as error:
            stopped: GateError | None = error
            folder = folder_of(loaded, out)
        else:
            stopped = None
    _show(folder, report)
    if stopped is not None:
        raise stopped


def _show(folder: Path, report: bool) -> None:
    from rich.console import Console

    from seedbed.report.page import write_report
    from seedbed.report.tables import show

    console = Console()
    show(folder, console)
    if report:
        console.print(f"Report: {write_report(folder)}", soft_wrap=True)


class Display:
    """A bar for each running stage, and a line for each finished one."""

    def __init__(self, console: "Console") -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.console = console
        self.bars: Progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(), TextColumn("{task.fields[text]}"), console=console, transient=True,
        )  # fmt: skip
        self.open: dict[tuple[int, str], TaskID] = {}
        self.retrained: list[Stage] = []

    def __enter__(self) -> "Display":
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()
        if self.retrained:
            # One line for the bank: its stages are many and alike.
            taken = sum(s.taken for s in self.retrained)
            spent = sum(s.seconds for s in self.retrained if not s.taken)
            made = f"{len(self.retrained) - taken} made in {spent:.0f} s, {taken} from the store"
            self.console.print(f"retrained subjects: {made}", highlight=False)

    def stage(self, task: "Task", stage: "Stage") -> None:
        """One line: made in how long, or taken from the store."""
        if (bar := self.open.pop((task.seed, task.name), None)) is not None:
            self.bars.remove_task(bar)
        if task.stage == "retrain":
            self.retrained.append(stage)
            if stage.remade:
                self.bars.console.print(f"{task.name} made again: {stage.remade}", highlight=False)
            return
        how = "taken from the store" if stage.taken else f"{stage.seconds:.1f} s"
        note = f" (made again: {stage.remade})" if stage.remade else ""
        self.bars.console.print(f"seed {task.seed}  {task.name:<24} {how}{note}", highlight=False)

    def progress(self, seed: int, name: str, done: int, total: int, text: str) -> None:
        """Move the stage's bar."""
        key = (seed, name)
        if name.startswith("retrain "):
            text = f"{text}, {len(self.retrained)} retrained so far"
        if key not in self.open:
            self.open[key] = self.bars.add_task(f"seed {seed}  {name}", total=total, text=text)
        self.bars.update(self.open[key], completed=done, text=text)

    def lost(self, line: str) -> None:
        """One line."""
        self.bars.console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
