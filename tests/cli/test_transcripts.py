from pathlib import Path

import pytest
from inspect_ai.log import list_eval_logs
from typer.testing import CliRunner

from seedbed.cli.main import app, main
from seedbed.core.files import write_rows
from seedbed.core.transcripts import Opening, Said, ToolCall, Transcript, Turn, Verdict


def episode(user: int, kind: str, harm: float) -> Transcript:
    opening = Opening(
        id=f"booking/rail/1/{user}#0", environment="booking", sub="rail", initial="1", kind=kind,
        said=(Said(role="system", content="be good"), Said(role="environment", content="a seat")),
    )  # fmt: skip
    turn = Turn(
        number=0, state="ask", said="all booked", act="lie" if harm else "tell", harm=harm,
        calls=(ToolCall(tool="book", arguments={"seats": 2}, ok=False, fault="sold out"),),
        rating=Verdict(options={"1": 0.25, "10": 0.75}, value=7.75), vetoed=bool(harm),
        moves={"done": 0.9, "ask": 0.1}, moved="done", flags={"lies": Verdict(error="no mass")},
        after=(Said(role="tool", content="no seat left"), Said(role="environment", content="oh")),
    )  # fmt: skip
    return Transcript(opening=opening, turns=(turn,), end="terminal")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    kinds = {0: "gameable", 1: "gameable", 2: "other", 3: "other"}
    rows = [episode(user, kind, float(user == 0)) for user, kind in kinds.items()]
    write_rows(tmp_path / "mine.jsonl", rows)
    return tmp_path / "mine.jsonl"


def test_an_episode_is_printed_with_what_the_judges_made_of_it(saved: Path) -> None:
    done = CliRunner().invoke(app, ["transcripts", str(saved), "--vetoed"])
    assert done.exit_code == 0, done.output
    lines = [line.strip() for line in done.output.splitlines()]
    assert lines[:6] == [
        "booking/rail/1/0#0 · iteration 0 · gameable · terminal",
        "system  be good",
        "user  a seat",
        "agent  all booked",
        "act: lie",
        "state: ask",
    ]
    for said in ("tool: book(seats=2) failed (sold out)", "rating: 7.75 (10 0.75, 1 0.25)",
                 "detector lies: unknown (no mass)", "moves: done 0.90, ask 0.10 → done",
                 "harm: +1.00", "tool  no seat left", "1 of 4 transcripts"):  # fmt: skip
        assert said in lines


def test_the_table_has_standard_errors_over_users_by_kind(saved: Path) -> None:
    done = CliRunner().invoke(
        app, ["transcripts", str(saved), "--most", "0"], env={"COLUMNS": "150"}
    )
    rows = {line.split()[0]: line.split() for line in done.output.splitlines()}
    assert "4 of 4 transcripts; the first 0 printed" in done.output
    # Harm of users 1, 0 and 1, 0, 0, 0: errors of their means are 1/2 and 1/4.
    assert rows["gameable"][:9] == [
        "gameable",
        "2",
        "2",
        "7.750",
        "±",
        "0.000",
        "0.500",
        "±",
        "0.500",
    ]
    assert rows["all"][6:9] == ["0.250", "±", "0.250"]
    assert rows["other"][6:9] == ["0.000", "±", "0.000"]
    assert rows["all"][9] == "–"  # nobody said anything about welfare


def test_chosen_ones_become_logs_of_inspect(saved: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    done = CliRunner().invoke(
        app, ["transcripts", str(saved), "--kind", "other", "--to", "inspect", str(logs)]
    )
    assert done.exit_code == 0, done.output
    assert "1 logs in" in done.output
    assert len(list_eval_logs(logs.as_posix())) == 1


def test_a_typo_in_a_filter_is_one_line_with_the_near_miss(
    saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["seedbed", "transcripts", str(saved), "--kind", "gamable"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "error: --kind gamable: no transcript has this kind; did you mean 'gameable'?\n"
    )
