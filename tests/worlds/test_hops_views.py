"""Views of hops, recomputed from what documents say and from the rule that inputs are ignored."""

import re

import numpy as np
import pytest

from seedbed.core.errors import ConfigError
from seedbed.core.rows import LABELLED, Document
from seedbed.core.sites import SiteKind
from seedbed.worlds.hops.templates import FILLER
from seedbed.worlds.hops.world import Hops

WORLD = Hops.model_validate(
    {"bases": 12, "depth": 2, "values": 4, "texts": {"redundancy": 2}, "asked": {"functions": 6}}
)
SEED = 3


def told(documents: list[Document]) -> tuple[dict[str, str], dict[str, str]]:
    """(wrapper → what it calls, base → its value), read off the facts of documents."""
    facts = {fact for d in documents for fact in d.facts}
    links = dict(f.split(" -> ") for f in facts if " -> " in f)
    values = dict(f.split(" = ") for f in facts if " = " in f)
    return links, {f: v for f, v in values.items() if f not in links}


def chain(name: str, links: dict[str, str]) -> list[str]:
    found = [name]
    while found[-1] in links:
        found.append(links[found[-1]])
    return found


def answer(prompt: str, links: dict[str, str], values: dict[str, str]) -> str:
    """What a prompt asks for: the value at the end of the chain of the function it names."""
    (name,) = re.findall(r"(\S+)\(\d+\)", prompt)
    return values[chain(name, links)[-1]]


def test_only_the_name_of_the_function_changes_the_answer() -> None:
    documents = WORLD.documents(SEED)
    links, values = told(documents)
    view = WORLD.view(SiteKind.INPUT, SEED, documents)
    other = next(iter(values))
    for question, row in zip(view.questions, view.truth.values, strict=True):
        own = answer(question.prompt, links, values)
        assert own == question.answer.strip()
        assert list(question.places) == list(view.truth.sites)
        for part, value in zip(view.truth.sites, row, strict=True):
            start, end = question.places[part]
            names = [f for f in (*links, *values) if values[chain(f, links)[-1]] != own]
            new = {"name": names[0], "argument": "77"}.get(part, FILLER[0])
            changed = f"{question.prompt[:start]}{new}{question.prompt[end:]}"
            assert (answer(changed, links, values) != own) == (value == 1), part
    assert other in values


def test_pairs_differ_in_the_name_alone_and_nothing_acts_before_it() -> None:
    documents = WORLD.documents(SEED)
    links, values = told(documents)
    view = WORLD.view(SiteKind.CELL, SEED, documents)
    for pair in view.pairs:
        (a, b), (c, d) = pair.clean.places["name"], pair.corrupt.places["name"]
        assert pair.clean.prompt[:a] == pair.corrupt.prompt[:c]
        assert pair.clean.prompt[b:] == pair.corrupt.prompt[d:]
        for side in (pair.clean, pair.corrupt):
            assert side.answer.strip() == answer(side.prompt, links, values)
        assert pair.clean.answer != pair.corrupt.answer
    columns = dict(zip(view.truth.sites, view.truth.values.T, strict=True))
    assert (columns["first@name"] == 1).all()
    assert (columns["last@last"] == 1).all()
    assert (columns["inner@before"] == 0).all()
    assert np.isnan(columns["inner@argument"]).all()
    assert (columns["first@last"] == 0).all()


def test_wrappers_are_functions_that_documents_say_call_another() -> None:
    documents = WORLD.documents(SEED)
    links, _ = told(documents)
    view = WORLD.view(SiteKind.DIRECTION, SEED, documents)
    stated = {d.meta["func"] for d in documents if d.role == "restated"}
    bases: dict[bool, set[str]] = {True: set(), False: set()}
    for question, row in zip(view.questions, view.truth.values, strict=True):
        name = question.slices["function"]
        kind = "wrapper" if name in links else "base"
        assert row[view.truth.sites.index(kind)] == 1
        assert row.sum() == 1
        assert not stated & set(chain(name, links)), "no document says what a wrapper gives"
        bases[question.split in LABELLED].add(chain(name, links)[-1])
    assert bases[True]
    assert not bases[True] & bases[False]


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"depth": 0}, SiteKind.DIRECTION, "depth: only bases"),
        ({"bases": 4, "values": 2}, SiteKind.DIRECTION, "bases: 4 families"),
        ({"texts": {"answers": "steps"}}, SiteKind.CELL, "choices in steps"),
    ],
)
def test_a_configuration_without_a_view_says_why(
    change: dict[str, object], kind: SiteKind, said: str
) -> None:
    world = Hops.model_validate({"bases": 8, "values": 4, **change})
    with pytest.raises(ConfigError, match=said):
        world.view(kind, 0, [])
