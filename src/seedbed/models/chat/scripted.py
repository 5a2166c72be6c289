"""A chat model that reads its replies from a file: for tests, demonstrations and dry runs.

It costs nothing, needs no network and says the same at every run.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from seedbed.core.chat import Reply, Request
from seedbed.core.config import digest, first_problem
from seedbed.core.errors import DataError, InputError
from seedbed.core.files import read_objects
from seedbed.core.rows import Row


class Line(Row):
    """One scripted reply: text, or any JSON value, which is written out.

    With `when`, it answers every request whose messages contain that text (the first such line
    of the file); without, it answers the next request that no such line answers, once.
    """

    reply: Any = ""
    when: str = Field(default="", description="text that the messages must contain")
    error: str = ""

    @property
    def text(self) -> str:
        """The reply as text."""
        if isinstance(self.reply, str):
            return self.reply
        return json.dumps(self.reply, ensure_ascii=False)


class Scripted:
    """Replies by content first, then in order; a request that nothing answers gets an error."""

    def __init__(self, lines: Sequence[Line], name: str = "script") -> None:
        self.lines = list(lines)
        self.waiting = [line for line in lines if not line.when]
        self.name = f"scripted:{name}"
        self.identity = {
            "name": self.name, "lines": digest([line.model_dump() for line in lines])
        }  # fmt: skip

    @classmethod
    def read(cls, path: Path) -> "Scripted":
        """Read a script; raises DataError naming the line that is unfit."""
        lines = []
        for number, value in read_objects(path):
            try:
                lines.append(Line.model_validate(value))
            except ValidationError as error:
                raise DataError(path, number, first_problem(error, Line)) from error
        if not lines:
            raise InputError(f"{path}: holds no replies")
        return cls(lines, path.name)

    def replies(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        """One reply for each request, in order; token counts are counts of words."""
        for i, request in enumerate(requests):
            words = "\n".join(m.content for m in request.messages)
            line = next((x for x in self.lines if x.when and x.when in words), None)
            if line is None and self.waiting:
                line = self.waiting.pop(0)
            if line is None:
                yield i, Reply(error="the script has no reply left for this request")
                continue
            yield (
                i,
                Reply(
                    text="" if line.error else line.text,
                    error=line.error,
                    prompt_tokens=len(words.split()),
                    completion_tokens=len(line.text.split()),
                    dollars=0.0,
                ),
            )
