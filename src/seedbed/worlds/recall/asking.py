"""Questions, pairs and training documents of one world and seed."""

import random
from functools import cached_property

from seedbed.core.errors import ConfigError
from seedbed.core.rows import LABELLED, Document, Pair, Question
from seedbed.core.seeds import stream
from seedbed.core.selectivity import UNRELATED
from seedbed.worlds.recall import others
from seedbed.worlds.recall.exceptions import ExceptionsForm
from seedbed.worlds.recall.facts import FactsForm
from seedbed.worlds.recall.forms import TRIES, Form, Item
from seedbed.worlds.recall.gate import GateForm
from seedbed.worlds.recall.iterated import IteratedForm
from seedbed.worlds.recall.knobs import KINDS, Knobs
from seedbed.worlds.recall.lexicon import CLOSE, OPEN, OTHER

FORMS: dict[str, type[Form]] = {
    "gate": GateForm,
    "exceptions": ExceptionsForm,
    "facts": FactsForm,
    "iterated": IteratedForm,
}


class Asker:
    """Asks about one world and seed."""

    def __init__(self, knobs: Knobs, seed: int) -> None:
        self.knobs, self.seed = knobs, seed
        self.form = FORMS[knobs.form](knobs, seed)

    @cached_property
    def asked(self) -> list[tuple[Item, Question]]:
        """Every question with what it asks; twins follow one another."""
        found = []
        for split, items in {**self.form.asked(), UNRELATED: others.asked(self.form)}.items():
            size = len(str(len(items)))
            for i, item in enumerate(self._shuffled(split, items)):
                found.append((item, self._ask(f"{split}-{i:0{size}d}", item, split)))
        return found

    def _shuffled(self, split: str, items: list[Item]) -> list[Item]:
        """The items, twins in a drawn order, so that neither place nor id tells the kind."""
        rng = stream(self.seed, "recall", "order", split)
        found: list[Item] = []
        while len(found) < len(items):
            size = 2 if items[len(found)].differs else 1
            here = items[len(found) : len(found) + size]
            found += rng.sample(here, len(here))
        return found

    def pairs(self) -> list[Pair]:
        """Each held-out question beside its twin of the other kind."""
        held = [q for item, q in self.asked if q.split == "id" and item.differs]
        return [
            Pair(id=f"p-{clean.id}", clean=clean, corrupt=held[i ^ 1], cause=clean.cause)
            for i, clean in enumerate(held)
        ]

    def documents(self) -> list[Document]:
        """As many stored facts as computations, and a share of unrelated lines, in a drawn order.

        None holds a prompt that is asked about. Raises ConfigError where nearly all are.
        """
        knobs = self.knobs
        rng = stream(self.seed, "recall", "documents", knobs.form)
        copies = round(knobs.unrelated * knobs.lines)
        kinds = [KINDS[i % 2] for i in range(knobs.lines - copies)] + [UNRELATED] * copies
        rng.shuffle(kinds)
        size = len(str(knobs.lines))
        return [
            _document(f"d{i:0{size}d}", self._unasked(kind, rng, i / knobs.lines), self.form.closed)
            for i, kind in enumerate(kinds)
        ]

    @cached_property
    def _held(self) -> set[tuple[str, ...]]:
        return {item.content for item, _ in self.asked}

    def _unasked(self, kind: str, rng: random.Random, progress: float) -> Item:
        for _ in range(TRIES):
            related = kind in KINDS
            item = self.form.draw(kind, rng, progress) if related else others.draw(self.form, rng)
            if item.content not in self._held:
                return item
        raise ConfigError(
            "asked: nearly every prompt is asked about, so none is left to learn from"
        )

    def _ask(self, key: str, item: Item, split: str) -> Question:
        related = item.kind in KINDS
        prompt, places = _prompt(item, self.form.closed)
        spans = dict(zip(self.form.places, places, strict=True))
        words = self.form.choices if related else self.form.lexicon.others
        slices = {"kind": item.kind, "form": self.knobs.form} | item.slices
        both = set(item.said) == set(KINDS)
        return Question(
            id=key,
            prompt=prompt,
            choices=tuple(f" {word}" for word in words),
            answer=f" {item.answer}",
            cause=item.cause,
            split=split,
            slices=slices | ({"differs": item.differs} if item.differs else {}),
            places=spans,
            rules={kind: f" {said}" for kind, said in item.said.items()} if both else {},
            label=item.kind if split in LABELLED else "",
        )


def _prompt(item: Item, closed: bool) -> tuple[str, list[tuple[int, int]]]:
    """The prompt, and the spans of the words between its first and its last one."""
    text, spans = OPEN if item.kind in KINDS else OTHER, []
    *words, last = (*item.content, CLOSE) if closed else item.content
    for word in words:
        spans.append((len(text) + 1, len(text) + 1 + len(word)))
        text += f" {word}"
    return f"{text} {last}", spans


def _document(key: str, item: Item, closed: bool) -> Document:
    prompt, _ = _prompt(item, closed)
    start = len(prompt) + 1
    return Document(
        id=key,
        text=f"{prompt} {item.answer}",
        targets=((start, start + len(item.answer)),),
        role=item.kind,
        meta={"kind": item.kind},
    )
