"""Accuracy by generation: worked examples, an item, and the letter that the subject then writes.

Interventions may be in place while it writes. What gives no letter is an outcome of its own.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import Field

from seedbed.core.config import Config
from seedbed.core.errors import InputError
from seedbed.core.items import HEADS, Item, Manner, few_shot
from seedbed.core.rows import Row
from seedbed.core.seeds import stream
from seedbed.measuring.parsing import ChoiceOutcome, Chosen, parse_choice
from seedbed.models.decoding import End, Ids, alike, continue_prompts
from seedbed.models.hooks import Edit, edited
from seedbed.models.subject import Subject
from seedbed.models.tokens import encode_prompts

Edits = Sequence[Edit] | Callable[[Sequence[int], Sequence[Ids]], Sequence[Edit]]
"""Edits for every batch, or what makes a batch's from the places of its items in the order asked
and their prompts' ids (row i of the batch is prompt i)."""

_SAID = re.compile(r"\banswer\b", re.IGNORECASE)
_ALONE = re.compile(r"\s*(?:\([A-Z]\)|[A-Z](?:[.:)]|[ \t]*$))", re.MULTILINE)


class Writing(Config):
    """How items are put: `shots` worked examples of their category, `thought` shows their chain
    of thought; the answer has at most `tokens` tokens and ends with a letter, with the text of
    an option, or (`open`, where no options are shown) with what may be the text of one.

    The defaults are those of MMLU-Pro (arXiv 2406.01574, 5 shots) with the 200 tokens that the
    study of reasoning directions used.
    """

    shots: int = Field(default=5, ge=0)
    thought: bool = True
    answer: Manner = "letters"
    tokens: int = Field(default=200, ge=1)


class WrittenChoice(Row):
    """What was written to one item.

    `letter`, that of the option that was named, is "" unless `outcome` is "choice"; `correct`
    says only whether it is the right one. `shots` examples stood before the item: fewer than
    asked for where the category or the context has no more. `end` as in `models.decoding`;
    `tokens` were written.
    """

    id: str
    kind: str
    category: str
    text: str
    letter: str
    outcome: ChoiceOutcome
    correct: bool
    shots: int
    end: End
    tokens: int


@dataclass(frozen=True)
class Prompted:
    """An item's prompt, its ids, and how many worked examples stand in it."""

    text: str
    ids: Ids
    shots: int


def prompts_of(
    subject: Subject, items: Sequence[Item], examples: Sequence[Item], config: Writing, seed: int
) -> list[Prompted]:
    """The prompt of each item behind examples of its own category, in an order of the seed.

    No example asks what the item asks. As many are left out, from the last, as the context
    needs. Raises InputError where `thought` is wanted and no example of a category has any, and
    for an item that does not fit by itself.
    """
    pools = {c: _pool(examples, c, config, seed) for c in dict.fromkeys(i.category for i in items)}
    room = subject.context - config.tokens
    found: list[Prompted] = []
    for item in items:
        chosen = [e for e in pools[item.category] if e.asks != item.asks and e.id != item.id]
        found.append(_fitting(subject, item, chosen[: config.shots], config, room))
    return found


def _pool(examples: Sequence[Item], category: str, config: Writing, seed: int) -> list[Item]:
    mine = [e for e in examples if e.category == category]
    if not config.shots:
        return []
    kept = [e for e in mine if e.cot] if config.thought else mine
    if mine and not kept:
        raise InputError(
            f"category {category!r}: none of its {len(mine)} examples has a chain of thought;"
            " set thought: false"
        )
    stream(seed, "written", category).shuffle(kept)
    return kept


def _fitting(
    subject: Subject, item: Item, chosen: Sequence[Item], config: Writing, room: int
) -> Prompted:
    for shots in range(len(chosen), -1, -1):
        text = few_shot(item, chosen[:shots], config.thought, config.answer)
        ids = encode_prompts(subject.tokenizer, [text])[0]
        if len(ids) <= room:
            return Prompted(text, ids, shots)
    raise InputError(
        f"item {item.id!r}: {len(ids)} tokens without examples, and the model's context of"
        f" {subject.context} has room for {max(room, 0)} before the answer"
    )


def write_choices(
    subject: Subject,
    items: Sequence[Item],
    kinds: Sequence[str],
    examples: Sequence[Item],
    config: Writing,
    edits: Edits = (),
    seed: int = 0,
) -> list[WrittenChoice]:
    """The greedy answer to each item, whose class `kinds` names, with `edits` in place.

    Every batch begins its own `edited` block, so that pass 0 is its prompts and pass k the k-th
    written token. Raises InputError as `prompts_of` and `edited` do.
    """
    prompted = prompts_of(subject, items, examples, config, seed)
    ids = [p.ids for p in prompted]
    until = _as_written(subject, f"\n{HEADS[config.answer]}")
    subject.model.eval()
    rows: dict[int, WrittenChoice] = {}
    for index in alike(subject, ids):
        mine = [ids[i] for i in index]
        now = edits(index, mine) if callable(edits) else edits
        with edited(subject.model, now):
            said = continue_prompts(subject, mine, config.tokens, until=until)
        for i, one in zip(index, said, strict=True):
            item, read = items[i], read_answer(one.text, items[i], config)
            rows[i] = WrittenChoice(
                id=item.id,
                kind=kinds[i],
                category=item.category,
                text=one.text,
                letter=read.choice or "",
                outcome=read.outcome,
                correct=_right(read.choice, item),
                shots=prompted[i].shots,
                end=one.end,
                tokens=len(one.ids),
            )
    return [rows[i] for i in range(len(items))]


def _as_written(subject: Subject, text: str) -> str:
    """A text as the subject's tokenizer would write it: some keep no line breaks."""
    ids = subject.tokenizer(text, add_special_tokens=False)["input_ids"]
    said: str = subject.tokenizer.decode(ids)
    return said


def read_answer(text: str, item: Item, config: Writing) -> Chosen:
    """The letter of the option that a reply gives behind its last "answer" followed by one.

    A thought names options on its way, so only what follows "answer" counts there; without a
    thought a reply that begins with a letter and its sign, such as `B.` or `(B)`, is read too.
    """
    letters = config.answer == "letters"
    # Two options of the same text are one, the first.
    names = item.letters if letters else tuple(dict.fromkeys(item.options))
    starts = [match.start() for match in _SAID.finditer(text)]
    for start, end in reversed([*zip(starts, [*starts, len(text)][1:], strict=True)]):
        read = parse_choice(text[start:end], names)
        if read.outcome != "none":
            return read if letters else _lettered(read, item)
    if not text.strip():
        return Chosen(None, "empty")
    alone = None if config.thought or starts else _ALONE.match(text)
    return parse_choice(alone[0], item.letters) if alone else Chosen(None, "none")


def _lettered(read: Chosen, item: Item) -> Chosen:
    if read.choice is None:
        return read
    return Chosen(item.letters[item.options.index(read.choice)], read.outcome)


def _right(letter: str | None, item: Item) -> bool:
    """Whether a letter stands for the right option, or for another of the same text."""
    return letter is not None and item.options[item.letters.index(letter)] == item.answer
