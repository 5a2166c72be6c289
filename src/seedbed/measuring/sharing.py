"""Which prompts and choices are run together, so that no shared beginning is run twice.

Prompts with a long common beginning form a group that runs this stem once. What follows it
is laid out in strips: a strip is a tree of tokens, each seeing its own ancestors only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Ids = tuple[int, ...]

# What one pass more costs, in tokens run: for small matrices, and for a model of width 1.
PASS, NARROW = 32, 2**20
# Keys of a stem that one strip more must copy, for the time of one token.
COPIED = 32
# A prompt that is longer than this with its choices runs alone: a strip's mask is a square.
LONG = 2048


@dataclass
class Strip:
    """A tree of tokens in one line: parents come before children, the stem before all.

    `parents[i]` is a place in the strip, −1 after the stem. `ends` holds for each prompt the
    place of its last token, `reads` for each prompt and choice the places at which the
    choice's tokens are predicted.
    """

    ids: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    ends: dict[Ids, int] = field(default_factory=dict)
    reads: dict[tuple[Ids, Ids], list[int]] = field(default_factory=dict)
    _next: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, prompt: Ids, choices: Sequence[Ids], stem: int) -> None:
        """Lay out what follows the first `stem` tokens of a prompt, and its choices."""
        end = self._walk(-1, prompt[stem:])[-1]
        self.ends[prompt] = end
        for choice in choices:
            self.reads[prompt, choice] = [end, *self._walk(end, choice[:-1])]

    def _walk(self, place: int, ids: Ids) -> list[int]:
        path = []
        for token in ids:
            key = place, token
            if key not in self._next:
                self._next[key] = len(self.ids)
                self.ids.append(token)
                self.parents.append(place)
            place = self._next[key]
            path.append(place)
        return path


@dataclass(frozen=True)
class Group:
    """Strips that all continue the same `stem`, in passes of strips of similar length."""

    stem: Ids
    passes: list[list[Strip]]


@dataclass(frozen=True)
class Planner:
    """Lays out prompts for a model of hidden `width`, at most `tokens` in a pass.

    Running a token costs about as much as attending to 2 × `width` further keys, which
    decides whether a prompt is laid out behind another one or in a strip of its own.
    """

    width: int
    tokens: int

    def plan(self, choices: Mapping[Ids, Sequence[Ids]]) -> list[Group]:
        """Groups that cover every prompt and its choices."""
        groups = []
        for stem, prompts in self._families(sorted(choices)):
            sizes = {p: len(p) - stem + sum(len(c) - 1 for c in choices[p]) for p in prompts}
            groups += [self._alone(p, choices[p]) for p in prompts if sizes[p] > LONG]
            if short := [p for p in prompts if sizes[p] <= LONG]:
                groups.append(self._group(short, stem, choices))
        return groups

    def _alone(self, prompt: Ids, choices: Sequence[Ids]) -> Group:
        """A prompt as a stem; its choices in as many strips as they need."""
        stem, strips = len(prompt) - 1, [Strip()]
        for choice in choices:
            if strips[-1].ids and len(strips[-1].ids) + len(choice) > LONG:
                strips.append(Strip())
            strips[-1].add(prompt, [choice], stem)
        return Group(prompt[:stem], list(self._passes(strips)))

    @property
    def _pass(self) -> float:
        return PASS + NARROW / self.width**2

    def _families(self, prompts: Sequence[Ids]) -> Iterator[tuple[int, Sequence[Ids]]]:
        """(stem length, prompts): split off those whose own common beginning pays a pass."""
        shared = [_common(a, b) for a, b in pairwise(prompts)]
        least = min(shared, default=0)
        cuts = [i + 1 for i, n in enumerate(shared) if n == least]
        rest: list[Ids] = []
        for start, end in pairwise([0, *cuts, len(prompts)]):
            own = min(shared[start : end - 1], default=least)
            if (end - start - 1) * (own - least) > least + self._pass:
                yield from self._families(prompts[start:end])
            else:
                rest += prompts[start:end]
        if rest:
            yield (least if (len(rest) - 1) * least > self._pass else 0), rest

    def _group(
        self, prompts: Sequence[Ids], stem: int, choices: Mapping[Ids, Sequence[Ids]]
    ) -> Group:
        strips: list[Strip] = []
        last: Ids = ()
        for prompt in prompts:
            alone = Strip()
            alone.add(prompt, choices[prompt], stem)
            saved = max(0, _common(last, prompt) - stem)
            fresh = len(alone.ids) - saved
            worth = (saved + stem / COPIED) * self.width
            behind = len(strips[-1].ids) if strips else self.tokens
            if behind + fresh <= self.tokens and fresh * behind < worth:
                strips[-1].add(prompt, choices[prompt], stem)
            else:
                strips.append(alone)
            last = prompt
        return Group(prompts[0][:stem], list(self._passes(strips)))

    def _passes(self, strips: Sequence[Strip]) -> Iterator[list[Strip]]:
        """Strips by length; a new pass begins where padding would cost as much as it does."""
        batch: list[Strip] = []
        for strip in sorted(strips, key=lambda s: len(s.ids)):
            length = len(strip.ids)
            if batch and (
                (len(batch) + 1) * length > self.tokens
                or sum(length - len(s.ids) for s in batch) > self._pass
            ):
                yield batch
                batch = []
            batch.append(strip)
        if batch:
            yield batch


def _common(a: Ids, b: Ids) -> int:
    """Length of the common beginning; one token must remain, to predict the choices' first."""
    length = min(len(a), len(b)) - 1
    return next((i for i in range(length) if a[i] != b[i]), length)
