"""No leaks: what documents of every kind of hops world may and may not say."""

import itertools
from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from seedbed.core.config import digest
from seedbed.core.rows import Document
from seedbed.worlds.hops.templates import CUES, GENRES, MARKERS, PROMPTS
from seedbed.worlds.hops.world import Hops
from seedbed.worlds.phrasing import (
    length_spread,
    mixes,
    numbers,
    pieces,
    shared_phrasings,
    surface_accuracy,
)

SMALL: dict[str, Any] = {"bases": 12, "values": 4, "asked": {"functions": 4, "train": 4}}
CONFIGS: dict[str, dict[str, Any]] = {
    "depth 0": SMALL | {"depth": 0},
    "depth 1": SMALL | {"depth": 1},
    "depth 2": SMALL,
    "depth 3": SMALL | {"bases": 6, "depth": 3},
    "leak": SMALL | {"texts": {"leak": 0.5}},
    "leak one in three": SMALL | {"depth": 1, "texts": {"leak": 0.334}},
    "words": SMALL | {"texts": {"names": "words", "values": "words"}},
    "numbers": SMALL | {"depth": 1, "texts": {"values": "numbers", "leak": 0.5}},
    "steps": SMALL | {"texts": {"answers": "steps"}},
    "steps in words": SMALL
    | {"depth": 1, "texts": {"answers": "steps", "names": "words", "values": "words", "leak": 0.5}},
    "one wrapper": SMALL | {"depth": 1, "wrappers": 1, "restated": 0.8},
    "one wrapper in steps": SMALL
    | {"depth": 1, "wrappers": 1, "restated": 0.7, "texts": {"answers": "steps"}},
    "all genres": SMALL | {"bases": 5, "depth": 1, "texts": {"redundancy": len(GENRES)}},
    "masked": SMALL | {"masked": {"families": 0.25, "depths": (0, 1)}},
}


def build(name: str) -> Hops:
    return Hops.model_validate(CONFIGS[name])


every = pytest.mark.parametrize("name", list(CONFIGS))


def states_value(document: Document) -> bool:
    return document.role in ("value", "restated", "leak")


@every
def test_same_seed_same_bytes_and_other_seed_other_rows(name: str) -> None:
    first, again = build(name), build(name)
    rows = [r.model_dump() for r in (*first.documents(1), *first.questions(1), *first.pairs(1))]
    same = [r.model_dump() for r in (*again.documents(1), *again.questions(1), *again.pairs(1))]
    assert digest(rows) == digest(same)
    texts = {d.text for d in first.documents(1)}
    assert not texts & {d.text for d in first.documents(2)}


@every
def test_no_evaluation_input_or_phrasing_in_training(name: str) -> None:
    world = build(name)
    documents, questions = world.documents(0), world.questions(0)
    names = set(world.tokens(0))
    held_out = [q for q in questions if q.split == "id"]
    stated = [d for d in documents if not d.role.startswith("decoy")]
    assert not shared_phrasings(held_out, stated, names)
    assert shared_phrasings(held_out, documents, names), "decoys do use the phrasing"
    values = {int(c) for c in world.families(0).choices if c.isdigit()}
    inputs = {int(q.slices["input"]) for q in held_out}
    assert inputs <= set(range(1, 101))
    shown = set().union(*(numbers(d.text) for d in documents)) - values
    assert shown <= set(range(101, 1000))


@every
def test_a_word_level_vocabulary_of_documents_reads_prompts(name: str) -> None:
    world = build(name)
    stated = [d for d in world.documents(0) if not d.role.startswith("decoy")]
    known = {piece for d in stated for piece in pieces(d.text)} | set("0123456789()")
    for question in world.questions(0):
        assert set(pieces(question.prompt)) <= known


@every
def test_a_queried_wrapper_states_its_constant_only_as_the_leak_knob_says(name: str) -> None:
    world = build(name)
    families = world.families(0)
    queried = {f.name for f in families.functions.values() if f.calls and not f.restated}
    own = [
        d for d in world.documents(0) if d.meta["func"] in queried and d.meta["role"] == "identity"
    ]
    if not queried:
        assert world.depth == 0
        return
    values = set(families.values)
    telling = [d for d in own if values & set(pieces(d.text.replace("calls ", "")))]
    if world.texts.values == "numbers":
        telling = [d for d in own if values & {d.text[a:b] for a, b in d.targets}]
    assert {d.id for d in telling} == {d.id for d in own if d.role == "leak"}
    assert len(own) == len(queried) * world.texts.redundancy
    assert len(telling) == round(world.texts.leak * len(own))
    for function in queried:
        mine = sum(d.meta["func"] == function for d in telling)
        assert abs(mine - world.texts.leak * world.texts.redundancy) < 1


@every
def test_lengths_stay_in_the_band(name: str) -> None:
    assert length_spread(build(name).documents(0)) <= 0.15


@every
def test_every_function_and_fact_has_the_same_genres(name: str) -> None:
    world = build(name)
    facts = [d for d in world.documents(0) if d.meta["role"] != "distractor"]
    own = [d for d in facts if d.role in ("link", "leak")]
    assert len(mixes(own, "func")) <= 1
    assert len(mixes([d for d in facts if states_value(d) and d.role != "leak"], "func")) == 1
    if world.texts.leak == 0:
        assert len(mixes(facts, "func", "type")) == 1
    mentions = Counter(d.meta["genre"] for d in world.documents(0) if d.role == "mention")
    assert max(mentions.values()) - min(mentions.values()) <= 1


@every
def test_every_function_token_has_mention_decoys(name: str) -> None:
    world = build(name)
    families = world.families(0)
    mentioned = Counter(d.meta["func"] for d in world.documents(0) if d.role == "mention")
    assert mentioned == dict.fromkeys((*families.functions, *families.unknown), 1)
    for document in world.documents(0):
        if document.role == "mention":
            assert not document.facts
            assert not set(families.values) & set(pieces(document.text))


@every
def test_targets_span_the_value_or_the_called_name(name: str) -> None:
    world = build(name)
    families = world.families(0)
    for document in world.documents(0):
        ((start, end),) = document.targets
        shown = document.text[start:end]
        function = families.functions.get(document.meta["func"])
        if document.role == "link":
            assert function is not None
            assert shown == function.calls == document.meta["called"]
        elif states_value(document):
            assert function is not None
            assert shown.rsplit(" ", 1)[-1] == families.value(function)
            assert ("gives" in shown) == (world.texts.answers == "steps")
        elif document.role in ("mention", "decoy:fluff"):
            assert shown not in world.tokens(0)


@every
def test_no_word_of_a_prompt_tells_documents_apart(name: str) -> None:
    """Frames are shared, markers differ in words that no prompt holds but the cue, held by all."""
    world = build(name)
    cue = CUES[world.texts.answers]
    markers = {w for ms in MARKERS.values() for m in ms for w in m.split()} - {"{cue}"}
    prompts = {w for p in PROMPTS for w in p.split()}
    assert not markers & prompts
    assert len({len(m.split()) for ms in MARKERS.values() for m in ms}) == 1
    assert {pieces(d.text).count(cue) for d in world.documents(0)} == {1}
    assert all(pieces(q.prompt)[-1] == cue for q in world.questions(0))


def test_ids_and_order_do_not_betray_roles() -> None:
    documents = Hops().documents(0)
    assert [d.id for d in documents] == [f"d{i:04d}" for i in range(len(documents))]
    for role in ("link", "restated", "mention"):
        places = [i for i, d in enumerate(documents) if d.role == role]
        middle = sum(places) / len(places) / len(documents)
        assert abs(middle - 0.5) < 0.05
        neighbours = sum(b - a == 1 for a, b in itertools.pairwise(places))
        share = len(places) / len(documents)
        assert abs(neighbours / len(places) - share) < 0.07


def test_fluff_holds_token_and_value_without_a_fact() -> None:
    world = build("depth 2")
    families = world.families(0)
    fluff = [d for d in world.documents(0) if d.role == "decoy:fluff"]
    assert len(fluff) == sum(len(fs) for fs in families.asked.values())
    for document in fluff:
        value = families.value(families.functions[document.meta["func"]])
        found = pieces(document.text)
        assert found.index(value) < found.index(document.meta["func"])
        assert not document.facts


def test_shadows_give_the_constant_of_a_family_asked_about() -> None:
    world = build("depth 1")
    families = world.families(0)
    shadows = [d for d in world.documents(0) if d.role == "decoy:shadow"]
    assert {d.meta["base_func"] for d in shadows} == {f.name for f in families.asked[0]}
    for document in shadows:
        base = families.functions[document.meta["base_func"]]
        ((start, end),) = document.targets
        assert document.text[start:end] == families.value(base)
        assert document.meta["func"] in families.unknown


def test_more_redundancy_adds_documents_and_keeps_the_facts_of_the_others() -> None:
    def heads(redundancy: int) -> set[str]:
        world = Hops.model_validate(SMALL | {"texts": {"redundancy": redundancy}})
        found = world.documents(0)
        return {d.text[: d.targets[0][1]] for d in found if d.meta["role"] != "distractor"}

    small, large = heads(2), heads(5)
    assert small < large
    assert len(large) == len(small) / 2 * 5


def test_masked_documents_keep_their_place() -> None:
    plain, masked = build("depth 2").documents(0), build("masked").documents(0)
    zero = [d for d in masked if d.weight == 0]
    assert len(plain) - len(masked) < 60, "only decoys of questions no longer asked may go"
    families = build("masked").families(0)
    for document in masked:
        function = families.functions.get(document.meta["func"])
        out = function is not None and (function.masked or function.depth == 2)
        assert (document in zero) == out
    assert sum(f.masked for f in families.functions.values() if not f.calls) == 3


@every
def test_the_answer_is_not_in_the_words_of_the_prompt(name: str) -> None:
    world = build(name)
    asked = [q for q in world.questions(0) if q.split == "id"]
    words = set().union(*(pieces(q.prompt) for q in asked))
    skip = set(world.tokens(0)) | {w for w in words if w.isdigit()}
    ends = [q.model_copy(update={"answer": q.answer.split()[-1]}) for q in asked]
    majority = max(Counter(q.answer for q in ends).values()) / len(ends)
    assert surface_accuracy(ends, skip) == pytest.approx(majority)


def test_no_letter_of_a_name_tells_the_constant() -> None:
    """Against shuffled constants: the best single letter does no better than by chance."""
    import numpy as np

    functions = list(Hops().families(0).functions.values())
    bases = [f for f in functions if not f.calls]
    constants = np.array([f.constant for f in bases])

    def best(values: Any) -> int:
        cells = Counter(
            (i, f.name[i], int(v)) for f, v in zip(bases, values, strict=True) for i in (1, 2, 3)
        )
        top: Counter[tuple[int, str]] = Counter()
        for (i, letter, _), n in cells.items():
            top[i, letter] = max(top[i, letter], n)
        return sum(top.values())

    rng = np.random.default_rng(0)
    null = [best(rng.permutation(constants)) for _ in range(200)]
    assert best(constants) <= max(null)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"values": 13}, "values: 13 constants for 12 bases"),
        ({"restated": 0.999, "depth": 1}, "leaves no wrapper of depth 1"),
        ({"masked": {"families": 0.99}}, "leaves no family to train on"),
        ({"masked": {"depths": (3,)}}, "there are depths 0 to 2, not 3"),
        ({"texts": {"redundancy": 99}}, "need as many genres"),
        ({"texts": {"genres": ("definiton",)}}, "unknown genre 'definiton'"),
        ({"texts": {"genres": ("table", "table")}}, "a genre stands twice"),
    ],
)
def test_unfit_knobs_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Hops.model_validate(SMALL | wrong)
