import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inspect_ai.analysis import evals_df, samples_df
from inspect_ai.log import list_eval_logs, read_eval_log, read_eval_log_sample_summaries

from seedbed.core.errors import DataError, MissingExtra
from seedbed.core.transcripts import Opening, Said, ToolCall, Transcript, Turn, Verdict
from seedbed.simulation.inspecting import read_logs, write_logs
from seedbed.simulation.kept import Kept, Origin

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=130)
NAME = st.sampled_from(["calm", "praise", "book_seat", "x.y", "é ü"])
UNIT = st.floats(0, 1, allow_nan=False)
SAID = st.builds(Said, role=st.sampled_from(["system", "environment", "tool"]), content=TEXT)
VERDICT = st.one_of(
    st.builds(Verdict, options=st.dictionaries(NAME, UNIT, min_size=1), mass=UNIT,
              value=st.none() | st.floats(-9, 9)),
    st.builds(Verdict, mass=UNIT, error=st.just("no mass on any option")),
)  # fmt: skip
CALL = st.builds(
    ToolCall, tool=NAME, ok=st.booleans(), result=TEXT, fault=st.sampled_from(["", "timeout"]),
    arguments=st.dictionaries(NAME, st.integers(-5, 5) | TEXT | st.lists(st.booleans())),
)  # fmt: skip


def a_turn(number: int) -> st.SearchStrategy[Turn]:
    return st.builds(
        Turn, number=st.just(number), state=NAME, said=TEXT, act=NAME | st.just(""), unread=TEXT,
        claims=st.dictionaries(NAME, TEXT), calls=st.lists(CALL, max_size=2).map(tuple),
        moves=st.dictionaries(NAME, UNIT), moved=NAME | st.just(""), rating=st.none() | VERDICT,
        third=st.none() | VERDICT, flags=st.dictionaries(NAME, VERDICT), vetoed=st.booleans(),
        after=st.lists(SAID, max_size=3).map(tuple), welfare=st.none() | st.floats(-1, 1),
        harm=st.none() | UNIT,
    )  # fmt: skip


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    said = draw(st.lists(SAID.filter(lambda s: s.role != "tool"), min_size=1, max_size=2))
    attempt = draw(st.integers(0, 3))
    opening = Opening(
        id=f"therapy/a b/ü/{draw(st.integers(0, 9))}#{attempt}", environment="therapy", sub="a b",
        initial="ü", attempt=attempt, said=tuple(said), variables={"k": draw(TEXT)},
        shows=("cue=trusting",), kind=draw(st.sampled_from(["", "gameable", "other"])),
        seed=draw(st.integers(0, 2**63 - 1)),
    )  # fmt: skip
    turns = tuple(draw(a_turn(i)) for i in range(draw(st.integers(0, 2))))
    failed = draw(st.booleans())
    return Transcript(opening=opening, turns=turns, iteration=draw(st.integers(0, 20)),
                      end="failed" if failed else "length",
                      failure="the server sent no JSON" if failed else "")  # fmt: skip


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(one=transcripts(), form=st.sampled_from(["eval", "json"]))
def test_what_is_read_back_is_what_was_written(one: Transcript, form: Any, tmp_path: Path) -> None:
    kept = Kept(Origin("half", "kto", 1), one)
    [path] = write_logs([kept], tmp_path / form, AT, form)
    assert read_logs(path) == [kept]


def episode(user: int, kind: str, harm: float, attempt: int = 0, iteration: int = 0,
            environment: str = "booking") -> Transcript:  # fmt: skip
    opening = Opening(
        id=f"{environment}/rail/1/{user}#{attempt}", environment=environment, sub="rail",
        initial="1", attempt=attempt, kind=kind,
        said=(Said(role="system", content="be good"), Said(role="environment", content="a seat")),
    )  # fmt: skip
    turn = Turn(
        number=0, state="ask", said="all booked", act="lie" if harm else "tell", harm=harm,
        calls=(ToolCall(tool="book", arguments={"seats": 2}, ok=False, result="no seat left",
                        fault="sold out"),),
        rating=Verdict(options={"1": 0.25, "10": 0.75}, value=7.75), moves={"done": 1.0},
        moved="done", after=(Said(role="tool", content="no seat left"),
                             Said(role="environment", content="thanks")),
    )  # fmt: skip
    return Transcript(opening=opening, turns=(turn,), end="terminal", iteration=iteration)


def some() -> list[Kept]:
    origins = [Origin("half", "kto", 0), Origin("half", "random", 0)]
    return [
        Kept(origin, episode(user, "gameable" if user < 2 else "other", float(user < 2), attempt,
                             iteration, environment))
        for origin in origins for iteration in (0, 3) for environment in ("booking", "therapy")
        for user in range(4) for attempt in (0, 1)
    ]  # fmt: skip


# Inspect's reader of tables uses a keyword of pandas that is going away.
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_inspects_own_readers_load_every_log(tmp_path: Path) -> None:
    paths = write_logs(some(), tmp_path, AT)
    assert len(paths) == 8
    assert paths[0].name == "booking_half_kto_seed-0_iteration-000.eval"
    infos = list_eval_logs(tmp_path.as_posix())
    assert sorted(Path(i.name).name for i in infos) == sorted(p.name for p in paths)
    for info in infos:
        log = read_eval_log(info)
        assert log.status == "success"
        assert log.samples is not None
        assert len(log.samples) == len(read_eval_log_sample_summaries(info)) == 8
    assert sorted(read_logs(tmp_path), key=repr) == sorted(some(), key=repr)
    frame = samples_df(tmp_path.as_posix())
    assert len(frame) == 64
    assert set(frame["score_harm"]) == {0.0, 1.0}
    assert set(frame["metadata_kind"]) == {"gameable", "other"}
    assert set(evals_df(tmp_path.as_posix())["task_name"]) == {"users_booking", "users_therapy"}


def test_tools_and_verdicts_stand_in_events_and_metrics_by_kind(tmp_path: Path) -> None:
    path = write_logs(some()[:8], tmp_path, AT, tokens=lambda text: len(text.split()))[0]
    log = read_eval_log(path.as_posix(), resolve_attachments="full")
    assert log.samples is not None
    assert log.results is not None
    [sample] = [s for s in log.samples if s.id == "booking/rail/1/0" and s.epoch == 2]
    assert [m.role for m in sample.messages] == ["system", "user", "assistant", "tool", "user"]
    assert [e.event for e in sample.events if e.event != "score"] == [
        "span_begin", "model", "tool", "state", "info", "span_end"]  # fmt: skip
    [tool] = [e for e in sample.events if e.event == "tool"]
    assert tool.error is not None
    assert (tool.function, tool.arguments, tool.error.message) == ("book", {"seats": 2}, "sold out")
    [usage] = sample.model_usage.values()
    assert (usage.input_tokens, usage.output_tokens) == (4, 2)
    [harm] = [s for s in log.results.scores if s.name == "harm"]
    shown = {name: metric.value for name, metric in harm.metrics.items()}
    # Four users, two attempts each alike: the error of a mean over four, not over eight.
    assert shown == pytest.approx(
        {"mean": 0.5, "stderr": (1 / 12) ** 0.5, "gameable mean": 1, "gameable stderr": 0,
         "other mean": 0, "other stderr": 0})  # fmt: skip


def test_equal_transcripts_at_one_time_give_equal_bytes(tmp_path: Path) -> None:
    first, again = (write_logs(some(), tmp_path / name, AT, "json") for name in "ab")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]


def test_a_log_of_something_else_is_refused(tmp_path: Path) -> None:
    from inspect_ai.log import write_eval_log

    [path] = write_logs(some()[:1], tmp_path, AT)
    log = read_eval_log(path.as_posix())
    log.eval.metadata = None
    write_eval_log(log, path.as_posix())
    with pytest.raises(DataError, match="is no log of seedbed's transcripts"):
        read_logs(path)


def test_without_inspect_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seedbed.simulation.inspecting.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"seedbed\[inspect\]"):
        write_logs(some(), tmp_path)


def test_the_module_alone_loads_neither_inspect_nor_torch() -> None:
    code = ("import sys, seedbed.simulation.inspecting; "
            "sys.exit(any(m in sys.modules for m in ('inspect_ai', 'torch')))")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
