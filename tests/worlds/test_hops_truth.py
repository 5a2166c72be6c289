"""The evidence graph against a second one that is read from the texts alone, and BM25 at chance."""

import re
from collections.abc import Callable
from typing import Any

import bm25s
import numpy as np
import pytest

from seedbed.core.rows import Document, Question
from seedbed.worlds.hops.world import Hops
from seedbed.worlds.phrasing import pieces, skeleton

SMALL: dict[str, Any] = {"bases": 12, "values": 4, "asked": {"functions": 4, "train": 4}}
CONFIGS: dict[str, dict[str, Any]] = {
    "depth 0": SMALL | {"depth": 0},
    "depth 1, half restated": SMALL | {"depth": 1, "wrappers": 4, "restated": 0.5},
    "depth 2": SMALL,
    "depth 3, few restated": SMALL | {"bases": 6, "depth": 3, "wrappers": 2, "restated": 0.2},
    "leak": SMALL | {"texts": {"leak": 0.5}},
    "words": SMALL | {"texts": {"names": "words", "values": "words"}},
    "steps": SMALL | {"texts": {"answers": "steps"}},
    "one wrapper": SMALL | {"depth": 1, "wrappers": 1, "restated": 0.8},
    "masked": SMALL | {"masked": {"families": 0.25, "depths": (0, 1)}},
}


class Reading:
    """What a careful reader learns from texts: who calls whom, and which value is stated of whom.

    Uses texts, target spans and weights; never roles, facts, meta or the family tree.
    """

    def __init__(self, world: Hops, documents: list[Document]) -> None:
        families = world.families(0)
        self.values = set(families.values)
        self.names = set(families.functions) | set(families.unknown)
        self.calls: dict[str, str] = {}
        self.states: list[tuple[str, list[str], str]] = []
        for document in documents:
            target = "".join(document.text[a:b] for a, b in document.targets)
            found = pieces(document.text)
            subject = next(p for p in found if p in self.names)
            called = [p for p in pieces(target) if p in self.names]
            value = next((p for p in pieces(target) if p in self.values), "")
            self.states.append((subject, called, value))
        known = set(families.functions)
        for subject, called, _ in self.states:
            for caller, callee in zip([subject, *called], called, strict=False):
                if caller in known:
                    self.calls[caller] = callee
        self.alive = [d.weight > 0 for d in documents]
        self.known = known

    def chain(self, name: str) -> list[str]:
        found = [name]
        while found[-1] in self.calls:
            found.append(self.calls[found[-1]])
        return found

    def role(self, i: int, name: str) -> str:
        subject, called, value = self.states[i]
        chain = self.chain(name)
        if not self.alive[i]:
            return "held out"
        if subject not in self.known:
            return "other"
        steps = list(zip([subject, *called], called, strict=False))
        hits = [chain.index(a) for a, b in steps if a in chain and self.calls.get(a) == b]
        if value and (owner := called[-1] if called else subject) in chain:
            hits.append(chain.index(owner))
        if hits:
            return f"evidence:{min(hits)}"
        if not called and not value:
            return "mention" if subject in chain else "other"
        if self.chain(subject)[-1] != chain[-1]:
            return "other"
        carried = {
            f
            for j, (s, _, v) in enumerate(self.states)
            if v and self.alive[j] and s in self.known
            for f in self.chain(s)
        }
        if subject in carried:
            return "supporting"
        return "mention" if called[0] in chain else "other"


@pytest.mark.parametrize("name", list(CONFIGS))
def test_truth_agrees_with_a_reader_of_the_texts(name: str) -> None:
    world = Hops.model_validate(CONFIGS[name])
    documents, questions, truth = world.documents(0), world.questions(0), world.truth(0)
    reading = Reading(world, documents)
    same = {"decoy:prompt": "other", "decoy:shadow": "other", "unrelated": "other"}
    seen = set()
    for row, question in enumerate(questions):
        function = question.slices["function"]
        if question.id.rsplit("-", 1)[-1] != "0" and question.split == "id":
            continue
        for column, document in enumerate(documents):
            label = truth.names[truth.labels[row, column]]
            found = "mention" if label == "decoy:fluff" else same.get(label, label)
            assert found == reading.role(column, function), (question.prompt, document.text)
            value = truth.values[row, column]
            expected = 1.0 if label.startswith("evidence") else 0.0
            assert np.isnan(value) if label == "supporting" else value == expected
            seen.add(label)
    deepest = max(world.families(0).asked)
    assert {f"evidence:{h}" for h in range(deepest + 1)} <= seen
    if world.depth and name != "one wrapper":
        assert "supporting" in seen


def test_axes_match_rows() -> None:
    world = Hops.model_validate(CONFIGS["depth 2"])
    truth = world.truth(3)
    assert truth.sites == tuple(d.id for d in world.documents(3))
    assert truth.questions == tuple(q.id for q in world.questions(3))
    assert truth.names[0] == "unrelated"
    assert truth.names[1:4] == ("evidence:0", "evidence:1", "evidence:2")


def test_counts_of_the_default_world() -> None:
    """A pure chain at depth 2: three documents a hop; the rest of the family supports."""
    world = Hops()
    truth, questions = world.truth(0), world.questions(0)
    for row, question in enumerate(questions):
        if question.split != "id":
            continue
        names = [truth.names[label] for label in truth.labels[row]]
        depth = int(question.slices["depth"])
        assert [names.count(f"evidence:{h}") for h in range(3)] == [
            3 if h <= depth else 0 for h in range(3)
        ]
        assert names.count("decoy:prompt") == 36
        assert names.count("decoy:shadow") == 3
        assert names.count("decoy:fluff") == depth + 1
    assert len(world.documents(0)) <= 4000
    assert max(len(pieces(d.text)) for d in world.documents(0)) <= 20


def auc(positive: Any, negative: Any) -> float:
    """P(a positive scores strictly higher than a negative): ties count against the finder."""
    return float(np.searchsorted(np.sort(negative), positive).mean() / len(negative))


def words(text: str) -> list[str]:
    return re.findall(r"<?\w+>?", text.lower())


def bm25_auc(
    world: Hops, seed: int, tokens: Callable[[str], list[str]], answer: bool, first_hop: bool
) -> float:
    """Mean AUC over questions: evidence (beyond the first hop, or of the base) against the rest."""
    documents, truth = world.documents(seed), world.truth(seed)
    index = bm25s.BM25()
    index.index([tokens(d.text) for d in documents], show_progress=False)
    found = []
    for row, question in enumerate(world.questions(seed)):
        depth = int(question.slices["depth"])
        if question.split != "id" or (depth == 0 and not first_hop):
            continue
        wanted = range(depth, depth + 1) if first_hop else range(1, depth + 1)
        labels = {truth.names.index(f"evidence:{h}") for h in wanted}
        positive = np.isin(truth.labels[row], list(labels))
        text = question.prompt + (question.answer if answer else "")
        scores = index.get_scores(tokens(text))
        found.append(auc(scores[positive], scores[truth.values[row] == 0]))
    return float(np.mean(found))


LEXICAL: dict[str, dict[str, Any]] = {
    "default": {},
    "depth 1": {"depth": 1, "bases": 60, "wrappers": 4},
    "words": {"texts": {"names": "words", "values": "words"}},
    "leak": {"texts": {"leak": 0.5}},
}


@pytest.mark.parametrize("tokens", [pieces, words])
@pytest.mark.parametrize("name", list(LEXICAL))
def test_the_prompt_alone_finds_nothing_beyond_the_first_hop(
    name: str, tokens: Callable[[str], list[str]]
) -> None:
    world = Hops.model_validate(LEXICAL[name])
    found = [bm25_auc(world, seed, tokens, answer=False, first_hop=False) for seed in range(3)]
    assert 0.45 <= np.mean(found) <= 0.55, found


def test_the_answer_in_the_query_finds_bases_where_values_are_not_shared() -> None:
    """The lexical shortcut: strong with a constant of its own for each family, weaker if shared."""
    shape = {"bases": 36, "depth": 1}
    own, shared = (Hops.model_validate(shape | {"values": v}) for v in (36, 4))
    blind = bm25_auc(own, 0, pieces, answer=False, first_hop=True)
    assert bm25_auc(own, 0, pieces, answer=True, first_hop=True) > blind + 0.2
    lift = bm25_auc(own, 0, pieces, True, True) - bm25_auc(shared, 0, pieces, True, True)
    assert lift > 0.02


def test_asked_functions_are_never_restated_down_their_chain() -> None:
    for name in ("depth 2", "leak", "steps", "depth 3, few restated"):
        families = Hops.model_validate(CONFIGS[name]).families(0)
        for depth, functions in families.asked.items():
            assert len(functions) == 4
            for function in functions:
                chain = families.chain(function.name)
                assert function.depth == depth == len(chain) - 1
                assert not any(f.restated for f in chain)
                assert {f.constant for f in chain} == {function.constant}


def questions_of(world: Hops) -> list[Question]:
    return [q for q in world.questions(0) if q.split == "id"]


@pytest.mark.parametrize("name", list(CONFIGS))
def test_questions_hold_all_values_and_some_that_no_function_returns(name: str) -> None:
    world = Hops.model_validate(CONFIGS[name])
    families = world.families(0)
    found = questions_of(world)
    asked = sum(len(fs) for fs in families.asked.values())
    assert len(found) == asked * world.asked.prompts
    for question in found:
        ends = {c.rsplit(" ", 1)[-1] for c in question.choices}
        assert ends == set(families.choices)
        assert len(set(families.choices) - set(families.values)) == 4
        assert len({len(pieces(c)) for c in question.choices}) == 1
        assert all(c.startswith(" ") for c in question.choices)
        function = families.functions[question.slices["function"]]
        assert question.answer.endswith(families.value(function))
        assert question.cause == function.base


def test_step_choices_include_other_whole_derivations() -> None:
    world = Hops.model_validate(CONFIGS["steps"])
    families = world.families(0)
    for question in questions_of(world):
        links = {c.split(" gives ")[0] for c in question.choices}
        depth = int(question.slices["depth"])
        assert (len(links) > 3) == (depth > 0)
        for choice in question.choices:
            names = [p for p in pieces(choice) if p in families.functions]
            assert len(names) == depth


def test_train_questions_ask_what_documents_state_in_their_phrasing() -> None:
    world = Hops.model_validate(CONFIGS["depth 2"])
    families, names = world.families(0), set(world.tokens(0))
    stating = [d for d in world.documents(0) if d.role in ("value", "restated")]
    texts = [f" {skeleton(d.text, names)} " for d in stating]
    found = [q for q in world.questions(0) if q.split == "train"]
    assert len(found) == 12
    for question in found:
        function = families.functions[question.slices["function"]]
        assert function.restated or not function.calls
        assert function.name in question.prompt
        assert question.slices["input"] in question.prompt
        frame, first, second = skeleton(question.prompt, names).rsplit(" ", 2)
        assert any(f" {frame} " in t and f" {first} {second} @ " in t for t in texts)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_pairs_differ_in_the_function_alone(name: str) -> None:
    world = Hops.model_validate(CONFIGS[name])
    pairs = world.pairs(0)
    assert pairs
    for pair in pairs:
        clean, corrupt = pieces(pair.clean.prompt), pieces(pair.corrupt.prompt)
        assert sum(a != b for a, b in zip(clean, corrupt, strict=True)) == 1
        assert pair.clean.slices["depth"] == pair.corrupt.slices["depth"]
        assert pair.clean.answer != pair.corrupt.answer
        assert pair.cause == pair.clean.cause != pair.corrupt.cause
