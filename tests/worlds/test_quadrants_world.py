"""The quadrants world, first stage: lines, axes, rules, truth, pairs, decision maps."""

import math
import re
from collections import Counter
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from seedbed.core.errors import ConfigError
from seedbed.core.grid import DecisionGrid
from seedbed.core.rows import Document, Question
from seedbed.core.sites import SiteKind
from seedbed.worlds.contract import check_world
from seedbed.worlds.phrasing import pieces
from seedbed.worlds.quadrants.drawn import Drawn
from seedbed.worlds.quadrants.lines import rounds
from seedbed.worlds.quadrants.plane import Plane, clear
from seedbed.worlds.quadrants.shortcuts import best_line
from seedbed.worlds.quadrants.world import Quadrants

NUMBER = re.compile(r"[+-]?\d\.\d+")


def world(**knobs: Any) -> Quadrants:
    asked = {"questions": 140, "train": 20, "new_trigger": 40, "new_range": 30, "new_template": 30}
    asked = asked | knobs.pop("asked", {})
    return Quadrants.model_validate({"lines": 800, "asked": asked, **knobs})


def point(text: str) -> tuple[Decimal, Decimal]:
    x1, x2 = map(Decimal, NUMBER.findall(text))
    return x1, x2


def slow_region(plane: Plane, x: Decimal, y: Decimal) -> int:
    """The region by which boundary rays the point lies between, in plain numbers."""
    if plane.boundary == "circle":
        assert plane.size is not None
        return int(float(x * x + y * y) > plane.size**2)
    x = x or Decimal(not y)  # the origin lies as the positive x1 axis does
    turns = [plane.angle + k * math.pi / 2 for k in range(4)]
    left = [math.cos(t) * float(y) - math.sin(t) * float(x) >= 0 for t in turns]
    (region,) = [k for k in range(4) if left[k] and not left[(k + 1) % 4]]
    return region


def slow_label(built: Quadrants, drawn: Drawn, text: str) -> str:
    """The label by reading the prompt: the only trigger word in it, and the rotated point."""
    (word,) = {w for w in re.split(r"[^a-z]+", text) if w in drawn.category}
    return drawn.maps[drawn.category[word]][slow_region(built.plane, *point(text))]


EVERYWHERE: list[dict[str, Any]] = [
    {},
    {"plane": {"angle": 2.2, "decimals": 1}, "lines": 600, "asked": {"questions": 80}},
    {"texts": {"templates": ["compact", "arrow", "takes"], "held_out": "given", "preamble": True}},
    {"plane": {"boundary": "circle", "size": 2.0, "one_token": 0.9}, "distractor": {"share": 0.0}},
]


@pytest.mark.parametrize("knobs", EVERYWHERE)
def test_labels_by_a_slow_reading(knobs: dict[str, Any]) -> None:
    built = world(**knobs)
    drawn = built.drawn(1)
    documents, questions = built.documents(1), built.questions(1)
    for document in documents:
        ((start, end),) = document.targets
        assert end == len(document.text)
        assert document.text[start - 1] == " "
        if document.role == "map":
            assert document.text[start:] == slow_label(built, drawn, document.text[:start])
        else:
            word, isa, category = document.text.split()
            assert (isa, document.text[start:]) == ("isa", category)
            assert drawn.category[word] == category
    for question in questions:
        assert question.answer == f" {slow_label(built, drawn, question.prompt)}"
        assert question.rules["map"] == question.answer
        assert question.choices == drawn.choices


def test_documents_are_even_over_words_and_regions() -> None:
    built = world(lines=2800)
    documents = built.documents(0)
    lines = [d for d in documents if d.role == "map"]
    pairs = Counter((d.meta["trigger"], d.meta["sector"]) for d in lines)
    assert set(pairs.values()) == {10}
    assert len(pairs) == 280
    assert len({point(d.text) for d in lines}) == 2800
    facts = Counter(d.text for d in documents if d.role == "supporting")
    assert len(facts) == 105
    assert set(facts.values()) == {round(0.06 * 2800 / 105)}
    first = [d.role for d in documents[:300]]
    assert 5 < first.count("supporting") < 40


def test_so_many_points_a_word_in_place_of_lines() -> None:
    lines = [d for d in world(texts={"points": 20}).documents(0) if d.role == "map"]
    assert set(Counter(d.meta["trigger"] for d in lines).values()) == {20}
    assert len({point(d.text) for d in lines}) == len(lines) == 1400


def test_rounds_give_every_word_its_regions_in_turn() -> None:
    word, region = rounds(5, 4, 43, np.random.default_rng(0))
    assert sorted(Counter(word.tolist()).values()) == [8, 8, 9, 9, 9]
    for w in range(5):
        assert set(np.diff(region[word == w]) % 4) == {1}


def test_axes_are_apart() -> None:
    texts = {"templates": ["compact", "arrow"], "held_out": "question"}
    built = world(words={"withheld": ["jobs"]}, texts=texts)
    drawn, documents = built.drawn(0), built.documents(0)
    trained = {point(d.text) for d in documents if d.role == "map"}
    words = {d.meta["trigger"] for d in documents if d.role == "map"}
    stated = {d.meta["trigger"] for d in documents if d.role == "supporting"}
    assert stated == set(drawn.category)
    by_split: dict[str, list[Question]] = {}
    for question in built.questions(0):
        by_split.setdefault(question.split, []).append(question)
        assert question.slices["axis"] == question.split
        assert question.slices["category"] == drawn.category[question.cause]
        fresh = point(question.prompt) not in trained
        known = question.cause in words
        held_out = drawn.category[question.cause] == "jobs"
        far = max(map(abs, point(question.prompt))) > 3
        other = question.prompt.startswith("What is")
        assert fresh == (question.split != "train")
        assert known == (question.split not in ("new_trigger", "new_category"))
        assert held_out == (question.split == "new_category")
        assert far == (question.split == "new_range")
        assert other == (question.split == "new_template")
    sizes = {split: len(found) for split, found in by_split.items()}
    assert sizes == {"id": 140, "train": 20, "new_trigger": 40, "new_category": 210,
                     "new_range": 30, "new_template": 30}  # fmt: skip
    for split in ("id", "new_trigger", "new_category"):
        found = by_split[split]
        for key in ("trigger", "sector"):
            counts = Counter(q.slices[key] for q in found).values()
            assert max(counts) - min(counts) <= (1 if key == "trigger" else 12)
    everywhere = [point(q.prompt) for q in built.questions(0)]
    a, b = (np.array([int(100 * p[i]) for p in everywhere]) for i in (0, 1))
    assert clear(built.plane, a, b).all()
    assert len(set(everywhere)) == len(everywhere)


def test_maps_are_shared_and_differ_everywhere() -> None:
    for seed in range(12):
        drawn = Quadrants().drawn(seed)
        names = [drawn.distinct[m] for m in drawn.maps.values()]
        assert names == list("AAABBCC")
        every = [*drawn.distinct, drawn.new]
        for region in range(4):
            assert len({m[region] for m in every}) == 4
        assert all(len(set(m)) == 4 for m in every)
        assert all(len(words) == 10 for words in drawn.trained.values())
        assert all(len(words) == 5 for words in drawn.held.values())
        assert drawn.choices == (" red", " green", " blue", " orange")
    assert len({tuple(Quadrants().drawn(s).maps.values()) for s in range(12)}) == 12
    assert len({Quadrants().drawn(s).trained["animals"] for s in range(12)}) == 12


def test_rules_are_what_they_say() -> None:
    built = world(lines=2000)
    drawn = built.drawn(2)
    straight = built.model_copy(update={"plane": built.plane.model_copy(update={"angle": 0.0})})
    seen: dict[tuple[str, ...], Counter[str]] = {}
    for document in built.documents(2):
        if document.role == "map":
            *_, label = pieces(document.text)
            for place, token in tokens_of(document.text):
                key = (document.meta["category"], place, token)
                seen.setdefault(key, Counter())[label] += 1
    told = Counter[str]()
    for question in built.questions(2):
        rules = {name: said.strip() for name, said in question.rules.items()}
        category = question.slices["category"]
        region = built.plane.names.index(question.slices["sector"])
        others = [m for m in drawn.distinct if m != drawn.maps[category]]
        assert [rules["other-map-1"], rules["other-map-2"]] == [m[region] for m in others]
        assert rules["unrotated"] == slow_label(straight, drawn, question.prompt)
        x, y = map(float, point(question.prompt))
        line = best_line(built.plane, drawn.maps[category])
        above = y * math.cos(line.angle) - x * math.sin(line.angle) >= line.offset
        assert rules["line"] == line.labels[above]
        for place, token in tokens_of(question.prompt):
            counter = seen.get((category, place, token))
            if f"by-{place}" in rules and counter:
                assert counter[rules[f"by-{place}"]] == max(counter.values())
        for name, said in question.rules.items():
            told[name] += said == question.answer
    share = {name: n / len(built.questions(2)) for name, n in told.items()}
    assert share["map"] == 1
    assert share["other-map-1"] == share["other-map-2"] == 0
    assert 0.5 < share["unrotated"] < 0.75
    assert share["line"] == pytest.approx(0.5, abs=0.06)
    assert all(share[f"by-{x}.{part}"] < 0.62 for x in ("x1", "x2") for part in ("sign", "units"))
    assert set(share) == {"map", "other-map-1", "other-map-2", "unrotated", "line", "by-x1.sign",
                          "by-x2.sign", "by-x1.units", "by-x2.units"}  # fmt: skip


def tokens_of(text: str) -> list[tuple[str, str]]:
    found = []
    for name, number in zip(("x1", "x2"), NUMBER.findall(text), strict=True):
        found += [(f"{name}.sign", number[0]), (f"{name}.units", number[1])]
    return found


def slow_truth(built: Quadrants, drawn: Drawn, question: Question, part: str) -> bool:
    """Write every other value into the prompt by hand, and read the label off the text."""
    start, end = question.places[part]
    before, own, after = question.prompt[:start], question.prompt[start:end], question.prompt[end:]
    most = Decimal("4.5" if question.split == "new_range" else "3")
    step = Decimal(1).scaleb(-built.plane.decimals)
    signed = "+" in question.prompt or question.slices.get("template", "compact") == "compact"
    values: list[str]
    if part == "trigger":
        values = [w for name, words in drawn.trained.items() for w in words]
    elif part in ("form", "distractor"):
        return False
    elif "." not in part:
        many = int(most / step)
        plus = "+" if signed else ""
        values = [f"{i * step:{plus}.{built.plane.decimals}f}" for i in range(-many, many + 1)]
    else:
        values = ["-", "+" if signed else ""] if part.endswith("sign") else list("0123456789")
    for value in values:
        text = before + value + after
        if value == own or (part.startswith("x") and not canonical(text, most)):
            continue
        if slow_label(built, drawn, text) != slow_label(built, drawn, question.prompt):
            return True
    return False


def canonical(text: str, most: Decimal) -> bool:
    return all(
        abs(Decimal(n)) <= most and not (n[0] == "-" and Decimal(n) == 0)
        for n in NUMBER.findall(text)
    )


@pytest.mark.parametrize("knobs", EVERYWHERE)
def test_the_truth_by_writing_every_value(knobs: dict[str, Any]) -> None:
    built = world(**knobs)
    drawn, truth, questions = built.drawn(0), built.truth(0), built.questions(0)
    assert truth.site_kind is SiteKind.INPUT
    rng = np.random.default_rng(0)
    seen: set[tuple[str, float]] = set()
    for q in rng.permutation(len(questions))[:45]:
        question = questions[q]
        for s, part in enumerate(truth.sites):
            value, name = truth.values[q, s], truth.names[truth.labels[q, s]]
            if part not in question.places:
                assert np.isnan(value)
                assert name == "absent"
                continue
            slow = slow_truth(built, drawn, question, part)
            assert (value, name) == (float(slow), "decides" if slow else "idle"), (
                question.prompt, part)  # fmt: skip
            seen.add((part.partition(".")[2], float(value)))
    assert {("hundredths" if built.plane.decimals == 2 else "tenths", 1.0), ("sign", 0.0)} <= seen


def test_pairs_differ_in_one_part_and_in_the_answer() -> None:
    texts = {"templates": ["compact", "arrow", "takes"]}
    built = world(texts=texts, lines=20000)
    drawn, pairs = built.drawn(0), built.pairs(0)
    trained = {point(d.text) for d in built.documents(0) if d.role == "map"}
    held = [q for q in built.questions(0) if q.split == "id"]
    assert [p.clean for p in pairs] == held
    causes = Counter(p.cause.partition(".")[0] for p in pairs)
    assert min(causes[name] for name in ("x1", "x2", "trigger")) >= 30
    assert {"x1", "x1.sign", "x1.units", "x2", "x2.sign"} <= {p.cause for p in pairs}
    for pair in pairs:
        clean, corrupt = pair.clean.prompt, pair.corrupt.prompt
        assert len(pieces(clean)) == len(pieces(corrupt))
        assert pair.corrupt.answer == f" {slow_label(built, drawn, corrupt)}" != pair.clean.answer
        (a, b), (c, d) = pair.clean.places[pair.cause], pair.corrupt.places[pair.cause]
        assert (clean[:a], clean[b:]) == (corrupt[:c], corrupt[d:])
        assert point(corrupt) not in trained


def test_states_are_the_region_and_the_category() -> None:
    built = world()
    drawn, states = built.drawn(0), built.states(0)
    held = [q for q in built.questions(0) if q.split == "id"]
    assert list(states) == [q.id for q in held]
    for question in held:
        names = (
            built.plane.names[states[question.id]["x2"]],
            list(drawn.maps)[states[question.id]["trigger"]],
        )
        assert names == (question.slices["sector"], question.slices["category"])


def test_a_grid_is_a_decision_map_of_the_rule() -> None:
    built = world(asked={"grid": 9, "panels": 2})
    drawn, grid = built.drawn(0), built.grid(0)
    made = DecisionGrid.of(grid, [q.answer for q in grid], [1.0] * len(grid))
    assert made.panels == tuple(
        words[0] for name in ("animals", "objects") for words in (drawn.trained[name],
                                                                drawn.held[name]))  # fmt: skip
    assert [a["group"] for a in made.about] == ["trained", "held-out"] * 2
    assert made.x1 == made.x2 == (-2.67, -2.0, -1.33, -0.67, 0.0, 0.67, 1.33, 2.0, 2.67)
    for question in grid:
        assert question.prompt.startswith(
            f"F[{question.slices['x1']},{question.slices['x2']}]{question.slices['panel']}="
        )
    for p, word in enumerate(made.panels):
        for j, x2 in enumerate(made.x2):
            for i, x1 in enumerate(made.x1):
                region = slow_region(built.plane, Decimal(x1), Decimal(x2))
                label = drawn.maps[drawn.category[word]][region]
                assert made.choices[made.right[p, j, i]] == f" {label}"
    assert world(asked={"grid": 0}).grid(0) == []


def beside(text: str) -> str:
    return text.rsplit(",", maxsplit=1)[-1].partition("=")[0]


def test_a_distractor_keeps_a_labels_company_in_training_alone() -> None:
    asked = {"questions": 560, "new_trigger": 0, "new_range": 0, "train": 0}
    built = world(distractor={"share": 0.8}, lines=4000, asked=asked)
    lines = [d for d in built.documents(0) if d.role == "map"]
    questions = built.questions(0)

    def agreement(rows: list[tuple[str, str]]) -> float:
        seen: dict[str, Counter[str]] = {}
        for word, label in rows:
            seen.setdefault(word, Counter())[label] += 1
        return sum(max(c.values()) for c in seen.values()) / len(rows)

    taught = agreement([(beside(d.text), d.text.split()[-1]) for d in lines])
    assert taught == pytest.approx(0.8 + 0.2 / 4, abs=0.02)
    assert agreement([(beside(q.prompt), q.answer) for q in questions]) < 0.34
    for q in questions:
        assert q.rules["distractor"] in q.choices
        start, end = q.places["distractor"]
        assert q.prompt[start:end] == beside(q.prompt)
    agrees = [q.rules["distractor"] == q.answer for q in questions]
    assert np.mean(agrees) == pytest.approx(0.25, abs=0.06)
    by_word = {beside(q.prompt): q.rules["distractor"].strip() for q in questions}
    said = [by_word[beside(d.text)] == d.text.split()[-1] for d in lines]
    assert np.mean(said) == pytest.approx(0.85, abs=0.02)
    truth = built.truth(0)
    assert np.isnan(truth.values[:, truth.sites.index("distractor")]).all()
    plain = world(distractor={}, lines=400)
    truth = plain.truth(0)
    assert (truth.values[:, truth.sites.index("distractor")] == 0).all()


@pytest.mark.parametrize("knobs", [*EVERYWHERE[1:], {"words": {"withheld": ["jobs"]}}])
@pytest.mark.parametrize("stage", ["teach", "reteach"])
def test_the_contract_holds_elsewhere(knobs: dict[str, Any], stage: str) -> None:
    small = {"grid": 3, "questions": 70, **knobs.get("asked", {})}
    second = {"points": 8, "asked": 2}
    check_world(world(**{**knobs, "asked": small, "stage": stage, "reteach": second}), 5)


def test_too_few_points_are_refused_by_key() -> None:
    whole = {"plane": {"decimals": 0, "one_token": 1.0}}
    with pytest.raises(ConfigError, match=r"lines: 201 points in region Q\d are needed, of \d+"):
        world(**whole).documents(0)
    with pytest.raises(ConfigError, match=r"asked\.questions: 35 points .* so that no tested"):
        world(**whole).questions(0)
    with pytest.raises(ConfigError, match=r"texts\.points: "):
        world(plane={"decimals": 1}, texts={"points": 40}).documents(0)
    narrow = {"plane": {"decimals": 0, "beyond": 1.1, "range": 4, "one_token": 1.0}}
    asked = {"questions": 1, "train": 0, "new_trigger": 0}
    with pytest.raises(ConfigError, match=r"asked\.new_range: nothing lies beyond"):
        world(**narrow, lines=1, asked=asked).questions(0)


def test_a_row_of_another_seed_is_another() -> None:
    built = world()

    def texts(rows: list[Document] | list[Question]) -> set[str]:
        return {r.text if isinstance(r, Document) else r.prompt for r in rows}

    assert not texts(built.questions(0)) & texts(built.questions(1))
    shared = {t for t in texts(built.documents(0)) & texts(built.documents(1)) if "isa" not in t}
    assert len(shared) < 10
