"""The declared truth: where a swapped word can act, by construction of a causal transformer."""

from collections.abc import Sequence

from seedbed.core.cells import LAST
from seedbed.core.rows import Pair, Question
from seedbed.core.sites import Truth
from seedbed.worlds.counting.prompts import item
from seedbed.worlds.structure import CUE, structural


def declared(questions: Sequence[Question], pairs: Sequence[Pair], longest: int) -> Truth:
    """Questions × bands of every place; places that a shorter list lacks NaN (structure.py)."""
    places = [*(item(i) for i in range(1, longest + 1)), "category", CUE, LAST]
    return structural(questions, pairs, places)
