"""Who plays in `seedbed chat` and `seedbed simulate`: the agent, and the users of environments."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedbed.core.transcripts import Opening
    from seedbed.simulation.agents import Agent
    from seedbed.worlds.users.world import Users

SUBJECT = "subject"
ARMS = ("incentives/*", "seeds/*/incentives/*")
"""Where the arms of a study lie in a seed's folder, and in a run's."""


def agent_of(
    spec: str, temperature: float, most: int, base_url: str | None = None, batch: int = 64
) -> "Agent":
    """The agent that `spec` names.

    A folder of a subject, that of an arm of a study (its last agent), a hub id or a fetchable
    name (also as hf:NAME) is run here; openai:NAME, anthropic:NAME and scripted:FILE are asked as
    chat models. Raises InputError for what cannot be found or takes no conversation.
    """
    from seedbed.simulation.agents import ChatAgent, SubjectAgent

    backend, _, name = _named(spec).partition(":")
    if backend != "hf":
        from seedbed.models.chat import chat_model

        return ChatAgent(chat_model(spec, base_url), temperature, most)
    from dataclasses import replace

    from seedbed.models.fetch import place_of
    from seedbed.models.folders import load_subject

    return SubjectAgent(replace(load_subject(place_of(name)), batch=batch), temperature, most)


def identity_of(spec: str, base_url: str | None = None) -> str:
    """A digest that tells this agent from others: model, weights, server.

    Raises ConfigError for a server's address beside an agent that has none.
    """
    from seedbed.core.config import digest
    from seedbed.models.chat import chat_model

    return digest(chat_model(_named(spec), base_url).backend.identity)


def _named(spec: str) -> str:
    """BACKEND:NAME of an agent; a folder of a study's arm stands for its last agent.

    Raises InputError for a folder of a run or a seed, which holds an agent an arm.
    """
    from seedbed.models.chat import BACKENDS

    backend, colon, name = spec.partition(":")
    if colon and backend != "hf" and (backend in BACKENDS or not Path(spec).exists()):
        return spec
    bare = name if backend == "hf" and colon else spec
    return f"hf:{_agent_in(Path(bare)) or bare}"


def _agent_in(folder: Path) -> Path | None:
    """The last agent of an arm of a study; None where the folder is no such arm."""
    from seedbed.core.errors import InputError

    if (folder / SUBJECT).is_dir():
        return folder / SUBJECT
    arms = [p.parent for arm in ARMS for p in sorted(folder.glob(f"{arm}/{SUBJECT}"))]
    if arms:
        raise InputError(
            f"{folder}: holds {len(arms)} agents of a study; name one, such as {arms[0]}"
        )
    return None


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
