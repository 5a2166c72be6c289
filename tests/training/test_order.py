from collections import Counter

import pytest

from seedbed.core.errors import ConfigError
from seedbed.core.rows import Document
from seedbed.training.config import Order
from seedbed.training.order import DocumentOrder

KINDS = ["shuffle", "given", "interleave", "separate", "alternate"]


def _epoch(order: DocumentOrder, steps: int, first: int = 0) -> list[int]:
    return [i for s in range(first, first + steps) for i in order.indices(s)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_epoch_takes_every_document_once(documents: list[Document], kind: str) -> None:
    order = DocumentOrder(Order.model_validate({"kind": kind}), documents, 4, seed=0)
    for epoch in range(3):
        assert Counter(_epoch(order, 6, 6 * epoch)) == Counter(range(24))


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_the_same_from_wherever_one_starts(documents: list[Document], kind: str) -> None:
    made = Order.model_validate({"kind": kind})
    through = DocumentOrder(made, documents, 5, seed=0)
    walked = [through.indices(s) for s in range(12)]
    assert DocumentOrder(made, documents, 5, seed=0).indices(11) == walked[11]
    if kind != "given":
        assert DocumentOrder(made, documents, 5, seed=1).indices(0) != walked[0]


def test_given_keeps_the_files_order(documents: list[Document]) -> None:
    order = DocumentOrder(Order(kind="given"), documents, 24, seed=0)
    assert order.indices(0) == list(range(24))


def test_grouped_orders_do_what_they_say(documents: list[Document]) -> None:
    depths = [d.meta["hop_depth"] for d in documents]
    separate = DocumentOrder(Order(kind="separate"), documents, 24, seed=0).indices(0)
    assert [depths[i] for i in separate] == [0] * 12 + [1] * 12
    alternate = DocumentOrder(Order(kind="alternate"), documents, 4, seed=0)
    kinds = [{depths[i] for i in alternate.indices(s)} for s in range(6)]
    assert kinds == [{0}, {1}] * 3
    families = [d.meta["base_func"] for d in documents]
    interleaved = DocumentOrder(Order(kind="interleave"), documents, 24, seed=0).indices(0)
    runs = [families[i] for i in interleaved]
    assert all(len(set(runs[i : i + 3])) == 1 for i in range(0, 24, 3))


def test_a_document_without_the_group_is_named() -> None:
    with pytest.raises(ConfigError, match="document 'x' has no meta value 'hop_depth'"):
        DocumentOrder(Order(kind="separate"), [Document(id="x", text="t")], 1, 0)
