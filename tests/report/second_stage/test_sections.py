"""One source for page and terminal; claims about parts of the input are called so."""

import html
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seedbed.core.errors import DataError
from seedbed.core.files import write_text
from seedbed.report.reader import Run
from seedbed.report.sections import sections
from seedbed.report.tables import show
from seedbed.report.verdict import findings

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def plain(page: str) -> str:
    body = re.sub(r"<(script|style|svg).*?</\1>", " ", page, flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]+>", " ", body))
    return re.sub(r"\s+", " ", text).replace("\u00a0", " ")


def test_every_table_stands_on_the_page(staged: Any, staged_page: str) -> None:
    words = plain(staged_page)
    found = sections(Run(staged.path))
    assert [s.anchor for s in found] == ["answers", "second-stage", "rules"]
    for section in found:
        assert f'href="#{section.anchor}"' in staged_page
        assert f'id="{section.anchor}"' in staged_page
        for grid in section.grids:
            assert grid.title in words
            for name, numbers in grid.rows:
                assert name in words
                for number in numbers:
                    assert number.text in words
                    assert number.interval in words
            for about in grid.about.values():
                assert about in words


def test_and_in_the_terminal(staged: Any) -> None:
    console = Console(width=110)
    with console.capture() as captured:
        show(staged.path, console)
    text = " ".join(captured.get().split())
    for section in sections(Run(staged.path)):
        for grid in section.grids:
            assert grid.title in text
            for name, numbers in grid.rows:
                assert name in text
                for number in numbers:
                    assert number.text in text or number.spread in text
    assert "0.756 ±0.06" in text
    assert text.count("others: a third category with the same old map") == 1


def test_the_verdict_has_every_topic_with_its_tone(staged: Any) -> None:
    found = {f.topic: f for f in findings(Run(staged.path))}
    for topic in ("Axes apart", "In words", "Second stage", "Spread", "Protection", "Rules"):
        assert found[topic].text
    assert found["In words"].tone == found["Second stage"].tone == "bad"


def test_parts_are_called_parts_and_have_no_top_ten(staged: Any, staged_page: str) -> None:
    run = Run(staged.path)
    assert run.noun == "part"
    raw = (staged.path / "scores.json").read_text()
    assert "recall@10" in raw
    assert "top10:decides" in raw
    assert not [m for m in run.metrics if "10" in m]
    assert "average_precision" in run.metrics
    words = plain(staged_page)
    assert "recall" not in words
    assert "document" not in words.lower()
    assert '"noun":"part"' in staged_page


def test_figures_of_other_seeds_and_methods_are_folded(staged_page: str) -> None:
    figures = staged_page.partition('id="figures"')[2].partition("</section>")[0]
    folds = re.findall(r"<details><summary>([^<]+)</summary>", figures)
    assert [re.findall(r"Seed \d|method \w+", title) for title in folds] == [
        ["Seed 1"], ["Seed 1", "method plain"], ["Seed 0", "method kl"], ["method kl"],
        [], []
    ]  # fmt: skip
    names = ("decisions-0", "decisions-plain-0", "spread-plain", "trade-off-no-proxy", "quality",
             "history")  # fmt: skip
    order = [figures.index(f"figures/{name}.svg") for name in names]
    assert order == sorted(order)


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("#/question/0/id-dog-0/ablation", "What should have been found: 3 parts"),
        ("#/list/ablation/declared/average_precision/all", "as in the table."),
        ("#/gate/1/category%3Dtools", "Answers · seed 1 · category tools"),
    ],
)
def test_browser_leads_from_numbers_to_questions(
    staged: Any, staged_page: str, tmp_path: Path, place: str, expected: str
) -> None:
    assert staged_page
    assert CHROMIUM is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    address = f"file://{staged.path}/report.html{place}"
    command = [CHROMIUM, *flags, f"--user-data-dir={tmp_path}", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    drill = done.stdout.partition('id="drill"')[2].partition("<footer")[0]
    assert expected in plain(f"<p{drill}")


def test_damaged_files_are_named(staged: Any, tmp_path: Path) -> None:
    path = shutil.copytree(staged.path, tmp_path / "run")
    for name in ("spread.json", "rules.json", "seeds/0/words/words.json"):
        write_text(path / name, '{"odd": 1}')
    write_text(path / "seeds/0/history/history.jsonl", '{"step": 1}')
    write_text(path / "seeds/0/grid/grid.npz", "no arrays")
    run = Run(path)
    for name, read in (
        ("spread.json", lambda: run.spreading),
        ("rules.json", lambda: run.rules),
        ("words.json", lambda: run.seeds[0].words),
        ("history.jsonl:1", lambda: run.seeds[0].snapshots),
        ("grid.npz", lambda: run.seeds[0].grid),
    ):
        with pytest.raises(DataError, match=re.escape(name)):
            read()


def test_older_runs_have_none_of_it(made: Path, page: str) -> None:
    run = Run(made)
    assert sections(run) == []
    assert run.noun == "document"
    first = run.seeds[0]
    assert [run.spreading, run.rules, first.words, first.grid] == [None] * 4
    assert first.snapshots == []
    assert "second-stage" not in plain(page)
