"""The contract of views refuses worlds that say nothing of a kind, or whose rows tell the truth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from seedbed.core.rows import Document
from seedbed.core.sites import SiteKind
from seedbed.worlds.base import View
from seedbed.worlds.contract_views import check_view, check_views
from seedbed.worlds.hops.world import Hops

SMALL = {"bases": 12, "depth": 1, "values": 4, "texts": {"redundancy": 1}}


class Silent(Hops):
    """Says nothing of directions."""

    crossings: ClassVar[Mapping[SiteKind, str]] = {
        k: line for k, line in Hops.crossings.items() if k is not SiteKind.DIRECTION
    }


def test_every_kind_is_accounted_for() -> None:
    with pytest.raises(AssertionError, match="direction is the world's own, in crossings or"):
        check_views(Silent.model_validate(SMALL))


def _sorted(view: View) -> View:
    """Bases first, so that the place in the file tells the kind."""
    order = np.argsort(-view.truth.values[:, 0], kind="stable")
    ids = tuple(view.truth.questions[i] for i in order)
    return View([view.questions[i] for i in order], view.pairs, view.truth.select(ids))


def _shared(view: View) -> View:
    """Labelled examples about what is asked."""
    causes = [q.cause for q in view.questions if not q.label]
    rows = [q.model_copy(update={"cause": causes[0]}) if q.label else q for q in view.questions]
    return replace(view, questions=rows)


def _wrong(view: View) -> View:
    """Labels that are not the kinds."""
    truth = replace(view.truth, values=1 - view.truth.values)
    return replace(view, truth=truth)


def _uneven(view: View) -> View:
    """A question of one kind more than of the other."""
    return View(view.questions[1:], view.pairs, view.truth.select(view.truth.questions[1:]))


def _named(view: View) -> View:
    """A place that is called what it is."""
    rows = [q.model_copy(update={"places": {"base": (0, 3)}}) for q in view.questions]
    return replace(view, questions=rows)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_sorted, "tell nothing of the kind"),
        (_shared, "no cause of a held-out question has a labelled example"),
        (_wrong, "is its kind"),
        (_uneven, "kinds are equally many"),
        (_named, "no place is named after a kind"),
    ],
)
def test_rows_that_tell_the_kind_are_refused(change: Callable[[View], View], said: str) -> None:
    class Broken(Hops):
        """Views that break a promise."""

        def view(self, kind: SiteKind, seed: int, documents: Sequence[Document]) -> View:
            return change(super().view(kind, seed, documents))

    with pytest.raises(AssertionError, match=said):
        check_view(Broken.model_validate(SMALL), SiteKind.DIRECTION, 0, [])


def test_a_view_that_keeps_its_word_passes() -> None:
    world = Hops.model_validate(SMALL)
    documents = world.documents(0)
    for kind in Hops.crossings:
        check_view(world, kind, 0, documents)
