from dataclasses import replace

import numpy as np
import pytest
import torch

from seedbed.finders.contract import descendant
from seedbed.finders.lineage import Lineage
from seedbed.finders.residual_difference import ResidualDifference, boundary_norms
from seedbed.models.tokens import encode_choice


def test_norms_equal_those_of_single_rows() -> None:
    """Against hooks on one prompt at a time, without padding, over its own positions."""
    subject, questions, _ = descendant()
    base = subject.base
    assert base is not None
    apart, size = boundary_norms(Lineage.of(subject, "test"), questions)
    for q, question in enumerate(questions):
        prompt, _ = encode_choice(subject.tokenizer, question.prompt, question.choices[0], 128)
        streams = []
        for model in (base.model, subject.model):
            found: list[torch.Tensor] = []
            handles = [
                b.register_forward_hook(lambda _, args, out, f=found: f.extend((args[0], out)))
                for b in model.model.layers
            ]
            with torch.no_grad():
                model(input_ids=torch.tensor([prompt]))
            for handle in handles:
                handle.remove()
            streams.append([*found[::2], found[-1]])
        for boundary, (old, new) in enumerate(zip(*streams, strict=True)):
            moved = (new - old)[0].double().square().sum(-1).mean().sqrt()
            assert apart[q, boundary] == pytest.approx(float(moved), rel=1e-5, abs=1e-9)
            norm = old[0].double().square().sum(-1).mean().sqrt()
            assert size[q, boundary] == pytest.approx(float(norm), rel=1e-5)


def test_a_block_before_the_changed_one_has_no_difference() -> None:
    subject, questions, changed = descendant()
    apart, _ = boundary_norms(Lineage.of(subject, "test"), questions)
    assert (apart[:, : changed + 1] == 0).all()
    assert (apart[:, changed + 1 :] > 0).all()
    scores = ResidualDifference(measure="first").find(subject, [], questions, []).scores
    assert (scores == [0, 2, 1]).all()


def test_a_rise_is_what_a_block_adds() -> None:
    subject, questions, _ = descendant()
    apart, size = boundary_norms(Lineage.of(subject, "test"), questions)
    rise = ResidualDifference(measure="rise").find(subject, [], questions, []).scores
    assert rise.sum(axis=1) == pytest.approx(apart[:, -1])
    relative = ResidualDifference(measure="relative-rise").find(subject, [], questions, []).scores
    assert relative.sum(axis=1) == pytest.approx(apart[:, -1] / size[:, -1])


def test_questions_need_no_choices() -> None:
    subject, questions, _ = descendant()
    open_ = [q.model_copy(update={"choices": ()}) for q in questions]
    finder = ResidualDifference()
    wanted = finder.find(subject, [], questions, []).scores
    assert np.array_equal(finder.find(subject, [], open_, []).scores, wanted)
    assert finder.find(replace(subject, batch=1), [], [], []).scores.shape == (0, 3)
