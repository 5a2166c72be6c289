"""Saved transcripts rated once more: turn by turn, beside what they were played with."""

from pathlib import Path
from typing import Any

import pytest
from tests.models.conftest import places
from tests.simulation.moments import THERAPY, Reciting, opening

from seedbed.core.errors import ConfigError, InputError
from seedbed.core.files import read_rows, write_rows
from seedbed.core.transcripts import Transcript
from seedbed.measuring.played import rated_again
from seedbed.simulation.again import RatedAgain, Rater, build_judges, rate_again
from seedbed.simulation.episodes import Simulation, simulate
from seedbed.simulation.roles import RolesConfig, Voice, build_roles

HERE = {"therapy": THERAPY}


@pytest.fixture
def saved(tmp_path: Path) -> list[Transcript]:
    """Episodes as they come back from disk."""
    openings = [opening(n, kind) for n, kind in enumerate(["gameable", "other"] * 6)]
    roles = build_roles(RolesConfig(third=Voice()), [THERAPY])
    played = simulate(Simulation(), HERE, openings, Reciting(), roles, None)
    write_rows(tmp_path / "transcripts.jsonl", played)
    return list(read_rows(tmp_path / "transcripts.jsonl", Transcript))


def test_the_same_judges_say_the_same_again(saved: list[Transcript]) -> None:
    raters = {"first": Rater(), "outside": Rater(role="third"), "veto": Rater(role="veto")}
    found = rate_again(saved, build_judges(raters, [THERAPY]), HERE)
    assert [one.transcript for one in found] == saved
    for one in found:
        turns = one.transcript.turns
        assert list(one.verdicts["first"]) == [t.rating for t in turns]
        assert list(one.verdicts["outside"]) == [t.third for t in turns]
        assert len(one.verdicts["veto"]) == len(turns)


def test_first_and_third_person_differ_where_feedback_can_be_gamed(saved: list[Transcript]) -> None:
    judges = build_judges({"outside": Rater(role="third")}, [THERAPY])
    found = rate_again(saved, judges, HERE)
    apart = {
        one.transcript.opening.kind
        for one in found
        for turn, new in zip(one.transcript.turns, one.verdicts["outside"], strict=True)
        if turn.rating and turn.rating.value != pytest.approx(new.value)
    }
    assert apart == {"gameable"}


def test_another_rater_rates_all_turns_at_once_and_failures_stay_its_own(
    saved: list[Transcript], chat_server: Any
) -> None:
    chat_server.says = lambda body: places({"3": 1.0})
    chat_server.faults = [(500, {}, "broken")]
    voice = Voice(by="openai:m", base_url=chat_server.url,
                  options={"concurrency": 1, "retries": 0})  # fmt: skip
    found = rate_again(saved, build_judges({"model": Rater(voice=voice)}, [THERAPY]), HERE)
    verdicts = [v for one in found for v in one.verdicts["model"]]
    assert len(verdicts) == sum(len(t.turns) for t in saved)
    assert verdicts[0].error == "openai:m: 500 broken (tried 1 times)"
    assert {v.value for v in verdicts[1:]} == {3.0}
    assert all(t.rating and not t.rating.error for one in found for t in one.transcript.turns)
    tables = rated_again(saved, [one.verdicts["model"] for one in found], "model")
    assert list(tables) == ["again=model:therapy"]


def test_what_was_rated_can_be_written_and_read(saved: list[Transcript], tmp_path: Path) -> None:
    found = rate_again(saved, build_judges({"first": Rater()}, [THERAPY]), HERE)
    write_rows(tmp_path / "again.jsonl", found)
    assert list(read_rows(tmp_path / "again.jsonl", RatedAgain)) == found


def test_what_cannot_be_rated_is_named(saved: list[Transcript]) -> None:
    judges = build_judges({"first": Rater()}, [THERAPY])
    with pytest.raises(InputError, match="environment 'therapy' is none of those"):
        rate_again(saved, judges, {"booking": THERAPY})
    with pytest.raises(InputError, match="needs to know the user's kind"):
        rate_again([t.blind() for t in saved], judges, HERE)
    with pytest.raises(ConfigError, match=r"again\.x\.role: 'vito' is none of rater, third, veto"):
        build_judges({"x": Rater(role="vito")}, [THERAPY])
    assert rate_again([], judges, HERE) == []
