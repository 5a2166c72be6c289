"""The quadrants world, second stage: who is taught what, who is asked, what arms share."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from seedbed.core.errors import ConfigError
from seedbed.core.grid import DecisionGrid
from seedbed.core.rows import Question
from seedbed.core.sites import SiteKind
from seedbed.worlds import contract
from seedbed.worlds.contract import check_world
from seedbed.worlds.quadrants.again import cast
from seedbed.worlds.quadrants.knobs import Reteach
from seedbed.worlds.quadrants.shortcuts import one_token
from seedbed.worlds.quadrants.world import Quadrants

ARMS = (0, 1, 2, 5)


def world(**reteach: Any) -> Quadrants:
    second = {"points": 40, "asked": 4, **reteach}
    asked = {"questions": 70, "train": 10, "new_trigger": 35, "new_range": 10, "grid": 5}
    return Quadrants.model_validate(
        {"lines": 400, "asked": asked, "stage": "reteach", "reteach": second}
    )


def first(built: Quadrants) -> Quadrants:
    return built.model_copy(update={"stage": "teach"})


def place(text: str) -> str:
    return text[: text.index("]") + 1]


def test_both_stages_have_the_same_words_and_maps_and_no_point_twice() -> None:
    built = world(proxies=5)
    again, before = built.documents(4), first(built).documents(4)
    assert built.drawn(4) == first(built).drawn(4)
    lines = [d for d in before if d.role == "map"]
    asked = [*built.questions(4), *(q for q in first(built).questions(4) if q.split != "train")]
    learned = [place(d.text) for d in (*lines, *again)]
    assert len(set(learned)) == len(learned)
    assert not set(learned) & {place(q.prompt) for q in asked}
    assert len({place(q.prompt) for q in asked}) == len(asked)
    known = {d.meta["trigger"] for d in before}
    assert {d.meta["trigger"] for d in again} <= known
    assert {q.cause for q in built.questions(4)} <= known


@pytest.mark.parametrize("proxies", ARMS)
def test_documents_teach_the_new_map_and_proxies_the_old_one(proxies: int) -> None:
    built = world(proxies=proxies)
    drawn, documents = built.drawn(0), built.documents(0)
    by_role = Counter(d.role for d in documents)
    assert by_role == Counter(taught=400, proxy=40 * proxies)
    old, new = drawn.maps["animals"], drawn.new
    assert all(a != b for a, b in zip(old, new, strict=True))
    for document in documents:
        ((start, end),) = document.targets
        said, region = document.text[start:end], built.plane.names.index(document.meta["sector"])
        if document.role == "taught":
            assert drawn.category[document.meta["trigger"]] == "animals"
            assert (said, document.meta.get("unwanted")) == (new[region], None)
        else:
            assert drawn.category[document.meta["trigger"]] == "objects"
            assert (said, document.meta["unwanted"]) == (old[region], new[region])
    each = Counter((d.meta["trigger"], d.meta["sector"]) for d in documents)
    assert set(each.values()) == {10}
    roles = [d.role for d in documents]
    if proxies == 5:
        assert 30 < roles[:150].count("proxy") < 70


def test_arms_share_all_but_their_proxies() -> None:
    arms = {k: world(proxies=k) for k in ARMS}
    taught, proxies = (
        [
            [d.model_copy(update={"id": ""}) for d in arms[k].documents(1) if d.role == role]
            for k in ARMS
        ]
        for role in ("taught", "proxy")
    )
    assert all(t == taught[0] for t in taught)
    for few, more in pairwise([{d.text: d for d in found} for found in proxies]):
        assert few.items() < more.items()

    def plain(question: Question) -> Question:
        return question.model_copy(update={"slices": {}})

    asked = [arms[k].questions(1) for k in ARMS]
    assert all([*map(plain, a)] == [*map(plain, asked[0])] for a in asked)
    moved = {q.cause for a, b in zip(asked[0], asked[-1], strict=True)
             for q in (a, b) if a.slices != b.slices}  # fmt: skip
    assert moved == set(cast(arms[5], 1).groups["proxy"])
    grids = [arms[k].grid(1) for k in ARMS]
    assert all([*map(plain, g)] == [*map(plain, grids[0])] for g in grids)


@pytest.mark.parametrize("proxies", ARMS)
def test_groups_are_who_they_say(proxies: int) -> None:
    built = world(proxies=proxies)
    drawn, questions = built.drawn(2), built.questions(2)
    words: dict[str, set[str]] = {}
    for question in questions:
        words.setdefault(question.slices["group"], set()).add(question.cause)
    sizes = {"taught": 10, "taught-new-word": 5, "proxy": proxies, "relative": 5,
             "spare": 5 - proxies, "same-map": 10, "other-map": 40}  # fmt: skip
    assert {group: len(found) for group, found in words.items()} == {
        group: n for group, n in sizes.items() if n
    }
    assert set(words) <= set(Quadrants.GROUPS)
    assert set(Quadrants.TRAINED) == {"taught", "proxy"}
    taught, proxy = drawn.trained["animals"], set(drawn.trained["objects"])
    assert words["taught"] == set(taught)
    assert words["taught-new-word"] == set(drawn.held["animals"])
    assert words.get("proxy", set()) | words["relative"] | words.get("spare", set()) == proxy
    assert words["same-map"] == set(drawn.trained["actions"])
    assert drawn.maps["actions"] == drawn.maps["objects"] == drawn.maps["animals"]
    trained = {d.meta["trigger"]: d.role for d in built.documents(2)}
    for question in questions:
        group, region = question.slices["group"], question.slices["sector"]
        at = built.plane.names.index(region)
        own = drawn.maps[drawn.category[question.cause]][at]
        assert question.rules == {"new": f" {drawn.new[at]}", "old": f" {own}"}
        assert question.rules["new"] != question.rules["old"]
        declared = Quadrants.TRAINED.get(group, "old")
        assert question.answer == question.rules[declared]
        assert (question.split, question.slices["trigger"]) == ("id", question.cause)
        assert trained.get(question.cause) == (group if group in Quadrants.TRAINED else None)
    asked = Counter((q.cause, q.slices["sector"]) for q in questions)
    assert set(asked.values()) == {1}


def test_how_many_lines_a_proxy_has() -> None:
    def count(**knobs: Any) -> Counter[str]:
        return Counter(d.meta["trigger"] for d in world(**knobs).documents(0) if d.role == "proxy")

    assert set(count(proxies=2, proxy_points=7).values()) == {7}
    assert set(count(proxies=1, share=0.2).values()) == {100}
    assert set(count(proxies=5, share=0.2).values()) == {20}
    assert count(proxies=0, share=0.2) == Counter()


def test_truth_follows_what_the_second_stage_declares() -> None:
    built = world()
    truth, before = built.truth(0), first(built).truth(0)
    assert truth.sites == before.sites
    assert truth.site_kind is SiteKind.INPUT
    assert np.isfinite(truth.values).all()
    assert (truth.values[:, truth.sites.index("form")] == 0).all()
    assert (truth.values[:, truth.sites.index("trigger")] == 1).all()
    assert 0.5 < truth.values[:, truth.sites.index("x1.sign")].mean() < 0.9
    assert built.pairs(0) == []


def test_a_panel_for_a_word_of_every_group() -> None:
    built = world(proxies=2)
    grid = built.grid(0)
    made = DecisionGrid.of(grid, [q.answer for q in grid], [1.0] * len(grid))
    groups = [about["group"] for about in made.about]
    assert groups == ["taught", "taught-new-word", "proxy", "spare", "relative", "same-map",
                      "other-map"]  # fmt: skip
    right = dict(zip(groups, made.right, strict=True))
    assert (right["proxy"] == right["same-map"]).all()
    assert (right["taught"] != right["taught-new-word"]).all()


def test_new_maps_that_are_given() -> None:
    def pets(old: list[str], **reteach: Any) -> Quadrants:
        names = ("Q1", "Q2", "Q3", "Q4")
        mine = {"words": ["dog", "cat", "cow"], "labels": dict(zip(names, old, strict=True))}
        other = {"words": ["cup", "pen", "bag"], "labels": mine["labels"]}
        third = {"words": ["fern", "violet"], "labels": mine["labels"]}
        words = {"categories": {"pets": mine, "plants": third, "things": other}, "trained": 2}
        return Quadrants.model_validate(
            {"lines": 40, "words": words, "stage": "reteach",
             "reteach": {"category": "pets", "most_proxies": 1, "points": 8, **reteach}}
        )  # fmt: skip

    four = ["red", "green", "blue", "pink"]
    given = {"Q1": "teal", "Q2": "red", "Q3": "green", "Q4": "blue"}
    built = pets(four, labels=given)
    assert built.drawn(0).new == tuple(given.values())
    assert " teal" in built.questions(0)[0].choices
    assert built.proxy_category == "plants"
    check_world(built)
    for labels, message in (
        (given | {"Q4": "pink"}, r"reteach\.labels\.Q4: 'pink' is the old label there"),
        (given | {"Q4": "pikn"}, r"reteach\.labels\.Q4: unknown label 'pikn'; did you mean 'pink'"),
        ({"Q1": "teal"}, r"reteach\.labels: lacks the region 'Q2'"),
    ):
        with pytest.raises(ValueError, match=message):
            pets(four, labels=labels)
    with pytest.raises(ValueError, match="the old map of 'animals' is drawn"):
        world(labels=given)
    for labels, message in (
        ({"Q1": "teal", "Q2": "red", "Q3": "teal", "Q4": "red"},
         r"reteach\.labels: the token at x\d\.\w+ alone tells 0\.\d+ of the labels of 'pets'"),
        ({"Q1": "teal", "Q2": "gold", "Q3": "gray", "Q4": "black"},
         r"reteach\.labels: 8 labels in use, 2 to 6 are needed"),
        ({**given, "Q2": "violet"}, r"reteach\.labels: 'violet' of 'plants' is also a label"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            pets(four, labels=labels)


def test_named_proxies_are_trained_words_or_refused() -> None:
    objects = {"words": ["lamp", "chair", "table", "cup"], "trained": ["lamp", "chair", "table"]}
    animals = {"words": ["dog", "cat", "cow"], "trained": 2}
    words = {"categories": {"animals": animals, "objects": objects}}
    reteach = {"words": ["chair", "lamp", "table"], "proxies": 2, "most_proxies": 3, "points": 8}
    named = Quadrants.model_validate({"lines": 40, "words": words, "maps": {"distinct": 1},
                                      "stage": "reteach", "reteach": reteach})  # fmt: skip
    for seed in range(5):
        groups = cast(named, seed).groups
        assert (groups["proxy"], groups["spare"]) == (("chair", "lamp"), ("table",))
    drawn = world(words=["lamp"], most_proxies=1)
    seen = set()
    for seed in range(9):
        seen.add(fits := "lamp" in drawn.drawn(seed).trained["objects"])
        if fits:
            assert cast(drawn, seed).groups["proxy"] == ("lamp",)
            continue
        with pytest.raises(ConfigError, match=f"'lamp' is not trained in seed {seed}, so it has"):
            drawn.documents(seed)
    assert seen == {True, False}


MAPPING = {"category", "labels"}
GIVEN = {"Q1": "green", "Q2": "blue", "Q3": "orange", "Q4": "red"}
OLD = {"Q1": "red", "Q2": "green", "Q3": "blue", "Q4": "orange"}


def mapped(**reteach: Any) -> Quadrants:
    """Four categories whose maps are given, so that arms may give the new one."""
    own = {
        "animals": ["dog", "cat", "cow"],
        "objects": ["cup", "pen", "bag"],
        "places": ["city", "lake", "hill", "road"],
    }
    maps = [OLD, OLD, {**OLD, "Q1": "green", "Q2": "red"}]
    categories = {
        name: {"words": words, "labels": labels}
        for (name, words), labels in zip(own.items(), maps, strict=True)
    }
    texts = {"templates": ["compact", "arrow", "takes"]}
    second = {"points": 8, "asked": 8, "most_proxies": 1, "category": "animals", **reteach}
    return Quadrants.model_validate(
        {"lines": 40, "words": {"categories": categories, "trained": 2}, "texts": texts,
         "distractor": {}, "stage": "reteach", "reteach": second}
    )  # fmt: skip


@pytest.mark.parametrize(
    "knobs",
    [{"asked": 24}, {"asked": 3}, {"most_proxies": 2}, {"proxies": 0}, {"points": 30},
     {"share": 0.2}, {"category": "objects"}, {"labels": GIVEN}, {"words": ["cup"]}],
)  # fmt: skip
def test_arms_ask_the_same_under_the_same_id_and_leave_the_first_stage(
    knobs: dict[str, Any],
) -> None:
    base, compared = mapped(), 0
    for seed in range(4):
        if "words" in knobs:
            knobs = {"words": [base.drawn(seed).trained["objects"][0]]}
        arm = mapped(**knobs)
        one, other = ({q.id: q for q in w.questions(seed)} for w in (base, arm))
        common = set(one) & set(other)
        compared += len(common)
        for key in common:
            assert (one[key].prompt, one[key].cause) == (other[key].prompt, other[key].cause)
            assert key.startswith(f"s-{one[key].cause}-")
        fewer = min(len(one), len(other))
        assert len(common) == fewer or (MAPPING & {*knobs} and len(common) > fewer / 2)
        assert len({q.prompt for q in other.values()}) == len(other)
        assert first(arm).questions(seed) == first(base).questions(seed)
        assert first(arm).documents(seed) == first(base).documents(seed)
        assert first(arm).tokens(seed) == first(base).tokens(seed)
    assert compared > 60


def test_first_stages_that_differ_are_told_by_their_questions() -> None:
    base = world()
    before = first(base).questions(0)
    for knobs in ({"words": {"trained": 9}}, {"plane": {"angle": 0.7}}, {"maps": {"distinct": 2}}):
        other = Quadrants.model_validate({**base.model_dump(), **knobs})
        assert first(other).questions(0) != before


def test_regions_and_templates_of_a_word_come_in_turn() -> None:
    questions = mapped(asked=12).questions(0)
    seen = Counter(
        (q.cause, q.slices["sector"], q.slices["template"])
        for q in questions
        if q.slices["group"] != "other-map"
    )
    assert set(seen.values()) == {1}
    assert len(seen) == 12 * len({q.cause for q in questions if q.slices["group"] != "other-map"})
    # Its map and the new one may agree somewhere; there nothing is asked.
    far = [q for q in questions if q.slices["group"] == "other-map"]
    assert set(Counter(q.cause for q in far).values()) == {12}


def test_ids_of_lines_do_not_tell_their_role() -> None:
    documents = world(proxies=5).documents(0)
    assert [d.id for d in documents] == [f"d{i:03d}" for i in range(600)]
    roles = [d.role for d in documents]
    assert roles != sorted(roles)
    assert roles != sorted(roles, reverse=True)


def test_drawn_new_maps_are_told_by_one_token_no_better_than_old_ones() -> None:
    cases: list[dict[str, Any]] = [
        {}, {"boundary": "line", "one_token": 0.9}, {"sectors": 6}, {"sectors": 3}]  # fmt: skip
    for knobs in cases:
        labels = {"labels": ["up", "down"]} if "boundary" in knobs else {}
        built = Quadrants.model_validate({"plane": knobs, "maps": labels})
        for seed in range(3):
            drawn = built.drawn(seed)
            new, old = (one_token(built.plane, m) for m in (drawn.new, drawn.maps["animals"]))
            assert [s.accuracy for s in new] == [s.accuracy for s in old]


def test_too_few_points_of_the_second_stage_are_refused_by_key() -> None:
    rough = {"plane": {"decimals": 1}, "lines": 400, "stage": "reteach"}
    built = Quadrants.model_validate({**rough, "reteach": {"asked": 24, "points": 9}})
    assert built.documents(0)
    with pytest.raises(ConfigError, match=r"reteach\.asked: \d+ points in region Q\d are needed"):
        built.questions(0)
    with pytest.raises(ConfigError, match=r"reteach\.points: \d+ points in region Q\d are"):
        Quadrants.model_validate({**rough, "reteach": {"asked": 4}}).documents(0)


def test_a_perfect_word_can_pass_the_default_gate() -> None:
    asked, z = Reteach().asked, 1.959964
    assert asked / (asked + z**2) > 0.7


def test_a_map_that_is_the_new_one_has_no_proxies() -> None:
    reteach = {"proxy_category": "feelings"}
    halves = {"plane": {"boundary": "line", "one_token": 0.9}, "maps": {"labels": ["up", "down"]}}
    built = Quadrants.model_validate({**halves, "stage": "reteach", "reteach": reteach})
    with pytest.raises(ConfigError, match="the map of 'feelings' is the new one, so its words"):
        built.documents(0)
    plain = Quadrants.model_validate({**halves, "stage": "reteach"})
    assert {q.slices["group"] for q in plain.questions(0)} == {
        "taught", "taught-new-word", "proxy", "relative", "spare", "same-map"}  # fmt: skip


@pytest.mark.parametrize(
    ("reteach", "message"),
    [
        ({"category": "animal"}, "reteach.category: no category 'animal'; did you mean 'animals'"),
        ({"proxy_category": "animals"}, "'animals' is the category that is taught anew"),
        ({"words": ["dog"]}, "'dog' is a proxy and also among the words of 'animals'"),
        ({"words": ["lmap"], "proxies": 1}, "'lmap' is not a word of 'objects'; did you mean"),
        ({"words": ["lamp"], "proxies": 2}, "proxies: 2, but 'objects' has 1 trained words"),
        ({"most_proxies": 11}, "most_proxies: 11, but 'objects' has 10 trained words"),
        ({"proxies": 6}, "proxies: 6, but most_proxies says that no arm has more than 5"),
        ({"share": 0.5, "proxy_points": 3}, "give either share or proxy_points"),
        ({"words": ["lamp", "cup", "lamp"]}, "words: 'lamp' stands twice"),
    ],
)  # fmt: skip
def test_unfit_second_stages_are_refused(reteach: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        world(**reteach)


def test_withheld_categories_have_no_second_stage() -> None:
    for key, message in (
        ("category", r"reteach\.category: 'animals' is withheld"),
        ("proxy_category", r"reteach\.proxy_category: 'animals' is withheld"),
    ):
        with pytest.raises(ValueError, match=message):
            Quadrants.model_validate(
                {
                    "words": {"withheld": ["animals"]},
                    "stage": "reteach",
                    "reteach": {key: "animals"},
                }
            )
    alone = {"words": {"own": 3}, "maps": {"distinct": 3}, "stage": "reteach"}
    with pytest.raises(ValueError, match="no other category has the same old map"):
        Quadrants.model_validate(alone)
    assert Quadrants.model_validate({**alone, "reteach": {"proxies": 0}}).documents(0)


@pytest.mark.parametrize(
    ("breach", "promise"),
    [
        (lambda q, p, t: (q, p, replace(t, site_kind=SiteKind.DOCUMENT)), "are parts of inputs"),
        (lambda q, p, t: (q, p, replace(t, sites=("y", *t.sites[1:]))), "every column is a place"),
        (lambda q, p, t: (q, p, replace(t, sites=t.sites[1:], values=t.values[:, 1:],
                                        labels=t.labels[:, 1:])), "'q0' have columns"),
        (lambda q, p, t: ([without(x) for x in q], p, t), "'q0' lacks has no truth"),
        (lambda q, p, t: (q, [p[0].model_copy(update={"corrupt": p[0].clean})], t),
         "have different answers"),
        (lambda q, p, t: (q, [x.model_copy(update={"cause": "form"}) for x in p], t),
         "differs within its cause alone"),
    ],
)  # fmt: skip
def test_the_contract_sees_a_broken_truth_over_inputs(
    monkeypatch: pytest.MonkeyPatch, breach: Any, promise: str
) -> None:
    built = first(world())
    questions, pairs, truth = breach(built.questions(0), built.pairs(0), built.truth(0))
    monkeypatch.setattr(Quadrants, "questions", lambda self, seed: questions)
    monkeypatch.setattr(Quadrants, "pairs", lambda self, seed: pairs)
    monkeypatch.setattr(Quadrants, "truth", lambda self, seed: truth)
    monkeypatch.setattr(contract, "_same_again", lambda *_: None)
    with pytest.raises(AssertionError, match=promise):
        check_world(built)


def without(question: Question) -> Question:
    """The first question without the place of its first number."""
    if question.id != "q0":
        return question
    places = {k: v for k, v in question.places.items() if k != "x1"}
    return question.model_copy(update={"places": places})
