"""Charts as text: the same numbers in the drawing and the table, nothing that could clash."""

import re
import xml.etree.ElementTree as ET

import pytest

from seedbed.report import drawing, palette, svg

HOSTILE = '"><script>alert(1)</script>&'
ROWS = [
    svg.Mark("patching", 0.81, 0.74, 0.87, 0.21, 1.0, note="3.2 s", href="run.html#a&b"),
    svg.Mark(HOSTILE, 0.47, 0.41, 0.52, 0.21, 1.0),
    svg.Mark("one seed", 0.6, None, None, 0.21, 1.0),
    svg.Mark("undefined", None, None, None, 0.21, 1.0),
    svg.Mark("chance", 0.22, 0.20, 0.24, 0.21, 1.0, control=True),
]
POINTS = [
    svg.Point(name, x, y, y - 0.05, y + 0.04)
    for name, x, y in [
        ("bm25", 0.02, 0.6), ("gradients", 3.1, 0.55), ("trak", 3.3, 0.57),
        ("embeddings", 2.9, 0.52), ("ekfac", 9.0, 0.62), ("chance", 0.0, 0.1),
    ]
]  # fmt: skip
COURSES = [
    svg.Course("seed 0", ((0, 2.0), (50, 1.0), (100, 0.5))),
    svg.Course("seed 1", ((0, 2.1), (50, 1.1))),
    svg.Course("none", ()),
]
CHARTS = {
    "intervals": svg.intervals(ROWS, "Finders", "average precision"),
    "scatter": svg.scatter(POINTS, "Cost", "seconds", "average precision", level=0.12),
    "lines": svg.lines(COURSES, "Loss", "step", "loss"),
    "no rows": svg.intervals([], "none", "m"),
    "no points": svg.scatter([], "none", "a", "b"),
    "no courses": svg.lines([], "none", "a", "b"),
    "one point": svg.scatter([svg.Point("a", 1.0, 0.5)], "one", "a", "b", log=False),
}


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)


def numbers(element: ET.Element, *names: str) -> list[float]:
    return [float(element.attrib[name]) for name in names]


@pytest.mark.parametrize("name", CHARTS)
def test_every_drawing_is_named_described_and_has_no_id(name: str) -> None:
    chart = CHARTS[name]
    for text in (chart.wide, chart.narrow):
        root = parsed(text)
        assert root.attrib["role"] == "img"
        assert [child.tag for child in root][:2] == ["title", "desc"]
        assert root.attrib["aria-label"] == root[0].text
        assert " id=" not in text
        assert "url(#" not in text
    parsed(chart.table)
    parsed(chart.figure("what & why"))


@pytest.mark.parametrize("name", CHARTS)
def test_nothing_stands_outside_its_drawing(name: str) -> None:
    for text in (CHARTS[name].wide, CHARTS[name].narrow):
        root = parsed(text)
        width, height = (float(root.attrib[key]) for key in ("width", "height"))
        for element in root.iter():
            for key, most in (("x", width), ("y", height), ("cx", width), ("cy", height),
                              ("x1", width), ("x2", width), ("y1", height)):  # fmt: skip
                if key in element.attrib:
                    assert 0 <= float(element.attrib[key]) <= most
        for found in re.finditer(r"(?<![\w.])nan|inf(?![a-z])", text):
            raise AssertionError(found)


def test_the_table_holds_the_numbers_of_the_drawing() -> None:
    body = [[cell.text or "" for cell in row] for row in parsed(CHARTS["intervals"].table)[-1]]
    assert body[0] == ["patching", "0.810", "[0.740, 0.870]", "0.210", "1.000", "3.2 s"]
    assert body[1][0] == HOSTILE
    assert body[3][1] == "–"
    drawn = [t.text for t in parsed(CHARTS["intervals"].wide).iter("text")]
    assert "0.81 [0.74, 0.87]" in drawn
    assert "0.60 (no interval)" in drawn


def test_values_stand_where_the_axis_says() -> None:
    root = parsed(CHARTS["intervals"].wide)
    at = {t.text: float(t.attrib["x"]) for t in root.iter("text") if "x" in t.attrib}
    zero, one = at["0.0"], at["1.0"]
    dots = [c for c in root.iter("circle") if c.attrib["cy"] != "10"]
    assert float(dots[0].attrib["cx"]) == pytest.approx(zero + 0.81 * (one - zero), abs=0.2)
    bars = [e for e in root.iter("line") if e.attrib["class"] == "v"]
    low, high = numbers(bars[0], "x1", "x2")
    assert low == pytest.approx(zero + 0.74 * (one - zero), abs=0.2)
    assert high == pytest.approx(zero + 0.87 * (one - zero), abs=0.2)


def test_a_value_beyond_the_axis_widens_it() -> None:
    chart = svg.intervals([svg.Mark("a", -0.4, -0.6, 1.3)], "t", "m")
    ticks = [float(t.text or 0) for t in parsed(chart.wide).iter("text")
             if re.fullmatch(r"-?\d+\.\d+", t.text or "")]  # fmt: skip
    assert min(ticks) < -0.4
    assert max(ticks) >= 1.0


def test_names_of_points_do_not_overlap() -> None:
    for text in (CHARTS["scatter"].wide, CHARTS["scatter"].narrow):
        names = {p.label for p in POINTS}
        boxes = []
        for t in parsed(text).iter("text"):
            if t.text in names and t.attrib.get("text-anchor") is None:
                x, y = numbers(t, "x", "y")
                boxes.append((x, y - 11, x + drawing.width_of(t.text or ""), y + 3))
        assert len(boxes) == len(POINTS)
        for i, one in enumerate(boxes):
            for other in boxes[:i]:
                apart = (one[2] <= other[0] or other[2] <= one[0]
                         or one[3] <= other[1] or other[3] <= one[1])  # fmt: skip
                assert apart, (one, other)


def test_text_is_escaped_everywhere() -> None:
    whole = CHARTS["intervals"].figure(HOSTILE) + svg.spark(ROWS[1])
    assert "<script" not in whole
    assert parsed(svg.spark(ROWS[1]))[0].text == (
        f"{HOSTILE}: 0.47 [0.41, 0.52], chance 0.21, oracle 1.00"
    )


def test_equal_input_gives_equal_bytes() -> None:
    again = svg.scatter(POINTS, "Cost", "seconds", "average precision", level=0.12)
    assert again == CHARTS["scatter"]


def test_a_spark_is_as_large_as_asked() -> None:
    root = parsed(svg.spark(ROWS[0], width=90))
    assert (root.attrib["width"], root.attrib["height"]) == ("90", "18")


def test_colours_can_be_seen_in_light_and_dark() -> None:
    light, dark = re.findall(r":root\{([^}]*)\}", svg.style())
    assert len(light.split(";")) == len(palette.SERIES)
    for given, paper in ((light, "#ffffff"), (dark, "#14181c")):
        for colour in re.findall(r"#[0-9a-f]{6}", given.lower()):
            assert drawing.contrast(colour, paper) >= 3


@pytest.mark.parametrize(
    ("low", "high", "names"),
    [
        (0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-0.3, 0.4, ["-0.2", "0.0", "0.2", "0.4"]),
        (0, 400, ["0", "100", "200", "300", "400"]),
        (0.21, 0.24, ["0.210", "0.215", "0.220", "0.225", "0.230", "0.235", "0.240"]),
    ],
)
def test_ticks_are_round(low: float, high: float, names: list[str]) -> None:
    assert [name for _, name in drawing.Scale(low, high, 0, 100).ticks()] == names


def test_ticks_of_a_log_axis_are_within_it() -> None:
    scale = drawing.Scale(0.012, 14, 0, 100, log=True)
    assert [name for _, name in scale.ticks()] == ["0.03", "0.1", "0.3", "1", "3", "10"]
    assert scale.at(0.0) == 0


def test_a_long_name_is_cut_and_still_told_whole() -> None:
    name = "a finder with a very long name that does not fit beside its interval"
    root = parsed(svg.intervals([svg.Mark(name, 0.5, 0.4, 0.6)], "t", "m").wide)
    shown = next(t for t in root.iter("text") if t.find("title") is not None)
    assert shown.find("title").text == name  # type: ignore[union-attr]
    assert (shown.find("title").tail or "").endswith("…")  # type: ignore[union-attr]
