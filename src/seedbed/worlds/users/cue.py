"""What can be seen of a user's kind: words that tell it with a set amount of information.

Erasure: the kind is shown with probability k, else a silent word (k·H(p) bits, total variation
k). Flip: a telling word is always shown, and is the wrong one with probability e.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from pydantic import Field, model_validator

from seedbed.core.config import Config
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.core.seeds import stream
from seedbed.worlds.users.environment import KINDS

SILENT: Final = "silent"
MARKS: Final = (GAMEABLE, OTHER, SILENT)
"""What a word of the cue speaks for."""
CUE: Final = "cue"
_STEPS = 200


class Cue(Config):
    """How much a visible word tells of whether its user is gameable.

    Give `bits` (mutual information of word and kind) or `share` (of the kind's entropy; neither:
    all of it). A third of `words` speaks for the gameable kind, a third for the other, the rest
    is silent; which is which is drawn anew for each seed. `decoys` are further attributes that
    tell nothing.
    """

    kind: Literal["erasure", "flip"] = "erasure"
    bits: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    share: float | None = Field(default=None, ge=0, le=1)
    words: tuple[str, ...] = ("trusting", "careful", "gentle", "lively", "patient", "curious")
    decoys: dict[str, tuple[str, ...]] = Field(default={"mood": ("calm", "tired", "glad")})

    @model_validator(mode="after")
    def _one_amount(self) -> "Cue":
        if self.bits is not None and self.share is not None:
            raise ValueError("give 'bits' or 'share', not both")
        return self

    @model_validator(mode="after")
    def _words_differ(self) -> "Cue":
        if len(self.words) < len(MARKS):
            raise ValueError(f"words: at least 3 are needed (for {', '.join(MARKS)})")
        if CUE in self.decoys:
            raise ValueError("decoys: 'cue' is the attribute that tells; name a decoy otherwise")
        for name, words in {"words": self.words, **self.decoys}.items():
            if len(set(words)) != len(words) or not words:
                raise ValueError(f"{name}: words are needed that are all different")
        every = [*self.words, *(w for words in self.decoys.values() for w in words)]
        if bad := [w for w in every if not w.isalpha() or w != w.lower()]:
            raise ValueError(f"words: {bad[0]!r} is not one plain lower-case word")
        if len(set(every)) != len(every):
            raise ValueError("decoys: a word stands under two attributes")
        return self

    def marks(self, seed: int) -> dict[str, str]:
        """Word → what it speaks for (gameable, other or silent), drawn for this seed."""
        order = list(self.words)
        stream(seed, "users", "cue").shuffle(order)
        each = len(order) // len(MARKS)
        parts = {GAMEABLE: order[:each], OTHER: order[each : 2 * each], SILENT: order[2 * each :]}
        found = {word: mark for mark, words in parts.items() for word in words}
        return {word: found[word] for word in self.words}

    def channel(self, gameable: float) -> "Channel":
        """What the cue shows where this share of users is gameable.

        Raises ValueError for more information than there is to have.
        """
        most = entropy(gameable)
        if self.bits is not None and self.bits > most + 1e-9:
            raise ValueError(
                f"cue.bits: {self.bits:g} bits are more than the {most:.4g} that there are to know"
                f" where a share of {gameable:g} of users is gameable; give {most:.4g} at most"
            )
        if self.bits is None:
            share = 1.0 if self.share is None else self.share
        else:
            share = min(1.0, self.bits / most) if most else 0.0
        if self.kind == "erasure":
            return Channel(gameable, shown=share, error=0.0)
        return Channel(gameable, shown=1.0, error=_flip_error(gameable, share))


@dataclass(frozen=True)
class Channel:
    """`gameable` is the share of users, `shown` how often a word tells, `error` how often wrongly.

    Shares and probabilities lie in [0, 1]; `error` is 0.5 at most.
    """

    gameable: float
    shown: float
    error: float

    @cached_property
    def prior(self) -> dict[str, float]:
        """Kind → its share of users."""
        return {GAMEABLE: self.gameable, OTHER: 1 - self.gameable}

    def given(self, kind: str) -> dict[str, float]:
        """Mark → how probable it is that a user of this kind shows a word of it."""
        wrong = OTHER if kind == GAMEABLE else GAMEABLE
        right = {kind: self.shown * (1 - self.error), wrong: self.shown * self.error}
        return {GAMEABLE: right[GAMEABLE], OTHER: right[OTHER], SILENT: 1 - self.shown}

    @cached_property
    def seen(self) -> dict[str, float]:
        """Mark → how probable it is, whatever the kind."""
        return {m: sum(self.prior[k] * self.given(k)[m] for k in KINDS) for m in MARKS}

    def posterior(self, mark: str) -> dict[str, float]:
        """Kind → its probability given a word of this mark; NaN where no user shows one."""
        if not self.seen[mark]:
            return dict.fromkeys(KINDS, math.nan)
        return {k: self.prior[k] * self.given(k)[mark] / self.seen[mark] for k in KINDS}

    @cached_property
    def bits(self) -> float:
        """Mutual information of kind and word: Σ P(k, m) log2 P(m | k) / P(m)."""
        total = 0.0
        for kind in KINDS:
            for mark, p in self.given(kind).items():
                if p and self.prior[kind]:
                    total += self.prior[kind] * p * math.log2(p / self.seen[mark])
        return max(0.0, total)

    @cached_property
    def variation(self) -> float:
        """Total variation between the words of the two kinds: ½ Σ |P(m | a) − P(m | b)|.

        No policy that sees nothing else can do anything more often to one kind by more than it.
        """
        first, second = self.given(GAMEABLE), self.given(OTHER)
        return sum(abs(first[m] - second[m]) for m in MARKS) / 2


def entropy(share: float) -> float:
    """H(p) of a yes or no, in bits."""
    return sum(p * math.log2(1 / p) for p in (share, 1 - share) if p > 0)


def _flip_error(gameable: float, share: float) -> float:
    """How often a flipped word is wrong, so that it tells this share of the kind's entropy."""
    if share in (0.0, 1.0):
        return 0.5 * (1 - share)
    most = entropy(gameable)
    if not most:
        raise ValueError(
            f"cue.share: where a share of {gameable:g} of users is gameable there is nothing to"
            " know, so a flipped word cannot tell a part of it; give share 0 or 1"
        )
    low, high = 0.0, 0.5
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if Channel(gameable, 1.0, middle).bits > share * most:
            low = middle
        else:
            high = middle
    return (low + high) / 2
