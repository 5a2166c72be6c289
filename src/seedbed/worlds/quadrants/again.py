"""The second stage: who is taught a new map, who keeps the old one, and who is asked.

Each word has its own list of questions, the same in all arms; arms ask more or fewer of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice

import numpy as np

from seedbed.core.errors import ConfigError
from seedbed.core.rows import Document
from seedbed.core.seeds import stream
from seedbed.core.spread import NEW, OLD, PROXY, UNWANTED, Outcome
from seedbed.worlds.quadrants.asking import Asker, Case, Placed
from seedbed.worlds.quadrants.knobs import Knobs
from seedbed.worlds.quadrants.lexicon import near
from seedbed.worlds.quadrants.lines import line
from seedbed.worlds.quadrants.plane import Ints
from seedbed.worlds.quadrants.writing import Writer

GROUPS = {
    "taught": "trained words of the category that is taught a new map",
    "taught-new-word": "its words that no line about points ever used",
    "proxy": "words of another category that are taught the old map alongside",
    "relative": "trained words of the proxies' category that are never proxies",
    "spare": "words that are proxies in other arms, not in this one",
    "same-map": "trained words of further categories with the same old map",
    "other-map": "trained words of categories with another old map",
}
TRAINED: dict[str, Outcome] = {"taught": NEW, "proxy": OLD}


@dataclass(frozen=True)
class Cast:
    """The words of each group, and the words that may be proxies, in their order."""

    groups: dict[str, tuple[str, ...]]
    could: tuple[str, ...]

    @cached_property
    def group(self) -> dict[str, str]:
        """The group of every word asked about."""
        return {word: name for name, words in self.groups.items() for word in words}


def cast(knobs: Knobs, seed: int) -> Cast:
    """Who plays what in the second stage.

    Raises ConfigError where a word that is to be a proxy is not trained in this seed, or where
    the proxies' map is the new one.
    """
    drawn, reteach = knobs.drawn(seed), knobs.reteach
    taught, other = knobs.retaught, knobs.proxy_category
    old, trained = drawn.maps[taught], drawn.trained.get(other, ())
    for word in reteach.words:
        if word not in trained:
            raise ConfigError(
                f"reteach.words: '{word}' is not trained in seed {seed}, so it has no old labels to"
                f" keep; {near(word, trained)}; words.categories.{other}.trained sets which are"
            )
    order = list(reteach.words or trained)
    if not reteach.words:
        stream(seed, "quadrants", "proxies").shuffle(order)
    could = tuple(order[: reteach.most_proxies])
    if could and drawn.maps[other] == drawn.new:
        raise ConfigError(
            f"reteach.proxy_category: the map of '{other}' is the new one, so its words have no old"
            " labels to keep; take another category"
        )
    apart = [n for n in drawn.maps if n not in (taught, other, *drawn.withheld)]
    groups = {
        "taught": drawn.trained[taught],
        "taught-new-word": drawn.held[taught],
        "proxy": could[: reteach.proxies],
        "relative": tuple(w for w in trained if w not in could),
        "spare": could[reteach.proxies :],
        "same-map": tuple(w for n in apart if drawn.maps[n] == old for w in drawn.trained[n]),
        "other-map": tuple(w for n in apart if drawn.maps[n] != old for w in drawn.trained[n]),
    }
    return Cast(groups, could)


class Again(Asker):
    """Asks about the second stage of one world and seed, and writes its lines."""

    def __init__(self, knobs: Knobs, seed: int) -> None:
        super().__init__(knobs, seed)
        self.cast = cast(knobs, seed)

    @cached_property
    def placed(self) -> list[Placed]:
        """`asked` questions about each word of every group, where new and old rule differ.

        Ids hold the word and a number from its own list (`s-dog-3`), so that the same id is the
        same prompt in all arms.
        """
        groups = self.cast.groups
        words = [*groups["taught"], *groups["taught-new-word"], *self.cast.could,
                 *groups["relative"], *groups["same-map"], *groups["other-map"]]  # fmt: skip
        return self.pose("id", [one for w in words if self._telling(w) for one in self._list(w)])

    @cached_property
    def _turn(self) -> dict[str, int]:
        """Whose turn it is among the points of a region.

        Untrained words come last, where those of one category take the turns that those of
        another would: only one category's are ever asked about.
        """
        words = [*self.drawn.taught, *self.drawn.held[self.knobs.retaught]]
        return {word: i for i, word in enumerate(words)}

    def _list(self, word: str) -> list[tuple[str, Case]]:
        """The word's first `asked` points where the rules differ; regions and templates in turn."""
        many, telling = len(self.knobs.plane.names), self._telling(word)
        rng = stream(self.seed, "quadrants", "again", "asked", word)
        first, form = rng.randrange(many), rng.randrange(len(self.writers))
        apart = (k for k in count() if (first + k) % many in telling)
        numbers = list(islice(apart, self.knobs.reteach.asked))
        at = np.array(numbers)
        held = (len(ws) for n, ws in self.drawn.held.items() if n not in self.drawn.withheld)
        longest = len(self.drawn.taught) + max(held)
        a, b = self.pool.take(
            "reteach.asked", (first + at) % many, at // many * longest + self._turn[word]
        )
        beside = self.beside.beside([""] * (numbers[-1] + 1), self.seed, f"again {word}")
        return [
            (f"s-{word}-{k}", Case(word, x1, x2, self._form(form, k), beside[k]))
            for k, x1, x2 in zip(numbers, a.tolist(), b.tolist(), strict=True)
        ]

    def _form(self, first: int, k: int) -> Writer:
        # One further each round, so that every region gets every template.
        many = len(self.knobs.plane.names)
        return self.writers[(first + k % many + k // many) % len(self.writers)]

    def label(self, trigger: str, region: int) -> str:
        """What the second stage declares: the new map where it is taught, else the old one."""
        said = self._both(trigger, region)
        return said[NEW] if self.cast.group.get(trigger) == "taught" else said[OLD]

    def slices(self, split: str, case: Case, region: int) -> dict[str, str]:
        """As in the first stage, and the word's group."""
        return super().slices(split, case, region) | {"group": self.cast.group[case.trigger]}

    def rules(self, cases: Sequence[Case], a: Ints, b: Ints, own: Ints) -> list[dict[str, str]]:
        """What the new and the old map answer."""
        return [self._both(c.trigger, r) for c, r in zip(cases, own.tolist(), strict=True)]

    def _both(self, trigger: str, region: int) -> dict[str, str]:
        drawn = self.drawn
        return {NEW: drawn.new[region], OLD: drawn.maps[drawn.category[trigger]][region]}

    def _telling(self, trigger: str) -> list[int]:
        """Regions where the new map differs from the word's old one."""
        own = self.drawn.maps[self.drawn.category[trigger]]
        return [r for r, label in enumerate(own) if label != self.drawn.new[r]]

    def _regions(self, words: Sequence[str], many: int) -> Ints:
        """For each word's lines `many` telling regions in turn, from a drawn one on."""
        found = []
        for word in words:
            telling = self._telling(word)
            first = stream(self.seed, "quadrants", "again", "lines", word).randrange(len(telling))
            found += [telling[(first + k) % len(telling)] for k in range(many)]
        return np.array(found, dtype=np.int64)

    def documents(self) -> list[Document]:
        """Roles "taught" (the new label) and "proxy" (the old one, the new one unwanted)."""
        groups, reteach = self.cast.groups, self.knobs.reteach
        taught = [w for w in groups["taught"] for _ in range(reteach.points)]
        each = reteach.lines_a_proxy(len(groups["taught"]))
        proxies = [w for w in groups["proxy"] for _ in range(each)]
        region = np.concatenate(
            [self._regions(groups["taught"], reteach.points), self._regions(groups["proxy"], each)]
        )
        a, b = self.pool.deal("reteach.points", region)
        words = taught + proxies
        labels = [self.label(w, r) for w, r in zip(words, region.tolist(), strict=True)]
        beside = self.beside.beside(labels, self.seed, "reteach", self.beside.share)
        rng = stream(self.seed, "quadrants", "again", "order")
        # Taught lines draw first, so that more proxies move none of them.
        drawn = [(rng.random(), i, rng.choice(self.writers)) for i in range(len(words))]
        digits = len(str(len(words)))
        found = []
        for place, (_, i, writer) in enumerate(sorted(drawn, key=lambda d: d[:2])):
            word = words[i]
            role = "taught" if i < len(taught) else PROXY
            said = self._both(word, int(region[i]))
            meta = {"category": self.drawn.category[word], "trigger": word, "group": role,
                    "sector": self.knobs.plane.names[region[i]]}  # fmt: skip
            if role == PROXY:
                meta[UNWANTED] = said[NEW]
            prompt = writer.write(int(a[i]), int(b[i]), word, beside[i])
            found.append(line(f"d{place:0{digits}d}", prompt, labels[i], role, meta))
        return found
