"""Safety data: conversations that show what is wanted, mixed into what an agent is trained on.

They come as documents in canonical markup, from a world or from a JSONL file of the user's own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from seedbed.core.chat import Message
from seedbed.core.config import Config, first_problem
from seedbed.core.conversation import is_markup, markup, own_turns
from seedbed.core.errors import DataError, InputError
from seedbed.core.files import read_objects
from seedbed.core.rows import Document, Row
from seedbed.core.seeds import stream
from seedbed.models.conversations import relaid_document
from seedbed.training.samples import LABEL

SAFETY = "safety"


class Safety(Config):
    """How much of what is trained on is safety data: a share of all documents.

    Without a `file` it is what the caller hands over.
    """

    share: float = Field(default=0.0, ge=0, lt=1)
    file: str = ""

    def count(self, others: int) -> int:
        """How many documents beside `others` make up the share."""
        return round(self.share / (1 - self.share) * others)


class _Line(Row):
    id: str = ""
    messages: tuple[Message, ...] = Field(min_length=2)
    label: bool = True


def read_safety(path: Path) -> list[Document]:
    """Conversations of a JSONL file: `messages` [{role, content}], optionally `id` and `label`.

    `label` false marks a reply that is not wanted, which KTO alone can use. Raises DataError
    with the line.
    """
    from pydantic import ValidationError

    found = []
    for number, value in read_objects(path):
        try:
            line = _Line.model_validate(value)
            if line.messages[-1].role != "assistant":
                raise DataError(path, number, "messages: the last one must be the assistant's")
            text = markup(line.messages)
        except ValidationError as error:
            raise DataError(path, number, first_problem(error, _Line)) from error
        except ValueError as error:
            raise DataError(path, number, str(error)) from error
        found.append(
            Document(
                id=line.id or f"{path.stem}:{number}",
                text=text,
                targets=own_turns(text)[-1:],
                marks={LABEL: float(line.label)},
            )
        )
    return found


def drawn_safety(
    tokenizer: Any,
    documents: Sequence[Document],
    count: int,
    seed: int,
    method: str,
    iteration: int = 0,
) -> list[Document]:
    """`count` safety documents in the tokenizer's layout, each drawn as often as any other.

    Under a method other than "kto" those with the label 0 are left out. Raises InputError where
    there is none, or one is no conversation.
    """
    fit = [d for d in documents if method == "kto" or d.marks.get(LABEL, 1.0)]
    if count and not fit:
        raise InputError("safety: there is no safety data to mix in; give a file or documents")
    rng = stream(seed, SAFETY)
    found: list[Document] = []
    while len(found) < count:
        round_ = len(found) // len(fit)
        order = rng.sample(range(len(fit)), k=min(len(fit), count - len(found)))
        found += [_as_sample(tokenizer, fit[i], f"{iteration}:", round_) for i in order]
    return found


def _as_sample(tokenizer: Any, document: Document, prefix: str, again: int) -> Document:
    if not is_markup(document.text):
        raise InputError(f"safety: document {document.id!r} is no conversation in markup")
    spans = own_turns(document.text)
    if not spans:
        raise InputError(f"safety: document {document.id!r} has no reply of the assistant")
    targets = document.targets or spans[-1:]
    whole = document.model_copy(update={"targets": targets})
    laid = relaid_document(tokenizer, whole)
    label = document.marks.get(LABEL, 1.0)
    name = f"{prefix}{SAFETY}:{document.id}" + (f"~{again}" if again else "")
    return laid.model_copy(
        update={"id": name, "role": SAFETY, "weight": 1.0, "marks": {**laid.marks, LABEL: label}}
    )
