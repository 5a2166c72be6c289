from dataclasses import replace

import numpy as np
import pytest
import torch

from seedbed.core.rows import Document, Question
from seedbed.core.sites import SiteKind
from seedbed.finders.ablation import Ablation
from seedbed.finders.base import FINDERS
from seedbed.finders.contract import example
from seedbed.finders.contract_inputs import check_input_finder, check_rule_finder
from seedbed.finders.gradients import Gradients
from seedbed.finders.randomised import Randomised, shuffled
from seedbed.models.folders import trainable_state
from seedbed.models.subject import Subject
from seedbed.scoring.ranking import chance, per_question

Rows = tuple[Subject, list[Document], list[Question]]


@pytest.fixture
def rows() -> Rows:
    return example()


def test_entries_are_permuted_and_return(rows: Rows) -> None:
    subject = rows[0]
    before = {n: t.clone() for n, t in trainable_state(subject.model).items()}
    with shuffled(subject) as broken:
        for name, tensor in trainable_state(broken.model).items():
            assert torch.equal(tensor.flatten().sort().values, before[name].flatten().sort().values)
        name = "model.layers.0.mlp.up_proj.weight"
        assert not torch.equal(trainable_state(broken.model)[name], before[name])
        assert broken.checkpoints == ()
    assert all(torch.equal(t, before[n]) for n, t in trainable_state(subject.model).items())


def test_scores_are_of_the_shuffled_subject(rows: Rows) -> None:
    subject, documents, questions = rows
    plain = Gradients(measure="cosine")
    found = Randomised(of=plain).find(subject, documents, questions, [])
    with shuffled(subject) as broken:
        wanted = plain.find(broken, documents, questions, [])
    assert np.array_equal(found.scores, wanted.scores)
    assert not np.allclose(found.scores, plain.find(subject, documents, questions, []).scores)


def test_weights_return_after_an_error(rows: Rows) -> None:
    subject = rows[0]
    before = {n: t.clone() for n, t in trainable_state(subject.model).items()}
    with pytest.raises(RuntimeError, match="inside"), shuffled(subject):
        raise RuntimeError("inside")
    assert all(torch.equal(t, before[n]) for n, t in trainable_state(subject.model).items())


def test_names_and_variants() -> None:
    one = FINDERS.build({"kind": "randomised", "of": "bm25"})
    assert (one.name, [v.name for v in one.variants()]) == ("randomised-bm25", ["randomised-bm25"])
    both = FINDERS.build(
        {"kind": "randomised", "of": {"kind": "gradients", "measure": ["dot", "cosine"]}}
    )
    assert [v.name for v in both.variants()] == [
        "randomised-gradients-dot", "randomised-gradients-cosine"
    ]  # fmt: skip
    subject, documents, questions = example()
    claims = both.find_all(subject, documents, questions, [])
    singles = [v.find(subject, documents, questions, []) for v in both.variants()]
    for claim, single in zip(claims, singles, strict=True):
        assert np.array_equal(claim.scores, single.scores)


@pytest.mark.parametrize("kind", ["ablation", "input-gradients", "part-patching", "rule-fit"])
def test_it_scores_what_the_other_finder_scores(kind: str) -> None:
    finder = Randomised(of=FINDERS.build(kind))
    assert finder.sites is FINDERS.build(kind).sites
    check = check_rule_finder if finder.sites is SiteKind.RULE else check_input_finder
    check(finder)


def test_of_parts_it_finds_nothing_that_training_made(
    taught: tuple[Subject, list[Question]],
) -> None:
    subject, questions = taught
    found = []
    for seed in range(10):
        other = replace(subject, seed=seed)
        claim = Randomised(of=Ablation(measure="drop")).find(other, [], questions[:20], [])
        positive = np.tile([s == "first" for s in claim.sites], (20, 1))
        every = np.ones_like(positive)
        found.append(per_question("average_precision", claim.scores, positive, every).mean())
    assert abs(np.mean(found) - chance("average_precision", 4, 1)) < 0.2
