"""`seedbed site`: static pages for any set of runs, which open without a server or a network.

Equal runs give equal bytes; what is wrong with a run is shown, and never keeps the others out.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seedbed import __version__
from seedbed.core.errors import DiskError, InputError
from seedbed.core.files import atomic_folder
from seedbed.report import svg, wording
from seedbed.report.assets import asset
from seedbed.report.site_details import details, rows_script, script
from seedbed.report.site_entries import Entry, addresses_of, entries_of, versions
from seedbed.report.site_markup import number, rows_of
from seedbed.report.site_matrix import FIRST, known_worlds
from seedbed.report.site_pages import finder_page, index_page, list_page, search_rows, world_page
from seedbed.report.site_run import run_page, study_page
from seedbed.report.site_tables import Table
from seedbed.runs.index import SITE, run_folders
from seedbed.runs.summary import Summary, is_run, is_sweep, read_summary

SIGN = SITE
"""A file that says that a folder is a site, which a new one may replace."""
MOST = 100
"""Rows of a table that stand in a page; the rest is loaded when asked for."""
_MENU = (("Matrix", "index.html"), ("Finders", "finders.html"), ("Studies", "studies.html"),
         ("Runs", "runs.html"))  # fmt: skip


def build_site(runs: Sequence[Path], out: Path, *, title: str = "seedbed") -> Path:
    """Write the site of `runs` (run folders, or folders that hold some) into `out`.

    Returns its index.html. A site that is there already is replaced. Raises InputError if a path
    is not there, if no run is found, or if `out` holds anything but a site.
    """
    _check_out(out)
    folders = find_runs(runs)
    return write_site([read_summary(folder) for folder in folders], out, title=title)


def write_site(runs: Sequence[Summary], out: Path, *, title: str = "seedbed") -> Path:
    """Write the site of runs that were read already; see `build_site`."""
    _check_out(out)
    with atomic_folder(out) as folder:
        _Writer(runs, folder, out, title).write()
    return out / "index.html"


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Run folders among `paths` and below them (see `run_folders`), sorted and each once.

    A sweep is no run; its arms are, in folders beside it. Raises InputError for a path that is
    not there, and if there is no run at all.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            what = "is a file, a run folder is needed" if path.exists() else "no such folder"
            raise InputError(f"{path}: {what}{_near(path)}")
        if is_sweep(path):
            raise InputError(f"{path}: a sweep, which is no run; its runs lie beside it: "
                             f"{path.resolve().parent}")  # fmt: skip
        for folder in [path] if is_run(path) else run_folders(path):
            if not is_sweep(folder):
                found.setdefault(folder.resolve(), folder)
    if not found:
        where = wording.listed([str(path) for path in paths]) or "nowhere"
        raise InputError(f"{where}: no run folder there (one holds config.yaml); "
                         "make one with: seedbed run STUDY.yaml")  # fmt: skip
    return sorted(found.values(), key=str)


def _near(path: Path) -> str:
    from difflib import get_close_matches

    if not path.parent.is_dir():
        return ""
    names = [p.name for p in path.parent.iterdir() if p.is_dir()]
    near = get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.parent / near[0]}?" if near else ""


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file, a folder for the site is needed")
    try:
        full = out.is_dir() and any(out.iterdir())
    except OSError as error:
        raise DiskError(f"{out}: cannot read: {error.strerror or error}") from error
    if full and not (out / SIGN).is_file():
        raise InputError(f"{out}: holds something that is not a site; name another folder")


class _Writer:
    """Writes every page once; templates are compiled once."""

    def __init__(self, runs: Sequence[Summary], folder: Path, out: Path, title: str) -> None:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
        from markupsafe import Markup

        self.folder, self.out, self.title = folder, out, title
        self.entries = entries_of(runs)
        self.at = addresses_of(self.entries, (*FIRST, *known_worlds()))
        loader = FunctionLoader(lambda name: asset(f"site_assets/{name}"))
        self.environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
        self.environment.filters["markup"] = Markup
        self.environment.globals |= {"rows": rows_of, "number": number}
        self.made_from = wording.plural(len(self.entries), "run")

    def write(self) -> None:
        """Everything, the first page last."""
        entries, at = self.entries, self.at
        self._text(
            "assets/site.css", asset("page.css") + asset("site_assets/site.css") + svg.style()
        )
        self._text("assets/site.js", asset("site_assets/site.js"))
        self._text("data/search.js", script("found", search_rows(entries, at)))
        same = versions(entries)
        for entry in entries:
            self._text(f"data/runs/{entry.slug}.js", details(entry, self.out, at))
            self._page("run.html", at.run(entry), run_page(entry, at, same, self.out / "runs"))
        by_study: dict[str, list[Entry]] = {}
        for entry in entries:
            by_study.setdefault(entry.run.study, []).append(entry)
        for study, own in by_study.items():
            self._page("study.html", at.study(study), study_page(study, own, at))
        for finder in at.finders:
            self._page("list.html", at.finder(finder), finder_page(finder, entries, at))
        for world in at.worlds:
            self._page("list.html", at.world(world), world_page(world, entries, at))
        for name in ("runs", "studies", "finders"):
            self._page("list.html", f"{name}.html", list_page(name, entries, at))
        self._page("index.html", "index.html", index_page(entries, at, self.title))
        self._text(SIGN, f"A site made by seedbed {__version__}; a new one may replace it.\n")

    def _page(self, template: str, page: str, values: dict[str, Any]) -> None:
        root = "../" * page.count("/")
        for table in _tables(values):
            if len(table.rows) > MOST:
                # Texts have no quotes of either kind left; these need no escape in a script.
                rest = str(rows_of(table.rows[MOST:], root, drawn=False)).replace('"', "'")
                self._text(f"data/rows/{table.name}.js", rows_script(table.name, rest))
        text = self.environment.get_template(template).render(
            root=root, here=page, menu=_MENU, version=__version__, site_title=self.title,
            made_from=self.made_from, most=MOST, **values,
        )  # fmt: skip
        self._text(page, text)

    def _text(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # A folder's name may be no text, and half a letter may stand in a question.
        path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _tables(value: Any) -> Iterator[Table]:
    """Every table among what a template gets."""
    if isinstance(value, Table):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tables(item)
    elif isinstance(value, list):
        for item in value:
            yield from _tables(item)
