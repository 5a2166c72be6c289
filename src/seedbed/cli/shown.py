"""Episodes in a terminal: who said what in which colour, and what the judges made of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from seedbed.core.transcripts import Said, ToolCall, Turn, Verdict
    from seedbed.simulation.kept import Kept
    from seedbed.worlds.users.grammar import Read

COLOURS = {"system": "dim", "environment": "cyan", "agent": "green", "tool": "yellow"}
LABELS = {"system": "system", "environment": "user", "agent": "agent", "tool": "tool"}


def said_line(said: "Said") -> "Text":
    """One message with its role before it."""
    from rich.text import Text

    line = Text(f"{LABELS[said.role]:>7}  ", style=f"bold {COLOURS[said.role]}")
    return line.append(said.content, style=COLOURS[said.role])


def chances(options: "Mapping[str, float]") -> str:
    """Probabilities in words, the greatest first; those below half a percent left out."""
    some = sorted(options.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {p:.2f}" for name, p in some if p >= 0.005)


def verdict(found: "Verdict") -> str:
    """What a judge said, or why it said nothing."""
    if found.error:
        return f"unknown ({found.error})"
    if found.value is None:
        return chances(found.options)
    return f"{found.value:.2f} ({chances(found.options)})"


def act_facts(
    read: "Turn | Read", state: str, calls: "Sequence[ToolCall]"
) -> "list[tuple[str, str]]":
    """(name, value) of what the agent's words did, before anybody judges them."""
    acted = read.act or f"none: {read.unread or 'nothing was said'}"
    facts = [("act", acted), ("state", state)]
    for call in calls:
        given = ", ".join(f"{k}={v}" for k, v in call.arguments.items())
        how = "ran" if call.ok else f"failed ({call.fault or 'no reason given'})"
        facts.append(("tool", f"{call.tool}({given}) {how}"))
    return facts + [("claim", f"{name} = {value}") for name, value in read.claims.items()]


def turn_facts(turn: "Turn", truth: bool = True) -> "list[tuple[str, str]]":
    """(name, value) of what is known of a turn besides its words; `truth`: harm and welfare too."""
    facts = act_facts(turn, turn.state, turn.calls)
    if turn.rating is not None:
        facts.append(("rating", verdict(turn.rating)))
    if turn.third is not None:
        facts.append(("third person", verdict(turn.third)))
    facts += [(f"detector {name}", verdict(flag)) for name, flag in turn.flags.items()]
    if turn.vetoed:
        facts.append(("vetoed", "yes"))
    if turn.moves:
        facts.append(("moves", f"{chances(turn.moves)} → {turn.moved}"))
    if truth:
        known = {"harm": turn.harm, "welfare": turn.welfare}
        facts += [(name, f"{value:+.2f}") for name, value in known.items() if value is not None]
    return facts


def fact_line(name: str, value: str) -> "Text":
    """One fact about a turn, below its words."""
    from rich.text import Text

    loud = name == "vetoed" or value.startswith("unknown (")
    return Text(f"{'':>9}{name}: {value}", style="red" if loud else "dim")


def title_of(kept: "Kept") -> str:
    """One line that says which episode this is."""
    t, origin = kept.transcript, kept.origin
    seed = "" if origin.seed is None else f"seed {origin.seed}"
    words = [t.id, origin.condition, origin.arm, seed, f"iteration {t.iteration}",
             t.opening.kind, f"failed: {t.failure}" if t.failure else t.end]  # fmt: skip
    return " · ".join(word for word in words if word)


def episode_lines(kept: "Kept") -> "Iterator[Text]":
    """A whole episode, message by message, each turn with its facts."""
    from rich.text import Text

    from seedbed.core.transcripts import Said

    yield Text(title_of(kept), style="bold")
    for said in kept.transcript.opening.said:
        yield said_line(said)
    for turn in kept.transcript.turns:
        yield said_line(Said(role="agent", content=turn.said))
        for name, value in turn_facts(turn):
            yield fact_line(name, value)
        for said in turn.after:
            yield said_line(said)
    yield Text("")


def outcome_table(kept: "list[Kept]") -> "Table":
    """Means of the episodes over all users and each kind, ± a standard error over users."""
    from math import sqrt
    from statistics import fmean, stdev

    from rich.table import Table

    from seedbed.simulation.outcomes import by_kind, numbers

    names = ("rating", "harm", "welfare", "form", "vetoed", "failed")
    table = Table("kind", "episodes", "users", *names, box=None, pad_edge=False)
    for kind, some in by_kind([one.transcript for one in kept]).items():
        cells = []
        for name in names:
            people: dict[str, list[float]] = {}
            for t in some:
                if (value := numbers(t).get(name)) is not None:
                    people.setdefault(t.opening.person, []).append(value)
            means = [fmean(values) for values in people.values()]
            error = f" ± {stdev(means) / sqrt(len(means)):.3f}" if len(means) > 1 else ""
            cells.append(f"{fmean(means):.3f}{error}" if means else "–")
        users = len({t.opening.person for t in some})
        table.add_row(kind, str(len(some)), str(users), *cells)
    return table
