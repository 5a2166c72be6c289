import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from seedbed.core.errors import ConfigError
from seedbed.core.rows import Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.measuring.answers import Answer
from seedbed.models.adapters import Lora
from seedbed.scoring.rows import Cost, collect
from seedbed.studies.organisms import (
    CHANCE,
    Organism,
    Organisms,
    admit,
    asked_of,
    planted,
    results_of,
    stop_reason,
)
from seedbed.training.config import Training
from seedbed.worlds.base import Gate
from seedbed.worlds.hops.world import Hops

GATE = Gate(by="depth", margin=0.4)
HERE = Organism("shifted", 1, Path("organism"), Path("data"))


def _questions(n: int = 40) -> list[Question]:
    return [
        Question(id=f"{split}{i}", prompt="p", choices=tuple("abcd"), answer="a", split=split,
                 cause=f"c{i % 8}", slices={"depth": str(i % 2)})
        for split in ("id", "train") for i in range(n)
    ]  # fmt: skip


def _answers(questions: list[Question], right: int) -> list[Answer]:
    """The first `right` of the held-out ones are right."""
    return [
        Answer(id=q.id, correct=i < right, prediction="a", probability=1, margin=0, entropy=0,
               error="", on_choices=True)
        for i, q in enumerate(questions)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("right", "before", "reason", "new"),
    [
        (40, 0, "", 40),
        (20, 0, "not learned: accuracy 0.50 .* on all 40 held-out", 40),
        # What the base knew already shows nothing, however much of it there is.
        (40, 40, "the base answers every question", 0),
        (36, 34, "not learned: accuracy 0.33 .* on the changed 6 held-out", 6),
        (40, 20, "", 20),
    ],
)
def test_who_counts(right: int, before: int, reason: str, new: int) -> None:
    questions = _questions()
    verdict = admit(GATE, HERE, questions, _answers(questions, right),
                    _answers(questions, before), 3)  # fmt: skip
    assert pytest.approx(right / 40) == verdict.every.accuracy
    assert (verdict.changed.n if verdict.changed else 0) == new
    assert verdict.organism == "shifted@1"
    if reason:
        with pytest.raises(AssertionError, match=reason):
            assert not verdict.reason, verdict.reason
    else:
        assert not verdict.reason
        assert verdict.every.low >= 0.25 + 0.4


def test_asked_questions_are_held_out_of_all_causes_and_drawn_blindly() -> None:
    questions = _questions()
    verdicts = [
        admit(GATE, HERE, questions, _answers(questions, right), _answers(questions, 0), 3)
        for right in (30, 40)
    ]
    asked = [asked_of(GATE, HERE, questions, v, 16).asked for v in verdicts]
    assert asked[0] == asked[1]
    assert len(asked[0]) == 16
    assert all(q.startswith("id") for q in asked[0])
    assert {int(q[2:]) % 8 for q in asked[0]} == set(range(8))


def test_a_seed_without_an_organism_stops_the_study() -> None:
    questions = _questions()

    def verdict(seed: int, right: int) -> Any:
        answers = _answers(questions, right), _answers(questions, 0)
        return admit(GATE, HERE, questions, *answers, seed)

    assert not stop_reason([verdict(0, 40), verdict(0, 2), verdict(1, 40)])
    why = stop_reason([verdict(0, 40), verdict(1, 2)])
    assert "no organism of seed 1 learned" in why
    assert "shifted@1: not learned: accuracy 0.05" in why


def _organisms() -> list[Organism]:
    return [Organism("plus", n, Path(), Path()) for n in (0, 1, 2)] + [
        Organism("half", 1, Path(), Path())
    ]


def test_truth_claims_and_chance_are_scored_like_any_finder() -> None:
    organisms = _organisms()
    truth = planted(organisms, 4)
    assert truth.site_kind is SiteKind.LAYER
    assert truth.questions == ("plus@0", "plus@1", "plus@2", "half@1")
    assert truth.values.argmax(axis=1).tolist() == [0, 1, 2, 1]
    assert (truth.values.sum(axis=1) == 1).all()
    assert [truth.names[i] for i in truth.labels[0]] == ["planted", *["other"] * 3]
    scores = truth.values.copy()
    scores[3] = [2, 1, 0, 0]
    claim = Claim(truth.questions, truth.sites, scores, SiteKind.LAYER)
    constant = Claim(truth.questions, truth.sites, np.zeros((4, 4)), SiteKind.LAYER)
    costs = {"swap": Cost(1, 2, 3), "constant": Cost(1, 2, 3)}
    results = [
        results_of(seed, organisms, 4, {"swap": claim, "constant": constant}, costs)
        for seed in (0, 1)
    ]
    rows = {(r.finder, r.metric): r for r in collect(results) if r.slice == "all"}
    named = rows["swap", "r_precision"]
    assert named.value == pytest.approx(3 / 4)
    assert (named.chance, named.oracle) == (1 / 4, 1)
    assert rows["swap", "mrr"].value == pytest.approx((3 + 1 / 2) / 4)
    # Ties go against the finder, so that a constant names nothing.
    assert rows["constant", "r_precision"].value == 0
    assert rows["oracle", "r_precision"].value == 1
    assert (CHANCE, "mrr") in rows
    drawn = [r.claims[CHANCE].scores for r in results]
    assert not np.array_equal(drawn[0], drawn[1])


def test_chance_is_chance_over_many_organisms() -> None:
    organisms = [Organism(f"c{i}", i % 4, Path(), Path()) for i in range(2000)]
    result = results_of(0, organisms, 4, {}, {})
    right = result.claims[CHANCE].scores.argmax(axis=1) == result.truth.values.argmax(axis=1)
    assert right.mean() == pytest.approx(0.25, abs=5 * math.sqrt(0.25 * 0.75 / 2000))


def test_cells_are_every_change_in_every_block() -> None:
    both = {"a": {"depth": 1}, "b": {"depth": 3}}
    assert Organisms(changes=both).cells(2) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert Organisms(changes=both, layers=(1,)).cells(2) == [("a", 1), ("b", 1)]
    with pytest.raises(ConfigError, match="layers: the subject has the blocks 0 to 1, no 4"):
        Organisms(changes=both, layers=(4,)).cells(2)


def test_a_nested_change_leaves_the_other_knobs_alone() -> None:
    world = Hops(texts={"redundancy": 4, "names": "words"})
    changed = Organisms(changes={"more": {"texts": {"redundancy": 5}}}).world("more", world)
    assert isinstance(changed, Hops)
    assert (changed.texts.redundancy, changed.texts.names) == (5, "words")


def test_a_changed_world_is_checked() -> None:
    world = Hops(depth=2)
    organisms = Organisms(changes={"deep": {"depth": 3}, "same": {"depth": 2}, "typo": {"dept": 3}})
    assert organisms.world("deep", world) == Hops(depth=3)
    with pytest.raises(ConfigError, match=r"changes\.same: the world is like that already"):
        organisms.world("same", world)
    with pytest.raises(ConfigError, match=r"changes\.typo: dept: unknown key; did you mean"):
        organisms.world("typo", world)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"changes": {}}, "at least 1"),
        ({"changes": {"a@b": {}}}, "letters, digits"),
        ({"layers": (0, 0)}, "stands once"),
        ({"layers": (-1,)}, "from 0"),
        ({"training": Training(steps=1, only_layers=(1,))}, "name their 'layers'"),
        ({"drift": Training(steps=1, lora=Lora())}, "name their 'layers'"),
    ],
)
def test_what_cannot_be_asked_for(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        Organisms.model_validate({"changes": {"a": {}}, **changes})
