"""`seedbed runs`: the runs of a folder listed, compared, tidied, sent and taken in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedbed.runs.index import Index
    from seedbed.runs.summary import Summary
    from seedbed.runs.wanted import Wanted

RUNS = Path("runs")
Root = Annotated[Path, typer.Argument(help="A folder that holds runs.")]
Run = Annotated[Path, typer.Argument(help="A run folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_FILTERS = ("world", "finder", "study", "subject", "state")
_ORDERS = ("started", "run", "study", "world", "seconds", "bytes")

runs_app = typer.Typer(
    help="List, compare and tidy runs; send and take in whole runs and their rows.",
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(runs_app, name="runs")


@runs_app.callback(invoke_without_command=True)
def _runs(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_command()


@runs_app.command("list")
def list_command(
    root: Root = RUNS,
    world: Annotated[str, typer.Option(help="Only runs of this world.")] = "",
    finder: Annotated[str, typer.Option(help="Only runs with this finder or kind of it.")] = "",
    study: Annotated[str, typer.Option(help="Only runs of this study.")] = "",
    subject: Annotated[str, typer.Option(help="Only runs with this kind of subject.")] = "",
    state: Annotated[
        str, typer.Option(help="finished, stopped (at the gate), unfinished or damaged.")
    ] = "",
    since: Annotated[
        str, typer.Option(help="Only runs started since: 2026-11-01, 7d or 12h.")
    ] = "",
    where: Annotated[
        list[str] | None,
        typer.Option(help="A metric over all questions: 'average_precision>0.9'; repeat it."),
    ] = None,
    sort: Annotated[
        str, typer.Option(help=f"{', '.join(_ORDERS)}, or a metric (its best value first).")
    ] = "started",
    limit: Annotated[int | None, typer.Option(min=1, help="So many at most.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List runs, newest first: the best finder's leading score beside chance.

    Names may hold * and ?. The index of a folder, ROOT/.index.sqlite, is brought up to date first.
    """
    from rich.console import Console

    from seedbed.report import wording
    from seedbed.report.listing import list_runs
    from seedbed.runs.wanted import Condition, Wanted
    from seedbed.runs.wanted import since as since_time

    conditions = tuple(Condition.read(text) for text in where or ())
    wanted = Wanted(world, finder, study, subject, state, since_time(since) if since else "",
                    conditions)  # fmt: skip
    index = _index(root)
    _check(index, wanted)
    found = _sorted(index, index.runs(wanted), sort, wanted)
    shown = found[:limit]
    if as_json:
        _print_json([_plain(run) for run in shown])
        return
    console = Console()
    if shown:
        list_runs(shown, root, console, wanted)
    every = len(index.runs(lines=False))
    less = "" if len(shown) == every else f" of {every:,}"
    console.print(f"{root}: {wording.plural(len(shown), 'run')}{less}", highlight=False)


@runs_app.command("compare")
def compare_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, two or more.")],
) -> None:
    """Runs side by side: which keys differ, and every finder's leading score.

    `seedbed compare A B` shows two runs in more depth.
    """
    from rich.console import Console

    from seedbed.core.errors import InputError
    from seedbed.report.listing import compare_runs
    from seedbed.runs.summary import read_summary

    if len(runs) < 2:
        raise InputError(f"{runs[0]}: one run alone; two or more are compared")
    found = [read_summary(folder) for folder in runs]
    for run in found:
        if run.state == "damaged":
            raise InputError(f"{run.folder}: the run is damaged: {run.reason}")
    compare_runs(found, Console())


@runs_app.command("prune")
def prune_command(
    root: Root = RUNS,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Interrupted runs.")] = False,
    damaged: Annotated[bool, typer.Option("--damaged", help="Damaged runs.")] = False,
    older: Annotated[
        bool, typer.Option("--older", help="All but the newest run of one configuration.")
    ] = False,
    stages: Annotated[
        bool, typer.Option("--stages", help="Stages in the store that no run refers to.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else it is only shown.")] = False,
) -> None:
    """Show what may go and the bytes that frees; with --yes and the kinds named, remove it.

    A run that is being written stays, and so does all that a run which stays was made from.
    """
    from seedbed.core.errors import InputError
    from seedbed.report.wording import plural
    from seedbed.runs.tidy import take_away, tidying

    _index(root)
    given = {"unfinished": unfinished, "damaged": damaged, "older": older, "stages": stages}
    whats: Any = [what for what, asked in given.items() if asked]
    if yes and not whats:
        raise InputError("--yes: name what may go: " + ", ".join(f"--{what}" for what in given))
    found = tidying(root, whats or list(given))
    for item in found.items:
        typer.echo(f"{item.what:<11}{item.path}: {item.why}")
    for line in found.stays:
        typer.echo(f"{'stays':<11}{line}")
    freed = f"{plural(len(found.items), 'folder')}, {found.bytes / 1e6:,.1f} MB"
    if not found.items:
        typer.echo("nothing to remove")
    elif not yes:
        typer.echo(f"{freed} would be freed; nothing was removed: add --yes and name the kinds")
    else:
        stayed = take_away(found)
        for line in stayed:
            typer.echo(f"{'stays':<11}{line}")
        typer.echo(f"{freed} freed" if not stayed else f"removed all but {len(stayed)}")
        _index(root)


@runs_app.command("rebuild")
def rebuild_command(root: Root = RUNS) -> None:
    """Make the index of a folder of runs anew from the folders themselves."""
    from seedbed.report.wording import plural
    from seedbed.runs.index import Index

    index = Index.open(root)
    found = index.rebuild()
    typer.echo(f"{root}: {plural(found.runs, 'run')} read anew")


@runs_app.command("export")
def export_command(
    run: Run,
    out: Annotated[Path, typer.Option(help="The archive to write, .tar.gz.")],
    subject: Annotated[
        bool, typer.Option(help="With the trained subjects' weights, which are large.")
    ] = True,
) -> None:
    """Write a run as one archive with the size and SHA-256 of every file in it."""
    from seedbed.runs.archive import export

    made = export(run, out, subject)
    size = out.stat().st_size / 1e6
    left = f", {len(made.left_out)} files of weights left out" if made.left_out else ""
    typer.echo(f"{out}: {len(made.files)} files, {size:.1f} MB{left}")


@runs_app.command("import")
def import_command(
    archive: Annotated[Path, typer.Argument(help="An archive that `seedbed runs export` wrote.")],
    out: Annotated[Path, typer.Option(help="The folder of runs that takes it.")] = RUNS,
) -> None:
    """Take in a run from an archive, after every file in it is checked."""
    from seedbed.runs.arrival import take_in

    for line in take_in(archive, out).lines:
        typer.echo(line)


@runs_app.command("dataset")
def dataset_command(
    source: Annotated[
        Path, typer.Argument(help="A run folder, or a folder that `seedbed data` wrote.")
    ],
    out: Annotated[Path, typer.Option(help="A new folder for the datasets.")],
    seed: Annotated[
        int | None, typer.Option(help="Which seed of a run (default: the first).")
    ] = None,
    sites: Annotated[
        str, typer.Option(help="Another kind of site that the run was crossed to, such as cell.")
    ] = "",
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Parquet files instead of `save_to_disk` folders.")
    ] = False,
) -> None:
    """Rows, truth and claims of one seed as Hugging Face datasets (extra `share`)."""
    from seedbed.core.errors import InputError
    from seedbed.core.hub import Shared, crossed_of, write_datasets
    from seedbed.runs.summary import read_summary

    others: list[str] = []
    if (source / "config.yaml").exists():
        seeds = read_summary(source).seeds
        one = seeds[0] if seed is None and seeds else seed or 0
        shared = Shared.of_run(source, one, sites)
        others = [] if sites else crossed_of(source, one)
    else:
        for option, given in (("--seed", seed), ("--sites", sites or None)):
            if given is not None:
                raise InputError(f"{option} {given}: {source} is no run, and so has no seeds")
        shared = Shared.of_rows(source)
    write_datasets(shared, out, parquet)
    typer.echo(f"{out}: {_counted(shared.counts())}")
    if others:
        typer.echo(f"not in it: claims about other kinds of site (--sites): {', '.join(others)}")


@runs_app.command("rows")
def rows_command(
    source: Annotated[Path, typer.Argument(help="A folder with datasets, on disk or Parquet.")],
    out: Annotated[Path, typer.Option(help="A new folder for the rows.")],
) -> None:
    """Rows, truth and claims from Hugging Face datasets as seedbed's own JSONL (extra `share`)."""
    from seedbed.core.hub import read_datasets

    shared = read_datasets(source)
    shared.write(out)
    typer.echo(f"{out}: {_counted(shared.counts())}")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if name != "truth")


def _index(root: Path) -> "Index":
    """The index of `root`, up to date; what was wrong with it goes to stderr."""
    from seedbed.runs.index import Index

    index = Index.open(root)
    index.refresh()
    for note in index.notes:
        typer.echo(note, err=True)
    return index


def _check(index: "Index", wanted: "Wanted") -> None:
    """Raises InputError, with what there is, for a name that no run has."""
    from difflib import get_close_matches

    from seedbed.core.errors import InputError

    columns = {name: index.values(name) for name in _FILTERS}
    columns["finder"] += index.values("kind")
    columns["state"] = ["finished", "stopped", "unfinished", "damaged"]
    asked = [(f"--{name}", getattr(wanted, name), columns[name]) for name in _FILTERS]
    asked += [("--where", condition.metric, index.values("metric")) for condition in wanted.where]
    for option, given, known in asked:
        if given and not set("*?[") & set(given) and given not in known and any(known):
            near = get_close_matches(given, known, n=1)
            there = ", ".join(sorted(set(filter(None, known)))[:12])
            hint = f"did you mean '{near[0]}'?" if near else f"there are: {there}"
            raise InputError(f"{option} {given}: no run has it; {hint}")


def _sorted(
    index: "Index", runs: "Sequence[Summary]", key: str, wanted: "Wanted"
) -> "list[Summary]":
    from seedbed.core.errors import InputError
    from seedbed.runs.wanted import CONTROLS

    if key == "run":
        return sorted(runs, key=lambda r: r.folder)
    if key in ("study", "world"):
        return sorted(runs, key=lambda r: (getattr(r, key), r.folder))
    if key in _ORDERS:
        return sorted(runs, key=lambda r: (getattr(r, key) or 0) if key != "started" else r.started,
                      reverse=True)  # fmt: skip
    metrics = index.values("metric")
    if key not in metrics:
        known = ", ".join([*_ORDERS, *metrics[:8]])
        raise InputError(f"--sort {key}: unknown; there are: {known}")

    def best(run: "Summary") -> float:
        fit = [
            line.value
            for line in run.lines
            if line.metric == key
            and line.value is not None
            and line.kind not in CONTROLS
            and wanted.names(line.finder, line.kind)
        ]
        return max(fit, default=float("-inf"))

    return sorted(runs, key=best, reverse=True)


def _plain(run: "Summary") -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(run), "folder": str(run.folder)}


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))
