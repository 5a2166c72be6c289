"""Questions as token ids whose last position predicts the choices, each by one next token.

Places, which are spans of characters, become positions of tokens; places of a pair are
aligned token by token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seedbed.core.cells import LAST
from seedbed.core.errors import InputError
from seedbed.core.rows import Pair, Question
from seedbed.models.subject import Subject
from seedbed.models.tokens import encode_choices, joined


@dataclass(frozen=True)
class Asked:
    """A question as a model sees it: `ids` end where the next token tells the choices apart.

    `choices` are those next tokens, in the question's order. `places` are positions in `ids`
    (from 0, BOS included) of every token that overlaps the place; `last` is the position that
    is read.
    """

    id: str
    ids: tuple[int, ...]
    choices: tuple[int, ...]
    answer: int
    places: Mapping[str, tuple[int, ...]]


def ask(subject: Subject, question: Question) -> Asked:
    """The ids of the prompt and of whatever tokens all choices begin with.

    SmolLM2 may write " 3" as a space and a digit, the first of which every choice shares. A
    place of the question called `last` gives way to the position that is read. Raises
    InputError for fewer than two choices, choices that do not differ in their next token, and
    a place without a token.
    """
    name = f"question {question.id!r}"
    if len(question.choices) < 2:
        raise InputError(f"{name}: at least two choices are needed")
    found = stand(subject, question)
    nexts = [whole[found.read] for whole in found.wholes]
    for i, token in enumerate(nexts):
        if (first := nexts.index(token)) < i:
            raise InputError(
                f"{name}: choices {question.choices[first]!r} and {question.choices[i]!r} begin"
                " with the same token, so no single token tells them apart"
            )
    answer = question.choices.index(question.answer)
    return Asked(question.id, found.wholes[0][: found.read], tuple(nexts), answer, found.places)


@dataclass(frozen=True)
class Standing:
    """A question as token ids before anything is asked of it.

    `wholes` are the ids of the prompt with each choice after it (or with the answer, where there
    are no choices); they are alike up to position `read`, whose token the position before it
    predicts. `places` are positions as in `Asked`.
    """

    wholes: tuple[tuple[int, ...], ...]
    read: int
    places: Mapping[str, tuple[int, ...]]


def stand(subject: Subject, question: Question) -> Standing:
    """Where the places of a question stand; raises InputError for a place without a token."""
    name = f"question {question.id!r}"
    choices = question.choices or (question.answer,)
    coded = encode_choices(
        subject.tokenizer, [(question.prompt, c) for c in choices], subject.context
    )
    wholes = [(*prompt, *choice) for prompt, choice in coded]
    shortest = min(map(len, wholes))
    common = next((i for i in range(shortest) if len({w[i] for w in wholes}) > 1), shortest - 1)
    if len(wholes) == 1:
        common = len(coded[0][0])
    if common < 1:
        raise InputError(f"{name}: no token stands before its choices")
    text = joined(question.prompt, choices[0])
    offsets = subject.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)[
        "offset_mapping"
    ]
    lead = len(wholes[0]) - len(offsets)
    places = {
        place: _positions(offsets[: common - lead], span, lead, f"{name}: place {place!r}")
        for place, span in question.places.items()
    }
    return Standing(tuple(wholes), common, {**places, LAST: (common - 1,)})


def ask_pair(subject: Subject, pair: Pair) -> tuple[Asked, Asked]:
    """(clean, corrupt) of a pair; raises InputError if their choices differ.

    The corrupt side's `choices` are in the clean side's order.
    """
    clean, corrupt = ask(subject, pair.clean), ask(subject, pair.corrupt)
    if set(pair.clean.choices) != set(pair.corrupt.choices):
        raise InputError(f"pair {pair.id!r}: its questions have different choices")
    order = [pair.corrupt.choices.index(choice) for choice in pair.clean.choices]
    moved = tuple(corrupt.choices[i] for i in order)
    if moved != clean.choices:
        raise InputError(
            f"pair {pair.id!r}: its choices begin with other tokens in the corrupt question"
        )
    return clean, Asked(corrupt.id, corrupt.ids, moved, order.index(corrupt.answer), corrupt.places)


def aligned(recipient: Asked, donor: Asked, place: str) -> tuple[tuple[int, int], ...]:
    """(recipient, donor) positions of a place, from its last tokens backwards.

    Where one side has more tokens, its first ones have no partner (see `uneven`). Empty if
    either side lacks the place.
    """
    ours, theirs = recipient.places.get(place, ()), donor.places.get(place, ())
    count = min(len(ours), len(theirs))
    return tuple(zip(ours[len(ours) - count :], theirs[len(theirs) - count :], strict=True))


def uneven(pairs: Sequence[tuple[Asked, Asked]]) -> str:
    """A note on places whose two sides have unequal numbers of tokens; "" if there are none."""
    found = [
        f"{a.id}@{place}"
        for a, b in pairs
        for place, positions in a.places.items()
        if place in b.places and len(positions) != len(b.places[place])
    ]
    if not found:
        return ""
    return (
        f"{len(found)} places have unequal numbers of tokens in the two questions, such as"
        f" {found[0]}; their last tokens were aligned"
    )


def _positions(
    offsets: Sequence[tuple[int, int]], span: tuple[int, int], lead: int, name: str
) -> tuple[int, ...]:
    start, end = span
    found = tuple(i + lead for i, (s, e) in enumerate(offsets) if s < end and start < e and e > s)
    if not found:
        raise InputError(f"{name} has no token before the choices")
    return found
