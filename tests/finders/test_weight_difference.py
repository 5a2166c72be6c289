import numpy as np
import pytest
import torch

from seedbed.finders.contract import descendant
from seedbed.finders.weight_difference import WeightDifference


def test_norms_by_hand() -> None:
    subject, questions, _ = descendant()
    base = subject.base
    assert base is not None
    with torch.no_grad():
        subject.model.model.layers.load_state_dict(base.model.model.layers.state_dict())
        block = subject.model.model.layers[2]
        block.input_layernorm.weight[3] += 3
        block.mlp.up_proj.weight[0, 1] += 4
        subject.model.model.layers[0].self_attn.q_proj.bias = None
        size = sum(
            float(p.double().square().sum()) for p in base.model.model.layers[2].parameters()
        )
    absolute = WeightDifference().find(subject, [], questions, []).scores
    relative = WeightDifference(measure="relative").find(subject, [], questions, []).scores
    assert absolute == pytest.approx(np.tile([0, 0, 5], (len(questions), 1)), rel=1e-6)
    assert relative[0] == pytest.approx([0, 0, 5 / np.sqrt(size)], rel=1e-6)


def test_a_block_of_zeros_has_a_finite_score() -> None:
    subject, questions, changed = descendant()
    base = subject.base
    assert base is not None
    with torch.no_grad():
        for parameter in base.model.model.layers[changed].parameters():
            parameter.zero_()
    scores = WeightDifference(measure="relative").find(subject, [], questions, []).scores
    assert np.isfinite(scores).all()
    assert (scores.argmax(axis=1) == changed).all()
