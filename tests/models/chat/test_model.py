"""The cache: what was answered once is never asked again, and errors are."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.chat import Message, Reply, Request
from seedbed.core.errors import DataError
from seedbed.models.chat import chat_model


def asking(text: str, **changes: Any) -> Request:
    return Request(messages=(Message(role="user", content=text),), **changes)


def test_a_second_asking_is_answered_from_disk(chat_server: Any, tmp_path: Path) -> None:
    requests = [asking("a"), asking("b")]
    first = chat_model("openai:m", chat_server.url, tmp_path).ask(requests)
    again = chat_model("openai:m", chat_server.url, tmp_path).ask(requests)
    assert len(chat_server.seen) == 2
    assert [r.cached for r in first] == [False, False]
    assert again == [r.model_copy(update={"cached": True}) for r in first]


@pytest.mark.parametrize(
    "changed",
    [
        {"salt": "2"},
        {"temperature": 0.5},
        {"max_tokens": 9},
        {"form": {"type": "object"}},
        {"messages": (Message(role="system", content="a"),)},
    ],
)
def test_whatever_differs_is_asked_again(
    chat_server: Any, tmp_path: Path, changed: dict[str, Any]
) -> None:
    chat_server.says = lambda body: "{}"
    chat = chat_model("openai:m", chat_server.url, tmp_path)
    chat.ask([asking("a")])
    chat.ask([asking("a").model_copy(update=changed)])
    assert len(chat_server.seen) == 2


@pytest.mark.parametrize(("spec", "options"), [("openai:n", {}), ("openai:m", {"extra": {"k": 1}})])
def test_another_model_or_parameter_is_another_key(
    chat_server: Any, tmp_path: Path, spec: str, options: dict[str, Any]
) -> None:
    chat_model("openai:m", chat_server.url, tmp_path).ask([asking("a")])
    assert not chat_model(spec, chat_server.url, tmp_path, **options).ask([asking("a")])[0].cached


def test_equal_requests_are_asked_once(chat_server: Any) -> None:
    first, second = chat_model("openai:m", chat_server.url).ask([asking("a"), asking("a")])
    assert len(chat_server.seen) == 1
    assert second == first.model_copy(update={"cached": True})


def test_errors_are_not_kept(chat_server: Any, tmp_path: Path) -> None:
    chat_server.faults = [(500, {}, "no")]
    chat = chat_model("openai:m", chat_server.url, tmp_path, retries=0)
    assert chat.ask([asking("a")])[0].error
    assert not list(tmp_path.rglob("*.json"))
    assert chat.ask([asking("a")])[0].text == "you said a"


def test_a_damaged_file_is_named(chat_server: Any, tmp_path: Path) -> None:
    chat = chat_model("openai:m", chat_server.url, tmp_path)
    chat.ask([asking("a")])
    file = next(tmp_path.rglob("*.json"))
    value = json.loads(file.read_text())
    value["reply"]["text"] = 3
    file.write_text(json.dumps(value))
    with pytest.raises(DataError, match=f"{file.name}: no kept reply"):
        chat.ask([asking("a")])


SCRIPT = """
import sys
from pathlib import Path
from seedbed.core.chat import Message, Request
from seedbed.models.chat import chat_model
chat = chat_model("openai:m", sys.argv[1], Path(sys.argv[2]), concurrency=1)
chat.ask([Request(messages=(Message(role="user", content=str(i)),)) for i in range(200)])
"""


def test_a_killed_program_loses_no_reply(chat_server: Any, tmp_path: Path) -> None:
    chat_server.delay = 0.01
    running = subprocess.Popen([sys.executable, "-c", SCRIPT, chat_server.url, str(tmp_path)])
    while len(list(tmp_path.rglob("*.json"))) < 5:
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    kept = len(list(tmp_path.rglob("*.json")))
    assert 5 <= kept < 200
    chat_server.seen.clear()
    found = chat_model("openai:m", chat_server.url, tmp_path).ask(
        [asking(str(i)) for i in range(kept)]
    )
    assert len(chat_server.seen) == 0
    assert [r.text for r in found] == [f"you said {i}" for i in range(kept)]


def test_reply_fields_survive_the_disk(chat_server: Any, tmp_path: Path) -> None:
    chat = chat_model("openai:m", chat_server.url, tmp_path, prices=(1, 1))
    first = chat.ask([asking("ä\n")])[0]
    assert chat.ask([asking("ä\n")]) == [first.model_copy(update={"cached": True})]
    assert Reply.model_validate_json(first.model_dump_json()) == first
