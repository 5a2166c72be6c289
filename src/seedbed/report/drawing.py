"""The pieces of light charts: elements of SVG, scales with their ticks, colours, tables.

Widths of texts are estimated from the shapes of letters, since nothing here renders.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from seedbed.report import palette

FONT = 12.5
WIDE, NARROW = 680, 340
_NARROW_LETTERS = set("fijlrt.,:;'|()[]{}!I /-")
_BROAD_LETTERS = set("mwMW@%—≥")
_DARK_PAPER, _DARK_INK = "#14181c", "#ffffff"
_LIGHT, _DARK = 3.2, 4.8
"""Contrast of marks with the paper; WCAG 2.2 asks for 3, thin lines in the dark need more."""


@dataclass(frozen=True)
class Chart:
    """A drawing twice, for wide and narrow screens (only one of them shows), and its numbers."""

    wide: str
    narrow: str
    table: str

    def figure(self, caption: str, opened: bool = False) -> str:
        """Everything as `<figure class="chart">`; the table is folded unless `opened`.

        `caption` is text and is escaped.
        """
        folded = (
            f'<details class="numbers"{" open" if opened else ""}><summary>The numbers</summary>'
            f'<div class="scroll" tabindex="0" role="region" aria-label="The numbers">{self.table}'
            "</div></details>"
        )
        said = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        return f'<figure class="chart">{self.wide}{self.narrow}{said}{folded}</figure>'


def tag(name: str, content: str = "", **attributes: str | float | None) -> str:
    """An element; `content` stands as it is, attributes are escaped (`cls` is `class`)."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-").replace("cls", "class")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>"


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else plain(value)


def plain(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def drawing(shape: str, title: str, told: str, width: float, height: float, body: str) -> str:
    """A whole `<svg>` of a class, named by its title and described by `told`."""
    # Chrome reads the title of a role=img as its name; a label says the same to other readers.
    return (
        f'<svg class="{shape}" role="img" aria-label="{escape(title)}"'
        f' viewBox="0 0 {plain(width)} {plain(height)}" width="{plain(width)}"'
        f' height="{plain(height)}"><title>{escape(title)}</title>'
        f"<desc>{escape(told)}</desc>{body}</svg>"
    )


def words(
    x: float, y: float, text: str, shape: str = "t", anchor: str = "", href: str = "",
    limit: float = math.inf,
) -> str:  # fmt: skip
    """A text at its baseline, cut to `limit` pixels; `anchor` is middle or end."""
    shown = fitted(text, limit)
    whole = tag("title", escape(text)) if shown != text else ""
    found = tag("text", whole + escape(shown), x=x, y=y, cls=shape, text_anchor=anchor or None)
    return tag("a", found, href=href) if href else found


def width_of(text: str, size: float = FONT) -> float:
    """About how wide a text is in pixels; rather too wide than too narrow."""
    wide = sum(
        0.4 if c in _NARROW_LETTERS else 1.0 if c in _BROAD_LETTERS else 0.72 if c.isupper()
        else 0.63
        for c in text
    )  # fmt: skip
    return wide * size


def fitted(text: str, limit: float) -> str:
    """`text`, or as much of it as `limit` pixels hold with an ellipsis."""
    if width_of(text) <= limit:
        return text
    kept = next((n for n in range(len(text), 0, -1) if width_of(text[:n] + "…") <= limit), 0)
    return text[:kept].rstrip() + "…"


@dataclass(frozen=True)
class Scale:
    """Where values stand between two pixels; with `log` by their logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value; values beyond the ends stand at the ends."""
        turn: Callable[[float], float] = math.log10 if self.log else float
        kept = min(max(value, self.low), self.high)
        share = (turn(kept) - turn(self.low)) / (turn(self.high) - turn(self.low))
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Round values within the scale, with their names."""
        if self.log:
            return self._decades(most)
        raw = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        places = max(0, -math.floor(math.log10(step) + 1e-9)) + (step / power == 2.5)
        return [(k * step, f"{k * step + 0.0:.{places}f}") for k in range(first, last + 1)]

    def _decades(self, most: int) -> list[tuple[float, str]]:
        low, high = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for subs in ((1, 2, 5), (1, 3), (1,)):
            values = [m * 10.0**k for k in range(low, high + 1) for m in subs]
            inside = [v for v in values if self.low * 0.999 <= v <= self.high * 1.001]
            if len(inside) <= most + 1:
                return [(v, f"{v:,.0f}" if v >= 1000 else f"{v:g}") for v in inside]
        return [(v, f"{v:,.0f}" if v >= 1000 else f"{v:g}") for v in inside]


def table_of(heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """An HTML table of plain texts, which are escaped; the first of each row is its header."""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{said}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def style() -> str:
    """The CSS that charts need, once a page; it uses --ink, --muted, --line and --paper."""
    light = [_against(c, palette.PAPER, palette.INK, _LIGHT) for c in palette.SERIES]
    dark = [_against(c, _DARK_PAPER, _DARK_INK, _DARK) for c in palette.SERIES]
    names = range(len(palette.SERIES))
    marks = "".join(f".chart-{k}{{stroke:var(--chart-{k});fill:var(--chart-{k})}}" for k in names)
    return (
        f":root{{{_defined(light)}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{_defined(dark)}}}}}\n{marks}\n{_RULES}"
    )


_RULES = """\
.chart{margin:1.25rem 0 2rem}
.chart svg.wide,.chart svg.narrow{display:block;max-width:100%;height:auto}
.chart svg.narrow{display:none}
@media (max-width:44rem){.chart svg.wide{display:none}.chart svg.narrow{display:block}}
.spark{display:inline-block;vertical-align:middle;overflow:visible}
.chart text{font:12.5px var(--sans,system-ui,sans-serif);fill:var(--ink);stroke:none;\
font-variant-numeric:tabular-nums}
.chart text.q{fill:var(--muted)}
.chart text.b{font-weight:600}
.chart a text{fill:var(--link,var(--ink));text-decoration:underline;text-underline-offset:.18em;\
text-decoration-thickness:1px}
.chart .g{stroke:var(--line);stroke-width:1}
.chart .a,.chart .k{stroke:var(--muted);stroke-width:1;fill:none}
.chart .d,.spark .d{stroke:var(--muted);stroke-width:1.5;fill:none}
.chart .o,.spark .o{stroke:var(--chart-2);stroke-width:1.5;fill:var(--paper)}
.chart .v,.spark .v{stroke:var(--chart-0);fill:var(--chart-0);stroke-width:2}
.chart .c,.spark .c{stroke:var(--muted);fill:var(--muted);stroke-width:2}
.chart .h,.spark .h{fill:var(--paper)}
.chart .l{fill:none;stroke-width:2;stroke-linejoin:round}
.spark .g{stroke:var(--line);stroke-width:1}
"""


def _defined(colours: Sequence[str]) -> str:
    return ";".join(f"--chart-{k}:{colour}" for k, colour in enumerate(colours))


def _against(colour: str, paper: str, ink: str, least: float) -> str:
    """`colour`, mixed with ink only as far as marks on `paper` need it to be seen."""
    for share in range(0, 100, 4):
        pairs = zip(_channels(colour), _channels(ink), strict=True)
        mixed = "#" + "".join(f"{round(c + (i - c) * share / 100):02x}" for c, i in pairs)
        if contrast(mixed, paper) >= least:
            return mixed
    return ink


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours `#rrggbb` (WCAG 2.2), 1 to 21."""
    low, high = sorted((palette.luminance(one), palette.luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _channels(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
