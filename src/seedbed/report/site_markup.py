"""Rows of tables as HTML, without a template as there are many; every text is escaped."""

from collections.abc import Iterable
from html import escape

from markupsafe import Markup

from seedbed.report.site_tables import Cell, TableRow


def rows_of(rows: Iterable[TableRow], root: str, drawn: bool = True) -> Markup:
    """Table rows; `root` leads from the page to the folder of the site.

    Unless `drawn`, plots are numbers only, a third of the bytes: the page's script draws them.
    """
    return Markup("".join(_row(row, root, drawn) for row in rows))


def number(cell: Cell, root: str) -> Markup:
    """The link that opens what is behind a number; without scripts it leads to the run's page."""
    return Markup(_number(cell, root))


def _row(row: TableRow, root: str, drawn: bool) -> str:
    facts = "".join(f' data-{key}="{escape(value)}"' for key, value in row.facts.items())
    css = ' class="control"' if row.control else ""
    cells = "".join(_cell(c, root, "td", drawn) for c in row.cells)
    head = _cell(row.head, root, 'th scope="row"', drawn)
    return f'<tr{css} data-t="{escape(row.text)}"{facts}>{head}{cells}</tr>\n'


def _cell(cell: Cell, root: str, tag: str, drawn: bool) -> str:
    if cell.plot and not drawn:
        return f'<{tag} class="{cell.css}" data-p="{cell.plot}"></{tag}>'
    css = f' class="{cell.css}"' if cell.css else ""
    sort = "" if cell.sort is None else f' data-v="{_sorted(cell.sort)}"'
    if cell.at:
        shown = _number(cell, root)
    elif cell.href:
        shown = f'<a href="{root}{escape(cell.href)}">{escape(cell.text)}</a>'
    else:
        shown = escape(cell.text)
    small = f"<small>{escape(cell.small)}</small>" if cell.small else ""
    return f"<{tag}{css}{sort}>{shown}{small}{cell.spark}</{tag[:2]}>"


def _sorted(value: float | str) -> str:
    # No table shows more than three places.
    return f"{value:.9g}" if isinstance(value, float) else escape(str(value))


def _number(cell: Cell, root: str) -> str:
    css = f"n {cell.css}".strip()
    name = f' id="n={cell.at}"' if cell.anchor else ""
    page = f"{root}runs/{cell.slug}.html#n={cell.at}"
    return f'<a class="{css}"{name} href="{page}">{escape(cell.text)}</a>'
