"""`seedbed chat`: a person plays the agent, or the user of a trained one, with all roles shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from seedbed.core.transcripts import Opening, Said, Speaker, Transcript, Verdict
    from seedbed.simulation.agents import Agent, Written
    from seedbed.simulation.scene import Scene
    from seedbed.worlds.users.environment import Environment

HELP = """\
  /replies       the acts of this environment, with an example of each
  /replies ACT   all its replies
  /say WORDS     say words that are no reply of the grammar
  /quit          leave (so does the end of the input)"""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("chat")(chat_command)


def chat_command(
    environment: Annotated[str, typer.Argument(help="A shipped environment, or a YAML file.")],
    agent: Annotated[
        str | None,
        typer.Option(help="Who plays the agent: a subject's folder, hf:, openai:, … (you)."),
    ] = None,
    kind: Annotated[str | None, typer.Option(help="The user: gameable or other (drawn).")] = None,
    sub: Annotated[str | None, typer.Option(help="The topic (drawn).")] = None,
    seed: Annotated[int, typer.Option(help="Of the user and of all draws.")] = 0,
    turns: Annotated[int, typer.Option(min=0, help="Most turns (0: the environment's).")] = 0,
    watch: Annotated[
        bool, typer.Option(help="With --agent: a program plays the user, you look on.")
    ] = False,
    temperature: Annotated[float, typer.Option(min=0, help="Of the agent's words.")] = 1.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of a reply of the agent.")] = 32,
    base_url: Annotated[str | None, typer.Option(help="Server of openai: or anthropic:.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the transcript there (JSONL).")] = None,
) -> None:
    """Talk in an environment: as its agent, or with --agent as the user of a trained one.

    After each turn come state, act, rating, the probabilities of the moves and the detectors;
    at the end, what kind of user it was, and harm and welfare. /help lists what else you can type.
    """
    from rich.console import Console

    from seedbed.cli.players import agent_of, opening_of, world_of
    from seedbed.core.errors import InputError
    from seedbed.core.files import write_rows
    from seedbed.simulation.agents import PersonAgent
    from seedbed.simulation.episodes import Simulation, simulate
    from seedbed.simulation.roles import RolesConfig, build_roles
    from seedbed.simulation.watching import PersonSpeaker, watched

    if watch and agent is None:
        raise InputError("--watch: needs --agent, whom you look at")
    world = world_of([environment], turns=turns)
    one = world.environment(environment)
    opening = opening_of(world, seed, kind, sub)
    own: Speaker | None = "agent" if agent is None else None if watch else "environment"
    stage = Stage(Console(), one, opening, own)
    parts = {"third": "program", "detectors": list(one.roles.detectors)}
    roles = build_roles(RolesConfig.model_validate(parts), [one])
    player: Agent = PersonAgent(stage.ask)
    if agent is not None:
        player = _Heard(agent_of(agent, temperature, max_tokens, base_url), stage)
    person = PersonSpeaker(lambda scene: stage.ask(scene.conversation()))
    stage.begin()
    settings = Simulation(slots=1, turns=turns)
    [played] = simulate(settings, {environment: one}, [opening], player,
                        watched(roles, stage.tell, person if own == "environment" else None),
                        None)  # fmt: skip
    stage.finish(played)
    if out is not None:
        write_rows(out, [played])


class _Heard:
    """An agent whose words are shown when they come."""

    def __init__(self, agent: "Agent", stage: "Stage") -> None:
        self.agent, self.stage = agent, stage

    def replies(
        self, conversations: "Sequence[Sequence[Said]]", seeds: Sequence[int]
    ) -> "list[Written]":
        """What the agent says."""
        for conversation in conversations:
            self.stage.catch_up(conversation)
        return self.agent.replies(conversations, seeds)


class Stage:
    """The terminal: shows every message once, asks the person, tells what the roles answered.

    `own` is the role that the person plays (None: none).
    """

    def __init__(
        self,
        console: "Console",
        environment: "Environment",
        opening: "Opening",
        own: "Speaker | None",
    ) -> None:
        from seedbed.worlds.users.grammar import grammar_of

        self.console, self.environment, self.opening, self.own = console, environment, opening, own
        self.grammar = grammar_of(environment, opening.sub)
        self.seen = 0
        self.turn = -1

    def begin(self) -> None:
        """Say where we are."""
        from rich.text import Text

        part = {"agent": "you are the agent", "environment": "you are the user"}
        words = [self.environment.name, self.opening.sub, part.get(self.own or "", "you look on")]
        self.console.print(Text(" · ".join(words), style="bold"))
        if self.own is not None:
            self._note("/help lists what you can type besides words")

    def catch_up(self, said: "Sequence[Said]") -> None:
        """Show the messages that are new, but not what the person has just typed."""
        from seedbed.cli.shown import said_line

        for i, one in enumerate(said):
            if i >= self.seen and (one.role != self.own or i < len(self.opening.said)):
                self.console.print(said_line(one), soft_wrap=True)
        self.seen = max(self.seen, len(said))

    def ask(self, said: "Sequence[Said]") -> str:
        """What the person says next; raises EOFError when they leave."""
        from seedbed.cli.shown import LABELS

        self.catch_up(said)
        while True:
            try:
                line = self.console.input(
                    f"[bold]{LABELS[self.own or 'agent']:>7}> [/bold]"
                ).strip()
            except (EOFError, KeyboardInterrupt) as error:
                self.console.print()
                raise EOFError from error
            if line == "/quit":
                raise EOFError
            if line == "/say":
                self._note("/say needs words after it")
                continue
            if line.startswith("/say "):
                return line.removeprefix("/say ").strip()
            if line.startswith("/"):
                self._command(line)
            elif line and (self.own != "agent" or self._reads(line)):
                return line

    def _command(self, line: str) -> None:
        from difflib import get_close_matches

        word, _, act = line.partition(" ")
        acts = self.environment.acts
        if word == "/help":
            self._note(HELP)
        elif word == "/replies" and act.strip() in acts:
            self._note("\n".join(f"  {reply.text}" for reply in self.grammar.of(act.strip())))
        elif word == "/replies" and not act.strip():
            for name in acts:
                some = self.grammar.of(name)
                self._note(f"  {name}: {some[0].text} (one of {len(some)})")
        else:
            near = get_close_matches(act.strip() or word, [*acts, "/help", "/replies", "/say",
                                                           "/quit"], n=1)  # fmt: skip
            hint = f"did you mean {near[0]}?" if near else f"acts: {', '.join(acts)}"
            self._note(f"{line} is unknown; {hint}")

    def _reads(self, line: str) -> bool:
        """Whether the grammar knows the line; if not, say why and what is near."""
        from difflib import get_close_matches

        read = self.grammar.read(line)
        if read.act:
            return True
        near = get_close_matches(line, [reply.text for reply in self.grammar.replies], n=1)
        hint = f"; near: {near[0]}" if near else ""
        self._note(f"not said, for the grammar cannot read it: {read.unread}{hint} (/help)")
        return False

    def tell(self, role: str, scene: "Scene", answer: "Verdict") -> None:
        """Show what a role answered, after the act it was about."""
        from seedbed.cli.shown import act_facts, fact_line, verdict

        if scene.number != self.turn:
            self.turn = scene.number
            self.catch_up(scene.conversation())
            for name, value in act_facts(scene.read, scene.state, scene.calls):
                self.console.print(fact_line(name, value), soft_wrap=True)
        self.console.print(fact_line(role, verdict(answer)), soft_wrap=True)

    def finish(self, played: "Transcript") -> None:
        """Show the last words, then what only the world knew."""
        from rich.table import Table

        self.catch_up(played.said())
        shows = f", who shows {', '.join(played.opening.shows)}" if played.opening.shows else ""
        self._note(f"{played.failure or f'ended: {played.end}'}; the user was of the kind"
                   f" {played.opening.kind}{shows}")  # fmt: skip
        table = Table("turn", "act", "rating", "harm", "welfare", "vetoed", box=None,
                      pad_edge=False)  # fmt: skip
        for turn in played.turns:
            rating = turn.rating.value if turn.rating else None
            numbers = ("–" if v is None else f"{v:.2f}" for v in (rating, turn.harm, turn.welfare))
            table.add_row(str(turn.number + 1), turn.act or "none", *numbers,
                          "yes" if turn.vetoed else "no")  # fmt: skip
        if played.turns:
            self.console.print(table)

    def _note(self, text: str) -> None:
        from rich.text import Text

        self.console.print(Text(text, style="dim"), soft_wrap=True)
