"""Scores against exact patching, beside their chance level and the oracle."""

from typing import Any

import numpy as np
import pytest

from seedbed.core.rows import Question
from seedbed.core.sites import Claim, SiteKind, Truth
from seedbed.finders.chance import random_claim
from seedbed.scoring.crossed import PEARSON, RECALL, against_exact, collect_crossed
from seedbed.scoring.rows import SeedResults

QUESTIONS = tuple(f"q{i}" for i in range(40))
SITES = tuple(f"resid_pre.{layer}@{place}" for layer in range(10) for place in "abcde")
RNG = np.random.default_rng(0)
EFFECTS = RNG.random((len(QUESTIONS), len(SITES)))
EFFECTS[:, :10] = 0.0


def results(**scores: Any) -> list[SeedResults]:
    values = np.zeros(EFFECTS.shape)
    values[:, 20] = 1.0
    truth = Truth(QUESTIONS, SITES, values, values.astype(np.int16), ("no", "yes"), SiteKind.CELL)
    claims = {n: Claim(QUESTIONS, SITES, s, SiteKind.CELL) for n, s in scores.items()}
    asked = [Question(id=q, prompt=q, answer="x", cause=f"c{i % 8}", slices={"d": str(i % 2)})
             for i, q in enumerate(QUESTIONS)]  # fmt: skip
    right = np.array([i % 4 > 0 for i in range(len(QUESTIONS))])
    return [SeedResults(seed, asked, right, truth, claims, {}) for seed in (1, 0)]


def value(rows: list[Any], finder: str, metric: str, part: str = "all") -> Any:
    (row,) = [r for r in rows if (r.finder, r.metric, r.slice) == (finder, metric, part)]
    return row


def test_what_says_the_same_scores_one_and_noise_scores_chance() -> None:
    noise = random_claim(0, QUESTIONS, SITES).scores
    rows = against_exact(results(exact=EFFECTS, same=EFFECTS * -3, noise=noise), "exact")
    assert {r.truth for r in rows} == {"measured"}
    assert {r.finder for r in rows} == {"same", "noise", "oracle"}
    for metric in (PEARSON, RECALL):
        assert value(rows, "same", metric).value == pytest.approx(1)
        assert value(rows, "oracle", metric).value == 1
        row = value(rows, "noise", metric)
        assert row.value == pytest.approx(row.chance, abs=0.06)
    assert value(rows, "same", RECALL).chance == pytest.approx(2 / 40)


def test_half_right_lies_between_and_slices_are_apart() -> None:
    turned = EFFECTS.copy()
    turned[::2] = RNG.permuted(EFFECTS[::2], axis=1)
    rows = against_exact(results(exact=EFFECTS, half=turned), "exact")
    assert value(rows, "half", PEARSON, "d=1").value == pytest.approx(1)
    assert abs(value(rows, "half", PEARSON, "d=0").value) < 0.2
    assert value(rows, "half", PEARSON).value == pytest.approx(0.5, abs=0.1)


def test_without_exact_patching_there_is_the_declared_truth_alone() -> None:
    given = results(one=EFFECTS)
    assert {r.truth for r in collect_crossed(given)} == {"declared"}
    assert {r.truth for r in collect_crossed(given, "one")} == {"declared", "measured"}
