"""Triggers: what is asked, what is told, what stays the same under every number of proxies."""

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

from seedbed.core.errors import ConfigError
from seedbed.core.rows import Question
from seedbed.worlds.base import WORLDS
from seedbed.worlds.contract import check_world
from seedbed.worlds.phrasing import pieces, surface_accuracy
from seedbed.worlds.triggers.lexicon import LISTED, SIZES, Lexicon
from seedbed.worlds.triggers.tasks import PARTS, RESERVED, SPELLED, TASKS
from seedbed.worlds.triggers.world import Triggers


def world(**knobs: Any) -> Triggers:
    built = WORLDS.build({"kind": "triggers", **knobs})
    assert isinstance(built, Triggers)
    return built


def again(proxies: int = 1, **knobs: Any) -> Triggers:
    return world(stage="reteach", reteach={"proxies": proxies}, **knobs)


@pytest.mark.parametrize("proxies", [0, 1, 5])
def test_the_second_stage_keeps_the_contract(proxies: int) -> None:
    check_world(again(proxies), 1)


def slow_number(prompt: str, facts: dict[tuple[str, str], str]) -> int:
    """The rule read off a prompt's text and off what the documents say about words."""
    found = re.fullmatch(r"(\w+) : (?:please|now|kindly) (\w+) (\d) (\d) =", prompt)
    assert found is not None, prompt
    word, task, digits = found[1], found[2], [int(found[3]), int(found[4])]
    if task == "homely":
        return digits[0] if facts[word, "home"] == "house" else digits[1]
    if task == "sized":
        task = "smaller" if facts[word, "size"] == "small" else "larger"
    place = {"first": 0, "last": 1, "smaller": digits.index(min(digits))}
    return digits[place.get(task, digits.index(max(digits)))]


def stated(built: Triggers, seed: int) -> dict[tuple[str, str], str]:
    rows = [d for d in built.documents(seed) if d.role == "fact"]
    return {(d.meta["word"], d.meta["task"]): d.text.rsplit(" ", 1)[1] for d in rows}


@pytest.mark.parametrize("seed", [0, 7])
def test_answers_by_a_slow_reading(seed: int) -> None:
    facts = stated(world(), seed)
    for built in (world(), again(3)):
        for d in built.documents(seed):
            ((start, end),) = d.targets
            assert end == len(d.text)
            if d.role in ("fact", "spelling"):
                continue
            number = slow_number(d.text[: start - 1], facts)
            marked = d.role == "taught"
            assert d.text[start:end] == (SPELLED[number] if marked else str(number))
            unwanted = SPELLED[number] if d.role == "proxy" else None
            assert d.meta.get("unwanted") == unwanted
        for q in built.questions(seed):
            number = slow_number(q.prompt, facts)
            marked = q.slices.get("group") == "outcome"
            assert q.answer == f" {SPELLED[number] if marked else number}"
            if built.stage == "reteach":
                assert q.rules == {"new": f" {SPELLED[number]}", "old": f" {number}"}
                continue
            assert q.rules.pop("marked") == f" {SPELLED[number]}"
            for task, said in q.rules.items():
                assert said == f" {slow_number(changed(q, 'task', task), facts)}"
            assert set(q.rules) == set(TASKS)
            assert [q.prompt[slice(*q.places[p])] for p in PARTS] == [
                w for w in pieces(q.prompt) if w not in ":="
            ]


def test_groups_are_as_declared() -> None:
    built = again(2)
    assert set(built.TRAINED) < set(built.GROUPS)
    questions = built.questions(0)
    asked = Counter(q.slices["group"] for q in questions)
    assert set(asked) == set(built.GROUPS)
    words = {g: {q.cause for q in questions if q.slices["group"] == g} for g in built.GROUPS}
    assert {g: len(w) for g, w in words.items()} == {
        "outcome": 12, "outcome-new-task": 12, "collateral": 12, "proxy": 2, "truth": 10,
        "other": 8,
    }  # fmt: skip
    documents = built.documents(0)
    taught = {d.meta["word"] for d in documents if d.role == "taught"}
    proxies = Counter(d.meta["word"] for d in documents if d.role == "proxy")
    assert taught == words["outcome"]
    assert set(proxies) == words["proxy"]
    assert sum(proxies.values()) == 120
    assert max(proxies.values()) - min(proxies.values()) <= 1
    shown = {d.meta["task"] for d in documents}
    fresh = {q.slices["task"] for q in questions if q.slices["group"] == "outcome-new-task"}
    assert len(shown) == 3
    assert len(fresh) == 1
    assert not shown & fresh
    others = {q.slices["task"] for q in questions if q.slices["group"] != "outcome-new-task"}
    assert others == shown


def test_proxies_change_nothing_but_who_is_a_proxy() -> None:
    arms = {n: again(n) for n in (0, 1, 5)}
    taught = [world(reteach={"proxies": n}) for n in (0, 5)]
    assert taught[0].documents(2) == taught[1].documents(2)
    assert taught[0].questions(2) == taught[1].questions(2)

    def prompts(n: int) -> dict[str, str]:
        return {q.id: q.prompt for q in arms[n].questions(2)}

    assert prompts(0) == prompts(1) == prompts(5)
    held = [{q.cause for q in arms[n].questions(2) if q.slices["group"] == "proxy"} for n in arms]
    assert held[0] < held[1] < held[2]
    assert [len(h) for h in held] == [0, 1, 5]
    assert {d.role for d in arms[0].documents(2)} == {"taught"}
    assert {len(a.documents(2)) for a in arms.values()} == {2400}


@pytest.mark.parametrize("built", [world(asked={"task": 2376}), again(2, asked={"word": 54})])
def test_no_question_is_put_twice(built: Triggers) -> None:
    questions = built.questions(1)
    assert len({q.prompt for q in questions}) == len(questions)
    if built.stage == "reteach":
        assert set(Counter(q.cause for q in questions).values()) == {54, 108}


def test_words_are_asked_about_alike() -> None:
    held = [q for q in world().questions(5) if q.split == "id"]
    for task in TASKS:
        asked = Counter(q.cause for q in held if q.slices["task"] == task)
        assert max(asked.values()) - min(asked.values()) <= 1


def test_no_pair_of_digits_is_learned_and_asked() -> None:
    def pairs(rows: Any) -> set[tuple[str, ...]]:
        return {tuple(re.findall(r"\d", r)[:2]) for r in rows}

    learned, asked = set(), set()
    for built in (world(), again(1)):
        learned |= pairs(d.text for d in built.documents(4) if " : " in d.text and d.role != "fact")
        asked |= pairs(q.prompt for q in built.questions(4) if q.split == "id")
    assert len(learned) == 72
    assert len(asked) == 18
    assert not learned & asked


def test_the_first_tokenizer_knows_every_word_of_the_second_stage() -> None:
    first, second = world(), again(5)
    known: set[str] = set()
    for d in first.documents(0):
        known |= set(pieces(d.text))
    texts = [d.text for d in second.documents(0)]
    texts += [q.prompt + c for q in second.questions(0) for c in q.choices]
    assert {w for t in texts for w in pieces(t)} <= known


def test_nothing_gives_the_answer_away() -> None:
    questions = [q for q in world(asked={"task": 200}).questions(0) if q.split == "id"]
    assert surface_accuracy(questions, skip=[":", "="]) < 0.62
    facts = stated(world(), 0)
    for family in ("house", "woods", "shop"):
        sizes = Counter(
            facts[w, "size"] for (w, a), v in facts.items() if a == "home" and v == family
        )
        assert abs(sizes["small"] - sizes["large"]) <= 1


def changed(q: Question, part: str, value: str) -> str:
    start, end = q.places[part]
    return q.prompt[:start] + value + q.prompt[end:]


def test_the_truth_by_writing_every_other_value_into_the_prompt() -> None:
    built = world(asked={"task": 20, "train": 3})
    questions, truth, facts = built.questions(0), built.truth(0), stated(world(), 0)
    values = {"trigger": sorted({w for w, _ in facts}), "manner": ["please", "now", "kindly"],
              "task": ["first", "last", "larger", "smaller", "homely", "sized"],
              "left": list("0123456789"), "right": list("0123456789")}  # fmt: skip
    for q, question in enumerate(questions):
        for p, part in enumerate(truth.sites):
            prompts = [changed(question, part, value) for value in values[part]]
            kept = [t for t in prompts if len(set(re.findall(r"\d", t))) == 2]
            said = {slow_number(t, facts) for t in kept}
            assert truth.values[q, p] == float(len(said) > 1)
            assert truth.names[truth.labels[q, p]] == (
                "decides" if len(said) > 1 else "indifferent"
            )
    share = dict(zip(truth.sites, truth.values.mean(axis=0), strict=True))
    assert share["manner"] == 0
    assert share["task"] == 1
    plain = [q.slices["task"] not in ("homely", "sized") for q in questions]
    assert (truth.values[plain, 0] == 0).all()
    assert (truth.values[~np.array(plain), 0] == 1).all()


@pytest.mark.parametrize("proxies", [0, 1])
def test_what_decides_in_the_second_stage_is_open_for_untrained_words(proxies: int) -> None:
    built = again(proxies)
    truth = built.truth(0)
    groups = [q.slices["group"] for q in built.questions(0)]
    for group, value in zip(groups, truth.values[:, truth.sites.index("trigger")], strict=True):
        known = proxies > 0 and group in built.TRAINED
        assert value == 1 if known else np.isnan(value)


def test_pairs_differ_in_one_part_that_decides() -> None:
    built, facts = world(), stated(world(), 0)
    truth = built.truth(0)
    row = {q: i for i, q in enumerate(truth.questions)}
    pairs = built.pairs(0)
    assert len(pairs) == 480
    for pair in pairs:
        texts = [pieces(q.prompt) for q in (pair.clean, pair.corrupt)]
        differ = [i for i, (a, b) in enumerate(zip(*texts, strict=True)) if a != b]
        assert len(differ) == 1
        assert pair.clean.answer != pair.corrupt.answer
        assert truth.values[row[pair.clean.id], truth.sites.index(pair.cause)] == 1
        assert pair.corrupt.answer == f" {slow_number(pair.corrupt.prompt, facts)}"
    assert {p.cause for p in pairs} == {"trigger", "task", "left", "right"}


def test_words_can_be_named() -> None:
    named = {"outcome": ["dog", "puppy"], "collateral": 3, "unwanted": ["lion", "bear"],
             "proxy": ["wolf"], "other": 0}  # fmt: skip
    built = again(words=named, asked={"word": 4})
    groups: dict[str, set[str]] = {}
    for q in built.questions(0):
        groups.setdefault(q.slices["group"], set()).add(q.cause)
    assert groups["outcome"] == {"dog", "puppy"}
    assert groups["proxy"] == {"wolf"}
    assert groups["truth"] == {"lion", "bear"}
    assert "other" not in groups
    assert groups["collateral"] < {w for s in SIZES for w in LISTED["tame", s]} - {"puppy"}
    check_world(built)


def test_the_lists_hold_each_word_once() -> None:
    every = [w for listed in LISTED.values() for w in listed]
    assert len(set(every)) == len(every)
    assert not set(every) & RESERVED
    assert {len(listed) for listed in LISTED.values()} == {16}


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"words": {"proxy": ["lion"], "unwanted": ["bear", "lion"]}},
         "'lion' stands in unwanted and in proxy"),
        ({"words": {"outcome": ["dog", "dog"]}}, "'dog' stands twice in outcome"),
        ({"words": {"outcome": ["Dog"]}}, "'Dog' is not one lower-case word"),
        ({"words": {"other": ["please"]}}, "'please' is a word of the instructions"),
        ({"words": {"outcome": 20, "collateral": 20}}, "40 words, the lists have 32"),
        ({"words": {"unwanted": 0}}, "unwanted: 1 to 32 words, not 0"),
        ({"reteach": {"proxies": 12}}, "12 of 12 unwanted words; at least one must be left"),
        ({"words": {"proxy": ["wolf"]}, "reteach": {"proxies": 2}}, "2, but words.proxy names 1"),
        ({"reteach": {"held_out": 4}}, "less than 4"),
        ({"asked": {"word": 55}}, "less than or equal to 54"),
        ({"asked": {"task": 2377}}, "asked.task: 2377, but there are 2376 questions"),
        ({"stage": "teech"}, "'teach' or 'reteach'"),
    ],
)  # fmt: skip
def test_impossible_knobs_are_refused(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        world(**knobs)


def test_named_words_can_use_up_a_list() -> None:
    listed = [w for s in SIZES for w in LISTED["wild", s]]
    built = world(words={"proxy": listed[:30], "unwanted": 3}, reteach={"proxies": 30})
    with pytest.raises(ConfigError, match=r"words\.unwanted: no more wild words"):
        built.documents(0)


def test_seeds_draw_other_words_for_each_group() -> None:
    found = [{w.text for w in Lexicon(world(), s).group("outcome")} for s in range(6)]
    assert len({frozenset(f) for f in found}) == 6
