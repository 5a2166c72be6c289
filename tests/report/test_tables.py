from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from seedbed.core.errors import InputError
from seedbed.report.reader import Run
from seedbed.report.tables import show


def shown(run: Path, width: int = 100, /, **choice: str) -> str:
    console = Console(width=width, file=StringIO(), no_color=True)
    show(run, console, **choice)
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


@pytest.mark.parametrize("width", [80, 100])
def test_fits_and_cuts_nothing(made: Path, width: int) -> None:
    text = shown(made, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text


def test_verdict_stands_before_the_table(made: Path) -> None:
    text = shown(made)
    order = [
        "found the cause best",
        "Learned\n",
        "Against chance\n",
        "declared truth",
        "gate:",
        "left out (",
    ]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)


def test_controls_stand_last_and_apart(made: Path) -> None:
    lines = [line.strip() for line in shown(made, slice_="all").splitlines()]
    chance = next(i for i, line in enumerate(lines) if line.startswith("chance"))
    assert lines[chance - 1] == ""
    assert lines[chance + 1].startswith("oracle")


def test_numbers_are_those_of_the_scores(made: Path) -> None:
    run = Run(made)
    text = shown(made)
    for finder in run.finders():
        line = next(
            part
            for part in text.splitlines()
            if part.strip().startswith(f"{finder} ") and "±" in part
        )
        row = run.score(finder, "declared", "average_precision", "all")
        assert row is not None
        assert row.value is not None
        assert row.low is not None
        assert row.high is not None
        assert f"{row.value:.3f} ±{(row.high - row.low) / 2:.3f}" in line
        for hop in run.hops:
            by_hop = run.score(finder, "declared", "roc_auc", hop)
            assert by_hop is not None
            mark = {"level": "≈", "below": "↓"}.get(by_hop.standing, "")
            assert f"{by_hop.value:.3f}{mark}" in line


def test_metric_alone_shows_its_slices(made: Path) -> None:
    text = shown(made, metric="mrr")
    assert "depth=2,hop=1" in text
    assert "found the cause best" not in text


def test_metric_and_slice_show_every_column(made: Path) -> None:
    text = shown(made, metric="mrr", slice_="hop=0")
    row = Run(made).score("bm25", "declared", "mrr", "hop=0")
    assert row is not None
    line = next(part for part in text.splitlines() if part.strip().startswith("bm25 "))
    for value in (row.value, row.low, row.high, row.chance, row.oracle):
        assert f"{value:.3f}" in line


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"metric": "mmr"}, "no scores for metric 'mmr'; did you mean 'mrr'?"),
        ({"slice_": "depth=7"}, "no scores for slice 'depth=7'; did you mean"),
        ({"truth": "guessed"}, "no scores for truth 'guessed'; there are: declared"),
    ],
)
def test_unknown_name_is_one_line(made: Path, choice: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as error:
        shown(made, **choice)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_stopped_run_shows_gate_and_advice(stopped: Path) -> None:
    text = shown(stopped)
    assert "did not learn" in text
    assert "What to change" in text
    assert text.count("failed") == 4
    assert "average precision" not in text


def test_many_hops_get_a_table_of_their_own(fresh: Path, edit: Any) -> None:
    def more(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        far = [
            {**row, "slice": f"hop={k}"} for row in rows if row["slice"] == "hop=2" for k in (3, 4)
        ]
        return rows + far

    edit(fresh / "scores.json", more)
    text = shown(fresh)
    assert "hop=4" in text
    assert "…" not in text


def test_who_passed_the_gate_is_seen_beside_a_long_slice(fresh: Path, edit: Any) -> None:
    edit(fresh / "gate.json", lambda rows: [{**r, "slice": "topic=" + "o" * 30} for r in rows])
    text = shown(fresh, 80)
    assert text.count(" passed") + text.count(" failed") >= len(Run(fresh).gate)
    assert "must reach" in text


def test_markup_in_names_is_text(fresh: Path, edit: Any) -> None:
    edit(fresh / "excluded.json", lambda rows: [{**rows[0], "reason": "[bold]odd[/bold]"}])
    assert "[bold]odd[/bold]" in shown(fresh)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_both_truths_fit(retrained: Path, width: int) -> None:
    text = shown(retrained, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text


def test_measured_table_holds_its_rows(retrained: Path) -> None:
    run = Run(retrained)
    text = shown(retrained)
    part = text[text.index("· measured truth") :]
    for name, label in [*((f, f) for f in run.finders("measured")), ("labels", "labels"),
                        ("oracle", "ceiling")]:  # fmt: skip
        line = next(x for x in part.splitlines() if x.strip().startswith(f"{label} "))
        for slice_ in ("all", "depth=0", "depth=2"):
            row = run.score(name, "measured", "lds", slice_)
            assert row is not None
            assert row.value is not None
            assert row.low is not None
            assert row.high is not None
            half = (row.high - row.low) / 2
            mark = "≈" if name not in ("labels", "oracle") and row.low <= 0 <= row.high else ""
            value = f"{row.value:.3f}".replace("-0.000", "0.000")
            assert f"{value} ±{half:.3f}{mark}" in line
    assert "oracle" not in part
    assert "AUC" not in part
    assert "drop" in part
    assert "subjects retrained: " in part


def test_truth_and_metric_choose_the_tables(retrained: Path) -> None:
    text = shown(retrained, metric="lds")
    assert "declared" not in text
    assert "depth=2" in text
    detail = shown(retrained, metric="lds", slice_="depth=1")
    assert "ceiling" in detail
    assert "oracle" not in detail
    with pytest.raises(InputError, match="no scores for metric 'mrr'"):
        shown(retrained, truth="measured", metric="mrr")


def test_missing_finders_and_shared_costs_are_shown(retrained: Path) -> None:
    text = " ".join(shown(retrained).split())
    assert "finders that could not run here" in text
    assert "trak needs the package 'traker': pip install seedbed[traker]" in text
    assert "one piece of work, whose whole cost stands at each: gradient-cosine and" in text


def test_trained_against_held_out_is_a_table_of_its_own(fresh: Path, edit: Any) -> None:
    def more(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        own = [row for row in rows if row["metric"] == "mrr" and row["slice"] == "all"]
        names = ("trained_auc", "trained_in_top10", "trained_gap")
        return rows + [{**row, "metric": name, "value": -0.25} for row in own for name in names]

    edit(fresh / "scores.json", more)
    text = shown(fresh)
    assert "trained against held-out documents" in text
    assert "-0.250" in text


def test_a_control_without_rows_of_the_metric_is_left_out(retrained: Path) -> None:
    lines = shown(retrained, metric="drop@8").splitlines()
    names = [line.split()[0] for line in lines if line.split()]
    assert "labels" in names
    assert "ceiling" not in names
