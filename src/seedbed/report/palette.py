"""Colours and lettering of figures and page: Okabe and Ito's palette, safe for colour blindness.

Ink and paper have fixed hex names so that the page can swap them in the dark.
"""

from collections.abc import Iterable, Sequence
from typing import Any

BLUE, SKY, GREEN, YELLOW = "#0072B2", "#56B4E9", "#009E73", "#F0E442"
ORANGE, RED, PURPLE = "#E69F00", "#D55E00", "#CC79A7"
INK, MUTED, GRID, PAPER = "#1f2429", "#5c666f", "#dfe3e7", "#ffffff"
SERIES = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY, "#8c6d31")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
THEMED = {INK: "--ink", MUTED: "--muted", GRID: "--line", PAPER: "--paper"}
_GREY = "#c3c9cf"
_KINDS = {
    "evidence": (BLUE, SKY, GREEN, "#7fd0b4", "#a5d8f3"),
    "supporting": (PURPLE, "#e3b5cf"),
    "mention": (YELLOW,),
    "decoy": (ORANGE, "#e8743b", "#c49a6c", "#f3c98b"),
    "neutral": (_GREY,),
    "unrelated": (_GREY,),
    "": (_GREY,),
}
_NAMED = {
    "red": "#d5492a", "orange": ORANGE, "yellow": YELLOW, "green": GREEN, "blue": BLUE,
    "cyan": SKY, "purple": PURPLE, "violet": PURPLE, "pink": "#e3b5cf", "brown": "#8c6d31",
    "black": "#4a4f55", "grey": _GREY, "gray": _GREY, "white": "#eceff1",
    "true": BLUE, "false": ORANGE, "yes": BLUE, "no": ORANGE,
}  # fmt: skip
_SPARE = ("#8a8a8a", "#6b8e6b", "#b5a04a", "#7d6b91")


def roles(names: Iterable[str]) -> dict[str, str]:
    """A colour for each role: evidence by hop in blues and greens, the rest by kind."""
    chosen: dict[str, str] = {}
    for name in sorted(names, key=lambda name: name.partition(":")):
        kind = name.partition(":")[0]
        for colour in (*_KINDS.get(kind, ()), *_SPARE):
            if colour not in chosen.values():
                chosen[name] = colour
                break
        else:
            chosen[name] = _GREY
    return chosen


def of_choices(choices: Sequence[str]) -> dict[str, str]:
    """A colour for each choice: its own where it names one, else the next that is free."""
    found = {c: _NAMED[c.strip().lower()] for c in choices if c.strip().lower() in _NAMED}
    every = (*SERIES, *_SPARE, *_NAMED.values())
    spare = iter(dict.fromkeys(colour for colour in every if colour not in found.values()))
    return {c: found.get(c) or next(spare, _GREY) for c in choices}


def diverging() -> Any:
    """A colour map from red-orange (below 0) over near-white to blue (above), for matrices."""
    from matplotlib.colors import LinearSegmentedColormap

    # Not the white of the paper, which the page swaps in the dark.
    ends = ["#7a3000", RED, "#f3c3a2", "#f7f7f6", "#a6cfe8", BLUE, "#00395a"]
    return LinearSegmentedColormap.from_list("seedbed", ends)


def paler(colour: str, share: float) -> str:
    """`colour` (`#rrggbb`) mixed with white; `share` 1 leaves it as it is."""
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 - share * (255 - c)):02x}" for c in channels)


def readable_on(colour: str) -> str:
    """Ink or white, whichever has the higher contrast (WCAG 2.2, relative luminance)."""
    light = luminance(colour)
    white, ink = 1.05 / (light + 0.05), (light + 0.05) / (luminance(INK) + 0.05)
    return PAPER if white >= ink else INK


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2.2), 0 to 1."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def settings(name: str) -> dict[str, Any]:
    """Matplotlib settings; `name` salts the ids, so equal data gives equal bytes."""
    return {
        "svg.hashsalt": f"seedbed-{name}",
        "svg.fonttype": "none",
        "font.family": "DejaVu Sans",
        "text.parse_math": False,
        "font.size": 9.5,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.labelsize": 9.5,
        "axes.labelcolor": MUTED,
        "axes.edgecolor": MUTED,
        "axes.facecolor": "none",
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.titlecolor": INK,
        "grid.color": GRID,
        "grid.linewidth": 0.7,
        "text.color": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": INK,
        "figure.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "figure.dpi": 100,
        "savefig.dpi": 160,
        "legend.frameon": False,
        "hatch.linewidth": 0.6,
        # Images stay small in an SVG, each with its own cells.
        "image.composite_image": False,
    }
