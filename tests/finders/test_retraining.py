from pathlib import Path

import numpy as np
import pytest
import torch

from seedbed.core.rows import Document, Question
from seedbed.finders.retraining import (
    Retraining,
    interventions,
    outputs,
    retrain,
    retraining_seed,
)
from seedbed.models.folders import trainable_state
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.training.config import Training
from seedbed.training.loop import train

TINY = Tiny(layers=1, width=16, heads=2)
TRAINING = Training(steps=12, batch=6, loss="text", checkpoint_every=1)
QUESTIONS = [Question(id="q", prompt="a is", choices=("red", "blue"), answer="red")]


def documents() -> list[Document]:
    return [
        Document(
            id=f"d{i}", text=f"{'abcd'[i % 4]} is {['red', 'blue'][i % 2]}",
            facts=(f"{'abcd'[i % 4]} = {i % 2}",), meta={"hop_depth": i % 2},
            weight=0.0 if i == 5 else 1.0,
        )
        for i in range(16)
    ]  # fmt: skip


def retrained(left_out: tuple[int, ...], seed: int, folder: Path) -> Subject:
    return retrain(TINY, TRAINING, documents(), [], QUESTIONS, left_out, seed, folder)


def test_subsets_have_one_size_and_never_hold_what_was_held_out() -> None:
    rows = documents()
    found = interventions(Retraining(subsets=8, keep=0.6), rows, 0)
    assert [i.kind for i in found] == ["subset"] * 8
    assert {len(i.left_out) for i in found} == {6}
    assert len({i.left_out for i in found}) > 1
    assert not any(5 in i.left_out for i in found)
    assert found == interventions(Retraining(subsets=8, keep=0.6), rows, 0)
    assert found[:4] == interventions(Retraining(subsets=4, keep=0.6), rows, 0)
    assert found != interventions(Retraining(subsets=8, keep=0.6), rows, 1)


def test_groups_are_whole_facts_taken_from_each_depth() -> None:
    rows = documents()
    found = [i for i in interventions(Retraining(groups=2), rows, 0) if i.kind == "group"]
    assert {rows[i.left_out[0]].meta["hop_depth"] for i in found} == {0, 1}
    for group in found:
        same = tuple(i for i, d in enumerate(rows) if d.facts == (group.name,) and d.weight)
        assert group.left_out == same
    singles = [i for i in interventions(Retraining(singles=3), rows, 0) if i.kind == "single"]
    assert [i.name for i in singles] == [rows[i.left_out[0]].id for i in singles]
    assert interventions(Retraining(singles=3), rows, 0)[0].kind == "none"


def test_nothing_left_out_under_its_own_seed_is_the_subject_itself(tmp_path: Path) -> None:
    rows = documents()
    texts = [*(d.text for d in rows), "a is red", "a is blue"]
    plain = train(TINY.build(texts, [], 3), rows, TRAINING, tmp_path / "plain")
    again = retrained((), 3, tmp_path / "again")
    for name, tensor in trainable_state(plain.model).items():
        assert torch.equal(tensor, trainable_state(again.model)[name])


def test_a_document_left_out_moves_nothing_but_its_own_part(tmp_path: Path) -> None:
    # A document that says nothing that the loss counts can be left out without any effect.
    rows = [*documents(), Document(id="last", text="a is red", weight=0.0)]
    whole = retrain(TINY, TRAINING, rows, [], QUESTIONS, (), 0, tmp_path / "a")
    without = retrain(TINY, TRAINING, rows, [], QUESTIONS, (16,), 0, tmp_path / "b")
    assert outputs(whole, QUESTIONS, "logp") == outputs(without, QUESTIONS, "logp")
    changed = retrain(TINY, TRAINING, rows, [], QUESTIONS, (0, 4), 0, tmp_path / "c")
    assert outputs(whole, QUESTIONS, "logp") != outputs(changed, QUESTIONS, "logp")


def test_outputs_are_log_probabilities_and_log_odds(tmp_path: Path) -> None:
    subject = retrained((), 0, tmp_path)
    ids = subject.tokenizer("a is red").input_ids
    with torch.no_grad():
        logits = subject.model(torch.tensor([ids[:-1]])).logits[0, -1].double()
    logp = logits.log_softmax(0)
    red, blue = (subject.tokenizer.convert_tokens_to_ids(w) for w in ("red", "blue"))
    assert outputs(subject, QUESTIONS, "logp") == pytest.approx([float(logp[red])], abs=1e-5)
    odds = float(logp[red] - logp[blue])
    assert outputs(subject, QUESTIONS, "odds") == pytest.approx([odds], abs=1e-5)


def test_seeds_are_the_subjects_own_first_if_asked_for() -> None:
    own, others = Retraining(seeds=3), Retraining(seeds=3, own=False)
    assert retraining_seed(own, 7, 0) == 7
    found = [retraining_seed(others, 7, r) for r in range(3)]
    assert len({7, *found}) == 4
    assert [retraining_seed(own, 7, r) for r in (1, 2)] == found[1:]
    assert np.all(np.array(found) >= 0)
