import base64
import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedbed.core.errors import InputError
from seedbed.core.sites import Claim
from seedbed.report.drill import payload
from seedbed.report.figures import plans, render
from seedbed.report.page import embedded, inline_svg, kept_together, write_report
from seedbed.report.reader import Run
from seedbed.report.slices import Slice, mean

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


class Outline(HTMLParser):
    """Element names, ids, text and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_one_file_without_a_network(page: str) -> None:
    outline = Outline(page)
    for tag, attributes in outline.tags:
        assert tag not in ("iframe", "object", "embed", "base", "form")
        for key in ("src", "href", "xlink:href"):
            value = attributes.get(key) or "#"
            assert value.startswith(("#", "data:")), (tag, value)
    assert "@import" not in page
    assert "url(http" not in page


def test_policy_allows_only_its_own_script(page: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.replace("&#39;", "'")
    assert "default-src 'none'" in page


def test_hostile_text_stays_text(page: str, hostile: str) -> None:
    assert "<script>window.broken" not in page
    assert "<img src=x" not in page
    texts = [row[1] for seed in data_of(page)["seeds"] for row in seed["documents"]]
    assert hostile in texts


def test_embedded_json_cannot_end_its_element() -> None:
    value = {"a": "</script><!-- <script>", "b": "\u2028"}
    text = embedded(value)
    assert "<" not in text
    assert json.loads(text) == value


def test_ids_are_unique(page: str) -> None:
    ids = [a["id"] for _, a in Outline(page).tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_headings_descend_one_step_at_a_time(page: str) -> None:
    levels = [int(tag[1]) for tag, _ in Outline(page).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_same_run_gives_the_same_bytes(made: Path, page: str) -> None:
    paths = sorted((made / "figures").iterdir())
    assert [path.name for path in paths] == [
        f"{name}.{kind}"
        for name in ("composition", "cost", "quality", "training")
        for kind in ("png", "svg")
    ]
    before = [path.read_bytes() for path in paths]
    assert write_report(made).read_text(encoding="utf-8") == page
    assert [path.read_bytes() for path in paths] == before


def test_every_score_has_its_questions_and_their_mean(made: Path, page: str) -> None:
    run, data = Run(made), data_of(page)
    for row in run.scores:
        part = Slice.parse(row.slice)
        values = []
        for seed, opened in zip(data["seeds"], run.seeds, strict=True):
            column = seed["claims"][row.finder]["values"][part.hop][row.metric]
            kept = [
                v
                for v, q in zip(column, seed["questions"], strict=False)
                if part.covers(opened.questions[q["id"]], opened.answers[q["id"]].correct)
            ]
            values.append(np.array(kept, dtype=float))
        found = mean(values)
        if row.value is None:
            assert found is None
        else:
            assert found == pytest.approx(row.value, rel=1e-3)


def test_top_documents_and_ranks_follow_the_claim(made: Path, page: str) -> None:
    run, data = Run(made), data_of(page)
    opened, seed = run.seeds[1], data["seeds"][1]
    claim, truth = opened.claim("bm25"), opened.truth
    for q in range(12):
        scores = dict(zip(claim.sites, claim.scores[q], strict=True))
        top = seed["claims"]["bm25"]["top"][q]
        best = sorted(scores.values(), reverse=True)[:10]
        assert [entry[2] for entry in top] == pytest.approx(best)
        for number, label, score, _ in top:
            site = seed["documents"][number][0]
            assert scores[site] == pytest.approx(score)
            assert truth.names[truth.labels[q, truth.sites.index(site)]] == label
        rest = [s for s, v in zip(truth.sites, truth.values[q], strict=True) if v == 0]
        evidence = [seed["documents"][number][0] for number, _ in seed["evidence"][q]]
        assert {truth.sites.index(e) for e in evidence} == set(np.flatnonzero(truth.values[q] == 1))
        for site, rank in zip(evidence, seed["claims"]["bm25"]["ranks"][q], strict=True):
            # Negatives with an equal score stand above; evidence with a higher one does too.
            above = sum(scores[r] >= scores[site] for r in rest)
            higher = sum(scores[e] > scores[site] for e in evidence)
            equal = sum(scores[e] == scores[site] for e in evidence)
            assert above + higher < rank <= above + higher + equal


def test_columns_are_matched_by_site_not_by_place(fresh: Path) -> None:
    before = payload(Run(fresh))
    folder = fresh / "seeds" / "0" / "find-bm25"
    claim = Claim.load(folder / "claim.npz")
    turned = Claim(claim.questions, claim.sites[::-1], claim.scores[:, ::-1])
    turned.save(folder / "claim.npz")
    assert payload(Run(fresh)) == before


def test_claim_without_a_site_is_an_error(fresh: Path) -> None:
    folder = fresh / "seeds" / "0" / "find-bm25"
    claim = Claim.load(folder / "claim.npz")
    Claim(claim.questions, claim.sites[1:], claim.scores[:, 1:]).save(folder / "claim.npz")
    with pytest.raises(InputError, match=r"find-bm25.*has no score for 1 sites, such as d0"):
        payload(Run(fresh))


def test_left_out_questions_are_counted_and_named(made: Path, page: str) -> None:
    text = " ".join("".join(Outline(page).words).split())
    assert "6 × beyond the questions asked (seed 0: 3, seed 1: 3)" in text
    for row in Run(made).excluded:
        assert f"seed {row.seed} {row.question}" in text


def test_configuration_command_and_versions_are_there(made: Path, page: str) -> None:
    text = "".join(Outline(page).words)
    assert (made / "config.yaml").read_text(encoding="utf-8").strip() in text
    assert f"seedbed run {made}/config.yaml" in text
    assert "2.13.0" in text


def test_stopped_run_has_a_page_without_scores(stopped: Path) -> None:
    page = write_report(stopped).read_text(encoding="utf-8")
    text = "".join(Outline(page).words)
    assert "did not learn what was planted" in text
    assert "What to change" in text
    assert 'id="scores"' not in page
    assert data_of(page)["rows"] == []
    assert len(data_of(page)["seeds"][0]["questions"]) == 15


def test_long_texts_are_cut_and_say_so(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seedbed.report.drill._TEXT_BUDGET", 200)
    monkeypatch.setattr("seedbed.report.drill._CUTS", (50, 20))
    data = payload(Run(fresh))
    assert data["textLimit"] == 20
    long = [row[1] for row in data["seeds"][0]["documents"] if len(row[1]) > 20]
    assert long
    assert all("more characters)" in text for text in long)


def test_svg_for_the_page_has_own_ids_and_theme_colours() -> None:
    svg = '<?xml?>\n<svg width="10pt" height="5pt" viewBox="0 0 1 1"><metadata>x</metadata>'
    svg += '<g id="a" style="fill: #1f2429; clip-path: url(#p)"/><use xlink:href="#a"/></svg>'
    text = inline_svg(svg, "cost")
    assert text.startswith('<svg aria-hidden="true"')
    assert 'id="cost-a"' in text
    assert 'href="#cost-a"' in text
    assert "url(#cost-p)" in text
    assert "fill: var(--ink)" in text
    assert "pt" not in text.replace("clip-path", "")


def test_intervals_do_not_break() -> None:
    assert kept_together("0.3 [0.1, 0.4], 95 %") == "0.3 [0.1,\u00a00.4], 95\u00a0%"


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("", "depth 2, hop 1"),
        ("#/list/bm25/declared/roc_auc/hop%3D1", "as in the table."),
        ("#/question/0/q5/bm25", "What should have been found: 12 documents"),
        ("#/gate/1/depth%3D1", "Answers · seed 1 · depth 1"),
        ("#/question/7/q5/bm25", "Nothing here"),
    ],
)
def test_browser_draws(made: Path, page: str, tmp_path: Path, place: str, expected: str) -> None:
    assert page
    assert CHROMIUM is not None
    address = f"file://{made}/report.html{place}"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command = [CHROMIUM, *flags, f"--user-data-dir={tmp_path}", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert expected in " ".join("".join(Outline(done.stdout).words).split())
    assert "window.broken = 1</script>" not in done.stdout


def test_run_with_controls_only_is_shown(fresh: Path, edit: Any) -> None:
    edit(
        fresh / "scores.json",
        lambda rows: [row for row in rows if row["finder"] in ("chance", "oracle")],
    )
    page = write_report(fresh).read_text(encoding="utf-8")
    assert "No finder has a score." in page
    assert data_of(page)["finders"] == {"declared": ["chance", "oracle"]}


def test_two_truths_have_figures_of_their_own(retrained: Path, made: Path) -> None:
    names = [plan.name for plan in plans(Run(retrained))]
    own = ["effects", "cost-measured", "truths", "groups", "removal"]
    assert len(names) == len(set(names))
    assert set(own) <= set(names)
    assert names.index("quality") < names.index("effects")
    assert not set(own) & {plan.name for plan in plans(Run(made))}


def rows_of(page: str, truth: str) -> list[list[str]]:
    """The cells of the table of one truth, as it stands without scripts."""
    part = page[page.index(f'data-truth="{truth}"') :]
    table = part[part.index("<table>") : part.index("</table>")]
    lines = re.findall(r"<tr.*?>(.*?)</tr>", table, re.DOTALL)
    cells = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", line, re.DOTALL) for line in lines]
    return [[re.sub(r"<small>.*?</small>", "", cell) for cell in row] for row in cells]


def test_measured_table_stands_beside_the_declared_one(
    retrained: Path, retrained_page: str
) -> None:
    run = Run(retrained)
    declared, measured = (rows_of(retrained_page, t) for t in ("declared", "measured"))
    assert [row[0] for row in declared[1:]] == [*run.finders("declared"), "chance", "oracle"]
    names = [*run.finders("measured"), "chance", "labels"]
    assert [row[0] for row in measured[1:]] == [*names, "ceiling"]
    assert measured[0][1:5] == ["LDS", "LDS depth 0", "LDS depth 1", "LDS depth 2"]
    assert not any("hop" in head or "AUC" in head for head in measured[0])
    for name, row in zip([*names, "oracle"], measured[1:], strict=True):
        score = run.score(name, "measured", "lds", "depth=1")
        assert score is not None
        assert score.value is not None
        assert row[3] == f"{score.value:.3f}".replace("-0.000", "0.000")
    assert "subjects retrained: 2 with nothing left out, 40 random subsets" in retrained_page


def test_missing_finders_and_warnings_stand_on_the_page(retrained_page: str) -> None:
    text = " ".join("".join(Outline(retrained_page).words).split())
    assert re.search(r"Finders that could not run here trak ?needs the package 'traker'", text)
    assert "only the last of 4 checkpoints was scored." in text
    assert "One piece of work, whose whole cost stands at each: gradient-cosine" in text


def test_hostile_reasons_and_notes_stay_text(retrained_page: str) -> None:
    assert "<script>window.broken" not in retrained_page
    assert "<img src=x" not in retrained_page
    assert len(re.findall(r"<script>", retrained_page)) == 1


def test_measured_page_keeps_the_rules_of_the_page(retrained: Path, retrained_page: str) -> None:
    ids = [a["id"] for _, a in Outline(retrained_page).tags if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, attributes in Outline(retrained_page).tags:
        for key in ("src", "href", "xlink:href"):
            value = attributes.get(key) or "#"
            assert value.startswith(("#", "data:")), (tag, value)
    for plan in plans(Run(retrained)):
        if plan.name in ("truths", "groups", "removal"):
            drawn = (retrained / "figures" / f"{plan.name}.svg").read_text(encoding="utf-8")
            assert render(plan)[0] == drawn


def test_data_of_the_page_covers_both_truths(retrained: Path, retrained_page: str) -> None:
    run, data = Run(retrained), data_of(retrained_page)
    assert data["called"]["measured"]["oracle"] == "ceiling"
    assert data["tops"]["measured"] == {
        m: "labels" if m.startswith("drop@") else "ceiling" for m in run.metrics_of("measured")
    }
    lows = [r.low for r in run.scores if r.metric == "lds" and r.low is not None]
    assert data["spans"]["lds"] == [pytest.approx(min(lows), rel=1e-2), 1.0]
    assert data["spans"]["average_precision"] == [0.0, 1.0]
    assert list(data["costs"]["measured"]["bm25"]) == ["seconds", "epochs"]
    for seed in data["seeds"]:
        for claim in seed["claims"].values():
            assert "lds" not in claim["values"][""]


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_browser_draws_both_tables(retrained: Path, retrained_page: str, tmp_path: Path) -> None:
    assert retrained_page
    assert CHROMIUM is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    address = f"file://{retrained}/report.html"
    command = [CHROMIUM, *flags, f"--user-data-dir={tmp_path}", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    body = done.stdout[: done.stdout.index('id="figures"')]
    assert body.count("<caption>") == 2
    # Only what a script draws has buttons in its heads and strips beside its numbers.
    measured = body[body.index('data-truth="measured"') :]
    assert "<button" in measured
    assert 'class="strip"' in measured
    assert ">ceiling<" in measured
    assert "NaN" not in measured


def test_report_needs_no_torch() -> None:
    code = "import sys, seedbed.report.page, seedbed.report.compare; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
