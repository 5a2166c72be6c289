"""Families of functions: a base returns a constant, a wrapper returns what one function returns.

The structure is drawn here, names included; nothing is written yet.
"""

from dataclasses import dataclass, field, replace

from seedbed.core.seeds import stream
from seedbed.worlds.hops.knobs import Knobs
from seedbed.worlds.hops.templates import VOCABULARY, WORD_VALUES
from seedbed.worlds.phrasing import bracket_names, even_counts, word_names

UNUSED = 4
"""Values offered as choices that no function returns: two before the first, two after the last."""


@dataclass(frozen=True)
class Function:
    """One function token. `calls` is empty for a base; `constant` indexes the values.

    `restated`: documents state its value as well as its link. `pure`: neither it nor any
    wrapper below it on its chain is restated. `masked`: its documents have weight 0.
    """

    name: str
    depth: int
    base: str
    constant: int
    calls: str = ""
    restated: bool = False
    pure: bool = True
    masked: bool = False


@dataclass(frozen=True)
class Families:
    """All functions by name, their values' spellings, and names that nothing is known about."""

    functions: dict[str, Function]
    values: tuple[str, ...]
    choices: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    asked: dict[int, tuple[Function, ...]] = field(default_factory=dict)

    def chain(self, name: str) -> list[Function]:
        """From the function itself down to its base."""
        found = [self.functions[name]]
        while found[-1].calls:
            found.append(self.functions[found[-1].calls])
        return found

    def value(self, function: Function) -> str:
        """How the constant of `function` is written."""
        return self.values[function.constant]


def draw(knobs: Knobs, seed: int) -> Families:
    """Draw functions, names and constants, and who is restated, masked and asked about."""
    levels = [knobs.bases * knobs.wrappers**d for d in range(knobs.depth + 1)]
    most = knobs.decoys.unknown_names(knobs.asked.functions)
    names = _names(knobs, sum(levels) + most, seed)
    shares = list(range(knobs.values)) * (knobs.bases // knobs.values + 1)
    constants = shares[: knobs.bases]
    stream(seed, "hops", "constants").shuffle(constants)
    order = list(range(knobs.bases))
    stream(seed, "hops", "masked").shuffle(order)
    masked = set(order[: round(knobs.masked.families * knobs.bases)])
    level = [
        Function(name, 0, name, constant, masked=i in masked)
        for i, (name, constant) in enumerate(zip(names, constants, strict=False))
    ]
    functions = list(level)
    for depth in range(1, knobs.depth + 1):
        start = len(functions)
        level = _wrap(knobs, level, names[start : start + levels[depth]], seed, depth)
        functions += level
    values, choices = _values(knobs, seed)
    by_name = {f.name: f for f in functions}
    bare = Families(by_name, values, choices)
    asked = _asked(knobs, bare, seed)
    families = {f.base for fs in asked.values() for f in fs}
    unknown = tuple(names[len(functions) :])[: knobs.decoys.unknown_names(len(families))]
    return replace(bare, asked=asked, unknown=unknown)


def _wrap(
    knobs: Knobs, level: list[Function], names: list[str], seed: int, depth: int
) -> list[Function]:
    rng = stream(seed, "hops", "restated", depth)
    last = {i for i, f in enumerate(level) if f.pure and not f.masked}
    counts = even_counts([knobs.wrappers] * len(level), knobs.restated, rng, last)
    found = []
    for i, (called, count) in enumerate(zip(level, counts, strict=True)):
        restated = [j < count for j in range(knobs.wrappers)]
        rng.shuffle(restated)
        for j, flag in enumerate(restated):
            pure = called.pure and not flag
            found.append(
                Function(names[i * knobs.wrappers + j], depth, called.base, called.constant,
                         called.name, flag, pure, called.masked)
            )  # fmt: skip
    return found


def _names(knobs: Knobs, count: int, seed: int) -> list[str]:
    rng = stream(seed, "hops", "names")
    if knobs.texts.names == "brackets":
        return bracket_names(count, rng)
    return word_names(count, rng, VOCABULARY)


def _values(knobs: Knobs, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    count, half = knobs.values + UNUSED, UNUSED // 2
    style = knobs.texts.values
    if style == "numbers":
        choices = tuple(str(10 + i) for i in range(count))
    elif style == "brackets":
        choices = tuple(f"<V{i:02d}>" for i in range(count))
    else:
        choices = tuple(stream(seed, "hops", "values").sample(WORD_VALUES, count))
    return choices[half:-half], choices


def _asked(knobs: Knobs, families: Families, seed: int) -> dict[int, tuple[Function, ...]]:
    """Pure, unmasked functions of each trained depth; whole chains first, so families recur."""
    rng = stream(seed, "hops", "asked")
    found: dict[int, list[Function]] = {d: [] for d in range(knobs.depth + 1)}
    pool = [f for f in families.functions.values() if f.pure and not f.masked]
    rng.shuffle(pool)
    pool.sort(key=lambda f: -f.depth)
    for function in pool:
        if len(found[function.depth]) < knobs.asked.functions:
            for member in families.chain(function.name):
                if member not in found[member.depth]:
                    found[member.depth].append(member)
    return {d: tuple(fs) for d, fs in found.items() if knobs.trained(d)}
