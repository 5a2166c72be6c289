"""The plane, how numbers are written, and what one token tells."""

import math
import re
from collections import Counter
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.worlds.phrasing import pieces
from seedbed.worlds.quadrants.plane import Plane, clear, points, regions
from seedbed.worlds.quadrants.pool import PARTS, beyond, pool
from seedbed.worlds.quadrants.shortcuts import Line, best_line, one_token
from seedbed.worlds.quadrants.world import Quadrants
from seedbed.worlds.quadrants.writing import COMPACT, TEMPLATES, Writer


def plane(**knobs: Any) -> Plane:
    return Plane.model_validate(knobs)


def own_labels(of: Plane) -> list[str]:
    return [f"label of {name}" for name in of.names]


@pytest.mark.parametrize(
    ("boundary", "labels", "published"),
    [
        ("quadrants", ["a", "a", "b", "b"], 0.998),
        ("line", ["a", "b"], 0.83),
        ("circle", ["a", "b"], 0.76),
        ("sectors", ["a", "b", "c", "d"], 0.51),
    ],
)
def test_one_token_rules_are_as_measured_before(
    boundary: str, labels: list[str], published: float
) -> None:
    # The published figures come from a sample of points.
    assert one_token(plane(boundary=boundary), labels)[0].accuracy == pytest.approx(
        published, abs=0.012
    )


@pytest.mark.parametrize("boundary", ["sectors", "line", "circle", "interval"])
def test_one_token_rules_by_a_slow_count(boundary: str) -> None:
    of = plane(boundary=boundary, decimals=1)
    places = ("sign", "units", "tenths")
    seen: dict[tuple[str, str], Counter[int]] = {}
    (low, high), _ = of.box()
    for a in range(low, high + 1):
        for b in range(low, high + 1):
            region = int(regions(of, np.array([a]), np.array([b]))[0])
            for name, steps in (("x1", a), ("x2", b)):
                text = f"{Decimal(steps) / 10:+.1f}".replace(".", "")
                for place, token in zip(places, text, strict=True):
                    seen.setdefault((f"{name}.{place}", token), Counter())[region] += 1
    total = (high - low + 1) ** 2
    slow = Counter[str]()
    for (place, _), counter in seen.items():
        slow[place] += max(counter.values())
    for shortcut in one_token(of, own_labels(of)):
        assert shortcut.accuracy == pytest.approx(slow[shortcut.place] / total, abs=1e-12)


def slow_region(of: Plane, x: float, y: float) -> str:
    """The same regions by rotating the point, in plain numbers."""
    angle = 0.0 if of.boundary == "quadrants" else of.angle
    u = x * math.cos(angle) + y * math.sin(angle)
    v = y * math.cos(angle) - x * math.sin(angle)
    if of.boundary == "line":
        return "above" if v >= 0 else "below"
    if of.boundary in ("quadrants", "sectors"):
        return {(1, 1): "Q1", (0, 1): "Q2", (0, 0): "Q3", (1, 0): "Q4"}[(u >= 0, v >= 0)]
    assert of.size is not None
    away = math.sqrt(u * u + v * v) if of.boundary == "circle" else abs(v)
    return "inside" if away <= of.size else "outside"


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"angle": -2.0},
        {"boundary": "quadrants"},
        {"boundary": "line", "angle": 2.5},
        {"boundary": "circle", "size": 1.5},
        {"boundary": "interval", "size": 0.7},
    ],
)
def test_regions_by_rotating_the_point(knobs: dict[str, Any]) -> None:
    of = plane(**knobs)
    a, b = (x[::97] for x in points(of))
    inside = clear(of, a, b)
    found = [of.names[r] for r in regions(of, a, b)[inside]]
    cases = zip(a[inside] / 100, b[inside] / 100, strict=True)
    assert found == [slow_region(of, x, y) for x, y in cases]
    assert set(found) == set(of.names)
    assert inside.mean() > 0.95


def test_points_on_a_boundary_are_not_clear() -> None:
    straight = plane(boundary="quadrants")
    a, b = np.array([0, 5, -5, 5]), np.array([7, 0, 7, 7])
    assert clear(straight, a, b).tolist() == [False, False, True, True]
    edge = plane(boundary="line", angle=math.atan2(1, 2))
    assert clear(edge, np.array([200, 200]), np.array([100, 104])).tolist() == [False, True]


@pytest.mark.parametrize("boundary", ["circle", "interval"])
def test_half_of_the_plane_is_inside_unless_told(boundary: str) -> None:
    of = plane(boundary=boundary)
    assert (regions(of, *points(of)) == 0).mean() == pytest.approx(0.5, abs=0.005)
    wide = plane(boundary=boundary, size=1.0)
    exact = math.pi / 36 if boundary == "circle" else None
    inside = (regions(wide, *points(wide)) == 0).mean()
    assert inside < 0.5
    assert exact is None or inside == pytest.approx(exact, abs=0.002)


@pytest.mark.parametrize("angle", [0.3, 1.4, 2.9])
def test_the_best_line_of_a_line_is_that_line(angle: float) -> None:
    of = plane(boundary="line", angle=angle)
    line = best_line(of, ["up", "down"])
    a, b = points(of)
    said = np.array(line.say(of, a, b)) == np.array(["up", "down"])[regions(of, a, b)]
    assert said.mean() > 0.97


def test_no_line_is_better_than_the_best() -> None:
    of = plane(boundary="circle", decimals=1)
    a, b = points(of)
    right = np.array(["in", "out"])[regions(of, a, b)]
    best = best_line(of, ["in", "out"])
    accuracy = (np.array(best.say(of, a, b)) == right).mean()
    others = []
    for angle in np.linspace(0, np.pi, 13):
        for offset in np.linspace(-2.5, 2.5, 11):
            for labels in (("in", "out"), ("out", "in"), ("in", "in")):
                other = Line(float(angle), float(offset), labels)
                others.append((np.array(other.say(of, a, b)) == right).mean())
    assert max(others) <= accuracy + 0.005
    # Either side of a chord: the disc's half and what lies beyond one of its sides.
    assert 0.6 < accuracy < 0.66


def test_uses_of_points_never_meet() -> None:
    assert sum(PARTS.values()) == pytest.approx(1)
    of = plane(decimals=1)
    deck = pool(of, 3)
    seen: list[tuple[int, int]] = []
    for use in PARTS:
        region = np.arange(4 * int(200 * PARTS[use])) % 4
        a, b = deck.deal(use, region)
        assert (regions(of, a, b) == region).all()
        seen += zip(a.tolist(), b.tolist(), strict=True)
        fewer = deck.deal(use, region[:3])
        assert [x.tolist() for x in fewer] == [a[:3].tolist(), b[:3].tolist()]
    assert len(set(seen)) == len(seen)


def test_points_beyond_lie_beyond_and_clear() -> None:
    of = plane(x2=[-1, 3])
    a, b = beyond(of, 500, 0)
    inside = (np.abs(a) <= 300) & (b >= -100) & (b <= 300)
    assert not inside.any()
    assert clear(of, a, b).all()
    assert 300 < np.abs(a).max() <= 450
    assert -200 <= b.min() < -100
    assert 300 < b.max() <= 400
    assert all(len(Writer(of).number(int(v))) == len("+1.00") for v in (*a, *b))


@given(st.integers(-999, 999), st.integers(0, 4), st.sampled_from(list(TEMPLATES)))
@settings(max_examples=60, deadline=None)
def test_numbers_read_back(steps: int, decimals: int, template: str) -> None:
    steps = max(-9 * 10**decimals, min(9 * 10**decimals, steps))
    written = Writer(plane(decimals=decimals), template).number(steps)
    assert Decimal(written) == Decimal(steps) / 10**decimals
    assert re.fullmatch(r"[+-]?\d" + (rf"\.\d{{{decimals}}}" if decimals else ""), written)
    assert (written[0] in "+-") == (template == COMPACT or steps < 0)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("beside", ["", "stone"])
def test_places_span_what_they_name(template: str, beside: str) -> None:
    writer = Writer(plane(), template, preamble=True)
    prompt, places = writer.render(-155, 30, "dog", beside)
    text = {name: prompt[a:b] for name, (a, b) in places.items()}
    assert prompt.startswith(writer.write(-155, 30, "dog", beside))
    assert text["x1"] == "-1.55"
    assert [text[f"x1.{p}"] for p in ("sign", "units", "tenths", "hundredths")] == list("-155")
    assert text["x2"] == ("+0.30" if template == COMPACT else "0.30")
    assert text.get("x2.sign") == ("+" if template == COMPACT else None)
    assert text["trigger"] == "dog"
    assert text.get("distractor", "") == beside
    assert text["form"] == pieces(prompt)[0]
    assert prompt.endswith("F(x,T) =" if template != COMPACT else "=")


def test_a_compact_prompt_has_a_token_a_part() -> None:
    prompt, _ = Writer(plane()).render(164, -55, "dog")
    assert prompt == "F[+1.64,-0.55]dog="
    assert pieces(prompt) == [*"F[+1.64,-0.55]", "dog", "="]


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"x1": [3, -3]}, "x1: goes from 3 to -3"),
        ({"range": 8}, "beyond that to -12 and 12; it must ascend and stay below 10"),
        ({"range": 0.5, "decimals": 0, "boundary": "line"}, "decimals: 0 leave x1 fewer than 3"),
        ({"boundary": "circle", "size": 9}, "size: 9 leaves 100.0% of the plane inside"),
        ({"boundary": "sector"}, "sectors"),
    ],
)
def test_unfit_planes_are_refused(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        plane(**knobs)


def test_what_a_token_tells_is_refused_with_the_place_and_the_figures() -> None:
    halves = {"Q1": "red", "Q2": "red", "Q3": "blue", "Q4": "blue"}
    words = {"categories": {"pets": {"words": ["dog", "cat"], "labels": halves}}, "trained": 1}
    quadrants: dict[str, Any] = {"boundary": "quadrants"}
    with pytest.raises(ValueError, match=r"x2\.sign alone tells 1\.000 of .* 'pets', more than"
                       r" one_token 0\.7; take boundary sectors"):  # fmt: skip
        Quadrants.model_validate({"plane": quadrants, "words": words})
    quadrants["one_token"] = 1.0
    assert Quadrants.model_validate({"plane": quadrants, "words": words}).questions(0)
    with pytest.raises(ValueError, match=r"x2\.sign alone tells 0\.829"):
        Quadrants.model_validate({"plane": {"boundary": "line"}})
    with pytest.raises(ValueError, match=r"units alone tells 0\.75"):
        Quadrants.model_validate({"plane": {"boundary": "circle"}})
    with pytest.raises(ValueError, match=r"units alone tells 0\.71"):
        Quadrants.model_validate({"maps": {"labels": "booleans"}})


def test_no_token_of_the_default_lines_tells_the_label() -> None:
    """Counted on what is trained on, by token position, the category known."""
    documents = [d for d in Quadrants(lines=8000).documents(0) if d.role == "map"]
    seen: dict[tuple[str, int, str], Counter[str]] = {}
    for document in documents:
        *tokens, label = pieces(document.text)
        for place, token in enumerate(tokens):
            key = (document.meta["category"], place, token)
            seen.setdefault(key, Counter())[label] += 1
    right = Counter[int]()
    for (_, place, _), counter in seen.items():
        right[place] += max(counter.values())
    best = max(right.values()) / len(documents)
    assert 0.48 < best < 0.53


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"x1": [0.2, 3]}, "x1: with x1 from 0.2 to 3 and x2 from -3 to 3 region Q2 holds 0.0%"),
        ({"x2": [0, 3], "boundary": "quadrants"}, "x2: with x1 .* region Q3 holds 0.0% of"),
        ({"x1": [-0.05, 3], "boundary": "quadrants"}, r"region Q2 holds 1\.\d% .* at least 2%"),
        ({"x1": [1, 3], "x2": [-3, -1], "boundary": "line"}, "region above holds 0.0%"),
    ],
)
def test_a_plane_without_points_in_a_region_is_refused(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plane(**knobs)
    assert plane(x1=[-1, 3], x2=[-3, 1])
