"""Decision maps are drawn for what there is, and say what the grids say."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed.core.grid import DecisionGrid
from seedbed.report import palette
from seedbed.report.decisions import after_stage, figures, learned, letters, sure_from
from seedbed.report.figures import Plan, render
from seedbed.report.reader import Run
from seedbed.report.seed_reader import Seed

ARMS = ("no-proxy", "one-proxy", "five-proxies")


def percent(grid: DecisionGrid) -> str:
    return f"{100 * float((grid.said == grid.right).mean()):.0f} %"


def test_every_seed_and_method_has_its_figure(staged: Any) -> None:
    found = figures(Run(staged.path))
    # The last seed has no maps; of the second method only the first seed is drawn.
    assert [(name, folded) for name, folded, _ in found] == [
        ("decisions-0", False),
        ("decisions-1", True),
        ("decisions-plain-0", False),
        ("decisions-plain-1", True),
        ("decisions-kl-0", True),
    ]


def test_titles_say_what_the_grids_say(staged: Any) -> None:
    seed = Run(staged.path).seeds[0]
    made, later = learned(seed), after_stage(seed, ARMS, "plain")
    assert made is not None
    assert later is not None
    assert percent(staged.grids[0, ""]) in made[0]
    said = [f"{percent(staged.grids[0, f'{arm}+plain'])} under {arm}" for arm in ARMS]
    for part in said:
        assert part in later[0]


def texts(svg: str) -> list[str]:
    return [re.sub(r"\s+", " ", t).strip() for t in re.findall(r"<text[^>]*>([^<]+)</text>", svg)]


def test_every_panel_is_named_with_its_share(staged: Any) -> None:
    seed = Run(staged.path).seeds[0]
    later = after_stage(seed, ARMS, "plain")
    assert later is not None
    svg = render(Plan("maps", *later))[0]
    found = texts(svg)
    for head in ("before", *ARMS):
        assert head in found
    for arm in ARMS:
        grid = staged.grids[0, f"{arm}+plain"]
        for i, word in enumerate(grid.panels):
            share = f"{100 * float((grid.said[i] == grid.right[i]).mean()):.0f} %"
            assert f"{word} · {share}" in found
    # Before the second stage nobody knows here what was right.
    assert "dog" in found
    # One image a panel, six words under four columns.
    assert svg.count("<image ") == 24
    assert svg.count("image-rendering: pixelated") == 24


def test_pictures_hold_the_colours_of_what_was_said(staged: Any) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure

    seed = Run(staged.path).seeds[0]
    made = learned(seed)
    assert made is not None
    figure = Figure(figsize=made[2])
    FigureCanvasAgg(figure)
    made[3](figure)
    images = figure.axes[0].images
    grid = staged.grids[0, ""]
    shade = palette.of_choices(grid.choices)
    assert len(images) == len(grid.panels)
    for i, image in enumerate(images):
        picture = np.asarray(image.get_array())
        # Ascending x2 goes up.
        assert image.origin == "lower"
        for place in [(0, 0), (3, 12), (12, 1), (6, 6)]:
            colour = shade[grid.choices[grid.said[i][place]]].lower()
            sure = grid.probability[i][place] >= 0.625
            drawn = to_hex(picture[place]).lower()
            assert (drawn == colour) == bool(sure)
            assert sure or drawn == palette.paler(colour, 0.55)


@pytest.mark.parametrize(("count", "bar"), [(2, 0.75), (4, 0.625), (10, 0.55)])
def test_colours_pale_half_way_from_chance_to_certainty(
    tmp_path: Path, count: int, bar: float
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure

    choices = tuple(f"c{i}" for i in range(count))
    probability = np.array([[[bar - 0.02, bar], [bar + 0.02, 1.0]]])
    said = np.zeros((1, 2, 2), dtype=np.int16)
    grid = DecisionGrid(("dog",), (0.0, 1.0), (0.0, 1.0), choices, said, said, probability, ({},))
    assert sure_from(grid) == pytest.approx(bar)
    grid.save(tmp_path / "0/grid/grid.npz")
    made = learned(Seed(tmp_path / "0"))
    assert made is not None
    _, note, size, draw = made
    assert f"below {bar:g}, half-way from chance ({1 / count:g}) to 1" in note
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    draw(figure)
    picture = np.asarray(figure.axes[0].images[0].get_array())
    full = palette.of_choices(choices)["c0"].lower()
    drawn = [[to_hex(cell).lower() == full for cell in row] for row in picture]
    assert drawn == [[False, True], [True, True]]


def test_a_map_of_the_second_stages_words_stands_before_it(staged: Any, tmp_path: Path) -> None:
    path = shutil.copytree(staged.path, tmp_path / "run")
    grid = staged.grids[0, ""]
    other = replace(grid, panels=tuple(f"other-{p}" for p in grid.panels))
    other.save(path / "seeds/0/grid/grid.npz")
    made = after_stage(Run(path).seeds[0], ARMS, "plain")
    assert made is not None
    assert "before" not in texts(render(Plan("maps", *made))[0])
    grid.save(path / "seeds/0/spread/grid-before/grid.npz")
    made = after_stage(Run(path).seeds[0], ARMS, "plain")
    assert made is not None
    assert "before" in texts(render(Plan("maps", *made))[0])
    assert next(name for name, _, _ in figures(Run(path))) == "decisions-0"


def test_no_maps_no_figures(made: Path) -> None:
    assert figures(Run(made)) == []


def test_letters_tell_choices_apart() -> None:
    assert letters((" red", " green", " blue", " orange")) == {
        " red": "R", " green": "G", " blue": "B", " orange": "O"
    }  # fmt: skip
    assert list(letters(("blue", "black", "true")).values()) == ["Blu", "Bla", "T"]
    assert list(letters(("1", "12")).values()) == ["1", "12"]


@pytest.mark.parametrize(
    "choices",
    [(" red", " green", " blue", " orange"), ("yes", "no"), tuple(f"c{i}" for i in range(12)),
     ("blue", "true", "a")],
)  # fmt: skip
def test_choices_have_colours_of_their_own(choices: tuple[str, ...]) -> None:
    found = palette.of_choices(choices)
    assert list(found) == list(choices)
    if "blue" not in choices or "true" not in choices:
        assert len(set(found.values())) == len(choices)
    assert found.get(" blue", palette.BLUE) == palette.BLUE
