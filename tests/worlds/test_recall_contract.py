"""The contract of worlds about directions refuses what would make a score void."""

import numpy as np
import pytest

from seedbed.core.rows import Pair, Question
from seedbed.core.sites import Truth
from seedbed.worlds.contract import check_world
from seedbed.worlds.recall.world import Recall

FEW = {"lines": 400, "stored": 40, "lexicon": {"words": 8},
       "asked": {"train": 64, "dev": 32, "id": 32, "ood": 8, "unrelated": 8}}  # fmt: skip


class WrongLabel(Recall):
    """An example is labelled with the other kind."""

    def questions(self, seed: int) -> list[Question]:
        first, *rest = super().questions(seed)
        other = {"stored": "computed", "computed": "stored"}[first.label]
        return [first.model_copy(update={"label": other}), *rest]


class NoUnrelated(Recall):
    """Nothing is asked that no direction should touch."""

    def questions(self, seed: int) -> list[Question]:
        return [q for q in super().questions(seed) if q.split != "unrelated"]


class OneKind(Recall):
    """Only stored examples to choose a site by."""

    def questions(self, seed: int) -> list[Question]:
        every = super().questions(seed)
        return [q for q in every if (q.split, q.label) != ("dev", "computed")]


class Longer(Recall):
    """A computed question has a word more in front, which tells its kind."""

    def questions(self, seed: int) -> list[Question]:
        *every, last = super().questions(seed)
        places = {name: (start + 2, end + 2) for name, (start, end) in last.places.items()}
        return [
            *every,
            last.model_copy(update={"prompt": f"Q {last.prompt}", "places": places}),
        ]


class SharedCause(Recall):
    """A held-out question has the cause of an example."""

    def questions(self, seed: int) -> list[Question]:
        every = super().questions(seed)
        cause = next(q.cause for q in every if q.split == "train")
        return [q.model_copy(update={"cause": cause}) if q.split == "id" else q for q in every]


class SameKind(Recall):
    """Both sides of a pair are of one kind."""

    def pairs(self, seed: int) -> list[Pair]:
        every = super().pairs(seed)
        return [p.model_copy(update={"corrupt": p.clean}) for p in every]


class TruthOfUnrelated(Recall):
    """The truth says of an unrelated question that it is stored."""

    def truth(self, seed: int) -> Truth:
        truth = super().truth(seed)
        truth.values[np.isnan(truth.values).all(axis=1)] = (1, 0)
        return truth


def test_the_world_itself_passes() -> None:
    check_world(Recall.model_validate(FEW))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (WrongLabel, "the label of .* is its kind"),
        (NoUnrelated, "that no direction should touch"),
        (OneKind, "split dev has questions of both kinds"),
        (Longer, "the same places and as many tokens"),
        (SharedCause, "no cause of a held-out question has a labelled example"),
        (SameKind, "a pair goes from kind to kind"),
        (TruthOfUnrelated, "unrelated questions are of neither kind"),
    ],
)
def test_a_broken_promise_is_named(broken: type[Recall], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_world(broken.model_validate(FEW))
