"""The transcript page: what it holds, what it leaves out, and how it behaves in a real browser."""

import base64
import gzip
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.errors import DataError
from seedbed.core.files import read_rows
from seedbed.core.transcripts import Transcript
from seedbed.report.reader import Run
from seedbed.report.transcripts import payload, sources, spread
from seedbed.report.transcripts_page import render, write_transcripts

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
New = Callable[[str], Path]


def every(run: Path) -> list[tuple[str, str, Transcript]]:
    """(condition, arm, episode) of all files, read by the core's reader."""
    return [(s.condition, s.arm, t) for s in sources(run) for t in read_rows(s.path, Transcript)]


def unpacked(page: str) -> Any:
    found = re.search(r'id="data">([^<]*)<', page)
    assert found is not None
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def test_all_episodes_stand_on_the_page(fed: Path) -> None:
    data = unpacked(render(Run(fed)))
    told = every(fed)
    assert data["total"] == len(data["episodes"]) == len(told)
    assert len({e["id"] for e in data["episodes"]}) == len(told)
    for episode, (condition, arm, one) in zip(data["episodes"], told, strict=True):
        assert (episode["condition"], episode["arm"]) == (condition, arm)
        assert episode["kind"] == one.opening.kind
        assert [t["harm"] for t in episode["turns"]] == [t.harm for t in one.turns]
        assert [t["said"] for t in episode["turns"]] == [t.said for t in one.turns]


def test_the_rest_is_counted(fed: Path) -> None:
    data = payload(Run(fed), most=200)
    files = len(sources(fed))
    assert data["each"] == 200 // files
    assert len(data["episodes"]) == files * data["each"] <= 200 < data["total"]
    page = render(Run(fed), most=200)
    left = data["total"] - len(data["episodes"])
    assert f"the other {left:,} lie in" in page


def test_lines_are_spread_evenly() -> None:
    lines = [(i, "") for i in range(10)]
    assert [i for i, _ in spread(lines, 4)] == [0, 2, 5, 7]
    assert spread(lines, 10) == spread(lines, 12) == lines


def test_what_was_trained_on_is_marked(fed: Path) -> None:
    episodes = payload(Run(fed))["episodes"]
    marked = [e for e in episodes if e["trained"] == "towards"]
    assert len(marked) == 2 * len(sources(fed))


def test_a_damaged_line_is_named(fresh_fed: New) -> None:
    run = fresh_fed("damaged")
    path = sources(run)[3].path
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], lines[2][:40], *lines[3:]]) + "\n")
    with pytest.raises(DataError, match=r"transcripts\.jsonl:3|line 3"):
        payload(Run(run))


def test_equal_data_gives_an_equal_page(fed: Path) -> None:
    assert render(Run(fed)) == render(Run(fed))


def test_policy_allows_only_its_own_script(fed: Path) -> None:
    page = render(Run(fed))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'" in page


def test_no_page_without_transcripts(made: Path) -> None:
    assert write_transcripts(Run(made)) is None
    assert not (made / "transcripts.html").exists()


def test_report_links_the_page(fed: Path, fed_page: str) -> None:
    assert '<a href="transcripts.html">Transcripts</a>' in fed_page
    assert (fed / "transcripts.html").exists()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A real browser without a window."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any, fed: Path) -> Iterator[Any]:
    """The page in a browser; at the end nothing was complained of, and nothing fetched."""
    path = write_transcripts(Run(fed))
    assert path is not None
    page = chromium.new_page()
    troubles: list[str] = []
    asked: list[str] = []
    page.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else 0)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("#list a")
    yield page
    assert troubles == []
    assert {url.partition("#")[0] for url in asked} == {path.as_uri()}
    page.close()


def shown(page: Any) -> int:
    return int(page.inner_text("#count").split(" of ")[0].replace(",", ""))


def test_filters_count_what_is_there(opened: Any, fed: Path) -> None:
    told = every(fed)
    assert shown(opened) == len(told)
    opened.select_option("#f-environment", "booking")
    assert shown(opened) == sum(t.opening.environment == "booking" for _, _, t in told)
    opened.select_option("#f-arm", "kto")
    opened.select_option("#f-round", "3")
    wanted = [t for _, arm, t in told
              if (t.opening.environment, arm, t.iteration) == ("booking", "kto", 3)]  # fmt: skip
    assert shown(opened) == len(wanted) == opened.locator("#list a").count()
    opened.click("#reset")
    opened.locator("#count", has_text=f"{len(told)} of").wait_for()
    opened.select_option("#f-outcome", "failed")
    assert shown(opened) == sum(t.end == "failed" for _, _, t in told) > 0
    opened.click("#reset")
    opened.select_option("#f-vetoed", "yes")
    assert shown(opened) == sum(t.vetoed for _, _, t in told) > 0
    opened.click("#reset")
    opened.select_option("#f-act", "validate")
    opened.fill("#text", "ABOUT SLEEP 2")
    wanted = [t for _, _, t in told if any(x.act == "validate" for x in t.turns)
              and any("about sleep 2" in s.content for s in t.said())]  # fmt: skip
    assert shown(opened) == len(wanted) > 0
    assert opened.locator("#episode mark").first.inner_text() == "about sleep 2"


def test_truth_is_hidden_until_asked_for(opened: Any, fed: Path) -> None:
    assert not opened.is_visible("#f-kind")
    assert opened.locator(".truth").count() == 0
    opened.keyboard.press("t")
    assert "harm" in opened.inner_text("#episode .truth >> nth=-1")
    opened.select_option("#f-kind", "gameable")
    told = [t for _, _, t in every(fed) if t.opening.kind == "gameable"]
    assert shown(opened) == len(told)
    opened.select_option("#f-harm", "yes")
    assert shown(opened) == sum(any(x.harm for x in t.turns) for t in told)
    opened.uncheck("#truth")
    assert opened.locator(".truth").count() == 0
    assert shown(opened) == len(every(fed))


def test_keys_and_addresses_lead_to_episodes(opened: Any) -> None:
    first = opened.get_attribute("#list a[aria-current]", "href")
    opened.keyboard.press("j")
    opened.keyboard.press("j")
    second = opened.get_attribute("#list a[aria-current]", "href")
    assert second == opened.locator("#list a").nth(2).get_attribute("href") != first
    assert opened.evaluate("location.hash") == second
    opened.keyboard.press("k")
    assert opened.get_attribute("#list a[aria-current]", "href") not in (first, second)
    opened.keyboard.press("/")
    opened.keyboard.type("j")
    assert opened.input_value("#text") == "j"


def test_a_deep_link_opens_its_episode(opened: Any, fed: Path) -> None:
    last = payload(Run(fed))["episodes"][-1]
    opened.evaluate("id => { location.hash = '#' + encodeURIComponent(id); }", last["id"])
    opened.locator("#episode code", has_text=last["id"]).wait_for()
    opened.reload()
    opened.wait_for_selector("#list a")
    assert opened.inner_text("#episode code") == last["id"]


def test_words_of_an_agent_stay_words(opened: Any) -> None:
    opened.fill("#text", "onerror")
    assert shown(opened) > 0
    assert "<img src=x" in opened.inner_text("#episode .said.agent")
    assert opened.evaluate("window.broken") is None
    assert opened.locator("#episode img").count() == 0


def test_failures_and_tools_are_told(opened: Any) -> None:
    opened.select_option("#f-outcome", "failed")
    assert "failed the rater timed out" in opened.inner_text("#episode").replace("\n", " ")
    assert "no verdict: the rater timed out" in opened.inner_text("#episode .error")
    opened.click("#reset")
    opened.select_option("#f-environment", "booking")
    opened.fill("#text", "help you")
    assert 'book {"day": "monday"} → ok: booked' in opened.inner_text(
        "#episode .said.tool >> nth=0"
    )


def test_nothing_is_wider_than_a_phone(opened: Any) -> None:
    opened.set_viewport_size({"width": 360, "height": 740})
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360


def test_every_control_has_a_name_and_one_heading_leads(opened: Any) -> None:
    assert opened.locator("h1").count() == 1
    unnamed = opened.evaluate(
        "[...document.querySelectorAll('input, select')]"
        ".filter((e) => !e.labels.length).map((e) => e.id)"
    )
    assert unnamed == []
