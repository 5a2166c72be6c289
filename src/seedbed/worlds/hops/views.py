"""Questions of the hops world for finders of cells, of parts of the input and of directions.

Functions ignore their input, so of a prompt the function's name alone decides the answer.
"""

from collections.abc import Sequence

import numpy as np

from seedbed.core.cells import LAST
from seedbed.core.errors import ConfigError
from seedbed.core.rows import CHOOSE, FIT, LABELLED, Pair, Question
from seedbed.core.seeds import stream
from seedbed.core.sites import SiteKind, Truth
from seedbed.worlds.base import View
from seedbed.worlds.hops.asking import Asker
from seedbed.worlds.hops.families import Function
from seedbed.worlds.structure import structural

CROSSINGS = {
    SiteKind.CELL: "pairs differ in the function's name: what the first block takes in matters at"
    " the name alone, what the last one hands on at the last place alone, and nothing before the"
    " name; the rest is measured",
    SiteKind.INPUT: "the function's name decides the answer, its argument and the words around it"
    " never do",
    SiteKind.DIRECTION: "whether the function asked about is a base with a value of its own or a"
    " wrapper of another function, of families that no labelled example is about",
}
BEFORE, NAME, ARGUMENT, AFTER, CUE = "before", "name", "argument", "after", "cue"
PARTS = (BEFORE, NAME, ARGUMENT, AFTER, CUE)
BASE, WRAPPER = "base", "wrapper"
KINDS = (BASE, WRAPPER)
FEWEST = 6
"""Families below which no labelled ones are left beside those asked about."""


def view(asker: Asker, kind: SiteKind) -> View:
    """The view of one kind of site; raises ConfigError where this configuration has none."""
    if asker.desk.steps:
        raise ConfigError("texts.answers: choices in steps name the function that is asked about")
    if kind is SiteKind.DIRECTION:
        return _bases_and_wrappers(asker)
    pairs = _pairs(asker, LAST if kind is SiteKind.CELL else CUE)
    questions = [pair.clean for pair in pairs]
    if kind is SiteKind.CELL:
        truth = structural(questions, pairs, (*PARTS[:-1], LAST))
        return View(questions, pairs, truth)
    changed = [pair.model_copy(update={"cause": NAME}) for pair in pairs]
    return View(questions, changed, _deciding(questions))


def placed(question: Question, end: str) -> Question:
    """The question with its places; the last word is called `end`."""
    prompt, name = question.prompt, question.slices["function"]
    start = prompt.index(f"{name}(")
    argument = start + len(name) + 1
    closed = argument + len(question.slices["input"])
    cue = prompt.rindex(" ")
    spans = (0, start - 1), (start, argument - 1), (argument, closed), (closed + 2, cue)
    named = dict(zip(PARTS, (*spans, (cue + 1, len(prompt))), strict=True))
    named[end] = named.pop(CUE)
    return question.model_copy(update={"places": named})


def _pairs(asker: Asker, end: str) -> list[Pair]:
    """Each held-out question beside the same about a function of its depth, of another value."""
    found, functions = [], asker.families.functions
    for question in asker.questions():
        if question.split != "id":
            continue
        own = functions[question.slices["function"]]
        others = [f for f in asker.families.asked[own.depth] if f.constant != own.constant]
        if not others:
            continue
        rng = stream(asker.seed, "hops", "view", question.id)
        clean = placed(question, end)
        corrupt = placed(_about(asker, f"{question.id}-other", rng.choice(others), question), end)
        found.append(Pair(id=f"p-{question.id}", clean=clean, corrupt=corrupt, cause=clean.cause))
    return found


def _about(asker: Asker, key: str, function: Function, question: Question) -> Question:
    name = question.slices["function"]
    prompt = question.prompt.replace(f"{name}(", f"{function.name}(", 1)
    return asker.ask(key, function, prompt, question.split, int(question.slices["input"]))


def _deciding(questions: Sequence[Question]) -> Truth:
    """Questions × parts: 1 for the function's name, else 0."""
    values = np.tile([float(part == NAME) for part in PARTS], (len(questions), 1))
    labels = (1 - values).astype(np.int16)
    return Truth(tuple(q.id for q in questions), PARTS, values, labels, ("decides", "idle"),
                 SiteKind.INPUT)  # fmt: skip


def _bases_and_wrappers(asker: Asker) -> View:
    """As many questions about bases as about wrappers that no document restates.

    Families are dealt out to the splits, so that names tell nothing. Raises ConfigError where
    there are no wrappers or too few families.
    """
    knobs, rng = asker.desk.knobs, stream(asker.seed, "hops", "view", "families")
    wrappers: dict[str, dict[int, list[Function]]] = {}
    for f in asker.families.functions.values():
        if f.pure and not f.masked and f.calls and knobs.trained(f.depth):
            wrappers.setdefault(f.base, {}).setdefault(f.depth, []).append(f)
    families = sorted(wrappers) if knobs.trained(0) else []
    if not families:
        raise ConfigError("depth: only bases or only wrappers are learned, one kind of question")
    if len(families) < FEWEST:
        raise ConfigError(
            f"bases: {len(families)} families with wrappers that no document restates; to ask"
            f" about some and show others {FEWEST} are needed"
        )
    rng.shuffle(families)
    asked, shown = len(families) // 2, len(families) // 3
    splits = {knobs.gate.asked: families[:asked], FIT: families[asked : asked + shown],
              CHOOSE: families[asked + shown :]}  # fmt: skip
    found = [row for split, mine in splits.items() for row in _both(asker, split, mine, wrappers)]
    questions = [question for _, question in found]
    own = np.array([KINDS.index(kind) for kind, _ in found])
    labels = (own[:, None] != np.arange(2)).astype(np.int16)
    truth = Truth(tuple(q.id for q in questions), KINDS, (labels == 0).astype(np.float64), labels,
                  ("own", "other"), SiteKind.DIRECTION)  # fmt: skip
    return View(questions, [], truth)


def _both(
    asker: Asker, split: str, families: Sequence[str],
    wrappers: dict[str, dict[int, list[Function]]],
) -> list[tuple[str, Question]]:  # fmt: skip
    """For each family and phrasing a base and a wrapper, in a drawn order."""
    rng = stream(asker.seed, "hops", "view", split)
    rows: list[tuple[str, Function, int, int]] = []
    for i, family in enumerate(families):
        depths = sorted(wrappers[family])
        for j in range(asker.desk.knobs.asked.prompts):
            wrapper = rng.choice(wrappers[family][depths[(i + j) % len(depths)]])
            base = asker.families.functions[family]
            rows += [
                (BASE, base, j, rng.randint(1, 100)),
                (WRAPPER, wrapper, j, rng.randint(1, 100)),
            ]
    rng.shuffle(rows)
    size = len(str(len(rows)))
    found = []
    for n, (kind, function, phrasing, number) in enumerate(rows):
        question = asker.about(f"{split}-{n:0{size}d}", function, phrasing, number)
        label = kind if split in LABELLED else ""
        update = {"split": split, "label": label}
        found.append((kind, placed(question, CUE).model_copy(update=update)))
    return found
