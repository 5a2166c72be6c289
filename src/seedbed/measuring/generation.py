"""Answers that a subject writes, read by the one parser from what it wrote and nothing else.

Greedy, so that asking again gives the same; a reply without a number stays one.
"""

from collections.abc import Sequence

from seedbed.core.rows import Question, Row
from seedbed.measuring.parsing import Outcome, parse_number, parse_reply
from seedbed.models.decoding import Continuation, End, continue_prompts, stop_ids
from seedbed.models.subject import Subject
from seedbed.models.tokens import encode_choices, encode_prompts

__all__ = ["Written", "parse_number", "read", "room", "write_answers", "written"]


class Written(Row):
    """What was written after one question's prompt.

    `number` is None unless `outcome` is "number"; `end` says whether a stop token, the end of
    the line or the limit of tokens ended it.
    """

    id: str
    text: str
    number: int | None
    outcome: Outcome
    end: End
    tokens: int


def write_answers(
    subject: Subject, questions: Sequence[Question], most: int = 16, line: bool = True
) -> list[Written]:
    """The likeliest reply of up to `most` tokens to every prompt, as it stands.

    Instruct models want `models.templates.templated` questions. `line` ends a reply at the end
    of its first line that is not blank. Raises InputError for an unknown token and for a prompt
    that leaves no room in the context.
    """
    found = written(subject, questions, most, line)
    return [
        read(question.id, said.text, said.end, len(said.ids))
        for question, said in zip(questions, found, strict=True)
    ]


def written(
    subject: Subject, questions: Sequence[Question], most: int, line: bool = True
) -> list[Continuation]:
    """What `write_answers` reads, as it was written; raises the same errors."""
    prompts = encode_prompts(subject.tokenizer, [q.prompt for q in questions])
    return continue_prompts(subject, prompts, most, line=line)


def room(subject: Subject, questions: Sequence[Question], most: int) -> int:
    """Tokens that a subject may write: `most`, or those of the longest choice without an end."""
    if stop_ids(subject):
        return most
    pairs = [(q.prompt, c) for q in questions for c in q.choices]
    coded = encode_choices(subject.tokenizer, pairs, subject.context)
    return min(most, max(len(choice) for _, choice in coded))


def read(key: str, text: str, end: End = "stop", tokens: int = 0) -> Written:
    """One reply, parsed."""
    parsed = parse_reply(text)
    return Written(id=key, text=text, number=parsed.number, outcome=parsed.outcome, end=end,
                   tokens=tokens)  # fmt: skip
