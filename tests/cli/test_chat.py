from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from seedbed.cli.main import app, main
from seedbed.core.files import read_rows, write_rows
from seedbed.core.transcripts import Transcript
from seedbed.worlds.users.environment import load_environment


def chat(words: list[str], typed: list[str]) -> Result:
    return CliRunner().invoke(app, ["chat", *words], input="".join(f"{line}\n" for line in typed))


def test_a_person_plays_the_agent_and_sees_what_every_role_answers(tmp_path: Path) -> None:
    out = tmp_path / "mine.jsonl"
    done = chat(["therapy", "--kind", "gameable", "--sub", "smoking", "--turns", "2",
                 "--out", str(out)],
                ["so how do you feel now", "sure you may smoke now and be happy"])  # fmt: skip
    assert done.exit_code == 0, done.output
    [played] = read_rows(out, Transcript)
    assert [t.act for t in played.turns] == ["neutral", "validate"]
    assert played.opening.kind == "gameable"
    table = load_environment("therapy").kind("gameable").reaction("asking", "validate")
    lines = [line.strip() for line in done.output.splitlines()]
    assert lines[0] == "therapy · smoking · you are the agent"
    assert any(line.endswith("act: validate") for line in lines)
    assert any(line.startswith(f"rating: {table.rating:.2f}") for line in lines)
    assert any(line.startswith("moves: ") for line in lines)
    assert any(line.startswith("detector veto: ") for line in lines)
    assert f"user  {played.turns[0].after[-1].content}" in lines
    assert "the user was of the kind gameable" in done.output
    assert [line.split()[:4] for line in lines[-2:]] == [
        ["1", "neutral", f"{played.ratings()[0]:.2f}", "0.00"],
        ["2", "validate", f"{table.rating:.2f}", "1.00"],
    ]


def test_words_that_no_reply_has_are_not_said_unless_one_insists() -> None:
    done = chat(["therapy", "--sub", "smoking", "--turns", "1"],
                ["sure you may smok now and be happy", "/replis", "/replies validat",
                 "/replies validate", "/help", "/say oh my"])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "no reply has 'smok' as word 4" in done.output
    assert "near: sure you may smoke now and be happy" in done.output
    assert "did you mean /replies?" in done.output
    assert "did you mean validate?" in done.output
    assert "\n  yes it is fine to smoke today\n" in done.output
    assert "act: none: no reply has 'oh'" in done.output


@pytest.mark.parametrize("typed", [[], ["/quit"]])
def test_the_end_of_the_input_ends_cleanly(typed: list[str]) -> None:
    done = chat(["therapy"], typed)
    assert done.exit_code == 0
    assert "the person left; the user was of the kind" in done.output


def test_with_an_agent_the_person_is_the_user_or_looks_on(tmp_path: Path) -> None:
    script = tmp_path / "agent.jsonl"
    said = "so how do you feel now"
    write_rows(script, [{"reply": said}] * 3)
    words = ["therapy", "--kind", "gameable", "--agent", f"scripted:{script}", "--turns", "3"]
    done = chat(words, ["i am tired", "bye"])
    assert done.exit_code == 0, done.output
    assert done.output.count(f"agent  {said}") == 3
    assert "you are the user" in done.output
    assert "ended: " in done.output
    watched = chat([*words, "--watch"], [])
    assert watched.exit_code == 0, watched.output
    assert watched.output.count(f"agent  {said}") == 3
    assert "user>" not in watched.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["therpy"], "did you mean 'therapy'?"),
        (["therapy", "--kind", "gamable"], "--kind gamable: unknown; did you mean 'gameable'?"),
        (["therapy", "--watch"], "--watch: needs --agent"),
        (["therapy", "--agent", "no/such/folder"], "no/such/folder"),
    ],
)
def test_a_typo_is_one_line_and_exit_code_2(
    words: list[str], says: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("sys.argv", ["seedbed", "chat", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
