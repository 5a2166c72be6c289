"""Following a server's answer token by token: P(option) from the likeliest tokens at each place.

Servers list at most twenty tokens a place. What an answer's beginning goes on to is read where
the reply itself went that way, and else asked for, if the server can go on with it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from seedbed.core.chat import Message, Reply, Weighing
from seedbed.models.chat.model import ChatModel
from seedbed.models.options import apart, spellings

NEGLIGIBLE = 1e-3
"""A beginning less probable than this is not followed: it moves no share by more."""
LONGEST = 16
Path = tuple[str, ...]


@dataclass
class Walk:
    """What is known of one question: options by spelling, probabilities of paths of tokens.

    `reached` are paths that spell an option whole; `open_` are beginnings whose continuation is
    not known yet.
    """

    messages: tuple[Message, ...]
    spelt: dict[str, str]
    reached: dict[Path, float] = field(default_factory=dict)
    open_: dict[Path, float] = field(default_factory=lambda: {(): 1.0})
    error: str = ""

    def request(self, path: Path) -> Weighing:
        """The question, with the tokens so far put into the assistant's mouth."""
        room = min(LONGEST, max(map(len, self.spelt)))
        return Weighing(messages=self.messages, max_tokens=room, begun="".join(path))

    def read(self, path: Path, reply: Reply) -> None:
        """Take in what a reply says about everything that begins with `path`."""
        before = self.open_.pop(path)
        for place in reply.weighed:
            chosen = (*path, place.token)
            # Servers may write the end of a reply as an empty token.
            here = {(*path, t): before * math.exp(p) for t, p in place.tops.items() if t}
            texts = {_text(p) for p in here}
            for there, p in here.items():
                text = _text(there)
                if text in self.spelt:
                    self.reached[there] = p
                if self._goes_on(text, texts) and p >= NEGLIGIBLE:
                    self.open_[there] = p
            if chosen not in self.open_:
                return
            # The reply itself went on from here, so the next place tells what follows.
            before, path = self.open_.pop(chosen), chosen
        if path:
            self.open_[path] = before

    def _goes_on(self, text: str, beside: set[str]) -> bool:
        """Whether an option may follow that is not there as one token already."""
        if not text:
            return True
        return any(s.startswith(text) and s != text and s not in beside for s in self.spelt)

    def shares(self) -> dict[str, float]:
        """P(option) of every option, over all its spellings and ways to cut it into tokens."""
        found = dict.fromkeys(self.spelt.values(), 0.0)
        for path, p in apart(self.reached).items():
            found[self.spelt[_text(path)]] += p
        return found


def walked(
    chat: ChatModel, asked: Sequence[tuple[tuple[Message, ...], Sequence[str]]], continues: bool
) -> list[dict[str, float] | str]:
    """P(option) of each (messages, options), not normalised, or why there is none, in words.

    Without `continues`, options that share their first token with others can be told apart only
    where the server lists them as single tokens or its own reply went that way; what remains
    open beyond `NEGLIGIBLE` is an error. Options that the server does not list count 0.
    """
    walks = [Walk(messages, spellings(options)) for messages, options in asked]
    waiting: list[tuple[Walk, Path]] = [(walk, ()) for walk in walks]
    for _ in range(LONGEST):
        replies = chat.ask([walk.request(path) for walk, path in waiting])
        for (walk, path), reply in zip(waiting, replies, strict=True):
            if reply.error:
                walk.error = walk.error or reply.error
            else:
                walk.read(path, reply)
        waiting = [(w, path) for w in walks if not w.error for path in w.open_] if continues else []
        if not waiting:
            break
    return [walk.error or _open(walk) or walk.shares() for walk in walks]


def _open(walk: Walk) -> str:
    """What could not be told apart, if it matters."""
    if not walk.open_:
        return ""
    path, p = max(walk.open_.items(), key=lambda item: item[1])
    return (
        f"what follows {_text(path)!r} (probability {p:.3g}) is not known: if the server can go on"
        " with a begun answer, set its option 'continues'; else set 'draws'"
    )


def _text(path: Path) -> str:
    return "".join(path).lstrip()
