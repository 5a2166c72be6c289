import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from seedbed.core.config import read_yaml
from seedbed.core.files import read_rows, write_rows
from seedbed.core.mediation import Measurement
from seedbed.core.rows import Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.core.units import Units, load_units, save_units
from seedbed.studies.mediation import FILE, report
from seedbed.studies.stages import mediate_stage
from seedbed.studies.study import Study


def rows_of(run: Path) -> list[Measurement]:
    return [Measurement.model_validate(r) for r in json.loads((run / FILE).read_text())]


def test_what_must_be_0_is_0_and_what_must_be_1_is_1(counting_run: Path) -> None:
    rows = rows_of(counting_run)
    before = [r for r in rows if r.section == "effects" and r.cell.endswith("@before")
              and r.name == "indirect"]  # fmt: skip
    assert before
    assert all((r.value, r.low, r.high) == (0, 0, 0) for r in before)
    identity = [r for r in rows if r.name == "identity"]
    assert identity
    assert all((r.value, r.low, r.high) == (0, 0, 0) for r in identity)
    full = [r.value for r in rows if r.name == "full"]
    assert full == pytest.approx([1] * len(full), abs=1e-4)
    ends = [r.value for r in rows if r.section == "effects" and r.name == "indirect"
            and r.cell in ("resid_pre.0@swapped", "resid_post.1@last")]  # fmt: skip
    assert len(ends) == 4
    assert ends == pytest.approx([1] * 4, abs=1e-4)
    # A subject that counts follows the swapped item: outcomes point to the corrupt answer.
    totals = [r.low for r in rows if r.section == "total"]
    assert len(totals) == 2
    assert all(low is not None and low > 0 for low in totals)


def test_every_number_is_a_ratio_of_means_over_pairs_mean_over_seeds(counting_run: Path) -> None:
    rows = {(r.section, r.outcome, r.name, r.cell): r for r in rows_of(counting_run)}
    name = "indirect resid_pre.1@swapped"
    ratios = []
    for seed in (0, 1):
        table = load_units(counting_run / "seeds" / str(seed) / "mediation" / "tables.npz")
        effects = table["effects:expected"]
        ratios.append(effects.column(name).mean() / effects.column("total").mean())
    row = rows["effects", "expected", "indirect", "resid_pre.1@swapped"]
    assert row.value == pytest.approx(sum(ratios) / 2)
    assert row.units == 24
    assert row.value is not None
    assert row.low is not None
    assert row.high is not None
    assert row.low <= row.value <= row.high


def test_a_finder_that_is_exact_patching_agrees_with_it_and_chance_does_not(
    counting_run: Path,
) -> None:
    marks = {
        (r.name, r.cell): r.value
        for r in rows_of(counting_run)
        if (r.section, r.outcome) == ("agreement", "logit-difference")
    }
    assert marks["pearson", "patching"] == pytest.approx(1, abs=1e-6)
    chance = marks["pearson", "chance"]
    assert chance is not None
    assert abs(chance) < 0.5


def test_the_same_tables_give_the_same_bytes(counting_run: Path) -> None:
    before = (counting_run / FILE).read_bytes()
    report(counting_run, [0, 1], {0: ["patching", "chance"], 1: ["patching", "chance"]})
    assert (counting_run / FILE).read_bytes() == before


def test_seeds_may_reach_other_places_and_lack_a_table(tmp_path: Path) -> None:
    places = (("item1", "item2", "last"), ("item1", "item2", "item3", "last"))
    for seed, mine in enumerate(places):
        here = tmp_path / "seeds" / str(seed)
        sites = tuple(f"resid_pre.0@{p}" for p in mine)
        # Each seed patches one place that none of its claims speaks of.
        columns = ("total", *(f"indirect {s}" for s in sites), "indirect resid_pre.0@item3")[:5]
        values = np.arange(1.0, 1 + 2 * len(columns)).reshape(2, -1)
        tables = {"map:expected": Units(("a", "b"), ("x", "y"), columns, values)}
        if seed == 1:
            tables["interchange:"] = Units(("t",), ("x",), ("other resid_pre.0@item",),
                                           np.ones((1, 1)))  # fmt: skip
        save_units(here / "mediation" / "tables.npz", tables)
        scores = values[:, 1 : 1 + len(sites)]
        Claim(("a", "b"), sites, scores, SiteKind.CELL).save(here / "find-one" / "claim.npz")
    report(tmp_path, [0, 1], {0: ["one"], 1: ["one"]})
    rows = {(r.section, r.name, r.cell): r for r in rows_of(tmp_path)}
    assert rows["agreement", "pearson", "one"].value == pytest.approx(1)
    assert rows["agreement", "pearson", "one"].units == 4
    assert rows["map", "indirect", "resid_pre.0@item3"].units == 4
    assert rows["interchange", "other", "resid_pre.0@item"].units == 1


def test_questions_of_a_group_that_was_not_learned_lend_nothing(
    counting_run: Path, tmp_path: Path
) -> None:
    here = counting_run / "seeds" / "0"
    data = Path(shutil.copytree(here / "data", tmp_path / "data"))
    questions = read_rows(data / "questions.jsonl", Question)
    failed = {q.id for i, q in enumerate(questions) if i % 3 == 0}
    write_rows(
        data / "questions.jsonl",
        [q.model_copy(update={"slices": {"form": "b" if q.id in failed else "a"}})
         for q in questions],
    )  # fmt: skip
    study = Study.model_validate(read_yaml(counting_run / "config.yaml"))
    assert study.mediation is not None
    asked = [q.id for q in questions if q.split == "id" and q.id not in failed][:6]
    mediate_stage(study.mediation, asked, "form", study.subject, here / "train", data, tmp_path)
    tables = load_units(tmp_path / "tables.npz")
    held_out = {q.id for q in questions if q.split == "id"}
    assert set(tables["probes:"].units) == held_out - failed
    sides = {side for u in tables["interchange:"].units for side in u.split("@")[0].split("<")}
    assert len(sides) > 2
    assert not sides & failed
    assert set(tables["effects:expected"].units) == set(asked)
