"""Where a peer is installed, its exact scores equal ours on the same parameters."""

from collections.abc import Callable

import numpy as np
import pytest

from seedbed.core.errors import ConfigError, InputError
from seedbed.core.rows import Document, Question
from seedbed.core.sites import Claim
from seedbed.finders.adapters.bergson import Bergson
from seedbed.finders.adapters.checking import self_test
from seedbed.finders.adapters.dattri_llm import DattriLlm
from seedbed.finders.adapters.kronfluence import Kronfluence
from seedbed.finders.adapters.peer import PeerFinder
from seedbed.finders.adapters.peers import PEERS
from seedbed.finders.adapters.traker import Traker
from seedbed.finders.base import FINDERS
from seedbed.finders.contract import example
from seedbed.finders.curvature import Ekfac
from seedbed.finders.gradients import Gradients
from seedbed.models.subject import Subject

Rows = tuple[Subject, list[Document], list[Question]]


def there(finder: PeerFinder) -> None:
    if why := finder.unavailable():
        pytest.skip(why)


def rows_of(keep: Callable[[str], bool]) -> Rows:
    """An example whose trainable parameters are those to compare; two documents are equal."""
    subject, documents, questions = example()
    for name, parameter in subject.model.named_parameters():
        parameter.requires_grad_(keep(name))
    documents.append(documents[3].model_copy(update={"id": "again"}))
    return subject, documents, questions


def linear(name: str) -> bool:
    return "_proj." in name or "lm_head" in name


def without_head(name: str) -> bool:
    return "_proj." in name


def with_embeddings(name: str) -> bool:
    return linear(name) or "embed" in name


@pytest.mark.parametrize(
    ("finder", "keep"),
    [
        (Bergson(), without_head),
        (Bergson(head=True, store=True), linear),
        (Kronfluence(strategy="identity"), linear),
        (DattriLlm(), with_embeddings),
    ],
    ids=["bergson", "bergson-stored", "kronfluence", "dattri_llm"],
)
def test_exact_products_are_ours(finder: PeerFinder, keep: Callable[[str], bool]) -> None:
    there(finder)
    subject, documents, questions = rows_of(keep)
    found = finder.find(subject, documents, questions, [])
    wanted = Gradients().find(subject, documents, questions, [])
    assert (found.questions, found.sites) == (wanted.questions, wanted.sites)
    scale = np.abs(wanted.scores).max()
    assert np.abs(found.scores - wanted.scores).max() <= 1e-4 * scale
    assert np.abs(found.scores[:, 12] - found.scores[:, 3]).max() <= 1e-5 * scale
    assert found.notes["package"] == f"{finder.peer.project} {finder.peer.version}"


def test_ekfac_with_the_same_drawn_labels_ranks_as_ours() -> None:
    finder = Kronfluence(damping=None)
    there(finder)
    given = rows_of(linear)
    found = finder.find(*given, [])
    wanted = Ekfac(damping=0.1).find(*given, [])
    for a, b in zip(found.scores, wanted.scores, strict=True):
        # Products of inverses of unequal scale: compared up to one factor.
        assert np.corrcoef(a, b)[0, 1] > 0.999


def test_trak_scores_equal_documents_alike() -> None:
    finder = Traker(projection=4)
    there(finder)
    found = finder.find(*rows_of(linear), [])
    assert np.allclose(found.scores[:, 12], found.scores[:, 3], rtol=1e-3)
    with pytest.raises(ConfigError, match="projection 13 is not below the number of documents"):
        Traker(projection=13).find(*rows_of(linear), [])


@pytest.mark.parametrize("name", PEERS)
def test_every_peer_is_a_finder_of_its_name(name: str) -> None:
    cls = FINDERS.resolve(name)
    assert issubclass(cls, PeerFinder)
    assert cls.model_fields["kind"].default == cls.peer_name == name


def test_the_self_test_tells_what_it_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(0).normal(size=(3, 12))

    def find(self: PeerFinder, subject: object, documents: object, *rest: object) -> Claim:
        ids = tuple(f"q{i}" for i in range(3)), tuple(f"d{i}" for i in range(12))
        return Claim(*ids, scores, notes={"package": "bergson 2.5.1"})

    monkeypatch.setattr(PeerFinder, "find", find)
    assert self_test(PEERS["bergson"]) == "3 × 12 scores, all finite, by bergson 2.5.1"
    scores[1] = 0.5
    with pytest.raises(InputError, match="bergson: the same score for every document"):
        self_test(PEERS["bergson"])
