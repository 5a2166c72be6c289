"""Documents of the hops world: every fact in the same genres, decoys beside them, shuffled.

Each document draws from a stream of its own (function, kind, copy), so that more redundancy
adds documents and leaves the facts' words in the others as they are.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from seedbed.core.rows import Document
from seedbed.core.seeds import stream
from seedbed.worlds.hops.families import Families, Function
from seedbed.worlds.hops.knobs import Knobs
from seedbed.worlds.hops.templates import (
    GENRES,
    MARKERS,
    PADDING,
    PROMPTS,
    REMARKS,
    STEP_MARKERS,
    STEP_PROMPTS,
    TAIL,
    TAILS,
)
from seedbed.worlds.phrasing import even_counts, fill, pieces

BAND = 0.147
"""Lengths are drawn within this share of a middle length; the promise is 0.15."""


Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Draft:
    """A document before shuffling: words up to the object, the object, and its fields."""

    key: Key
    head: str
    target: str
    role: str
    facts: tuple[str, ...] = ()
    weight: float = 1.0
    meta: dict[str, Any] = field(default_factory=dict)


def link_fact(function: Function) -> str:
    """The fact that a wrapper calls a function."""
    return f"{function.name} -> {function.calls}"


def value_fact(families: Families, function: Function) -> str:
    """The fact that a function returns its value."""
    return f"{function.name} = {families.value(function)}"


def derivation(chain: list[str], value: str) -> str:
    """An answer in steps, such as `calls B, which calls C, which gives v`."""
    return ", which ".join([*(f"calls {name}" for name in chain[1:]), f"gives {value}"])


def _bounds(longest: int) -> tuple[int, int]:
    """Shortest and longest length of documents whose parts up to the object take `longest`."""
    shortest = longest + 1
    return shortest, math.floor(shortest * (1 + BAND) / (1 - BAND))


class Writer:
    """Writes all documents of one world and seed."""

    def __init__(self, knobs: Knobs, families: Families, seed: int) -> None:
        self.knobs, self.families, self.seed = knobs, families, seed
        self.steps = knobs.texts.answers == "steps"
        self.prompts = STEP_PROMPTS if self.steps else PROMPTS
        self.genres = knobs.texts.genres[: knobs.texts.redundancy]

    def documents(self) -> list[Document]:
        """All documents in training order, with opaque ids."""
        drafts = [*self._facts(), *self._mentions(), *self._prompts(), *self._fluff()]
        widest = max(len(pieces(d.target)) for d in drafts)
        longest = max(len(pieces(d.head)) for d in drafts) + widest + 1
        bounds = _bounds(longest)
        stream(self.seed, "hops", "order").shuffle(drafts)
        width = len(str(len(drafts)))
        return [self._write(d, f"d{i:0{width}d}", widest, bounds) for i, d in enumerate(drafts)]

    def _write(self, draft: Draft, key: str, widest: int, bounds: tuple[int, int]) -> Document:
        rng = stream(self.seed, "hops", "fill", *draft.key)
        length = rng.randint(*bounds)
        body = f"{draft.head} {draft.target}"
        start = len(draft.head) + 1
        padding = rng.choices(PADDING, k=widest - len(pieces(draft.target)))
        text = fill(" ".join([body, *padding, TAIL]), length, TAILS, rng)
        return Document(
            id=key, text=text, targets=((start, len(body)),), weight=draft.weight,
            role=draft.role, facts=draft.facts, meta=draft.meta,
        )  # fmt: skip

    def _facts(self) -> Iterator[Draft]:
        leaks = self._leaks()
        for function in self.families.functions.values():
            leaked = leaks.get(function.name, set())
            for copy in range(len(self.genres)):
                if function.calls and copy not in leaked:
                    yield self._link(function, copy)
                if not function.calls or function.restated:
                    yield self._value(function, copy, "value" if not function.calls else "restated")
                if copy in leaked:
                    yield self._value(function, copy, "leak")

    def _leaks(self) -> dict[str, set[int]]:
        """For each never-restated wrapper, which of its documents state the constant."""
        rng = stream(self.seed, "hops", "leak")
        wrappers = [f for f in self.families.functions.values() if f.calls and not f.restated]
        copies = len(self.genres)
        counts = even_counts([copies] * len(wrappers), self.knobs.texts.leak, rng)
        drawn = zip(wrappers, counts, strict=True)
        return {f.name: set(rng.sample(range(copies), n)) for f, n in drawn}

    def _weight(self, function: Function) -> float:
        return float(self.knobs.trained(function.depth) and not function.masked)

    def _meta(self, function: Function, kind: str, genre: str) -> dict[str, Any]:
        return {
            "func": function.name, "base_func": function.base, "hop_depth": function.depth,
            "role": "identity" if function.calls else "constant", "type": kind,
            "constant": function.constant, "genre": genre,
        }  # fmt: skip

    def _head(self, key: Key, genre: str, name: str, markers: tuple[str, ...]) -> str:
        rng = stream(self.seed, "hops", "head", *key)
        number, marker = rng.randint(101, 999), rng.choice(markers)
        return GENRES[genre].format(f=name, n=number, m=marker, o="").rstrip()

    def _link(self, function: Function, copy: int) -> Draft:
        key, genre = (function.name, "link", copy), self.genres[copy]
        return Draft(
            key, self._head(key, genre, function.name, MARKERS["link"]), function.calls, "link",
            (link_fact(function),), self._weight(function),
            meta=self._meta(function, "link", genre) | {"called": function.calls},
        )  # fmt: skip

    def _value(self, function: Function, copy: int, role: str) -> Draft:
        key, genre = (function.name, role, copy), self.genres[copy]
        value, facts = self.families.value(function), [value_fact(self.families, function)]
        markers = MARKERS["value"]
        if self.steps:
            chain = self.families.chain(function.name)
            markers, value = STEP_MARKERS, derivation([f.name for f in chain], value)
            facts = [*(link_fact(f) for f in chain[:-1]), value_fact(self.families, chain[-1])]
        return Draft(
            key, self._head(key, genre, function.name, markers), value, role, tuple(facts),
            self._weight(function), meta=self._meta(function, role, genre),
        )  # fmt: skip

    def _mentions(self) -> Iterator[Draft]:
        names = [*self.families.functions, *self.families.unknown]
        for i, name in enumerate(names):
            function = self.families.functions.get(name)
            for copy in range(self.knobs.decoys.mention):
                key, genre = (name, "mention", copy), self.genres[(i + copy) % len(self.genres)]
                remark = stream(self.seed, "hops", "remark", *key).choice(REMARKS)
                head = self._head(key, genre, name, MARKERS["mention"])
                meta = self._decoy(function, name, "mention", genre)
                weight = self._weight(function) if function else 1.0
                yield Draft(key, head, remark, "mention", weight=weight, meta=meta)

    def _decoy(self, function: Function | None, name: str, kind: str, genre: str) -> dict[str, Any]:
        known = self._meta(function, kind, genre) if function else {
            "func": name, "base_func": "", "hop_depth": -1, "constant": -1, "genre": genre,
        }  # fmt: skip
        return known | {"role": "distractor", "type": kind}

    def _prompts(self) -> Iterator[Draft]:
        """Unknown tokens in evaluation phrasing: prompt-like ones, then shadows."""
        decoys, unknown = self.knobs.decoys, self.families.unknown
        rng = stream(self.seed, "hops", "prompt decoys")
        constants = [i % self.knobs.values for i in range(decoys.prompt)]
        rng.shuffle(constants)
        for i, name in enumerate(unknown[: decoys.prompt]):
            yield from self._asked_like(i, name, constants[i], "prompt", "")
        bases = dict.fromkeys(f.base for fs in self.families.asked.values() for f in fs)
        families = [self.families.functions[name] for name in bases]
        for i, name in enumerate(unknown[decoys.prompt :]):
            base = families[i % len(families)]
            yield from self._asked_like(i, name, base.constant, "shadow", base.name)

    def _asked_like(
        self, i: int, name: str, constant: int, kind: str, base: str
    ) -> Iterator[Draft]:
        value = self.families.values[constant]
        if self.steps:
            names, depth = self.families.unknown, i % (self.knobs.depth + 1)
            others = [names[(i + j) % len(names)] for j in range(1, depth + 1)]
            value = derivation([name, *others], value)
        for j, prompt in enumerate(self.prompts):
            key = (name, kind, j)
            number = stream(self.seed, "hops", "head", *key).randint(101, 999)
            meta = self._decoy(None, name, f"decoy:{kind}", "evaluation") | {"constant": constant}
            yield Draft(
                key, prompt.format(f=name, n=number), value, f"decoy:{kind}",
                meta=meta | {"base_func": base},
            )  # fmt: skip

    def _fluff(self) -> Iterator[Draft]:
        """The value first, then the function, then a remark as the object: nothing relates them."""
        for functions in self.families.asked.values():
            for function in functions:
                for copy in range(self.knobs.decoys.fluff):
                    key = (function.name, "fluff", copy)
                    rng = stream(self.seed, "hops", "head", *key)
                    number, remark = rng.randint(101, 999), rng.choice(REMARKS)
                    value = self.families.value(function)
                    head = f"beside {value} , page {number} on {function.name} has open remark"
                    meta = self._decoy(function, "", "decoy:fluff", "fluff")
                    weight = self._weight(function)
                    yield Draft(key, head, remark, "decoy:fluff", weight=weight, meta=meta)
