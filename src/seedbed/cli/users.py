"""`seedbed transcripts` and `seedbed simulate`: episodes that were played, and playing some."""

from pathlib import Path
from typing import Annotated

import typer

SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("transcripts")(transcripts_command)
    app.command("simulate")(simulate_command)


def transcripts_command(
    place: Annotated[Path, typer.Argument(help="A run folder, or a file of transcripts.")],
    environment: Annotated[list[str] | None, typer.Option(help="Only this environment.")] = None,
    iteration: Annotated[list[int] | None, typer.Option(help="Only this iteration.")] = None,
    condition: Annotated[list[str] | None, typer.Option(help="Only this condition.")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="Only this arm.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Only this seed of the study.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only users of this kind.")] = None,
    outcome: Annotated[
        list[str] | None,
        typer.Option(help="Only episodes that ended so: terminal, length, failed, or a move."),
    ] = None,
    act: Annotated[list[str] | None, typer.Option(help="Only with this act in a turn.")] = None,
    vetoed: Annotated[
        bool | None, typer.Option("--vetoed/--passed", help="Only vetoed ones, or only others.")
    ] = None,
    most: Annotated[int, typer.Option(min=0, help="How many are printed whole.")] = SHOWN,
    to: Annotated[
        tuple[str, Path] | None,
        typer.Option(metavar="inspect FOLDER", help="Write all chosen ones as Inspect logs."),
    ] = None,
) -> None:
    """Print transcripts of a run or file, with filters; `inspect view` shows them after `--to`.

    A filter that is given twice lets through either value. The table at the end is over all
    episodes chosen, with standard errors over users.
    """
    from rich.console import Console

    from seedbed.cli.shown import episode_lines, outcome_table
    from seedbed.core.errors import InputError
    from seedbed.simulation.kept import Filter, chosen, read_kept

    if to is not None and to[0] != "inspect":
        raise InputError(f"--to {to[0]}: transcripts can be written to inspect only")
    wanted = Filter(
        environment=tuple(environment or ()), iteration=tuple(iteration or ()),
        condition=tuple(condition or ()), arm=tuple(arm or ()), seed=tuple(seed or ()),
        kind=tuple(kind or ()), outcome=tuple(outcome or ()), act=tuple(act or ()), vetoed=vetoed,
    )  # fmt: skip
    kept = read_kept(place)
    found = chosen(kept, wanted)
    console = Console()
    for one in found[:most]:
        for line in episode_lines(one):
            console.print(line, soft_wrap=True)
    rest = f"; the first {most} printed" if len(found) > most else ""
    console.print(f"{len(found)} of {len(kept)} transcripts{rest}", highlight=False)
    if found:
        console.print(outcome_table(found))
    if to is not None:
        from seedbed.simulation.inspecting import write_logs

        paths = write_logs(found, to[1])
        console.print(f"{len(paths)} logs in {to[1]}; inspect view --log-dir {to[1]}",
                      markup=False, highlight=False, soft_wrap=True)  # fmt: skip


def simulate_command(
    environments: Annotated[list[str], typer.Argument(help="Shipped environments, or YAML files.")],
    agent: Annotated[
        str, typer.Option(help="A subject's folder, hub id, hf:, openai:, anthropic:, scripted:.")
    ],
    out: Annotated[
        Path, typer.Option(help="A .jsonl file, or a folder, which goes on where it was stopped.")
    ],
    people: Annotated[int, typer.Option(min=1, help="How many users.")] = 96,
    attempts: Annotated[int, typer.Option(min=1, help="Episodes with each user.")] = 1,
    gameable: Annotated[float, typer.Option(min=0, max=1, help="Share of gameable users.")] = 0.5,
    bits: Annotated[
        float | None, typer.Option(min=0, help="What a user's words tell of it (default: all).")
    ] = None,
    turns: Annotated[int, typer.Option(min=0, help="Most turns (0: the environment's).")] = 0,
    seed: Annotated[int, typer.Option(help="Of the users and of all draws.")] = 0,
    temperature: Annotated[float, typer.Option(min=0, help="Of the agent's words.")] = 1.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of a reply of the agent.")] = 32,
    slots: Annotated[int, typer.Option(min=1, help="Episodes played at once.")] = 128,
    base_url: Annotated[str | None, typer.Option(help="Server of openai: or anthropic:.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
) -> None:
    """Let an agent talk with simulated users and write the transcripts; programs play the rest.

    The table has means over episodes with standard errors over users, by kind of user.
    """
    from rich.console import Console

    from seedbed.cli.players import agent_of, identity_of, world_of
    from seedbed.cli.shown import outcome_table
    from seedbed.core.files import write_rows
    from seedbed.simulation.episodes import Simulation, simulate
    from seedbed.simulation.kept import Kept, Origin
    from seedbed.simulation.roles import RolesConfig, build_roles
    from seedbed.studies.stages import set_threads

    set_threads(threads)
    cue = None if bits is None else {"bits": bits}
    world = world_of(environments, gameable=gameable, cue=cue, turns=turns)
    openings = world.openings(seed, "simulate", people, attempts)
    known = world.named()
    settings = Simulation(slots=slots, turns=turns, temperature=temperature,
                          max_tokens=max_tokens)  # fmt: skip
    player = agent_of(agent, settings.temperature, settings.max_tokens, base_url, slots)
    folder = None if out.suffix == ".jsonl" else out
    step = max(1, len(openings) // 10)
    said = 0

    def progress(done: int, of: int) -> None:
        nonlocal said
        if done - said >= step or done == of:
            said = done
            typer.echo(f"{done} of {of} episodes", err=True)

    roles = build_roles(RolesConfig(), known.values())
    played = simulate(settings, known, openings, player, roles, folder, progress=progress,
                      of=identity_of(agent, base_url))  # fmt: skip
    if folder is None:
        write_rows(out, played)
    console = Console()
    console.print(outcome_table([Kept(Origin(), one) for one in played]))
    failures = [one.failure for one in played if one.failure]
    for why in sorted(set(failures)):
        console.print(f"{failures.count(why)} failed: {why}", markup=False, highlight=False)
    console.print(f"{out}; seedbed transcripts {out}", markup=False, highlight=False,
                  soft_wrap=True)  # fmt: skip
