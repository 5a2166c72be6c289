"""A chat model run on this machine: any subject that seedbed can load, with its chat template.

Nothing leaves the machine, and equal seeds give equal replies.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic import Field

from seedbed.core.chat import Message, Reply, Request
from seedbed.core.config import Config, digest
from seedbed.core.conversation import before_marks
from seedbed.core.errors import InputError
from seedbed.core.seeds import derive
from seedbed.models.chat.wire import messages
from seedbed.models.subject import Subject


class LocalOptions(Config):
    """`batch` conversations are answered at once; `seed` is that of all draws."""

    batch: int = Field(default=8, ge=1)
    seed: int = 0


class Local:
    """A model in memory, loaded when it is first asked. Forms are asked for in words only."""

    def __init__(self, path: str, options: LocalOptions, subject: Subject | None = None) -> None:
        self.path, self.options = path, options
        self._given = subject

    @property
    def name(self) -> str:
        """Backend and model."""
        return f"hf:{self.path}"

    @cached_property
    def identity(self) -> dict[str, Any]:
        """The model's weights by their files' digests, so that a retrained folder is another."""
        from seedbed.core.files import digest_of_files
        from seedbed.models.fetch import place_of

        known = {"name": self.name, "seed": self.options.seed}
        if self._given is not None:
            return known
        files = sorted(place_of(self.path).glob("*.safetensors"))
        return {**known, "weights": digest_of_files(files)}

    @cached_property
    def subject(self) -> Subject:
        """The loaded model. Raises InputError if it has no chat template."""
        from dataclasses import replace

        from seedbed.models.fetch import place_of
        from seedbed.models.folders import load_subject
        from seedbed.models.templates import has_template

        subject = self._given or load_subject(place_of(self.path))
        if not has_template(subject.tokenizer):
            raise InputError(f"{self.name}: has no chat template, so it cannot take messages")
        return replace(subject, batch=self.options.batch)

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """(index, reply), one batch after the other.

        A prompt that is too long, has unknown words or is refused by the template gets an error
        of its own. Where the layout is the project's markup, a reply ends before any mark.
        """
        prompts: dict[int, tuple[int, ...]] = {}
        for i, request in enumerate(requests):
            ids = self._prompt(request)
            if isinstance(ids, str):
                yield i, Reply(error=ids)
            else:
                prompts[i] = ids
        fit = list(prompts)
        # What is written together must agree on lengths and temperature.
        fit.sort(key=lambda i: (requests[i].temperature, requests[i].max_tokens, len(prompts[i])))
        while fit:
            first = requests[fit[0]]
            alike = (first.temperature, first.max_tokens)
            index = [i for i in fit[: self.options.batch]
                     if (requests[i].temperature, requests[i].max_tokens) == alike]  # fmt: skip
            fit = fit[len(index) :]
            yield from self._batch(index, requests, prompts)

    def _prompt(self, request: Request) -> tuple[int, ...] | str:
        """Token ids of a conversation, or why there are none."""
        from seedbed.models.conversations import prompt_of
        from seedbed.models.tokens import encode_prompts

        subject = self.subject
        asked = [Message.model_validate(m) for m in messages(request, plain=True)]
        try:
            [ids] = encode_prompts(subject.tokenizer, [prompt_of(subject.tokenizer, asked)])
        except (InputError, ValueError) as error:
            return str(error)
        if len(ids) + request.max_tokens > subject.context:
            why = f"{len(ids)} + {request.max_tokens} tokens, context {subject.context}"
            return f"too long: {why}"
        return ids

    def _batch(
        self,
        index: list[int],
        requests: Sequence[Request],
        prompts: Mapping[int, tuple[int, ...]],
    ) -> Iterator[tuple[int, Reply]]:
        from seedbed.models.conversations import is_canonical
        from seedbed.models.decoding import continue_prompts

        first = requests[index[0]]
        seeds = [derive(self.options.seed, "chat", digest(requests[i])) for i in index]
        written = continue_prompts(
            self.subject, [prompts[i] for i in index], first.max_tokens,
            temperature=first.temperature, seeds=seeds,
        )  # fmt: skip
        for i, said in zip(index, written, strict=True):
            counts = {"prompt_tokens": len(prompts[i]), "completion_tokens": len(said.ids)}
            text = before_marks(said.text) if is_canonical(self.subject.tokenizer) else said.text
            yield i, Reply(text=text, dollars=0.0, **counts)
