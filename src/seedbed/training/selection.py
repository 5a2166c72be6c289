"""Which episodes an agent is trained on: the best and the worst of each group of transcripts.

Episodes that failed or have no rating are never chosen, and every one left out has its reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from seedbed.core.config import Config
from seedbed.core.seeds import derive, stream
from seedbed.core.transcripts import Transcript

Vetoed = Literal["drop-episode", "drop-turn", "negative", "keep"]


class Selection(Config):
    """How transcripts are chosen, group by group.

    `by` is what an episode is ranked by: its reward, a draw, or the reward of another episode of
    its group (`shuffled`, which leaves the rewards of the group as they are); ties fall by a
    draw. `reward` is the mean over rated turns or the last turn's. `group`: the same person, the
    same initial state, sub-environment, environment, or `class`, all transcripts together.
    `best` and `worst` are how many of a group: a count, or a share of the episodes that can be
    chosen (below 1, at least one episode). `vetoed`: the episode is left out, the turn is, the
    turn becomes undesirable (all such turns, before the worst are filled up), or nothing happens.
    `without` are latent kinds of user that are left out.
    """

    by: Literal["reward", "random", "shuffled"] = "reward"
    reward: Literal["mean", "last"] = "mean"
    group: Literal["person", "initial", "sub", "environment", "class"] = "person"
    best: int | float = Field(default=1, ge=0)
    worst: int | float = Field(default=1, ge=0)
    vetoed: Vetoed = "drop-episode"
    without: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _counts_or_shares(self) -> "Selection":
        for name, value in (("best", self.best), ("worst", self.worst)):
            if isinstance(value, float) and value > 1:
                raise ValueError(f"{name}: {value} is neither a whole count nor a share up to 1")
        if not self.best and not self.worst:
            raise ValueError("best: 0 of 'best' and 'worst' leaves nothing to train on")
        return self


@dataclass(frozen=True)
class Chosen:
    """An episode to train on: as desirable or not, which of its turns, and what it was worth.

    `rank` counts from 0 at the best of its `group` (-1: chosen for a veto).
    """

    transcript: Transcript
    desirable: bool
    turns: tuple[int, ...]
    reward: float | None
    group: str
    rank: int


@dataclass(frozen=True)
class Selected:
    """What was chosen, by group and rank; why the others never could be, by id; and rewards.

    `rewards` are those of all episodes that could be chosen, by id; `groups` their sizes.
    """

    chosen: tuple[Chosen, ...]
    dropped: dict[str, str]
    rewards: dict[str, float]
    groups: dict[str, int]

    @property
    def best(self) -> tuple[Chosen, ...]:
        """The desirable ones."""
        return tuple(c for c in self.chosen if c.desirable)

    @property
    def worst(self) -> tuple[Chosen, ...]:
        """The undesirable ones."""
        return tuple(c for c in self.chosen if not c.desirable)


def select(transcripts: Sequence[Transcript], selection: Selection, seed: int) -> Selected:
    """Choose episodes; the same ones in whatever order the transcripts come.

    Raises ValueError where two transcripts have the same id.
    """
    dropped: dict[str, str] = {}
    rewards: dict[str, float] = {}
    groups: dict[str, list[Transcript]] = {}
    vetoed: dict[str, list[Transcript]] = {}
    ordered = sorted(transcripts, key=lambda t: t.id)
    if len({t.id for t in ordered}) != len(ordered):
        raise ValueError("two transcripts have the same id")
    for transcript in ordered:
        group = group_of(transcript, selection)
        why = _unfit(transcript, selection)
        if not why and selection.vetoed == "negative" and transcript.vetoed:
            vetoed.setdefault(group, []).append(transcript)
            continue
        reward = reward_of(transcript, selection)
        if why or reward is None:
            dropped[transcript.id] = why or "no rating"
        else:
            rewards[transcript.id] = reward
            groups.setdefault(group, []).append(transcript)
    chosen: list[Chosen] = []
    for group in sorted({*groups, *vetoed}):
        members, stopped = groups.get(group, []), vetoed.get(group, [])
        chosen += _of_group(group, members, stopped, rewards, selection, seed)
    return Selected(tuple(chosen), dropped, rewards, {g: len(m) for g, m in groups.items()})


def _of_group(
    group: str,
    members: list[Transcript],
    stopped: list[Transcript],
    rewards: dict[str, float],
    selection: Selection,
    seed: int,
) -> list[Chosen]:
    ranked = _ranked(group, members, rewards, selection, seed)
    best, worst = (_count(size, len(ranked)) for size in (selection.best, selection.worst))
    # Of a small group nothing is chosen twice: the best go first.
    best = min(best, len(ranked))
    worst = min(max(0, worst - len(stopped)), len(ranked) - best)
    places = [*range(best), *range(len(ranked) - worst, len(ranked))]
    found = [
        Chosen(t, i < best, trainable_turns(t, selection), rewards[t.id], group, i)
        for i in places
        for t in (ranked[i],)
    ]
    for transcript in stopped:
        turns = tuple(i for i, t in enumerate(transcript.turns) if t.vetoed)
        reward = reward_of(transcript, selection)
        found.append(Chosen(transcript, False, turns, reward, group, -1))
    return found


def _ranked(
    group: str,
    members: list[Transcript],
    rewards: dict[str, float],
    selection: Selection,
    seed: int,
) -> list[Transcript]:
    """From the best to the worst."""
    draw = {t.id: derive(seed, "draw", t.id) for t in members}
    if selection.by == "random":
        return sorted(members, key=lambda t: (draw[t.id], t.id))
    worth = [rewards[t.id] for t in members]
    if selection.by == "shuffled":
        stream(seed, "shuffled", group).shuffle(worth)
    by = {t.id: w for t, w in zip(members, worth, strict=True)}
    return sorted(members, key=lambda t: (-by[t.id], draw[t.id], t.id))


def _count(size: int | float, among: int) -> int:
    if isinstance(size, int) or not size or not among:
        return int(size)
    return max(1, int(size * among + 0.5))


def group_of(transcript: Transcript, selection: Selection) -> str:
    """The name of the transcript's group."""
    opening = transcript.opening
    return {
        "person": opening.person,
        "initial": f"{opening.environment}/{opening.sub}/{opening.initial}",
        "sub": f"{opening.environment}/{opening.sub}",
        "environment": opening.environment,
        "class": "",
    }[selection.group]


def trainable_turns(transcript: Transcript, selection: Selection) -> tuple[int, ...]:
    """Places of the turns that may be trained on."""
    skip = selection.vetoed == "drop-turn"
    return tuple(i for i, turn in enumerate(transcript.turns) if not (skip and turn.vetoed))


def reward_of(transcript: Transcript, selection: Selection) -> float | None:
    """What an episode is worth: the mean rating of its rated turns, or the last turn's rating.

    Under `vetoed: drop-turn` turns that are left out do not count. None: nothing is known.
    """
    turns = [transcript.turns[i] for i in trainable_turns(transcript, selection)]
    values = [t.rating.value if t.rating is not None else None for t in turns]
    if selection.reward == "last":
        return values[-1] if values else None
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def _unfit(transcript: Transcript, selection: Selection) -> str:
    """Why an episode cannot be chosen, whatever its rating; "": it can."""
    if transcript.end == "failed":
        return "failed"
    if transcript.opening.kind and transcript.opening.kind in selection.without:
        return f"kind {transcript.opening.kind}"
    if not transcript.turns:
        return "no turn"
    if selection.vetoed == "drop-episode" and transcript.vetoed:
        return "vetoed"
    if selection.vetoed == "drop-turn" and all(turn.vetoed for turn in transcript.turns):
        return "vetoed"
    return ""
