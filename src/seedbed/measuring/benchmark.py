"""Several subjects asked the same questions, each one's answers kept as soon as it has given them.

Running again asks only what is missing or has changed: questions, subject, manner of asking.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seedbed.core.config import digest
from seedbed.core.errors import InputError
from seedbed.core.files import digest_of_files, read_json, read_rows, write_json, write_rows
from seedbed.core.rows import Question
from seedbed.measuring.numbers import FAILED, ask_chat, ask_subject, read_again
from seedbed.models.chat import chat_model
from seedbed.models.fetch import place_of
from seedbed.models.folders import load_subject
from seedbed.models.templates import has_template
from seedbed.scoring.benchmark import Benchmark, benchmark, subject_numbers
from seedbed.scoring.numbers import NumberAnswer, as_asked

SERVERS = ("openai", "anthropic", "scripted")
PLAIN = "plain:"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Manner:
    """How subjects are asked: `tokens` at most in a written answer, `batch` prompts at once.

    `template` False asks every local subject without its chat template. `base_url` is the
    server of `openai:` subjects.
    """

    tokens: int = 24
    batch: int = 16
    template: bool = True
    base_url: str | None = None


@dataclass(frozen=True)
class _Told:
    """What asking gave: answers, what is recorded beside them, and whether they are final."""

    answers: list[NumberAnswer]
    record: dict[str, Any]
    final: bool = True


def run_benchmark(
    source: str,
    questions: Sequence[Question],
    subjects: Mapping[str, str],
    out: Path,
    manner: Manner = Manner(),
    made: Mapping[str, str] | None = None,
    say: Say = lambda text: None,
) -> Benchmark:
    """Ask `subjects` (name → place) and mark them; writes `out`/subjects/ and benchmark.json.

    A place is a subject folder, a model folder, a fetchable name or hub id, `plain:` and one of
    these (without its chat template), or a chat model such as `openai:NAME`. Raises InputError
    for questions that are no numbers and for a subject that cannot be asked.
    """
    asked = [as_asked(q) for q in questions]
    key = digest([q.model_dump(mode="json") for q in questions])
    found = []
    for i, (name, place) in enumerate(subjects.items(), start=1):
        say(f"{name} ({i} of {len(subjects)}): {len(asked)} questions")
        server = place.partition(":")[0] in SERVERS
        identity, ask = (_served if server else _local)(place, questions, out / "cache", manner)
        folder = out / "subjects" / f"{_slug(name)}-{digest(name)[:6]}"
        wanted = digest({"questions": key, "tokens": manner.tokens, "subject": identity})
        answers, record = _kept(folder, wanted, ask)
        found.append(subject_numbers(name, asked, answers, most=manner.tokens, **record))
    result = benchmark(source, key, questions, found, dict(made or {}))
    write_json(out / "benchmark.json", result.model_dump(mode="json"))
    return result


def _local(
    place: str, questions: Sequence[Question], _: Path, manner: Manner
) -> tuple[dict[str, Any], Callable[[], _Told]]:
    plain = place.startswith(PLAIN) or not manner.template
    folder = place_of(place.removeprefix(PLAIN).removeprefix("hf:"))
    weights = digest_of_files(sorted(folder.rglob("*.safetensors")))

    def ask() -> _Told:
        subject = replace(load_subject(folder), batch=manner.batch)
        template = not plain and has_template(subject.tokenizer)
        answers = ask_subject(subject, questions, template, manner.tokens)
        return _Told(answers, {"template": template})

    return {"weights": weights, "plain": plain}, ask


def _served(
    place: str, questions: Sequence[Question], cache: Path, manner: Manner
) -> tuple[dict[str, Any], Callable[[], _Told]]:
    url = manner.base_url if place.startswith("openai:") else None
    model = chat_model(place, url, cache)

    def ask() -> _Told:
        answers, dollars = ask_chat(model, questions, manner.tokens)
        failed = [a for a in answers if a.outcome == FAILED]
        if len(failed) == len(answers):
            raise InputError(f"{place}: every request failed: {failed[0].text}")
        # Failed requests are asked again next time.
        return _Told(answers, {"chat": True, "dollars": dollars}, final=not failed)

    return model.backend.identity, ask


def _kept(
    folder: Path, wanted: str, ask: Callable[[], _Told]
) -> tuple[list[NumberAnswer], dict[str, Any]]:
    """(answers, record) of a subject's folder, made first unless they are what is wanted."""
    path, rows = folder / "record.json", folder / "answers.jsonl"
    kept = read_json(path) if path.exists() else {}
    if kept.get("key") == wanted:
        return read_again(read_rows(rows, NumberAnswer)), kept["record"]
    start = time.monotonic()
    told = ask()
    record = {**told.record, "seconds": time.monotonic() - start}
    # Interrupted between the two, the old record must not vouch for the new rows.
    path.unlink(missing_ok=True)
    write_rows(rows, told.answers)
    write_json(path, {"key": wanted if told.final else "", "record": record})
    return told.answers, record


def _slug(name: str) -> str:
    kept = "".join(c if c.isalnum() or c in "._-" else "-" for c in name)
    return kept.strip("-.")[-60:]
