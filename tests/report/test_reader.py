from pathlib import Path
from typing import Any

import pytest

from seedbed.core.errors import InputError
from seedbed.report.reader import Run


def one_line(error: pytest.ExceptionInfo[InputError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_reads_every_part(made: Path) -> None:
    run = Run(made)
    assert run.name == "hops"
    assert run.stopped is None
    assert run.manifest.packages["torch"] == "2.13.0"
    assert [seed.number for seed in run.seeds] == [0, 1]
    assert len(run.gate) == 6
    assert {row.reason for row in run.excluded} == {"beyond the questions asked"}
    seed = run.seeds[0]
    assert len(seed.questions) == 15
    assert seed.history[0].groups.keys() == {"0", "1", "2"}
    assert seed.trained is not None
    assert seed.trained.steps == 200
    assert len(seed.answers) == 15
    assert [row.slice for row in seed.measured] == ["depth=0", "depth=1", "depth=2"]
    assert seed.claim("bm25").questions == tuple(f"q{i}" for i in range(12))
    assert seed.cost("bm25").seconds == 0.04


def test_orders_names_for_a_reader(made: Path) -> None:
    run = Run(made)
    assert run.metrics[:2] == ("average_precision", "roc_auc")
    assert run.slices[:2] == ("all", "correct")
    assert run.hops == ("hop=0", "hop=1", "hop=2")
    values = [run.score(f, "declared", "average_precision", "all") for f in run.finders()]
    numbers = [row.value for row in values if row is not None and row.value is not None]
    assert numbers == sorted(numbers, reverse=True)
    assert not {"chance", "oracle"} & set(run.finders())


def test_base_rate_is_the_expected_value_not_the_drawn_one(made: Path) -> None:
    run = Run(made)
    row = run.score("chance", "declared", "average_precision", "all")
    assert row is not None
    assert run.base_rate("declared", "average_precision", "all") == row.chance != row.value


def test_stopped_run_has_no_scores(stopped: Path) -> None:
    run = Run(stopped)
    assert run.stopped is not None
    assert run.scores == []
    assert run.finders() == ()
    assert run.seeds[0].finders == ()


def test_no_such_folder_names_its_neighbours(made: Path) -> None:
    with pytest.raises(InputError) as error:
        Run(made.parent / "mode")
    assert "no such folder" in one_line(error)
    assert str(made) in str(error.value)


def test_file_is_not_a_run(made: Path) -> None:
    with pytest.raises(InputError, match="is a file, a run folder is needed"):
        Run(made / "gate.json")


def test_folder_without_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a run folder, there is no config\.yaml"):
        Run(tmp_path)


@pytest.mark.parametrize("name", ["scores.json", "manifest.json", "gate.json"])
def test_unfinished_run_says_how_to_go_on(fresh: Path, name: str) -> None:
    (fresh / name).unlink()
    with pytest.raises(InputError) as error:
        Run(fresh)
    assert name in one_line(error)
    assert "seedbed run" in str(error.value)


def test_damaged_json_names_file_and_line(fresh: Path) -> None:
    (fresh / "scores.json").write_text('[\n{"finder": ', encoding="utf-8")
    with pytest.raises(InputError) as error:
        _ = Run(fresh).scores
    assert "scores.json:2: not JSON" in one_line(error)


def test_row_without_a_key_is_named(fresh: Path, edit: Any) -> None:
    edit(fresh / "scores.json", lambda rows: [{k: v for k, v in rows[0].items() if k != "metric"}])
    with pytest.raises(InputError) as error:
        _ = Run(fresh).scores
    assert "row 0: metric: is missing" in one_line(error)


def test_object_in_place_of_a_list(fresh: Path, edit: Any) -> None:
    edit(fresh / "gate.json", lambda rows: rows[0])
    with pytest.raises(InputError, match="a list of rows is needed, found a dict"):
        _ = Run(fresh).gate


@pytest.mark.parametrize(
    ("place", "read"),
    [
        ("find-bm25/claim.npz", lambda seed: seed.claim("bm25")),
        ("data/truth.npz", lambda seed: seed.truth),
    ],
)
def test_damaged_matrix_is_named(fresh: Path, place: str, read: Any) -> None:
    path = fresh / "seeds" / "0" / place
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError) as error:
        read(Run(fresh).seeds[0])
    assert place in one_line(error)


def test_damaged_answer_names_its_line(fresh: Path) -> None:
    path = fresh / "seeds" / "1" / "measure" / "answers.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], '{"id": "q1"}']), encoding="utf-8")
    with pytest.raises(InputError) as error:
        _ = Run(fresh).seeds[1].answers
    assert f"{path}:2: correct: is missing" in one_line(error)


def test_reads_what_retraining_left(retrained: Path) -> None:
    run = Run(retrained)
    seed = run.seeds[0]
    assert seed.outcomes is not None
    assert seed.bank is not None
    assert seed.bank.subjects == 2 * len(seed.outcomes.names)
    assert seed.notes("gradient-dot")["warning"].startswith("only the last")
    assert [(row.finder, row.reason[:5]) for row in run.missing] == [("trak", "needs")]
    (names,) = run.warnings.values()
    assert set(names) == {"gradient-dot", "gradient-cosine"}
    assert run.shared == [("gradient-cosine", "gradient-dot")]
    assert run.truths == ("declared", "measured")
    assert run.controls("declared") == ("chance", "oracle")
    assert run.controls("measured") == ("chance", "labels", "oracle")


def test_run_without_retraining_reads_as_before(made: Path) -> None:
    run = Run(made)
    assert run.seeds[0].outcomes is None
    assert run.seeds[0].bank is None
    assert run.missing == []
    assert run.warnings == {}


def test_finders_are_ordered_by_what_leads_under_the_truth(retrained: Path) -> None:
    run = Run(retrained)
    rows = [run.score(f, "measured", "lds", "all") for f in run.finders("measured")]
    values = [row.value for row in rows if row is not None and row.value is not None]
    assert values == sorted(values, reverse=True)
    assert min(values) < 0
    assert run.metrics_of("measured") == ("lds", "group_r", "single_r", "drop@2", "drop@8")


def test_chance_of_the_measured_truth_needs_no_chance_finder(
    fresh_retrained: Path, edit: Any
) -> None:
    edit(
        fresh_retrained / "scores.json",
        lambda rows: [row for row in rows if row["finder"] != "chance"],
    )
    assert Run(fresh_retrained).base_rate("measured", "lds", "depth=1") == 0.0


def test_damaged_outcomes_and_reasons_are_named(fresh_retrained: Path, edit: Any) -> None:
    path = fresh_retrained / "seeds" / "1" / "effects" / "outcomes.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError) as error:
        _ = Run(fresh_retrained).seeds[1].outcomes
    assert "effects/outcomes.npz" in one_line(error)
    edit(fresh_retrained / "missing.json", lambda rows: [{"finder": "trak"}])
    with pytest.raises(InputError) as error:
        _ = Run(fresh_retrained).missing
    assert "missing.json: row 0: reason: is missing" in one_line(error)
