"""Who plays in `seedbed chat` and `seedbed simulate`: the agent, and the users of environments."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedbed.core.transcripts import Opening
    from seedbed.simulation.agents import Agent
    from seedbed.worlds.users.world import Users


def agent_of(
    spec: str, temperature: float, most: int, base_url: str | None = None, batch: int = 64
) -> "Agent":
    """The agent that `spec` names.

    A folder of a subject, a hub id or a fetchable name (also as hf:NAME) is run here;
    openai:NAME, anthropic:NAME and scripted:FILE are asked as chat models. Raises InputError for
    what cannot be found or takes no conversation.
    """
    from seedbed.models.chat import BACKENDS, chat_model
    from seedbed.simulation.agents import ChatAgent, SubjectAgent

    backend, colon, name = spec.partition(":")
    if colon and backend != "hf" and (backend in BACKENDS or not Path(spec).exists()):
        return ChatAgent(chat_model(spec, base_url), temperature, most)
    from dataclasses import replace

    from seedbed.models.fetch import place_of
    from seedbed.models.folders import load_subject

    path = place_of(name if backend == "hf" and colon else spec)
    return SubjectAgent(replace(load_subject(path), batch=batch), temperature, most)


def world_of(environments: list[str], **knobs: Any) -> "Users":
    """The world of these environments; knobs that are None keep their defaults.

    Raises ConfigError, with the near miss, for an environment or knob that does not fit.
    """
    from seedbed.core.config import validate
    from seedbed.worlds.users.environment import load_environment
    from seedbed.worlds.users.world import Users

    for name in environments:
        load_environment(name).require_script("seedbed's programs, who play the users,")
    given = {key: value for key, value in knobs.items() if value is not None}
    return validate(Users, {"environments": environments, **given}, "the command line")


def opening_of(world: "Users", seed: int, kind: str | None, sub: str | None) -> "Opening":
    """Somebody of the kind and topic that are asked for (None: any), drawn by the seed.

    Raises InputError, with the near miss, for a kind or topic that nobody has.
    """
    from difflib import get_close_matches

    from seedbed.core.errors import InputError

    found = world.openings(seed, "chat", 256)
    for name, value in (("kind", kind), ("sub", sub)):
        known = sorted({getattr(opening, name) for opening in found})
        if value is not None and value not in known:
            near = get_close_matches(value, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
            raise InputError(f"--{name} {value}: unknown; {hint}")
        found = [o for o in found if value is None or getattr(o, name) == value]
    if not found:
        raise InputError(f"--sub {sub}: nobody of the kind {kind} was drawn; try another --seed")
    return found[0]
