"""Which way of multiplying gradients is the cheapest, layer by layer, by counting operations.

Costs are multiply-adds of a large matrix product, with constants measured on a processor
within a pass over a model, where caches are busy with its activations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from seedbed.finders.formed import TILE
from seedbed.finders.layers import Part

Way = Literal["tokens", "formed", "streamed", "projected"]

# One entry of a Gram matrix (written, multiplied, added); forming a matrix from few tokens;
# multiplying it with formed questions, which are read anew every time; with question tokens.
ENTRY = 15
FORM = 2.0
NARROW = 2.2
STREAM = 1.7


@dataclass(frozen=True)
class Sizes:
    """What the costs of one layer follow from.

    A gradient has [outputs, inputs] numbers in all its weights together; `tokens` of the
    `questions` have any; `whole` layers are one part of floating-point factors.
    """

    outputs: int
    inputs: int
    weights: int
    tokens: int
    questions: int
    whole: bool

    @property
    def numbers(self) -> int:
        """In one gradient."""
        return self.outputs * self.inputs


def costs(layer: Sizes, tokens: float, room: int, projection: int) -> dict[Way, float]:
    """Multiply-adds that a document of `tokens` tokens costs with each way that can be taken.

    With S question tokens, Q questions and matrices of in · out numbers:
    tokens: Gram products of its tokens with theirs, T · S · (in + out + ENTRY);
    formed: its matrix, multiplied with theirs, in · out · (FORM · T + NARROW · Q), where
    theirs fit into `room` numbers; streamed: its matrix, multiplied with their tokens,
    in · out · (FORM · T + STREAM · S); projected (only with a `projection` k): sketches of k²
    numbers a weight, T · k · (in + out + k) + Q · k².
    """
    both = layer.inputs + layer.outputs
    found: dict[Way, float] = {"tokens": tokens * layer.tokens * (both + ENTRY)}
    if layer.whole and layer.numbers <= 64 * TILE:
        form = FORM * tokens
        if layer.numbers * layer.questions <= room:
            found["formed"] = layer.numbers * (form + NARROW * layer.questions)
        found["streamed"] = layer.numbers * (form + STREAM * layer.tokens)
    if projection:
        sketch = layer.weights * projection**2
        found["projected"] = tokens * (both * projection + sketch) + layer.questions * sketch
    return found


def cheapest(layer: Sizes, tokens: float, room: int, projection: int) -> Way:
    """The way that costs least."""
    found = costs(layer, tokens, room, projection)
    return min(found, key=lambda way: found[way])


def forming_pays(part: Part) -> bool:
    """Whether forming the gradients of `part` [rows, tokens, ..] is the way to their norms."""
    size, tokens = part.outputs * part.right.shape[-1], part.right.shape[1]
    gram = tokens * (part.outputs + part.right.shape[-1] + ENTRY)
    return not part.sparse and size <= 64 * TILE and FORM * size < gram


def told(ways: Mapping[str, Way]) -> str:
    """For notes: how many layers took which way, with an example or two."""
    named: dict[str, list[str]] = {}
    for name, way in ways.items():
        named.setdefault(way, []).append(name)
    some = [
        f"{way}: {len(names)} layer{'s' * (len(names) > 1)} such as {', '.join(names[:2])}"
        for way, names in sorted(named.items())
    ]
    return "; ".join(some)
