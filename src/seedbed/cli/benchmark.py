"""`seedbed benchmark`: subjects on questions whose answers are numbers, compared on one page."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seedbed.cli.study import Sets

if TYPE_CHECKING:
    from seedbed.core.rows import Question
    from seedbed.scoring.benchmark import SubjectNumbers

SERVERS = ("openai", "anthropic", "scripted")


class Template(StrEnum):
    """Whether a subject's chat template is used."""

    auto = "auto"
    never = "never"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("benchmark")(benchmark_command)


def benchmark_command(
    questions: Annotated[
        str, typer.Argument(help="Questions (JSONL), a kind of world, or a study file.")
    ],
    subject: Annotated[
        list[str],
        typer.Option(
            help="A subject folder, a model folder, a hub id; plain:… without its chat template;"
            " openai:NAME, anthropic:NAME, scripted:FILE. LABEL=… names it. May be repeated."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for answers, benchmark.json and the page.")],
    chat: Annotated[
        Template, typer.Option(help="auto: with the chat template where there is one.")
    ] = Template.auto,
    limit: Annotated[int, typer.Option(min=0, help="Ask so many, drawn evenly; 0: all.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Prompts written after at once.")] = 16,
    tokens: Annotated[int, typer.Option(min=1, help="Most tokens of a written answer.")] = 24,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    base_url: Annotated[
        str | None, typer.Option(help="OpenAI-compatible server of openai: subjects.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of a world's questions and of --limit.")] = 0,
    sets: Sets = [],  # noqa: B006 (typer reads the default, nothing changes it)
) -> None:
    """Ask subjects for numbers: accuracy, error, bias and correlation beside trivial answers.

    What a subject has answered is kept: the same command again asks only what is missing.
    """
    import time

    from rich.console import Console

    from seedbed.core.config import digest
    from seedbed.core.files import write_json
    from seedbed.report.benchmark import print_benchmark
    from seedbed.report.benchmark_page import write_page
    from seedbed.runs.record import locked, manifest, now
    from seedbed.scoring.benchmark import benchmark
    from seedbed.scoring.numbers import as_asked

    started, clock = now(), time.monotonic()
    asked = _questions(questions, seed, limit, sets)
    for question in asked:
        as_asked(question)  # refuses what is no number before any subject is loaded
    named = _named(subject)
    key = digest([q.model_dump(mode="json") for q in asked])
    console = Console(stderr=True)
    found = []
    with locked(out):
        for i, (name, spec) in enumerate(named.items(), start=1):
            console.print(
                f"{name} ({i} of {len(named)}): {len(asked)} questions", highlight=False,
                markup=False,
            )  # fmt: skip
            one = _Asking(name, spec, out, key, chat, batch, tokens, threads, base_url)
            found.append(one.result(asked))
        made = manifest(started, time.monotonic() - clock, threads=threads)
        flat = {k: str(made[k]) for k in ("seedbed", "command", "python", "platform", "cpu")}
        flat |= {"finished": made["finished"], **made["packages"]}
        result = benchmark(questions, key, asked, found, flat)
        write_json(out / "benchmark.json", result.model_dump(mode="json"))
        page = write_page(result, out)
    print_benchmark(result, Console())
    typer.echo(page)


def _questions(given: str, seed: int, limit: int, sets: list[str]) -> "list[Question]":
    """Held-out questions of a file or a world, at most `limit` of them in their order."""
    from seedbed.cli.steps import built
    from seedbed.core.errors import ConfigError, InputError
    from seedbed.core.foreign import read_questions
    from seedbed.core.seeds import stream
    from seedbed.worlds.base import WORLDS

    path = Path(given)
    if given.endswith((".yaml", ".yml")) or not (path.exists() or "/" in given or path.suffix):
        rows = built(WORLDS, "world", given, sets).questions(seed)
    elif sets:
        raise ConfigError(f"--set means nothing for {given}, which is no world")
    else:
        rows = read_questions(path)
    held_out = [q for q in rows if q.split != "train"]
    if not held_out:
        raise InputError(f"{given}: has no held-out question, all are of the split train")
    if limit and limit < len(held_out):
        keep = sorted(stream(seed, "benchmark", "limit").sample(range(len(held_out)), limit))
        held_out = [held_out[i] for i in keep]
    return held_out


def _named(given: list[str]) -> dict[str, str]:
    """Subjects by the name that the page shows. Raises ConfigError if two have the same."""
    from seedbed.core.errors import ConfigError

    named: dict[str, str] = {}
    for text in given:
        label, equals, spec = text.partition("=")
        if not equals or "/" in label or ":" in label:
            label, spec = text.removeprefix("hf:"), text
        if label in named:
            raise ConfigError(f"--subject {text}: {label!r} stands there twice; write LABEL={spec}")
        named[label] = spec
    return named


class _Asking:
    """One subject's questions: asked, kept in its folder, or read from there."""

    def __init__(
        self,
        name: str,
        spec: str,
        out: Path,
        questions: str,
        chat: Template,
        batch: int,
        tokens: int,
        threads: int,
        base_url: str | None,
    ) -> None:
        self.name, self.spec, self.questions = name, spec, questions
        self.chat, self.batch, self.tokens, self.threads = chat, batch, tokens, threads
        self.base_url, self.cache = base_url, out / "cache"
        slug = "".join(c if c.isalnum() or c in "._-" else "-" for c in name).strip("-.")
        from seedbed.core.config import digest

        self.folder = out / "subjects" / f"{slug[-60:]}-{digest(name)[:6]}"

    def result(self, asked: "list[Question]") -> "SubjectNumbers":
        """The subject's numbers; raises InputError if it cannot be asked."""
        server = self.spec.partition(":")[0] in SERVERS
        return self._served(asked) if server else self._local(asked)

    def _local(self, asked: "list[Question]") -> "SubjectNumbers":
        from dataclasses import replace

        from seedbed.core.files import digest_of_files
        from seedbed.measuring.numbers import ask_subject
        from seedbed.models.fetch import place_of
        from seedbed.models.folders import load_subject
        from seedbed.models.templates import has_template
        from seedbed.studies.stages import set_threads

        plain = self.spec.startswith("plain:") or self.chat is Template.never
        folder = place_of(self.spec.removeprefix("plain:").removeprefix("hf:"))
        weights = digest_of_files(sorted(folder.rglob("*.safetensors")))

        def ask() -> dict[str, Any]:
            set_threads(self.threads)
            subject = replace(load_subject(folder), batch=self.batch)
            template = not plain and has_template(subject.tokenizer)
            answers = ask_subject(subject, asked, template, self.tokens)
            return {"answers": answers, "template": template}

        return self._kept(asked, {"weights": weights, "plain": plain}, ask)

    def _served(self, asked: "list[Question]") -> "SubjectNumbers":
        from seedbed.core.errors import InputError
        from seedbed.measuring.numbers import ask_chat
        from seedbed.models.chat import chat_model

        url = self.base_url if self.spec.startswith("openai:") else None
        model = chat_model(self.spec, url, self.cache)

        def ask() -> dict[str, Any]:
            answers, dollars = ask_chat(model, asked, self.tokens)
            failed = [a for a in answers if a.outcome == "error"]
            if len(failed) == len(answers):
                raise InputError(f"{self.spec}: every request failed: {failed[0].text}")
            return {"answers": answers, "chat": True, "dollars": dollars, "again": bool(failed)}

        return self._kept(asked, model.backend.identity, ask)

    def _kept(
        self,
        asked: "list[Question]",
        identity: dict[str, Any],
        ask: Callable[[], dict[str, Any]],
    ) -> "SubjectNumbers":
        """What `ask` returns, as numbers; not called again while nothing has changed."""
        import time

        from seedbed.core.config import digest
        from seedbed.core.files import read_json, read_rows, write_json, write_rows
        from seedbed.scoring.benchmark import subject_numbers
        from seedbed.scoring.numbers import NumberAnswer, as_asked

        key = digest({"questions": self.questions, "tokens": self.tokens, "subject": identity})
        record, rows = self.folder / "record.json", self.folder / "answers.jsonl"
        kept = read_json(record) if record.exists() else {}
        if kept.get("key") == key:
            answers = read_rows(rows, NumberAnswer)
        else:
            clock = time.monotonic()
            told = ask()
            answers = told.pop("answers")
            # Failed requests are asked again next time, so what they leave is not final.
            final = not told.pop("again", False)
            kept = {"key": key if final else "", "name": self.name, **told,
                    "seconds": time.monotonic() - clock}  # fmt: skip
            write_rows(rows, answers)
            write_json(record, kept)
        more = {k: kept[k] for k in ("template", "chat", "dollars") if k in kept}
        return subject_numbers(
            self.name, [as_asked(q) for q in asked], answers, most=self.tokens,
            seconds=kept["seconds"], **more,
        )  # fmt: skip
