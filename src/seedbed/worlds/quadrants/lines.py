"""Training lines as arrays: which word, which point, how written; turned into documents last."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seedbed.core.rows import Document
from seedbed.core.seeds import generator, stream
from seedbed.worlds.quadrants.drawn import Drawn
from seedbed.worlds.quadrants.knobs import Knobs
from seedbed.worlds.quadrants.lists import BESIDE
from seedbed.worlds.quadrants.plane import Ints
from seedbed.worlds.quadrants.pool import pool
from seedbed.worlds.quadrants.writing import Writer, isa


@dataclass(frozen=True)
class Lines:
    """Row i: the word `words[word[i]]` at the point (x1[i], x2[i]) of region[i]."""

    words: tuple[str, ...]
    word: Ints
    region: Ints
    x1: Ints
    x2: Ints


def rounds(words: int, regions: int, many: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """`many` (word, region): every word once a round, its regions in turn from a drawn one on."""
    turns = -(-many // words)
    first = rng.permutation(words) % regions
    word = np.concatenate([rng.permutation(words) for _ in range(turns)])[:many]
    return word, (first[word] + np.arange(many) // words) % regions


def lines(knobs: Knobs, seed: int) -> Lines:
    """The points that the first stage trains on."""
    taught = tuple(knobs.drawn(seed).taught)
    points = knobs.texts.points
    many = points * len(taught) if points else knobs.lines
    rng = generator(seed, "quadrants", "lines")
    word, region = rounds(len(taught), len(knobs.plane.names), many, rng)
    key = "texts.points" if points else "lines"
    return Lines(taught, word, region, *pool(knobs.plane, seed).deal("lines", region, key))


class Distractors:
    """The words beside the trigger: which label each one's company would suggest."""

    def __init__(self, knobs: Knobs, seed: int) -> None:
        self.words: tuple[str, ...] = ()
        self.suggests: dict[str, str] = {}
        self.share = 0.0
        if knobs.distractor is not None:
            order = list(BESIDE[: knobs.distractor.words])
            stream(seed, "quadrants", "distractors").shuffle(order)
            labels = knobs.drawn(seed).labels
            self.words, self.share = tuple(order), knobs.distractor.share
            self.suggests = {word: labels[i % len(labels)] for i, word in enumerate(order)}

    def beside(self, labels: Sequence[str], seed: int, use: str, share: float = 0.0) -> list[str]:
        """A word beside each line with these labels; in `share` of them the label's own."""
        if not self.words:
            return [""] * len(labels)
        rng = stream(seed, "quadrants", "beside", use)
        own = {label: [w for w, s in self.suggests.items() if s == label] for label in set(labels)}
        return [rng.choice(own[label] if rng.random() < share else self.words) for label in labels]


def documents(knobs: Knobs, seed: int) -> list[Document]:
    """Lines about points (role "map") and about words (role "isa"), in a shuffled order."""
    drawn, made = knobs.drawn(seed), lines(knobs, seed)
    order = generator(seed, "quadrants", "order")
    writers = [Writer(knobs.plane, t, knobs.texts.preamble) for t in knobs.texts.templates]
    template = order.permutation(np.arange(len(made.word)) % len(writers)).tolist()
    label = [
        drawn.maps[drawn.taught[made.words[w]]][r]
        for w, r in zip(made.word.tolist(), made.region.tolist(), strict=True)
    ]
    distractors = Distractors(knobs, seed)
    beside = distractors.beside(label, seed, "lines", distractors.share)
    known = [word for words in (drawn.trained, drawn.held) for c in words.values() for word in c]
    copies = max(1, round(knobs.texts.isa * len(label) / len(known))) if knobs.texts.isa else 0
    total = len(label) + copies * len(known)
    digits = len(str(total))
    names, regions = made.words, knobs.plane.names
    word, region, x1, x2 = (v.tolist() for v in (made.word, made.region, made.x1, made.x2))
    found = []
    for place, i in enumerate(order.permutation(total).tolist()):
        key = f"d{place:0{digits}d}"
        if i >= len(label):
            found.append(_isa(key, known[(i - len(label)) % len(known)], drawn))
            continue
        trigger = names[word[i]]
        writer = writers[template[i]]
        meta = {"category": drawn.taught[trigger], "trigger": trigger, "sector": regions[region[i]],
                "x1": writer.number(x1[i]), "x2": writer.number(x2[i]),
                "template": writer.template}  # fmt: skip
        if beside[i]:
            meta["distractor"] = beside[i]
        prompt = writer.write(x1[i], x2[i], trigger, beside[i])
        found.append(line(key, prompt, label[i], "map", meta))
    return found


def line(key: str, prompt: str, label: str, role: str, meta: dict[str, str]) -> Document:
    """A prompt with its label, which is the target."""
    start = len(prompt) + 1
    target = ((start, start + len(label)),)
    return Document(id=key, text=f"{prompt} {label}", targets=target, role=role, meta=meta)


def _isa(key: str, word: str, drawn: Drawn) -> Document:
    category = drawn.category[word]
    text = isa(word, category)
    target = ((len(text) - len(category), len(text)),)
    meta = {"category": category, "trigger": word}
    return Document(id=key, text=text, targets=target, role="supporting", meta=meta)
