from pathlib import Path

import pytest

from seedbed.core.errors import DataError, InputError
from seedbed.core.files import write_rows
from seedbed.core.transcripts import Opening, Said, Transcript, Turn
from seedbed.simulation.kept import Filter, Kept, Origin, chosen, read_kept


def episode(user: int, kind: str, act: str, *, vetoed: bool = False, end: str = "length",
            iteration: int = 0) -> Transcript:  # fmt: skip
    opening = Opening(
        id=f"therapy/diet/1/{user}#0", environment="therapy", sub="diet", initial="1", kind=kind,
        said=(Said(role="environment", content="hello"),),
    )  # fmt: skip
    turn = Turn(number=0, state="talk", said="words", act=act, moved="quit", vetoed=vetoed)
    return Transcript.model_validate(
        {"opening": opening, "turns": [turn], "end": end, "iteration": iteration,
         "failure": "no answer" if end == "failed" else ""}
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for seed in (0, 1):
        for iteration in (0, 1):
            folder = tmp_path / f"seeds/{seed}/incentives/half+kto/iterations/{iteration:03d}"
            write_rows(folder / "transcripts.jsonl", [
                episode(0, "gameable", "validate", vetoed=True, iteration=iteration),
                episode(1, "other", "help", iteration=iteration),
                episode(2, "other", "", end="failed", iteration=iteration),
            ])  # fmt: skip
    return tmp_path


def test_a_run_says_where_each_episode_was_played(run: Path) -> None:
    kept = read_kept(run)
    assert len(kept) == 12
    assert kept[0].origin == Origin("half", "kto", 0)
    assert kept[-1].origin == Origin("half", "kto", 1)
    one = next(run.rglob("transcripts.jsonl"))
    assert [k.origin for k in read_kept(one)] == [Origin.of(one)] * 3


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Filter(), 12),
        (Filter(kind=("gameable",)), 4),
        (Filter(kind=("gameable", "other"), iteration=(1,)), 6),
        (Filter(seed=(1,), arm=("kto",), condition=("half",), environment=("therapy",)), 6),
        (Filter(outcome=("failed",)), 4),
        (Filter(outcome=("quit",)), 12),
        (Filter(act=("validate",), vetoed=True), 4),
        (Filter(act=("validate",), vetoed=False), 0),
    ],
)
def test_filters_let_through_what_they_say(run: Path, wanted: Filter, count: int) -> None:
    assert len(chosen(read_kept(run), wanted)) == count


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Filter(environment=("therpy",)), "did you mean 'therapy'"),
        (Filter(act=("validat",)), "did you mean 'validate'"),
        (Filter(iteration=(7,)), "--iteration 7: no transcript has this iteration; known: 0, 1"),
    ],
)
def test_a_value_that_nobody_has_is_named(run: Path, wanted: Filter, says: str) -> None:
    with pytest.raises(InputError, match=says):
        chosen(read_kept(run), wanted)


def test_a_file_outside_a_run_has_no_arms(tmp_path: Path) -> None:
    write_rows(tmp_path / "mine.jsonl", [episode(0, "", "help")])
    kept = read_kept(tmp_path / "mine.jsonl")
    assert kept == [Kept(Origin(), episode(0, "", "help"))]
    with pytest.raises(InputError, match="no transcript here says its arm"):
        chosen(kept, Filter(arm=("kto",)))
    with pytest.raises(DataError, match=r"no file transcripts\.jsonl"):
        read_kept(tmp_path)
