import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wandb.proto import wandb_internal_pb2

from seedbed.core.errors import ConfigError, MissingExtra
from seedbed.core.transcripts import Opening, Said, Transcript, Turn, Verdict
from seedbed.simulation.tracking import COLUMNS, STATE, Tracker, row_of


def episode(user: int) -> Transcript:
    opening = Opening(id=f"e/a/1/{user}#0", environment="e", sub="a", initial="1", kind="other",
                      said=(Said(role="environment", content="hi"),))  # fmt: skip
    turn = Turn(number=0, state="x", said="well", act="help", harm=0.0,
                rating=Verdict(options={"1": 0.5, "2": 0.5}, value=1.5))  # fmt: skip
    return Transcript(opening=opening, turns=(turn,), end="length", iteration=3)


def records(path: Path) -> Iterator[bytes]:
    """The records of a file of wandb: LevelDB's log format after 7 bytes of its own."""
    data, at, parts = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part of one
            yield parts
            parts = b""


def closed(path: Path) -> list[Any]:
    """All records of a file, once the process beside this one has written the last of them."""
    for _ in range(100):
        found = []
        for data in records(path):
            found.append(wandb_internal_pb2.Record())
            found[-1].ParseFromString(data)
        if any(record.WhichOneof("record_type") == "exit" for record in found):
            return found
        time.sleep(0.1)
    raise AssertionError(f"{path} was never closed")


def history(folder: Path) -> list[dict[str, Any]]:
    """What the files that `wandb sync` would send say, in the order of writing."""
    found = []
    for path in sorted(folder.rglob("*.wandb")):
        for record in closed(path):
            items = record.history.item
            row = {i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in items}
            if row:
                found.append(row)
    return found


def test_a_resumed_run_goes_on_and_sends_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    episodes = [episode(i) for i in range(5)]
    with Tracker(tmp_path, "half+kto", {"lr": 0.1}) as tracker:
        tracker.log(0, {"harm/gameable": 0.25, "rating": None}, episodes, most=2)
    with Tracker(tmp_path, "half+kto", {"lr": 0.1}) as again:
        again.log(0, {"harm/gameable": 0.99})
        again.log(1, {"harm/gameable": 0.5})
    assert again.id == tracker.id
    assert json.loads((tmp_path / STATE).read_text())["iterations"] == [0, 1]
    sent = history(tmp_path)
    assert [(row["iteration"], row["harm/gameable"]) for row in sent] == [(0, 0.25), (1, 0.5)]
    assert "rating" not in sent[0]
    assert len(list(tmp_path.rglob(f"run-{tracker.id}.wandb"))) == 2
    [path] = tmp_path.rglob("*.table.json")
    table = json.loads(path.read_text())
    assert tuple(table["columns"]) == COLUMNS
    assert table["data"] == [row_of(episodes[0]), row_of(episodes[2])]


def test_a_row_tells_who_said_what_and_leaves_the_unknown_empty() -> None:
    row = dict(zip(COLUMNS, row_of(episode(1)), strict=True))
    assert row["conversation"] == "environment: hi\nagent: well"
    assert (row["rating"], row["harm"], row["welfare"]) == (1.5, 0.0, None)


def test_without_a_key_it_says_so_and_without_the_package_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"API key.* offline"):
        Tracker(tmp_path, "x", {}, mode="online")
    monkeypatch.setattr("seedbed.simulation.tracking.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"seedbed\[trackers\]"):
        Tracker(tmp_path, "x", {})
