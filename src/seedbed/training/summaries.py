"""What an iteration's folder says about its selection: selection.json and summary.json.

Nothing here depends on the clock, so an interrupted iteration writes the same bytes.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from seedbed.core.rows import Document
from seedbed.core.transcripts import Transcript
from seedbed.training.safety import SAFETY
from seedbed.training.selection import Chosen, Selected, Selection, reward_of


def chosen_rows(selected: Selected) -> dict[str, Any]:
    """selection.json: every chosen episode, and the reason of each that never could be."""
    chosen = [
        {"id": c.transcript.id, "desirable": c.desirable, "group": c.group, "rank": c.rank,
         "reward": c.reward, "turns": list(c.turns), "act": c.transcript.turns[c.turns[-1]].act}
        for c in selected.chosen
    ]  # fmt: skip
    return {"chosen": chosen, "dropped": selected.dropped, "groups": selected.groups}


def summary_of(
    transcripts: Sequence[Transcript],
    selected: Selected,
    documents: Sequence[Document],
    history: Sequence[dict[str, Any]],
    selection: Selection,
) -> dict[str, Any]:
    """Counts, mean rewards and shares of well-formed turns, of all episodes and of both sides.

    `wellformed` is the share of turns that the grammar could read, `reward` the mean reward of
    episodes that have one; both None of nothing.
    """
    turns = {"all": [t for one in transcripts for t in one.turns]}
    rewards = {"all": [reward_of(t, selection) for t in transcripts if t.end != "failed"]}
    sides: dict[str, Sequence[Chosen]] = {"best": selected.best, "worst": selected.worst}
    for name, side in sides.items():
        turns[name] = [c.transcript.turns[i] for c in side for i in c.turns]
        rewards[name] = [c.reward for c in side]
    rated = [t for one in transcripts for t in one.turns if t.rating is not None]
    steps = len(history)
    return {
        "episodes": {
            "all": len(transcripts),
            "selectable": len(selected.rewards),
            "best": len(selected.best),
            "worst": len(selected.worst),
            "dropped": dict(sorted(Counter(selected.dropped.values()).items())),
        },
        "groups": len(selected.groups),
        "unrated_turns": sum(map(len, (t.turns for t in transcripts)))
        - sum(1 for t in rated if t.rating is not None and t.rating.value is not None),
        "documents": len(documents),
        "safety": sum(d.role == SAFETY for d in documents),
        "reward": {name: _mean([r for r in side if r is not None])
                   for name, side in rewards.items()},
        "wellformed": {name: _mean([float(not t.unread) for t in side])
                       for name, side in turns.items()},
        "steps": steps,
        "epochs": history[-1]["epoch"] if history else 0.0,
        "first_loss": history[0]["loss"] if history else None,
        "last_loss": history[-1]["loss"] if history else None,
        "last_lr": history[-1]["lr"] if history else None,
    }  # fmt: skip


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
