"""A running study as it is watched: what is there already, no more, and the end."""

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from seedbed.core.errors import InputError
from seedbed.core.files import write_json
from seedbed.core.units import load_units
from seedbed.report.live import Watched
from seedbed.report.live_page import HOST, server, table

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CELL = "own+kto"


@pytest.fixture
def running(fed: Path, tmp_path: Path) -> Path:
    """A study at work: of seed 0 all rounds of one arm, of seed 1 the first two, still in .part."""
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.yaml", "gate.json"):
        shutil.copy(fed / name, run / name)
    rows = []
    for seed in (0, 1):
        end = ".part" if seed else ""
        made = tmp_path / ".store" / f"improve-{seed}{end}"
        shutil.copytree(fed / "seeds" / str(seed) / "incentives" / CELL, made)
        rows.append(
            {"seed": seed, "cell": f"incentives/{CELL}", "folder": f"../.store/improve-{seed}"}
        )
    for k in (2, 3, 4):
        shutil.rmtree(tmp_path / ".store" / "improve-1.part" / "iterations" / f"{k:03d}")
    write_json(run / "running.json", rows)
    return run


def test_rounds_that_are_done_are_told(running: Path) -> None:
    state = Watched(running).state()
    assert state["cells"] == [{"cell": CELL, "seed": 0, "rounds": 5},
                              {"cell": CELL, "seed": 1, "rounds": 2}]  # fmt: skip
    assert [there for _, there in state["stages"]] == [True, True, True, False, False, False]
    assert not state["finished"]
    assert len(state["courses"][CELL]) == 5


def test_courses_are_means_over_the_seeds_there(running: Path) -> None:
    course = Watched(running).state()["courses"][CELL]

    def harm(seed: str, k: int) -> float:
        tables = load_units(running.parent / ".store" / f"improve-{seed}" / "iterations"
                            / f"{k:03d}" / "tables.npz")  # fmt: skip
        exact = [t for n, t in tables.items() if n.startswith("exact:")]
        values = [t.column("harm")[t.column("gameable") == 1] for t in exact]
        return float(np.concatenate(values).mean())

    assert course[1]["gameable"] == pytest.approx((harm("0", 1) + harm("1.part", 1)) / 2)
    assert course[3]["gameable"] == pytest.approx(harm("0", 3))


def test_the_newest_episodes_are_shown(running: Path) -> None:
    newest = Watched(running).state()["newest"]
    assert len(newest) == 6
    assert newest[0]["said"][0] == ["system", "You help people who ask."]


def test_before_any_round_there_is_nothing_to_show(running: Path) -> None:
    (running / "running.json").unlink()
    state = Watched(running).state()
    assert (state["cells"], state["courses"], state["newest"]) == ([], {}, [])


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.yaml"):
        Watched(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        Watched(tmp_path / "none")


def test_the_terminal_shows_a_line_a_cell(running: Path) -> None:
    text = StringIO()
    Console(file=text, width=100).print(table(Watched(running)))
    assert "run: agents in training" in text.getvalue()
    line = next(line for line in text.getvalue().splitlines() if CELL in line)
    assert line.split()[1:3] == ["2", "2–5"]


@contextmanager
def served(run: Path) -> Iterator[str]:
    with server(Watched(run)) as serving:
        thread = Thread(target=serving.serve_forever)
        thread.start()
        try:
            yield f"http://{HOST}:{serving.server_address[1]}"
        finally:
            serving.shutdown()
            thread.join()


def test_the_server_knows_two_addresses_and_this_machine(running: Path) -> None:
    with served(running) as address:
        with urllib.request.urlopen(f"{address}/state.json") as answer:
            assert json.load(answer) == Watched(running).state()
        for path, host, status in (("/../config.yaml", None, 404), ("/", "example.org:80", 403)):
            request = urllib.request.Request(address + path)
            if host:
                request.add_header("Host", host)
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request)
            assert caught.value.code == status
            caught.value.close()


def test_the_page_follows_a_run_to_its_end(running: Path, fed: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    troubles: list[str] = []
    with served(running) as address, sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page: Any = browser.new_page()
        page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#panels polyline")
        assert page.inner_text("#status") == "7 rounds measured in 2 agents."
        assert page.locator("#newest h3").count() == 6
        shutil.copy(fed / "manifest.json", running / "manifest.json")
        page.locator("#title", has_text="has finished").wait_for()
        browser.close()
    assert troubles == []
