"""The site in a real browser: filters, panel, search, phone, contrast, and no complaint."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
RATIOS = """() => {
  const channel = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const share = (c) => c.slice(0, 3).map((v) => channel(v / 255));
  const light = (c) => share(c).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (let n = node; n; n = n.parentElement) {
      const c = parse(getComputedStyle(n).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const found = {};
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const style = getComputedStyle(node);
    const seen = node.checkVisibility({ visibilityProperty: true });
    if (!own || !seen || node.closest("svg, .skip, option")) continue;
    const [a, b] = [light(parse(style.color)), light(behind(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const name = `${node.tagName.toLowerCase()}.${node.className}`;
    if (!(name in found) || ratio < found[name]) found[name] = ratio;
  }
  return found;
}"""


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
def page(chromium: Any, site: Path) -> Iterator[Any]:
    """The first page; at the end nothing was complained of, and nothing but files asked for."""
    opened = chromium.new_page(viewport={"width": 1280, "height": 900})
    troubles: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else 0)
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto((site / "index.html").as_uri())
    yield opened
    assert troubles == []
    assert all(url.startswith((site.as_uri(), "data:")) for url in asked)
    opened.close()


def test_a_number_opens_by_click_and_by_address_and_closes_by_escape(page: Any) -> None:
    link = page.locator("td.score a.n").first
    value = link.inner_text().split()[0]
    link.click()
    panel = page.locator("#panel[open]")
    panel.wait_for()
    assert panel.locator(".value b").inner_text() == value
    assert "seedbed run " in panel.inner_text()
    assert panel.locator(".example").count() >= 2
    assert page.evaluate("document.activeElement.id") == "panel-title"
    address = page.url
    assert "#n=" in address
    page.keyboard.press("Escape")
    page.locator("td.score a.n:focus").wait_for()
    assert panel.is_hidden()
    assert "#" not in page.url
    assert page.evaluate("document.activeElement.textContent").split()[0] == value
    page.goto("about:blank")
    page.goto(address)
    panel.wait_for()
    assert panel.locator(".value b").inner_text() == value


def test_an_address_of_nothing_says_so(page: Any, site: Path) -> None:
    slug = next((site / "data" / "runs").iterdir()).stem
    page.goto((site / "runs.html").as_uri() + f"#n={slug}.99999")
    page.locator("#panel[open]", has_text="Nothing of this name here").wait_for()


def test_filters_are_part_of_the_address(page: Any, site: Path) -> None:
    page.goto((site / "runs.html").as_uri())
    rows = page.locator("#all-runs tbody tr:visible")
    assert rows.count() == 6
    page.select_option("select[name=state]", "damaged")
    page.locator("output", has_text="1 of 6 rows").wait_for()
    assert rows.count() == 1
    assert "state=damaged" in page.url
    page.reload()
    page.locator("output", has_text="1 of 6 rows").wait_for()
    page.click("button[type=reset]")
    page.wait_for_timeout(50)
    assert rows.count() == 6
    assert "#" not in page.url
    page.fill("input[name=text]", "nothing like that")
    page.locator("output", has_text="0 of 6 rows").wait_for()


def test_matrix_filters_leave_only_what_fits(page: Any) -> None:
    total = page.locator("#matrix-declared td.cell").count()
    page.select_option("select[name=state]", "score")
    page.locator("output", has_text=re.compile(rf"^1 of {total} cells$")).wait_for()
    assert page.locator("#matrix-declared tr[data-world]:visible").count() == 1
    page.select_option("select[name=kind]", "cell")
    page.locator("output", has_text=f"0 of {total} cells").wait_for()


def test_columns_sort_and_controls_stay_last(page: Any, site: Path) -> None:
    page.goto((site / "worlds" / "hops.html").as_uri())
    table = page.locator("#hops-document-declared")
    table.locator("thead button", has_text="seconds").click()
    table.locator("th[aria-sort=descending]").wait_for()
    rows = table.locator("tbody tr").all()
    kinds = ["control" in (row.get_attribute("class") or "") for row in rows]
    assert kinds == sorted(kinds)
    column = [th.inner_text().strip() for th in table.locator("thead th").all()].index("seconds")
    plain = [row for row, control in zip(rows, kinds, strict=True) if not control]
    values = [
        float(row.locator("th, td").nth(column).get_attribute("data-v") or 0) for row in plain
    ]
    assert values == sorted(values, reverse=True)


def test_search_finds_and_goes(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("gradient")
    page.locator("#found [role=option]").first.wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/finders/gradient"))
    page.keyboard.press("/")
    page.keyboard.type("window.broken")
    page.locator("#found [role=option]", has_text="<script>").first.wait_for()
    page.keyboard.press("Escape")
    assert page.locator("#found").is_hidden()
    assert page.evaluate("typeof window.broken") == "undefined"


def test_nothing_is_wider_than_a_phone(page: Any, site: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for name in ("index.html", "runs.html", "worlds/hops.html", "studies/hops.html",
                 *(f"runs/{p.name}" for p in (site / "runs").iterdir())):  # fmt: skip
        page.goto((site / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
    page.goto((site / "index.html").as_uri())
    page.locator("td.score a.n").first.click()
    page.locator("#panel[open] .example").first.wait_for()
    assert page.evaluate("document.getElementById('panel').scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_of_every_text(page: Any, site: Path, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    run = next(p.name for p in (site / "runs").iterdir())
    for name in ("index.html", "runs.html", "worlds/hops.html", f"runs/{run}"):
        page.goto((site / name).as_uri())
        found = page.evaluate(RATIOS)
        assert len(found) > 5
        assert {k: round(v, 2) for k, v in found.items() if v < 4.5} == {}, name
    page.goto((site / "index.html").as_uri())
    page.locator("td.score a.n").first.click()
    page.locator("#panel[open] .example").first.wait_for()
    assert {k: round(v, 2) for k, v in page.evaluate(RATIOS).items() if v < 4.5} == {}
