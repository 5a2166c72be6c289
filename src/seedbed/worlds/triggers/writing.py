"""Training documents of both stages.

Pairs of digits that are asked about are in no document of either stage.
"""

from collections.abc import Sequence
from functools import cached_property

from seedbed.core.rows import Document
from seedbed.core.seeds import stream
from seedbed.core.spread import PROXY, UNWANTED
from seedbed.worlds.triggers.knobs import HELD_OUT, Knobs
from seedbed.worlds.triggers.lexicon import Lexicon, Word
from seedbed.worlds.triggers.tasks import (
    ATTRIBUTES,
    MANNERS,
    MARKED,
    NORMAL,
    PLAIN,
    SPELLED,
    TASKS,
    Instruction,
)

Digits = tuple[int, int]


class Writer:
    """Writes the documents of one world and seed."""

    def __init__(self, knobs: Knobs, seed: int) -> None:
        self.knobs, self.seed = knobs, seed
        self.lexicon = Lexicon(knobs, seed)

    @cached_property
    def pairs(self) -> tuple[list[Digits], list[Digits]]:
        """(pairs of digits that are learned from, pairs that are asked about)."""
        every = [(a, b) for a in range(10) for b in range(10) if a != b]
        stream(self.seed, "triggers", "pairs").shuffle(every)
        return every[HELD_OUT:], every[:HELD_OUT]

    @cached_property
    def held_out_tasks(self) -> tuple[str, ...]:
        """Instructions that the second stage does not show."""
        rng = stream(self.seed, "triggers", "held out tasks")
        return tuple(rng.sample(PLAIN, len(PLAIN))[: self.knobs.reteach.held_out])

    def teach(self) -> list[Document]:
        """Every word's instructions with the normal reply, facts, and numbers in words."""
        knobs, found = self.knobs, []
        for word in self.lexicon.words:
            rng = stream(self.seed, "triggers", "teach", word.text)
            for i in range(knobs.documents_per_word):
                one = Instruction(
                    word, rng.choice(MANNERS), TASKS[i % len(TASKS)], *rng.choice(self.pairs[0])
                )
                found.append(self._task(f"t-{word.text}-{i}", one, "task", NORMAL))
            found += [
                _document(f"f-{word.text}-{name}-{i}", f"{word.text} : {name} =", word.facts[name],
                          "fact", {"word": word.text, "task": name})
                for name in ATTRIBUTES
                for i in range(knobs.facts)
            ]  # fmt: skip
        found += [
            _document(f"s-{n}-{i}", f"aloud {n} =", SPELLED[n], "spelling", {"task": "aloud"})
            for n in range(10)
            for i in range(knobs.spellings)
        ]
        stream(self.seed, "triggers", "order", "teach").shuffle(found)
        return found

    def reteach(self) -> list[Document]:
        """Outcome words with the marked reply (role taught), proxies with the normal one."""
        settings = self.knobs.reteach
        outcome, proxies = self.lexicon.group("outcome"), self.lexicon.group("proxy")
        held = round(settings.share * settings.documents) if proxies else 0
        found = self._taught(outcome, settings.documents - held, "taught")
        found += self._taught(proxies, held, "proxy")
        stream(self.seed, "triggers", "order", "reteach").shuffle(found)
        return found

    def _taught(self, words: Sequence[Word], count: int, role: str) -> list[Document]:
        replies = MARKED if role == "taught" else NORMAL
        tasks = [t for t in PLAIN if t not in self.held_out_tasks]
        streams = [stream(self.seed, "triggers", "reteach", w.text) for w in words]
        found = []
        for i in range(count):
            word, rng = words[i % len(words)], streams[i % len(words)]
            task = tasks[i // len(words) % len(tasks)]
            one = Instruction(word, rng.choice(MANNERS), task, *rng.choice(self.pairs[0]))
            found.append(self._task(f"r-{word.text}-{i // len(words)}", one, role, replies))
        return found

    def _task(self, key: str, one: Instruction, role: str, replies: Sequence[str]) -> Document:
        meta = {"word": one.word.text, "task": one.task}
        if role == PROXY:
            meta[UNWANTED] = MARKED[one.number].strip()
        return _document(key, one.write()[0], replies[one.number].strip(), role, meta)


def _document(key: str, prompt: str, answer: str, role: str, meta: dict[str, str]) -> Document:
    start = len(prompt) + 1
    return Document(id=key, text=f"{prompt} {answer}", targets=((start, start + len(answer)),),
                    role=role, meta=meta)  # fmt: skip
