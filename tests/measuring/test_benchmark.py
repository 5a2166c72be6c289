"""A benchmark run: what is kept is not asked again, what has changed is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seedbed.core.errors import ConfigError, InputError
from seedbed.core.files import read_json
from seedbed.core.rows import Question
from seedbed.measuring import benchmark as module
from seedbed.measuring.benchmark import Manner, run_benchmark
from seedbed.models.folders import load_subject, save_subject
from seedbed.models.tiny import Tiny
from seedbed.scoring.benchmark import Benchmark

QUESTIONS = [
    Question(id=f"q{i}", prompt=f"c{i % 2} : {' '.join('ab'[: 1 + i % 2])} =", answer=f" {i % 3}",
             choices=(" 0", " 1", " 2"), cause=f"c{i}", slices={"category": f"c{i % 2}"})
    for i in range(12)
]  # fmt: skip
MANNER = Manner(tokens=3, batch=4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved subject."""
    text = ["c0 c1 : a b = 0 1 2", "user said"]
    subject = Tiny(layers=1, width=16, heads=2, context=32).build(text, [], 0)
    save_subject(subject, tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every place that a subject was loaded from."""
    seen: list[Any] = []
    real: Callable[..., Any] = load_subject

    def load(place: Path) -> Any:
        seen.append(place)
        return real(place)

    monkeypatch.setattr(module, "load_subject", load)
    return seen


def run(out: Path, subjects: dict[str, str], **changes: Any) -> Benchmark:
    return run_benchmark("here", changes.pop("questions", QUESTIONS), subjects, out,
                         changes.pop("manner", MANNER), **changes)  # fmt: skip


def test_what_was_answered_is_not_asked_again(
    folder: Path, tmp_path: Path, loads: list[Any]
) -> None:
    out = tmp_path / "out"
    first = run(out, {"one": str(folder)})
    saved = (out / "benchmark.json").read_bytes()
    again = run(out, {"one": str(folder), "two": str(folder)})
    assert len(loads) == 2
    assert again.subjects[0] == first.subjects[0]
    assert run(out, {"one": str(folder)}) == first
    assert (out / "benchmark.json").read_bytes() == saved
    assert Benchmark.model_validate(read_json(out / "benchmark.json")) == first
    rows = [json.loads(x) for x in next(out.rglob("answers.jsonl")).read_text().splitlines()]
    assert [r["id"] for r in rows] == [q.id for q in QUESTIONS]


def test_kept_replies_are_read_by_the_rules_of_today(
    folder: Path, tmp_path: Path, loads: list[Any]
) -> None:
    out = tmp_path / "out"
    run(out, {"one": str(folder)})
    path = next(out.rglob("answers.jsonl"))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0] |= {"text": "There are 7.", "number": 1, "outcome": "number"}
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    replies = run(out, {"one": str(folder)}).subjects[0].replies
    assert len(loads) == 1
    assert [r.number for r in replies if r.text == "There are 7."] == [7]


def test_an_interrupted_subject_is_asked_again(
    folder: Path, tmp_path: Path, loads: list[Any]
) -> None:
    out = tmp_path / "out"
    first = run(out, {"one": str(folder)})
    next(out.rglob("record.json")).unlink()
    again = run(out, {"one": str(folder)})
    assert len(loads) == 2
    assert again.subjects[0].marks == first.subjects[0].marks


@pytest.mark.parametrize(
    "change",
    [
        {"questions": QUESTIONS[:11]},
        {"manner": Manner(tokens=2, batch=4)},
        {"manner": Manner(tokens=3, batch=4, template=False)},
    ],
)
def test_whatever_changes_is_asked_again(
    folder: Path, tmp_path: Path, loads: list[Any], change: dict[str, Any]
) -> None:
    run(tmp_path / "out", {"one": str(folder)})
    run(tmp_path / "out", {"one": str(folder)}, **change)
    assert len(loads) == 2


def test_batches_are_no_change(folder: Path, tmp_path: Path, loads: list[Any]) -> None:
    first = run(tmp_path / "a", {"one": str(folder)})
    second = run(tmp_path / "b", {"one": str(folder)}, manner=Manner(tokens=3, batch=16))
    for a, b in zip(first.subjects[0].ways, second.subjects[0].ways, strict=True):
        assert a == b


def test_retrained_weights_are_asked_again(folder: Path, tmp_path: Path, loads: list[Any]) -> None:
    run(tmp_path / "out", {"one": str(folder)})
    other = Tiny(layers=1, width=16, heads=2, context=32).build(
        ["c0 c1 : a b = 0 1 2", "user said"], [], 1
    )
    save_subject(other, folder)
    run(tmp_path / "out", {"one": str(folder)})
    assert len(loads) == 2


def test_the_template_is_used_where_there_is_one_unless_plain(folder: Path, tmp_path: Path) -> None:
    path = next(folder.rglob("tokenizer_config.json"))
    config = read_json(path)
    config["chat_template"] = "{% for m in messages %}user said {{ m['content'] }}{% endfor %}"
    path.write_text(json.dumps(config))
    found = run(tmp_path / "out", {"with": str(folder), "without": f"plain:{folder}"})
    assert [s.template for s in found.subjects] == [True, False]
    assert found.subjects[0].mark("expected") != found.subjects[1].mark("expected")
    never = run(tmp_path / "never", {"with": str(folder)}, manner=Manner(tokens=3, template=False))
    assert never.subjects[0].mark("expected") == found.subjects[1].mark("expected")


def test_a_server_s_failed_requests_are_asked_again(chat_server: Any, tmp_path: Path) -> None:
    chat_server.says = lambda body: "2"
    chat_server.faults = [(400, {}, "no")]
    manner = Manner(tokens=3, base_url=chat_server.url)
    # Two places share each prompt, so requests with equal prompts are asked once.
    prompts = len({q.prompt for q in QUESTIONS})
    first = run(tmp_path / "out", {"m": "openai:m"}, manner=manner)
    assert any(r.outcome == "error" for r in first.subjects[0].replies)
    again = run(tmp_path / "out", {"m": "openai:m"}, manner=manner)
    assert all(r.outcome == "number" for r in again.subjects[0].replies)
    assert len(chat_server.seen) == prompts + 1
    run(tmp_path / "out", {"m": "openai:m"}, manner=manner)
    assert len(chat_server.seen) == prompts + 1
    assert again.subjects[0].chat
    marks = again.subjects[0].mark("written")
    assert marks is not None
    assert marks.accuracy.value == pytest.approx(1 / 3)


def test_the_key_stands_in_no_file(
    chat_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hidden-987654")
    chat_server.faults = [(400, {}, "you sent sk-hidden-987654")]
    run(tmp_path / "out", {"m": "openai:m"}, manner=Manner(base_url=chat_server.url))
    assert chat_server.seen[0][1]["Authorization"] == "Bearer sk-hidden-987654"
    files = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert len(files) > 3
    assert not [p for p in files if b"sk-hidden" in p.read_bytes()]


def test_a_server_that_fails_throughout_is_an_error(chat_server: Any, tmp_path: Path) -> None:
    chat_server.faults = [(400, {}, "context too short")] * 99
    with pytest.raises(InputError, match="openai:m: every request failed: 400 context too short"):
        run(tmp_path / "out", {"m": "openai:m"}, manner=Manner(base_url=chat_server.url))


def test_what_cannot_be_asked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InputError, match="no such folder"):
        run(tmp_path / "out", {"m": str(tmp_path / "nowhere")})
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        run(tmp_path / "out", {"m": "openai:m"})
    words = [QUESTIONS[0].model_copy(update={"answer": "a", "choices": ("a", "b")})]
    with pytest.raises(InputError, match="question 'q0': its answer 'a' is no whole number"):
        run(tmp_path / "out", {"m": "nowhere"}, questions=words)
