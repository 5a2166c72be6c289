"""What can be worked out from the question alone: small computations in the frames of facts.

Regular forms stand beside the irregular ones that must be known; words come from the facts.
"""

import random
from collections.abc import Callable
from string import ascii_uppercase
from typing import NamedTuple

from seedbed.worlds.observed.facts import FACTS


class Drawn(NamedTuple):
    """One question: its right value, three wrong ones, and how it is worked out."""

    question: str
    answer: str
    wrong: tuple[str, ...]
    why: str


Draw = Callable[[random.Random], Drawn]
NAMES = ("Anna", "Tom", "Mary", "Jack", "Lucy", "Ben", "Emma", "Paul", "Kate", "Sam")
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "brown", "pink")
COUNTRIES = tuple(c for c in FACTS["capitals"].values if " " not in c)
ANIMALS = ("cow", "cat", "dog", "duck", "lion", "pig", "bee", "snake", "owl", "frog", "horse",
           "goat", "swan")  # fmt: skip
WORDS = (*COUNTRIES, *ANIMALS, *COLOURS)
THINGS = ("chair", "box", "car", "house", "ball", "shirt", "door", "hat", "pen", "cup")
NOUNS = ("book", "cat", "dog", "car", "tree", "house", "bird", "girl", "boy", "friend", "teacher",
         "river", "table", "chair", "window", "letter", "apple", "flower", "garden",
         "finger")  # fmt: skip
VERBS = ("walk", "talk", "jump", "play", "look", "work", "help", "call", "ask", "open", "close",
         "laugh", "cook", "clean", "paint", "start", "wait", "want", "need", "learn", "visit",
         "enjoy", "follow", "push", "pull", "kick", "pass", "fill", "turn", "rain",
         "wash", "watch", "touch", "reach", "march", "thank", "climb", "cover", "answer", "order",
         "offer", "remember", "wonder", "gather", "invite", "arrive", "live", "love", "move",
         "count")  # fmt: skip
QUALITIES = ("happy", "lucky", "fair", "safe", "known", "able", "equal", "healthy", "usual",
             "tidy", "wise", "friendly", "stable", "true", "paid", "born", "dressed", "finished",
             "locked", "married", "willing", "aware", "popular", "important", "related", "harmed",
             "selfish", "broken", "afraid", "grateful", "lawful", "helpful", "pleasant",
             "comfortable", "covered", "available", "believable", "reliable", "suitable",
             "necessary", "conscious", "armed", "opened", "used", "wanted", "invited", "changed",
             "tested", "loved", "seen")  # fmt: skip


def _near(rng: random.Random, value: int, *shown: int) -> tuple[str, ...]:
    """Three numbers from 1 near `value`, none of those shown in the question."""
    pool = [n for n in range(max(1, value - 5), value + 6) if n != value and n not in shown]
    return tuple(map(str, rng.sample(pool, 3)))


def _formed(rng: random.Random, words: tuple[str, ...], form: Callable[[str], str]) -> list[str]:
    """A word, its form, and the forms of three others."""
    drawn = rng.sample(words, 4)
    return [drawn[0], *map(form, drawn)]


def plural(rng: random.Random) -> Drawn:
    """A regular plural."""
    word, right, *wrong = _formed(rng, NOUNS, lambda w: f"{w}s")
    said = f"The plural of {word} is {right}."
    return Drawn(f"What is the plural of {word}?", right, tuple(wrong), said)


def past(rng: random.Random) -> Drawn:
    """A regular past tense."""
    word, right, *wrong = _formed(rng, VERBS, lambda w: f"{w.removesuffix('e')}ed")
    said = f"The past tense of {word} is {right}."
    return Drawn(f"What is the past tense of {word}?", right, tuple(wrong), said)


def opposite(rng: random.Random) -> Drawn:
    """An opposite by leaving `un` off."""
    word, right, *wrong = _formed(rng, QUALITIES, str)
    said = f"The opposite of un{word} is {right}."
    return Drawn(f"What is the opposite of un{word}?", right, tuple(wrong), said)


def colour(rng: random.Random) -> Drawn:
    """A colour that the question names."""
    colours, thing, name = rng.sample(COLOURS, 4), rng.choice(THINGS), rng.choice(NAMES)
    question = f"What is the colour of the {colours[0]} {thing} of {name}?"
    said = f"The {thing} is {colours[0]}."
    return Drawn(question, colours[0], tuple(colours[1:]), said)


def chain(rng: random.Random) -> Drawn:
    """A syllogism: every one of a kind has a colour, and this is one."""
    colours, animal, name = rng.sample(COLOURS, 4), rng.choice(ANIMALS), rng.choice(NAMES)
    question = f"What is the colour of {name} the {animal} if all {animal}s are {colours[0]}?"
    said = f"{name} is one of the {animal}s, and they are {colours[0]}."
    return Drawn(question, colours[0], tuple(colours[1:]), said)


def letter(rng: random.Random) -> Drawn:
    """The first letter of a word."""
    word = rng.choice(WORDS)
    right = word[0].upper()
    wrong = rng.sample([c for c in ascii_uppercase if c not in word.upper()], 3)
    said = f"{word} begins with {right}."
    return Drawn(f"What is the first letter of {word}?", right, tuple(wrong), said)


def pattern(rng: random.Random) -> Drawn:
    """What follows where two words take turns."""
    a, b, *wrong = rng.sample(WORDS, 5)
    question = f"What is the word after {a}, {b}, {a}, {b}, {a}?"
    return Drawn(question, b, tuple(wrong), f"After {a} always comes {b}.")


def sequence(rng: random.Random) -> Drawn:
    """The next number of an arithmetic sequence."""
    start, step = rng.randint(1, 12), rng.choice((1, 2, 3, 5, 10))
    row = [start + i * step for i in range(5)]
    question = f"What is the number after {', '.join(map(str, row[:4]))}?"
    said = f"Each number is {step} more than the one before."
    return Drawn(question, str(row[4]), _near(rng, row[4], *row), said)


def successor(rng: random.Random) -> Drawn:
    """The next whole number."""
    n = rng.randint(1, 60)
    said = f"{n} and 1 make {n + 1}."
    return Drawn(f"What is the number after {n}?", str(n + 1), _near(rng, n + 1, n), said)


def between(rng: random.Random) -> Drawn:
    """The number in the middle."""
    n = rng.randint(1, 40)
    question = f"What is the number between {n} and {n + 2}?"
    said = f"After {n} comes {n + 1}, and then {n + 2}."
    return Drawn(question, str(n + 1), _near(rng, n + 1, n, n + 2), said)


def total(rng: random.Random) -> Drawn:
    """A sum."""
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    said = f"{a} and {b} make {a + b}."
    return Drawn(f"What is the value of {a} + {b}?", str(a + b), _near(rng, a + b, a, b), said)


def product(rng: random.Random) -> Drawn:
    """A product."""
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    said = f"{a} times {b} is {a * b}."
    return Drawn(f"What is the value of {a} x {b}?", str(a * b), _near(rng, a * b, a, b), said)


SUMS: dict[str, Draw] = {
    "regular plurals": plural,
    "regular past tenses": past,
    "prefixes": opposite,
    "named colours": colour,
    "chains": chain,
    "first letters": letter,
    "patterns": pattern,
    "sequences": sequence,
    "successors": successor,
    "middles": between,
    "sums": total,
    "products": product,
}
