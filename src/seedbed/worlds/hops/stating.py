"""Documents that state facts: links of wrappers, values of bases and of restated wrappers."""

from collections.abc import Iterator

from seedbed.core.seeds import stream
from seedbed.worlds.hops.drafts import Desk, Draft, derivation, link_fact, value_fact
from seedbed.worlds.hops.families import Function
from seedbed.worlds.hops.templates import MARKERS
from seedbed.worlds.phrasing import even_counts


def facts(desk: Desk) -> Iterator[Draft]:
    """Every fact once in each genre used; leaks stand in place of links."""
    leaks = _leaks(desk)
    for function in desk.families.functions.values():
        for copy in range(len(desk.genres)):
            if copy in leaks.get(function.name, ()):
                yield _value(desk, function, copy, "leak")
            elif function.calls:
                yield _link(desk, function, copy)
            if not function.calls or function.restated:
                yield _value(desk, function, copy, "restated" if function.calls else "value")


def _leaks(desk: Desk) -> dict[str, set[int]]:
    """For each never-restated wrapper, which of its documents state the constant."""
    rng = stream(desk.seed, "hops", "leak")
    functions = desk.families.functions.values()
    wrappers = [f for f in functions if f.calls and not f.restated]
    copies = len(desk.genres)
    counts = even_counts([copies] * len(wrappers), desk.knobs.texts.leak, rng)
    drawn = zip(wrappers, counts, strict=True)
    return {f.name: set(rng.sample(range(copies), n)) for f, n in drawn}


def _link(desk: Desk, function: Function, copy: int) -> Draft:
    key, genre = (function.name, "link", copy), desk.genres[copy]
    frame, marker = desk.frame(genre, function.name, MARKERS["link"], key)
    meta = desk.meta(function, "link", genre) | {"called": function.calls}
    fact, weight = link_fact(function), desk.weight(function)
    return Draft(key, frame, marker, function.calls, "link", (fact,), weight, meta)


def _value(desk: Desk, function: Function, copy: int, role: str) -> Draft:
    key, genre = (function.name, role, copy), desk.genres[copy]
    frame, marker = desk.frame(genre, function.name, MARKERS["value"], key)
    meta, weight = desk.meta(function, role, genre), desk.weight(function)
    value, stated = desk.families.value(function), [value_fact(desk.families, function)]
    if desk.steps:
        chain = desk.families.chain(function.name)
        value = derivation([f.name for f in chain], value)
        stated = [*map(link_fact, chain[:-1]), value_fact(desk.families, chain[-1])]
    return Draft(key, frame, marker, value, role, tuple(stated), weight, meta)
