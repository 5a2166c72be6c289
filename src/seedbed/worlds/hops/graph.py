"""The evidence graph: which documents state a link of the chain that a question asks about.

It is computed from the facts that documents carry and from the family tree, never from names.
"""

import numpy as np

from seedbed.core.rows import Document, Question
from seedbed.core.sites import Truth
from seedbed.worlds.hops.families import Families

FIXED = (
    "unrelated",
    "supporting",
    "mention",
    "decoy:prompt",
    "decoy:shadow",
    "decoy:fluff",
    "held out",
)


def truth_names(depth: int) -> tuple[str, ...]:
    """The roles a document can play; evidence:h states the chain's link at distance h."""
    return (FIXED[0], *(f"evidence:{h}" for h in range(depth + 1)), *FIXED[1:])


def declared(
    families: Families, depth: int, documents: list[Document], questions: list[Question]
) -> Truth:
    """The declared truth: evidence 1, supporting NaN, anything else 0."""
    names = truth_names(depth)
    index = {name: i for i, name in enumerate(names)}
    carrying = _carrying(families, documents)
    rows: dict[tuple[str, bool], list[int]] = {}
    labels = np.empty((len(questions), len(documents)), dtype=np.int16)
    for i, question in enumerate(questions):
        key = (question.slices["function"], question.split == "train")
        if key not in rows:
            role = _Roles(families, carrying, *key)
            rows[key] = [index[role.of(document)] for document in documents]
        labels[i] = rows[key]
    values = np.zeros(labels.shape)
    for name, i in index.items():
        if name.startswith("evidence"):
            values[labels == i] = 1.0
    values[labels == index["supporting"]] = np.nan
    return Truth(
        tuple(q.id for q in questions), tuple(d.id for d in documents), values, labels, names
    )


def _carrying(families: Families, documents: list[Document]) -> set[str]:
    """Functions whose value is stated in training, or the value of something that calls them."""
    found: set[str] = set()
    for document in documents:
        if document.weight and document.role in ("value", "restated", "leak"):
            found.update(f.name for f in families.chain(document.meta["func"]))
    return found


class _Roles:
    """The role of each document for questions about one function."""

    def __init__(self, families: Families, carrying: set[str], name: str, train: bool) -> None:
        chain = families.chain(name)
        self.functions, self.carrying, self.train = families.functions, carrying, train
        self.chain = {f.name for f in chain}
        self.base = chain[-1].name
        self.distance = {f"{f.name} -> {f.calls}": h for h, f in enumerate(chain) if f.calls}
        self.distance |= {f"{f.name} = {families.value(f)}": h for h, f in enumerate(chain)}

    def of(self, document: Document) -> str:
        """The label of `document`, one of `truth_names`."""
        meta, role = document.meta, document.role
        if not document.weight:
            return "held out"
        if hits := [self.distance[fact] for fact in document.facts if fact in self.distance]:
            return f"evidence:{min(hits)}"
        if role == "decoy:prompt":
            return "unrelated" if self.train else role
        if meta["base_func"] != self.base:
            return "unrelated"
        if role == "decoy:shadow":
            return "unrelated" if self.train else role
        if role in ("decoy:fluff", "mention"):
            return role if meta["func"] in self.chain else "unrelated"
        if meta["func"] in self.carrying:
            return "supporting"
        return "mention" if self.functions[meta["func"]].calls in self.chain else "unrelated"
