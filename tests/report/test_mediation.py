import json
import shutil
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from seedbed.core.mediation import Measurement
from seedbed.report import maps, mediation, organisms
from seedbed.report.figures import plans, render
from seedbed.report.grids import Grid, Number, printed
from seedbed.report.page import write_report
from seedbed.report.reader import Run
from seedbed.report.schema import Engine
from seedbed.report.tables import show
from seedbed.report.verdict import findings


@pytest.fixture
def run(counting_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(counting_run, tmp_path / "run"))


def said_of(run: Path) -> list[str]:
    opened = Run(run)
    return mediation.findings(opened.mediation, opened.engines)


def test_the_verdict_says_what_must_be_so_and_what_was_measured(run: Path) -> None:
    said = " ".join(said_of(run))
    assert "Places before the swap: exactly 0." in said
    assert "(identity): exactly 0." in said
    assert "equals the total effect" in said
    assert "24 pairs" in said
    assert "running state" in said


def test_a_breach_is_said_and_not_hidden(run: Path) -> None:
    path = run / "mediation.json"
    rows = json.loads(path.read_text())
    for row in rows:
        if row["name"] == "identity" or row["cell"].endswith("@before"):
            row["high"] = 0.25
        if row["name"] == "full":
            row["value"] = 0.5
    path.write_text(json.dumps(rows))
    said = " ".join(said_of(run))
    assert said.count("which must not be") == 2
    assert "misses the total effect" in said


def test_nothing_patched_is_the_first_thing_said(run: Path) -> None:
    for path in run.glob("seeds/*/mediation/engine.json"):
        engine = json.loads(path.read_text())
        path.write_text(json.dumps({**engine, "ran": 0}))
    opened = Run(run)
    assert any(
        "Nothing was patched" in line
        for line in mediation.findings(opened.mediation, opened.engines)
    )
    tones = {f.topic: f.tone for f in findings(opened)}
    assert tones["Mediation"] == "bad"


def test_a_deep_model_is_told_in_spans_of_blocks() -> None:
    def row(layer: int, place: str, value: float) -> Measurement:
        return Measurement(section="effects", outcome="expected", name="indirect",
                           cell=f"resid_pre.{layer}@{place}", value=value, low=value, high=value,
                           units=2)  # fmt: skip

    total = Measurement(section="total", outcome="expected", name="total", cell="", value=1.0,
                        low=1.0, high=1.0, units=2)  # fmt: skip
    shares = [1.0, 0.9, 0.8, 0.7, 0.6, 0.9, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1]
    rows = [total]
    for layer, share in enumerate(shares):
        rows += [row(layer, "swapped", share), row(layer, "last", 1 - share)]
    engine = Engine(pairs=2, patches=24, ran=24, tier="sweep", checked=0.0)
    said = " ".join(mediation.findings(rows, [engine]))
    assert "into block 0 to into block 5 at swapped 0.60 to 1.00" in said
    assert "into block 6 to into block 11 at last 0.80 to 0.90" in said


def test_tables_hold_every_depth_and_place(run: Path) -> None:
    grids = {g.name: g for g in mediation.grids(Run(run).mediation)}
    assert [name for name, _ in grids["effects"].rows] == [
        "into block 0", "into block 1", "out of block 1"]  # fmt: skip
    assert grids["effects"].heads[1:3] == ("before", "swapped")
    assert grids["effects"].heads[-1] == "last"
    assert set(grids) == {"effects", "controls", "running", "agreement"}
    first = dict(grids["controls"].rows)["into block 0"]
    assert first[0].text == "0"
    assert first[1].text == "1.000"


def test_organisms_stand_with_their_gate_and_the_finders_with_chance(run: Path) -> None:
    opened = Run(run)
    grids = {g.name: g for g in organisms.grids(opened)}
    assert [name for name, _ in grids["organisms"].rows] == ["plus-one@1"]
    assert opened.organisms is not None
    names = [name for name, _ in grids["layers"].rows]
    assert names[-2:] == ["chance", "oracle"]
    assert "weight-difference-norm" in names
    assert any("learned the change" in line for line in organisms.findings(opened))


def test_figures_are_drawn_and_their_bytes_depend_on_the_data_only(run: Path) -> None:
    made = {p.name: p for p in plans(Run(run))}
    assert {"mediation", "running"} <= set(made)
    for name in ("mediation", "running"):
        assert render(made[name]) == render(made[name])
    assert maps.effects(Run(run)) is not None


def test_page_and_terminal_show_it(run: Path) -> None:
    page = write_report(run).read_text()
    assert "Indirect effects by place and depth" in page
    assert "Which block was trained?" in page
    console = Console(width=100, record=True, file=StringIO())
    show(run, console)
    text = console.export_text()
    assert "Controls of patching" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100


def test_a_table_too_wide_is_split_and_loses_nothing() -> None:
    heads = ("row", *(f"column {i}" for i in range(20)))
    grid = Grid("g", "Title", "", heads, (("a", tuple(Number(float(i)) for i in range(20))),))
    tables = printed(grid, 60)
    assert len(tables) > 1
    assert sum(len(t.columns) - 1 for t in tables) == 20


@pytest.mark.parametrize(
    ("number", "text", "interval"),
    [
        (Number(0.0, 0.0, 0.0), "0", ""),
        (Number(0.12345, 0.1, 0.2), "0.123", "[0.10, 0.20]"),
        (Number(None), "–", ""),
        (Number(1.0, 1.0, 1.0), "1.000", ""),
    ],
)
def test_numbers_read_as_a_person_would_write_them(
    number: Number, text: str, interval: str
) -> None:
    assert (number.text, number.interval) == (text, interval)


def test_a_run_that_stopped_at_the_gate_has_a_page_without_cells(run: Path) -> None:
    for path in (*run.glob("seeds/*/cells"), *run.glob("seeds/*/find-*"),
                 *run.glob("seeds/*/mediation")):  # fmt: skip
        shutil.rmtree(path)
    for name in ("scores.json", "mediation.json", "organisms.json"):
        (run / name).unlink()
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, "stopped": "not learned"}))
    page = write_report(run).read_text()
    assert "not learned" in page
    assert "Inside the subject" not in page
