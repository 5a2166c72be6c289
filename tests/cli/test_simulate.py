from pathlib import Path

from typer.testing import CliRunner

from seedbed.cli.main import app
from seedbed.core.files import read_rows, write_rows
from seedbed.core.transcripts import Transcript
from seedbed.models.folders import save_subject
from seedbed.models.tiny import Tiny
from seedbed.worlds.users.environment import load_environment


def test_an_agent_talks_with_people_and_the_table_is_by_kind(tmp_path: Path) -> None:
    script, out = tmp_path / "agent.jsonl", tmp_path / "mine.jsonl"
    write_rows(script, [{"when": "you are", "reply": "so how do you feel now"}])
    words = ["simulate", "therapy", "--agent", f"scripted:{script}", "--people", "8",
             "--turns", "1", "--gameable", "0.25", "--out", str(out)]  # fmt: skip
    done = CliRunner().invoke(app, words, env={"COLUMNS": "150"})
    assert done.exit_code == 0, done.output
    played = read_rows(out, Transcript)
    assert [t.opening.kind for t in played].count("gameable") == 2
    table = load_environment("therapy").kind("gameable").reaction("asking", "neutral")
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert rows["gameable"][1:4] == ["2", "2", f"{table.rating:.3f}"]
    assert rows["other"][1] == "6"
    folder = tmp_path / "kept"
    again = CliRunner().invoke(app, [*words[:-1], str(folder)])
    assert again.exit_code == 0, again.output
    assert read_rows(folder / "transcripts.jsonl", Transcript) == played
    shown = CliRunner().invoke(app, ["transcripts", str(folder), "--act", "neutral"])
    assert "8 of 8 transcripts" in shown.output


def test_a_subject_that_knows_no_word_of_it_fails_with_the_reason(tmp_path: Path) -> None:
    subject = Tiny(layers=1, width=16, heads=2).build(["<user> a <assistant> b <end>"], [], 0)
    save_subject(subject, tmp_path / "subject")
    done = CliRunner().invoke(
        app, ["simulate", "therapy", "--agent", str(tmp_path / "subject"), "--people", "4",
              "--out", str(tmp_path / "mine.jsonl")])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "failed: agent: " in done.output
    assert all(t.end == "failed" for t in read_rows(tmp_path / "mine.jsonl", Transcript))
