"""What putting something else at a part of the input does to the choices, as one number a part.

The same for texts that are replaced and for states that are patched.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seedbed.core.rows import Question
from seedbed.core.sites import Claim, SiteKind

Floats = NDArray[np.float64]
PartMeasure = Literal["flip", "drop", "any"]
Notes = dict[str, str]
Place = tuple[int, str]
"""Number of a question, name of a part."""
Effects = Mapping[Place, Sequence[Floats]]
"""By question and part: log-probabilities [choices] after each change."""


def among(logprobs: Sequence[float] | Floats) -> Floats:
    """Log-probabilities among the choices alone: whole ones (or logits) [choices], in nats."""
    found = np.asarray(logprobs, dtype=np.float64)
    top = found.max()
    shares: Floats = found - top - np.log(np.exp(found - top).sum())
    return shares


def effect(measure: PartMeasure, before: Floats, after: Sequence[Floats]) -> float:
    """How far changes move the choice that was the likeliest: [choices] each, nats.

    `flip`: the share of changes after which another choice is likelier. `drop`: the mean fall
    of its log-probability. `any`: the logistic function of the largest margin by which another
    choice comes to lead, so above ½ if and only if some change makes it so. Without a change 0.
    """
    if not after:
        return 0.0
    first = int(before.argmax())
    values = np.stack(after)
    lead = np.delete(values, first, axis=1).max(axis=1) - values[:, first]
    if measure == "flip":
        return float((lead > 0).mean())
    if measure == "drop":
        return float((before[first] - values[:, first]).mean())
    # Clipped where the exponential would overflow.
    return float(1 / (1 + np.exp(-np.clip(lead.max(), -700, 700))))


def claims_of(
    measures: Sequence[PartMeasure], questions: Sequence[Question], parts: Sequence[str],
    before: Sequence[Floats], effects: Effects, notes: Notes,
) -> list[Claim]:  # fmt: skip
    """A claim [questions, parts] for each measure."""
    found = []
    for measure in measures:
        scores = np.array(
            [
                [effect(measure, before[i], effects.get((i, part), ())) for part in parts]
                for i in range(len(questions))
            ]
        )
        ids = tuple(q.id for q in questions)
        found.append(Claim(ids, tuple(parts), scores, SiteKind.INPUT, dict(notes)))
    return found


def untried(parts: Sequence[str], bare: Collection[Place], every: Collection[Place]) -> Notes:
    """A note on the places among `every` at which there was nothing else to put; {} if none."""
    if not bare:
        return {}
    without = set(bare)
    tried = {part for i, part in every if (i, part) not in without}
    never = [part for part in parts if part not in tried]
    names = f", among them all of {', '.join(never)}" if never else ""
    return {
        "untried": f"{len(bare)} of {len(every)} places score 0 for want of another value{names}"
    }
