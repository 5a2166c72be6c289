"""Chosen episodes as training documents: the conversation, the agent's own words as targets.

What whoever trains sees of an episode becomes marks; what only the world knows stays in `meta`
and `facts`, which finders never see.
"""

from collections.abc import Sequence
from typing import Any

from seedbed.core.rows import Document
from seedbed.core.transcripts import Transcript, as_messages
from seedbed.models.conversations import laid_out, reply_after
from seedbed.training.selection import Chosen

LABEL = "label"


def episode_documents(tokenizer: Any, chosen: Sequence[Chosen], iteration: int) -> list[Document]:
    """One document an episode, whose targets are the chosen turns of the agent."""
    found = []
    for one in chosen:
        text, turns = laid_out(tokenizer, as_messages(one.transcript.said()))
        spans = _spans(one.transcript, turns)
        targets = tuple(dict.fromkeys(spans[i] for i in one.turns))
        found.append(_document(one, one.turns, text, targets, iteration))
    return found


def turn_documents(tokenizer: Any, chosen: Sequence[Chosen], iteration: int) -> list[Document]:
    """One document a chosen turn: all that was said before, and the turn as its only target."""
    found = []
    for one in chosen:
        for i in one.turns:
            before = as_messages(one.transcript.before(i))
            text, span = reply_after(tokenizer, before, one.transcript.turns[i].said)
            found.append(_document(one, (i,), text, (span,), iteration))
    return found


def _spans(transcript: Transcript, turns: Sequence[tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """The span of each turn of the episode; opening messages of the agent are no turns."""
    said = transcript.said()
    roles = [s.role for s in said]
    place, found = -1, {}
    first = len(transcript.opening.said)
    number = 0
    for i, role in enumerate(roles):
        if role == "agent":
            # Neighbours of one role are one message of the layout.
            place += i == 0 or roles[i - 1] != "agent"
            if i >= first:
                found[number] = turns[place]
                number += 1
    return found


def _document(
    one: Chosen,
    turns: Sequence[int],
    text: str,
    targets: tuple[tuple[int, int], ...],
    iteration: int,
) -> Document:
    transcript, opening = one.transcript, one.transcript.opening
    marks = {LABEL: float(one.desirable)}
    if one.reward is not None:
        marks["reward"] = one.reward
    ratings = [r.value for i in turns if (r := transcript.turns[i].rating) and r.value is not None]
    if ratings:
        marks["rating"] = sum(ratings) / len(ratings)
    for name in sorted({name for i in turns for name in transcript.turns[i].flags}):
        flags = [transcript.turns[i].flags.get(name) for i in turns]
        values = [v.value for v in flags if v is not None and v.value is not None]
        if values:
            marks[f"flag:{name}"] = max(values)
    last = f"@{turns[0]}" if len(turns) == 1 and len(transcript.turns) > 1 else ""
    return Document(
        id=f"{iteration}:{transcript.id}{last}:{'+' if one.desirable else '-'}",
        text=text,
        targets=targets,
        role="desirable" if one.desirable else "undesirable",
        facts=(opening.kind,) if opening.kind else (),
        shows=opening.shows,
        marks=marks,
        meta={"transcript": transcript.id, "turns": list(turns), "iteration": iteration,
              "person": opening.person, "acts": [transcript.turns[i].act for i in turns]},
    )  # fmt: skip
