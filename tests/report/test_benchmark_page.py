"""The page: one file that asks for nothing, shows every subject, and escapes what models write."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from seedbed.core.errors import DataError
from seedbed.core.files import write_json
from seedbed.core.rows import Question
from seedbed.report.benchmark_page import read_benchmark, render, write_page
from seedbed.report.benchmark_plots import plans
from seedbed.scoring.benchmark import Benchmark, benchmark, subject_numbers
from seedbed.scoring.numbers import NumberAnswer, as_asked

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NASTY = "<script>window.broken = 1</script> 3"


def bench(subjects: int = 2, categories: int = 4) -> Benchmark:
    questions = [
        Question(id=f"q{i}", prompt=f"<b>c{i % categories}</b>: a b",
                 choices=tuple(f" {n}" for n in range(4)), answer=f" {i % 4}",
                 cause=f"c{i % categories}",
                 slices={"category": f"c{i % categories}", "length": str(8 + i % 3)})
        for i in range(48)
    ]  # fmt: skip
    asked = [as_asked(q) for q in questions]
    found = []
    for s in range(subjects):
        rows = [
            NumberAnswer(id=q.id, truth=q.truth, choice=(q.truth + (i < 9 * s)) % 4,
                         expected=q.truth / 2, probability=0.5, tokens=3,
                         text=NASTY if i % 2 else "I cannot say",
                         number=3 if i % 2 else None, outcome="number" if i % 2 else "refusal")
            for i, q in enumerate(asked)
        ]  # fmt: skip
        found.append(subject_numbers(f"model-{s} & co", asked, rows, most=8, seconds=2.5))
    made = {"seedbed": "0", "command": "seedbed benchmark <x>", "started": "2026-01-01T00:00:00"}
    return benchmark("file.jsonl", "key", questions, found, made)


class Outline(HTMLParser):
    """Tags that are open, words, and every attribute that could make a request."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.asks: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.asks += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v
                      and not v.startswith(("#", "data:"))]  # fmt: skip

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page of `bench()`."""
    made = tmp_path_factory.mktemp("page")
    write_page(bench(), made)
    return made


def test_the_page_asks_for_nothing_and_runs_nothing(folder: Path) -> None:
    text = (folder / "benchmark.html").read_text()
    outline = Outline(text)
    assert outline.asks == []
    assert "script" not in outline.tags
    assert "default-src 'none'" in text
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    assert NASTY in "".join(outline.words)
    assert "<b>c0</b>: a b" in "".join(outline.words)


def test_every_number_of_the_marks_stands_on_the_page(folder: Path) -> None:
    made = bench()
    text = (folder / "benchmark.html").read_text()
    words = " ".join("".join(Outline(text).words).split())
    for subject in made.subjects:
        assert subject.name in words
        for m in subject.marks:
            if m.slice == "all" and m.mae.value is not None:
                assert f"{m.mae.value:.2f}" in words
    for trivial in ("any choice", "always 0", "the list's length", "always 1 (median)"):
        assert trivial in words
    for heading in ("Verdict", "Marks", "Patterns in the answers", "category", "answer", "refusal"):
        assert heading in words


def test_the_page_is_made_again_from_its_file(folder: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "benchmark.json", bench().model_dump(mode="json"))
    write_page(read_benchmark(tmp_path), tmp_path)
    names = {f"figures/{n}.{e}" for n in ("marks", "slices", "answers", "expected")
             for e in ("svg", "png")}  # fmt: skip
    assert {f"figures/{p.name}" for p in (folder / "figures").iterdir()} == names
    for name in ("benchmark.html", *sorted(names)):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    with pytest.raises(DataError, match=r"benchmark\.json: no such file"):
        read_benchmark(tmp_path / "nowhere")


def test_many_subjects_and_categories() -> None:
    made = bench(8, categories=40)
    slices = next(p for p in plans(made) if p.name == "slices")
    assert slices.title == "Accuracy by answer and length"
    text = render(made, [])
    assert "model-0 & co" not in text
    assert "model-7 &amp; co" in text
    assert '<strong>category</strong> <span class="quiet">(40 values)' in text


def test_one_subject_has_the_same_figures() -> None:
    found = plans(bench(1))
    assert [p.name for p in found] == ["marks", "slices", "answers", "expected"]
    assert found[0].title == "model-0 & co is above the best trivial answer, any choice"


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "benchmark.json").write_text(json.dumps({"source": 3}))
    with pytest.raises(DataError, match=r"benchmark\.json: "):
        read_benchmark(tmp_path)


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_draws_it(folder: Path, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    page = folder / "benchmark.html"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command = [
        CHROMIUM,
        *flags,
        f"--user-data-dir={tmp_path}",
        "--dump-dom",
        f"file://{page}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "Patterns in the answers" in done.stdout
    assert "window.broken = 1&lt;/script&gt;" in done.stdout
