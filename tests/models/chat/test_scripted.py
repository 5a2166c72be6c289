"""Replies from a file."""

from pathlib import Path

import pytest

from seedbed.core.chat import Message, Request
from seedbed.core.errors import ConfigError, DataError
from seedbed.models.chat import chat_model


def asking(text: str) -> Request:
    return Request(messages=(Message(role="user", content=text),))


def script(folder: Path, *lines: str) -> str:
    path = folder / "script.jsonl"
    path.write_text("\n".join(lines))
    return f"scripted:{path}"


def test_content_first_then_order(tmp_path: Path) -> None:
    chat = chat_model(script(
        tmp_path,
        '{"reply": "one"}',
        '{"when": "fruit", "reply": {"words": ["äpfel"]}}',
        '{"reply": "two"}',
        '{"when": "fail", "error": "no"}',
    ))  # fmt: skip
    found = chat.ask([asking(t) for t in ("a", "fruit 1", "fail", "b", "fruit 2", "c")])
    assert [r.text for r in found] == [
        "one", '{"words": ["äpfel"]}', "", "two", '{"words": ["äpfel"]}', ""
    ]  # fmt: skip
    assert [r.error for r in found] == [
        "", "", "no", "", "", "the script has no reply left for this request"
    ]  # fmt: skip
    assert chat.name == "scripted:script.jsonl"


def test_another_script_is_another_key(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    old = chat_model(script(tmp_path, '{"reply": "one"}'), cache=cache)
    assert old.ask([asking("a")])[0].text == "one"
    new = chat_model(script(tmp_path, '{"reply": "two"}'), cache=cache)
    assert new.ask([asking("a")])[0].text == "two"


def test_unfit_scripts_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="jsonl:2: whom: unknown key"):
        chat_model(script(tmp_path, '{"reply": "x"}', '{"whom": "x"}'))
    with pytest.raises(DataError, match=r"did you mean .*script\.jsonl"):
        chat_model(f"scripted:{tmp_path / 'scrip.jsonl'}")
    with pytest.raises(ConfigError, match="unknown key"):
        chat_model(script(tmp_path, '{"reply": "x"}'), batch=3)
