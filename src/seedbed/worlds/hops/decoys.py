"""Documents that state no fact about any function: mentions, prompt-like, shadows and fluff."""

from collections.abc import Iterator
from typing import Any

from seedbed.core.seeds import stream
from seedbed.worlds.hops.drafts import Desk, Draft, derivation
from seedbed.worlds.hops.families import Function
from seedbed.worlds.hops.templates import FLUFF, MARKERS, PROMPTS, REMARKS


def decoys(desk: Desk) -> Iterator[Draft]:
    """All four kinds."""
    yield from _mentions(desk)
    yield from _asked_like(desk)
    yield from _fluff(desk)


def _meta(
    desk: Desk, function: Function | None, name: str, kind: str, genre: str
) -> dict[str, Any]:
    if function:
        known = desk.meta(function, kind, genre)
    else:
        known = {"func": name, "base_func": "", "hop_depth": -1, "constant": -1, "genre": genre}
    return known | {"role": "distractor", "type": kind}


def _mentions(desk: Desk) -> Iterator[Draft]:
    """Every token, known or not, with a remark in place of a fact; genres in turn."""
    for i, name in enumerate((*desk.families.functions, *desk.families.unknown)):
        function = desk.families.functions.get(name)
        weight = desk.weight(function) if function else 1.0
        for copy in range(desk.knobs.decoys.mention):
            key, genre = (name, "mention", copy), desk.genres[(i + copy) % len(desk.genres)]
            frame, marker = desk.frame(genre, name, MARKERS["mention"], key)
            remark = stream(desk.seed, "hops", "remark", *key).choice(REMARKS)
            meta = _meta(desk, function, name, "mention", genre)
            yield Draft(key, frame, marker, remark, "mention", (), weight, meta)


def _asked_like(desk: Desk) -> Iterator[Draft]:
    """Unknown tokens in every evaluation phrasing: prompt-like ones first, then shadows."""
    count, names = desk.knobs.decoys.prompt, desk.families.unknown
    constants = [i % desk.knobs.values for i in range(count)]
    stream(desk.seed, "hops", "prompt decoys").shuffle(constants)
    bases = list(dict.fromkeys(f.base for fs in desk.families.asked.values() for f in fs))
    for i, name in enumerate(names):
        kind, constant, base = "decoy:prompt", constants[i] if i < count else 0, ""
        if i >= count:
            kind, base = "decoy:shadow", bases[(i - count) % len(bases)]
            constant = desk.families.functions[base].constant
        value = desk.families.values[constant]
        if desk.steps:
            depth = i % min(desk.knobs.depth + 1, len(names))
            chain = [names[(i + j) % len(names)] for j in range(depth + 1)]
            value = derivation(chain, value)
        for j, prompt in enumerate(PROMPTS):
            key = (name, kind, j)
            number = stream(desk.seed, "hops", "head", *key).randint(101, 999)
            frame = prompt.format(f=name, n=number, cue=desk.cue)
            meta = _meta(desk, None, name, kind, "evaluation")
            meta |= {"constant": constant, "base_func": base}
            yield Draft(key, frame, "", value, kind, (), 1.0, meta)


def _fluff(desk: Desk) -> Iterator[Draft]:
    """The value, then the function, then a remark as the object: nothing relates them."""
    for function in (f for fs in desk.families.asked.values() for f in fs):
        for copy in range(desk.knobs.decoys.fluff):
            key = (function.name, "decoy:fluff", copy)
            rng = stream(desk.seed, "hops", "head", *key)
            number, remark = rng.randint(101, 999), rng.choice(REMARKS)
            value = desk.families.value(function)
            frame = FLUFF.format(f=function.name, n=number, v=value)
            marker = rng.choice(MARKERS["mention"])
            meta = _meta(desk, function, "", "decoy:fluff", "fluff")
            weight = desk.weight(function)
            yield Draft(key, frame, marker, remark, "decoy:fluff", (), weight, meta)
