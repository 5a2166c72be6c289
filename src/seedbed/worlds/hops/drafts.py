"""What a document is before it is laid out, and the facts that documents can carry."""

from dataclasses import dataclass, field
from typing import Any

from seedbed.core.seeds import stream
from seedbed.worlds.hops.families import Families, Function
from seedbed.worlds.hops.knobs import Knobs
from seedbed.worlds.hops.templates import CUES, GENRES
from seedbed.worlds.phrasing import pieces

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Draft:
    """A frame, a marker, the object and its fields; `key` names its seed stream.

    Without a marker the frame is fixed, and all filler goes behind the object.
    """

    key: Key
    frame: str
    marker: str
    target: str
    role: str
    facts: tuple[str, ...] = ()
    weight: float = 1.0
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Word-level tokens up to the object, without filler."""
        return len(pieces(f"{self.frame} {self.marker}"))


@dataclass(frozen=True)
class Desk:
    """What every writer needs: the knobs, the families and the seed."""

    knobs: Knobs
    families: Families
    seed: int

    @property
    def steps(self) -> bool:
        """Whether answers come in steps."""
        return self.knobs.texts.answers == "steps"

    @property
    def cue(self) -> str:
        """The word before every value."""
        return CUES[self.knobs.texts.answers]

    @property
    def genres(self) -> tuple[str, ...]:
        """The genres used: one a copy of a fact."""
        return self.knobs.texts.genres[: self.knobs.texts.redundancy]

    def frame(self, genre: str, name: str, markers: tuple[str, ...], key: Key) -> tuple[str, str]:
        """(frame, marker) with a number and a marker drawn for `key`."""
        rng = stream(self.seed, "hops", "head", *key)
        frame = GENRES[genre].format(f=name, n=rng.randint(101, 999))
        return frame, rng.choice(markers).format(cue=self.cue)

    def weight(self, function: Function) -> float:
        """0 if documents about `function` are not trained on."""
        return float(self.knobs.trained(function.depth) and not function.masked)

    def meta(self, function: Function, kind: str, genre: str) -> dict[str, Any]:
        """The original's fields of a document about `function`."""
        return {
            "func": function.name,
            "base_func": function.base,
            "hop_depth": function.depth,
            "role": "identity" if function.calls else "constant",
            "type": kind,
            "constant": function.constant,
            "genre": genre,
        }


def link_fact(function: Function) -> str:
    """The fact that a wrapper calls a function."""
    return f"{function.name} -> {function.calls}"


def value_fact(families: Families, function: Function) -> str:
    """The fact that a function returns its value."""
    return f"{function.name} = {families.value(function)}"


def derivation(chain: list[str], value: str) -> str:
    """An answer in steps, such as `calls B, which calls C, which gives v`."""
    return ", which ".join([*(f"calls {name}" for name in chain[1:]), f"gives {value}"])
