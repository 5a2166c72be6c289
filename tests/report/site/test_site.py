import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from tests.report.site.conftest import EVIL, line, made_up
from typer.testing import CliRunner

from seedbed.cli.main import app
from seedbed.core.errors import InputError
from seedbed.report.site import MOST, SIGN, build_site, find_runs, write_site
from seedbed.runs.index import Index
from seedbed.runs.summary import Summary, read_summary

END = ");\n"


class Links(HTMLParser):
    """Addresses, ids and numbers of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.numbers: list[str] = []
        self.tags: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.links += [v for key in ("href", "src") if (v := found.get(key))]
        if name := found.get("id"):
            assert name not in self.ids, name
            self.ids.add(name)
        if tag == "a" and "n" in (found.get("class") or "").split():
            self.numbers.append((found["href"] or "").partition("#n=")[2])


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    return {path: Links(path) for path in sorted(site.rglob("*.html"))}


def data_of(site: Path, slug: str) -> Any:
    text = (site / "data" / "runs" / f"{slug}.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("seedbed.run(").removesuffix(");\n"))


def test_every_link_resolves(site: Path, pages: dict[Path, Links]) -> None:
    for page, found in pages.items():
        for link in found.links:
            if link == "data:,":
                continue
            path, _, name = link.partition("#")
            target = (page.parent / unquote(path)).resolve() if path else page
            assert target.is_file(), (page, link)
            if name and "=" not in name:
                assert name in pages[target].ids, (page, link)


def test_every_number_has_its_line_and_its_examples(site: Path, pages: dict[Path, Links]) -> None:
    numbers = {n for found in pages.values() for n in found.numbers}
    assert len(numbers) > 100
    for number in numbers:
        slug, _, index = number.rpartition(".")
        data = data_of(site, slug)
        sites, finder, *_ = data["lines"][int(index)]
        behind = data["behind"][f"{sites} {finder}"]
        assert behind["examples"] or behind["reason"]
        assert data["replay"].startswith("seedbed run ")
        assert f"n={number}" in pages[site / "runs" / f"{slug}.html"].ids


def test_numbers_of_a_real_run_have_questions_behind_them(site: Path, runs: Path) -> None:
    slugs = [p.stem for p in (site / "data" / "runs").glob("*.js")]
    behind = [b for slug in slugs for b in data_of(site, slug)["behind"].values()]
    assert any(b["examples"] and b["examples"][0]["top"] for b in behind)


def test_every_run_is_shown_whatever_became_of_it(site: Path, runs: Path) -> None:
    found = (site / "runs.html").read_text(encoding="utf-8")
    folders = find_runs([runs])
    assert len(folders) == 6
    assert found.count("<tr data-t=") + found.count('<tr class="control" data-t=') == 6
    for state in ("✓ finished", "■ stopped", "… unfinished", "! damaged"):
        assert state in found
    for folder in folders:
        reason = read_summary(folder).reason
        assert reason == "" or reason.replace("'", "&#x27;") in found
    assert "scores.json" in found


def test_hostile_names_stay_text(site: Path) -> None:
    texts = [p.read_text(encoding="utf-8") for p in site.rglob("*") if p.is_file()]
    assert not any(EVIL in text for text in texts)
    assert any("&lt;script&gt;window.broken" in text for text in texts)


def test_versions_stand_side_by_side(site: Path) -> None:
    page = (site / "studies" / "hops.html").read_text(encoding="utf-8")
    assert "Versions of" in page
    assert re.search(r"All \d+ numbers that they share are equal\.", page)
    assert "eeeeeeee" in page


def test_same_runs_same_bytes(site: Path, runs: Path) -> None:
    before = {p: p.read_bytes() for p in site.rglob("*") if p.is_file()}
    build_site([runs / "stopped", runs, runs / "first"], site)
    assert {p: p.read_bytes() for p in site.rglob("*") if p.is_file()} == before


def test_unplaced_runs_need_no_folder(tmp_path: Path) -> None:
    index = write_site([made_up("s", line("bm25"), line("chance", 0.1))], tmp_path / "site")
    page = (index.parent / "runs" / "s-s0000000.html").read_text(encoding="utf-8")
    assert "config.yaml cannot be read" in page
    (behind,) = {b["reason"] for b in data_of(index.parent, "s-s0000000")["behind"].values()}
    assert behind


def test_runs_of_another_version_say_so(tmp_path: Path) -> None:
    index = write_site([made_up("s", line("bm25"), version="0.0.1")], tmp_path / "site")
    page = (index.parent / "runs" / "s-s0000000.html").read_text(encoding="utf-8")
    assert "made by seedbed 0.0.1, shown by " in page


def test_long_tables_continue_in_a_file(tmp_path: Path) -> None:
    many = [made_up(f"s{i:03d}", line("bm25")) for i in range(MOST + 7)]
    index = write_site(many, tmp_path / "site")
    page = (index.parent / "runs.html").read_text(encoding="utf-8")
    rest = (index.parent / "data" / "rows" / "all-runs.js").read_text(encoding="utf-8")
    name, rows = json.loads(f"[{rest.removeprefix('seedbed.rows(').removesuffix(END)}]")
    assert page.count("<tr data-t=") == MOST
    assert (name, rows.count("<tr data-t=")) == ("all-runs", 7)
    assert index.stat().st_size < 200_000


def test_a_site_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    out = tmp_path / "site"
    write_site([made_up("old", line("bm25"))], out)
    write_site([made_up("new", line("bm25"))], out)
    assert [p.stem for p in (out / "studies").iterdir()] == ["new"]
    (out / SIGN).unlink()
    with pytest.raises(InputError, match="holds something that is not a site"):
        write_site([made_up("new")], out)
    assert (out / "index.html").is_file()
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="is a file"):
        write_site([made_up("new")], tmp_path / "file")


def test_wrong_paths_are_one_line(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"firs: no such folder; did you mean .*first\?"):
        find_runs([runs / "firs"])
    with pytest.raises(InputError, match="is a file, a run folder is needed"):
        find_runs([runs / "first" / "config.yaml"])
    with pytest.raises(InputError, match="no run folder there"):
        find_runs([tmp_path])


def test_a_site_among_the_runs_is_no_run(runs: Path, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    (root / "one").symlink_to(runs / "first")
    (root / "two").symlink_to(runs / "first")
    write_site([made_up("s")], root / "site")
    assert find_runs([root]) == [root / "one"]


def test_command(runs: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["site", str(runs / "stopped"), "--out", str(tmp_path / "s")])
    assert done.exit_code == 0
    assert done.stdout.strip() == str(tmp_path / "s" / "index.html")
    assert "did not learn" in next((tmp_path / "s" / "runs").iterdir()).read_text(encoding="utf-8")


def test_what_a_run_calls_things_keeps_no_other_out(tmp_path: Path) -> None:
    lines = [line(f"f{i}", 0.5, sites='../../../x"<b>', truth="guessed") for i in range(MOST + 5)]
    odd = made_up("odd", *lines, line("f", metric="drop@x", truth="measured"))
    write_site([odd, made_up("plain", line("bm25"))], tmp_path / "deep" / "site")
    assert [p.name for p in tmp_path.iterdir()] == ["deep"]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["site"]
    rest = (tmp_path / "deep" / "site" / "data" / "rows" / "hops-x-b-guessed.js").read_text()
    assert "data-p='0.5,0.4,0.6,0.1,1,0,1'" in rest
    assert "<svg" not in rest


def test_a_sweep_is_no_run_and_a_run_without_a_configuration_is(tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "config.yaml").write_text("name: a\nvary: {k: [1, 2]}\n")
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "scores.json").write_text("[]")
    assert find_runs([tmp_path]) == [tmp_path / "lost"]
    assert [run.folder for run in _indexed(tmp_path)] == [tmp_path / "lost"]
    with pytest.raises(InputError, match="a sweep, which is no run"):
        find_runs([tmp_path / "sweep"])


def _indexed(root: Path) -> list[Summary]:
    index = Index.open(root)
    index.refresh()
    return index.runs()
