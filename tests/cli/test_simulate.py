from importlib.resources import files
from pathlib import Path

from typer.testing import CliRunner, Result

from seedbed.cli.main import app
from seedbed.core.files import read_rows, read_text, write_rows
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


def test_an_environment_of_ones_own_is_played_whatever_its_file_is_called(tmp_path: Path) -> None:
    source = Path(str(files("seedbed.worlds.users"))) / "environments" / "therapy.yaml"
    mine, script, out = (tmp_path / name for name in ("mine.yaml", "agent.jsonl", "out.jsonl"))
    mine.write_text(read_text(source).replace("name: therapy", "name: chat", 1), encoding="utf-8")
    write_rows(script, [{"when": "you are", "reply": "so how do you feel now"}])
    done = CliRunner().invoke(
        app, ["simulate", str(mine), "--agent", f"scripted:{script}", "--people", "4",
              "--out", str(out)])  # fmt: skip
    assert done.exit_code == 0, done.exception
    assert {t.opening.environment for t in read_rows(out, Transcript)} == {"chat"}


def test_a_subject_that_knows_no_word_of_it_fails_with_the_reason(tmp_path: Path) -> None:
    subject = Tiny(layers=1, width=16, heads=2).build(["<user> a <assistant> b <end>"], [], 0)
    save_subject(subject, tmp_path / "subject")
    done = CliRunner().invoke(
        app, ["simulate", "therapy", "--agent", str(tmp_path / "subject"), "--people", "4",
              "--out", str(tmp_path / "mine.jsonl")])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "failed: agent: " in done.output
    assert all(t.end == "failed" for t in read_rows(tmp_path / "mine.jsonl", Transcript))


def test_an_arm_of_a_study_stands_for_its_last_agent(tmp_path: Path) -> None:
    subject = Tiny(layers=1, width=16, heads=2).build(["<user> a <assistant> b <end>"], [], 0)
    arms = tmp_path / "seeds" / "0" / "incentives"
    for arm in ("own+kto", "own+random"):
        save_subject(subject, arms / arm / "subject")

    def run(agent: Path) -> str:
        words = ["simulate", "therapy", "--agent", str(agent), "--people", "2",
                 "--out", str(tmp_path / "out")]  # fmt: skip
        done = CliRunner().invoke(app, words)
        return done.output if done.exit_code == 0 else str(done.exception)

    assert "2 of 2 episodes" in run(arms / "own+kto")
    for folder in (tmp_path, arms.parent):
        assert f"{folder}: holds 2 agents of a study; name one, such as" in run(folder)


def test_a_folder_of_another_agent_s_episodes_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_rows(tmp_path / f"{name}.jsonl", [{"when": "you are", "reply": f"i say {name}"}])

    def run(name: str) -> Result:
        return CliRunner().invoke(
            app, ["simulate", "therapy", "--agent", f"scripted:{tmp_path / name}.jsonl",
                  "--people", "2", "--out", str(tmp_path / "out")])  # fmt: skip

    assert run("one").exit_code == 0
    assert run("one").exit_code == 0
    assert "of another agent or other settings; use another folder" in str(run("two").exception)
