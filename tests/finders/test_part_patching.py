from collections.abc import Callable

import numpy as np
import pytest

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Question
from seedbed.finders.ablation import Ablation
from seedbed.finders.asking import ask
from seedbed.finders.part_patching import PartPatching, donors, patched
from seedbed.models.subject import Subject

Taught = tuple[Subject, list[Question]]
Untaught = Callable[[int], tuple[Subject, list[Document], list[Question]]]
EVERY = ("flip", "drop", "any")


def test_at_the_first_block_it_is_swapping(untaught: Untaught) -> None:
    subject, _, questions = untaught(0)
    knobs = {"measure": EVERY, "draws": 4}
    swapped = Ablation.model_validate(knobs).find_all(subject, [], questions[:20], [])
    given = PartPatching.model_validate({**knobs, "layer": 0}).find_all(
        subject, [], questions[:20], []
    )
    for one, other in zip(swapped, given, strict=True):
        assert one.sites == other.sites
        assert one.scores == pytest.approx(other.scores, abs=1e-5)
    assert np.abs(swapped[1].scores).max() > 0.01


@pytest.mark.parametrize("layer", [0, 1])
def test_a_question_given_its_own_states_stays_as_it_is(taught: Taught, layer: int) -> None:
    subject, questions = taught
    asked = [ask(subject, q) for q in questions[:8]]
    own = {(i, part): [i] for i, q in enumerate(questions[:8]) for part in q.places}
    given = patched(subject, asked, own, layer)
    assert len(given.logits) == 32
    for (i, _), row in zip(own, given.logits, strict=True):
        assert (row == given.base[i]).all()


def test_what_is_read_moves_on_with_depth(taught: Taught) -> None:
    """The last block takes in a state at the digit's place that hardly anybody reads any more."""
    subject, questions = taught
    early, late = (PartPatching(layer=n, measure="drop").find(subject, [], questions, [])
                   for n in (0, 1))  # fmt: skip
    first = early.sites.index("first")
    others = np.delete(early.scores, first, axis=1)
    assert early.scores[:, first].mean() > 10 * np.abs(others).max()
    assert late.scores[:, first].mean() < early.scores[:, first].mean() + 1e-6
    assert (
        "into block 1 were run" in PartPatching().find(subject, [], questions, []).notes["patches"]
    )


def test_donors_have_another_text_of_as_many_tokens(untaught: Untaught) -> None:
    subject, _, questions = untaught(2)
    longer = questions[0].model_copy(update={
        "id": "longer", "prompt": "F[1,2]ant bee=",
        "places": {"first": (2, 3), "word": (6, 13)}})  # fmt: skip
    rows = [longer, *questions[:12]]
    asked = [ask(subject, q) for q in rows]
    found = donors(0, rows, asked, ("first", "word", "form"), 3)
    assert (0, "word") not in found
    assert not any(part == "form" for _, part in found)
    for (i, part), lent in found.items():
        texts = [rows[j].prompt[slice(*rows[j].places[part])] for j in lent]
        assert rows[i].prompt[slice(*rows[i].places[part])] not in texts
        assert len(set(texts)) == len(texts) <= 3
        assert all(len(asked[j].places[part]) == len(asked[i].places[part]) for j in lent)
    back = donors(0, rows[::-1], asked[::-1], ("first", "word"), 3)
    last = len(rows) - 1
    assert {(last - i, part): [last - j for j in lent] for (i, part), lent in back.items()} == found


def test_questions_with_unequal_numbers_of_choices(taught: Taught) -> None:
    subject, questions = taught
    third = [q.model_copy(update={"choices": (*q.choices, " ant"), "rules": {}})
             for q in questions[:5]]  # fmt: skip
    rows = [*questions[5:10], *third]
    finder = PartPatching(layer=0, measure="drop")
    swapped = Ablation(measure="drop").find(subject, [], rows, [])
    assert finder.find(subject, [], rows, []).scores == pytest.approx(swapped.scores, abs=1e-4)


def test_unfit_blocks_and_questions_are_refused(taught: Taught) -> None:
    subject, questions = taught
    with pytest.raises(InputError, match="layer: 2 is none of the model's blocks 0 to 1"):
        PartPatching(layer=2).find(subject, [], questions, [])
    with pytest.raises(InputError, match="no part of these 1 questions has a donor"):
        PartPatching().find(subject, [], questions[:1], [])
