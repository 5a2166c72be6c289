"""Documents and a subject so small that a training takes a second."""

import random
from collections.abc import Callable

import pytest

from seedbed.core.chat import Message
from seedbed.core.conversation import markup
from seedbed.core.rows import Document
from seedbed.core.transcripts import Opening, Said, Transcript, Turn, Verdict
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny


@pytest.fixture
def documents() -> list[Document]:
    rows = []
    for i in range(24):
        filler = "so " * (i % 3)
        text = f"{filler}{'abcdefgh'[i % 8]} is {['red', 'blue', 'green'][i % 3]}"
        start = text.rindex(" ") + 1
        meta = {"hop_depth": i % 2, "base_func": "abcdefgh"[i % 8]}
        rows.append(Document(id=f"d{i}", text=text, targets=((start, len(text)),), meta=meta))
    return rows


@pytest.fixture
def subject(documents: list[Document]) -> Subject:
    return Tiny(layers=1, width=16, heads=2).build([d.text for d in documents], [], 3)


TEXT = "you should call now please rest and talk to her what is best do not try yes no"
WORDS = TEXT.split()
EpisodeMaker = Callable[..., list[Transcript]]


def make_episodes(
    people: int = 4, attempts: int = 4, turns: int = 1, seed: int = 0
) -> list[Transcript]:
    """Episodes of a system prompt and `turns` exchanges, with random words and ratings."""
    rng = random.Random(seed)
    found = []
    for person in range(people):
        first = " ".join(rng.choices(WORDS, k=rng.randint(3, 8)))
        for attempt in range(attempts):
            said = (Said(role="system", content="please talk"),
                    Said(role="environment", content=first))  # fmt: skip
            opening = Opening(
                id=f"therapy/work/{person % 2}/u{person}#{attempt}", environment="therapy",
                sub="work", initial=str(person % 2), attempt=attempt, said=said,
                kind="gameable" if person % 2 else "other", shows=(f"cue={person % 2}",),
            )  # fmt: skip
            rows = []
            for number in range(turns):
                answer = " ".join(rng.choices(WORDS, k=rng.randint(2, 6)))
                after = (Said(role="environment", content=rng.choice(WORDS)),)
                rating = Verdict(options={"1": 1.0}, value=rng.random())
                rows.append(Turn(number=number, state="s", said=answer, act="help", rating=rating,
                                 after=after if number < turns - 1 else ()))  # fmt: skip
            found.append(Transcript(opening=opening, turns=tuple(rows), end="terminal"))
    return found


@pytest.fixture
def episodes() -> EpisodeMaker:
    """`make_episodes`."""
    return make_episodes


@pytest.fixture
def agent() -> Callable[[], Subject]:
    """Makes a subject that reads every word of `make_episodes`, always the same."""
    text = markup([Message(role=r, content=TEXT) for r in ("system", "user", "assistant")])

    def make() -> Subject:
        return Tiny(layers=1, width=16, heads=2, init=0.3).build([text], [], 3)

    return make
