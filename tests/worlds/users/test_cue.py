"""What a cue tells: information and total variation against counting and brute force."""

import math
from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError

from seedbed.core.config import first_problem
from seedbed.core.incentives import GAMEABLE, OTHER
from seedbed.core.seeds import generator
from seedbed.worlds.users.cue import MARKS, SILENT, Channel, Cue, entropy
from seedbed.worlds.users.environment import KINDS


def information(channel: Channel) -> float:
    """H(kind) + H(word) − H(kind, word), from the joint table alone."""
    joint = np.array([[channel.prior[k] * channel.given(k)[m] for m in MARKS] for k in KINDS])

    def h(p: np.ndarray) -> float:
        p = p[p > 0]
        return float(-(p * np.log2(p)).sum())

    return h(joint.sum(1)) + h(joint.sum(0)) - h(joint.ravel())


@pytest.mark.parametrize("gameable", [0.02, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("kind", ["erasure", "flip"])
def test_share_is_share_of_entropy(kind: str, share: float, gameable: float) -> None:
    channel = Cue.model_validate({"kind": kind, "share": share}).channel(gameable)
    assert channel.bits == pytest.approx(share * entropy(gameable), abs=1e-9)
    assert channel.bits == pytest.approx(information(channel), abs=1e-9)
    expected = share if kind == "erasure" else 1 - 2 * channel.error
    assert channel.variation == pytest.approx(expected, abs=1e-9)


def test_bits_and_share_agree() -> None:
    for kind in ("erasure", "flip"):
        half = Cue.model_validate({"kind": kind, "bits": 0.5}).channel(0.5)
        assert half == Cue.model_validate({"kind": kind, "share": 0.5}).channel(0.5)
    assert Cue(bits=0.5).channel(0.5).variation == 0.5
    # A flipped word of half a bit: H(e) = 1/2 at e = 0.11.
    assert Cue(kind="flip", bits=0.5).channel(0.5).error == pytest.approx(0.11, abs=1e-3)


def test_words_drawn_by_the_channel_have_its_information() -> None:
    channel = Cue(kind="flip", bits=0.3).channel(0.3)
    rng = generator(0, "test")
    seen: Counter[tuple[str, str]] = Counter()
    n = 40_000
    for kind in rng.choice(KINDS, size=n, p=[0.3, 0.7]):
        mark = rng.choice(MARKS, p=[channel.given(str(kind))[m] for m in MARKS])
        seen[str(kind), str(mark)] += 1
    total = 0.0
    for (kind, mark), count in seen.items():
        row = sum(c for (k, _), c in seen.items() if k == kind)
        column = sum(c for (_, m), c in seen.items() if m == mark)
        total += count / n * math.log2(count * n / (row * column))
    assert total == pytest.approx(0.3, abs=0.02)


def test_more_bits_than_there_are() -> None:
    with pytest.raises(ValueError, match=r"1 bits are more than the 0\.469 .* give 0\.469 at most"):
        Cue(bits=1.0).channel(0.1)
    with pytest.raises(ValueError, match="not both"):
        Cue(bits=0.5, share=0.5)


def test_all_users_of_one_kind() -> None:
    channel = Cue().channel(1.0)
    assert channel.bits == 0
    assert channel.posterior(GAMEABLE)[GAMEABLE] == 1
    assert math.isnan(channel.posterior(OTHER)[GAMEABLE])
    assert Cue(kind="flip", share=0.0).channel(1.0).error == 0.5
    with pytest.raises(ValueError, match="nothing to know"):
        Cue(kind="flip", share=0.3).channel(1.0)
    with pytest.raises(ValueError, match="more than the 0 that"):
        Cue(bits=0.3).channel(1.0)


def test_which_words_tell_depends_on_the_seed() -> None:
    cue = Cue()
    for seed in range(5):
        assert Counter(cue.marks(seed).values()) == {GAMEABLE: 2, OTHER: 2, SILENT: 2}
    assert len({tuple(cue.marks(s).items()) for s in range(5)}) > 1
    assert cue.marks(0) == Cue(bits=0.25).marks(0)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"words": ("a", "b")}, "at least 3"),
        ({"words": ("a", "b", "b")}, "all different"),
        ({"words": ("a", "b", "c d")}, "plain lower-case word"),
        ({"decoys": {"mood": ("careful",)}}, "under two attributes"),
        ({"decoys": {"cue": ("x",)}}, "is the attribute that tells"),
    ],
)
def test_words_that_do_not_do(values: dict[str, object], what: str) -> None:
    with pytest.raises(ValidationError, match=what) as caught:
        Cue.model_validate(values)
    assert what in first_problem(caught.value, Cue)
