"""All replies of a sub-environment, written out, and the act that each of them is.

Reading is exact: a text is one of the replies up to letter case and the amount of white space, or
it is not read. So the probability of every act of an agent is a finite sum.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from statistics import fmean

from seedbed.worlds.users.environment import Environment
from seedbed.worlds.users.wording import texts_of, written_calls


@dataclass(frozen=True)
class Call:
    """A tool call as it was written; `arguments` are by name, in the tool's order."""

    tool: str
    arguments: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """One reply: its text, its act, the tools that it calls and what it claims to be so."""

    text: str
    act: str
    calls: tuple[Call, ...] = ()
    claims: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    """What a text was read as; with an empty `act`, `unread` says why it is no reply."""

    act: str = ""
    calls: tuple[Call, ...] = ()
    claims: dict[str, str] = field(default_factory=dict)
    unread: str = ""


@dataclass(frozen=True)
class Grammar:
    """The replies of one sub-environment, texts all different, grouped by act."""

    replies: tuple[Reply, ...]
    _known: dict[str, Reply] = field(repr=False)
    _begun: frozenset[str] = field(repr=False)

    def read(self, text: str) -> Read:
        """The reply that a text is, whatever its case and white space; else why it is none."""
        words = text.lower().split()
        if (reply := self._known.get(" ".join(words))) is not None:
            return Read(reply.act, reply.calls, reply.claims)
        if not self.replies:
            return Read(unread="the environment has no grammar")
        if not words:
            return Read(unread="nothing was said")
        for i in range(len(words)):
            if " ".join(words[: i + 1]) not in self._begun:
                return Read(unread=f"no reply has {words[i]!r} as word {i + 1} after these")
        return Read(unread=f"no reply ends after word {len(words)}, {words[-1]!r}")

    def of(self, act: str) -> tuple[Reply, ...]:
        """The replies that are this act."""
        return tuple(reply for reply in self.replies if reply.act == act)


def grammar_of(environment: Environment, sub: str) -> Grammar:
    """The grammar of a sub-environment; without acts it has no replies and reads nothing."""
    return _grammar(_Key(environment, sub))


class _Key:
    """Names a grammar by the very object: a configuration of dicts has no hash."""

    def __init__(self, environment: Environment, sub: str) -> None:
        self.environment, self.sub = environment, sub

    def __hash__(self) -> int:
        return hash((id(self.environment), self.sub))

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, _Key) and other.environment is self.environment
                and other.sub == self.sub)  # fmt: skip


@lru_cache(maxsize=1024)
def _grammar(key: _Key) -> Grammar:
    environment, words = key.environment, key.environment.sub(key.sub).words
    replies = tuple(
        Reply(text, name, calls_in(text, environment), act.claims)
        for name, act in environment.acts.items()
        for text in texts_of(act, words)
    )
    known = {reply.text: reply for reply in replies}
    begun = frozenset(
        " ".join(parts[: i + 1])
        for parts in (reply.text.split() for reply in replies)
        for i in range(len(parts))
    )
    return Grammar(replies, known, begun)


def failing(environment: Environment, act: str) -> float:
    """How probable it is that a tool fails in a turn with this act.

    The mean over all replies of all sub-environments by their shares, each reply counting alike.
    """
    shares = {name: sub.share for name, sub in environment.subs.items()}
    total = 0.0
    for name, share in shares.items():
        replies = grammar_of(environment, name).of(act)
        well = [prod(1 - environment.tools[call.tool].fails for call in r.calls) for r in replies]
        total += share * (1 - fmean(well))
    return total / sum(shares.values())


def calls_in(text: str, environment: Environment) -> tuple[Call, ...]:
    """The tool calls written in a reply, with their arguments' names."""
    return tuple(
        Call(tool, dict(zip(environment.tools[tool].arguments, values, strict=True)))
        for tool, values in written_calls(text)
    )
