"""What one who counts along the list would hold at each word: the running count."""

from seedbed.core.rows import Question
from seedbed.worlds.counting.asking import Asker
from seedbed.worlds.counting.prompts import item


def running(asker: Asker, question: Question) -> dict[str, int]:
    """Place of each word → how many words counted so far, that word included."""
    drawn = next(d for d in asker.drawn if d.name == question.cause)
    counted = drawn.half if asker.knobs.rule == "half" else drawn.known
    found, so_far = {}, 0
    for number in range(1, len(question.places) + 1):
        if (place := item(number)) in question.places:
            start, end = question.places[place]
            so_far += question.prompt[start:end] in counted
            found[place] = so_far
    return found
