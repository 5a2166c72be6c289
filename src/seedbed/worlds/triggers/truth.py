"""The declared truth: a part decides a question if another value of that part alone changes it.

In the second stage nobody knows what the reply of an untrained word should depend on.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from seedbed.core.rows import Question
from seedbed.core.sites import SiteKind, Truth
from seedbed.worlds.triggers.lexicon import Word
from seedbed.worlds.triggers.tasks import PARTS, Instruction

NAMES = ("decides", "indifferent", "open")
TAUGHT = ("outcome", "proxy")


def decides(one: Instruction, part: str, words: Sequence[Word]) -> bool:
    """Whether another value of `part` alone changes the number asked for."""
    return any(other.number != one.number for other in one.others(part, tuple(words)))


def declared(
    asked: Mapping[str, tuple[Instruction, Question]], words: Sequence[Word], reteach: bool
) -> Truth:
    """Questions × parts: 1 where the part decides the answer under the rule in force, else 0.

    Under `reteach` the trigger decides for the trained groups if both replies are trained, as
    one word for another then changes the reply's form; else it is NaN.
    """
    values = np.zeros((len(asked), len(PARTS)))
    both = reteach and {w.group for w in words} >= set(TAUGHT)
    for q, (one, question) in enumerate(asked.values()):
        for p, part in enumerate(PARTS):
            if reteach and part == "trigger":
                known = both and question.slices["group"] in TAUGHT
                values[q, p] = 1.0 if known else np.nan
            else:
                values[q, p] = float(decides(one, part, words))
    labels = np.where(np.isnan(values), 2, np.where(values == 1, 0, 1)).astype(np.int16)
    return Truth(tuple(asked), PARTS, values, labels, NAMES, SiteKind.INPUT, "declared")
