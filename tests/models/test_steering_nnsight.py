"""Steering in cached generation against nnsight, a peer with hooks of its own, step by step."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seedbed.core.directions import Directions
from seedbed.models.hooks import edited
from seedbed.models.steering import Steer, edits_of
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny

NEW = 5
Change = Callable[[Tensor], Tensor]


@pytest.fixture(scope="module")
def subject() -> Subject:
    words = ["a b c d e f g h i j"]
    return Tiny(layers=3, width=32, heads=2, init=0.3).build(words, [], 0)


def _directions(*sites: str) -> Directions:
    vectors = np.random.default_rng(0).normal(size=(len(sites), 32))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    every = np.ones(len(sites))
    return Directions(sites, vectors, 0 * every, 3 * every, 5 * every, "one", "other")


def _prompts(subject: Subject) -> tuple[Tensor, Tensor]:
    """Two prompts of unequal length, padded on the left as generation wants it."""
    ids = torch.tensor([[1, 4, 7, 5, 9], [0, 0, 1, 8, 6]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])
    assert ids.max() < len(subject.tokenizer)
    return ids, mask


def _ours(subject: Subject, steer: Steer, directions: Directions) -> Tensor:
    """Logits [rows, steps, vocabulary] of greedy cached generation."""
    ids, mask = _prompts(subject)
    with torch.no_grad(), edited(subject.model, edits_of(steer, directions)):
        made = subject.model.generate(
            ids, attention_mask=mask, max_new_tokens=NEW, do_sample=False, pad_token_id=0,
            output_logits=True, return_dict_in_generate=True,
        )  # fmt: skip
    return torch.stack(made.logits, 1)


def _theirs(subject: Subject, layer: int, side: str, change: Change, steps: range) -> Tensor:
    from nnsight import TransformersModel

    peer = TransformersModel(subject.model, task="text-generation", tokenizer=subject.tokenizer)
    ids, mask = _prompts(subject)
    block: Any = peer.model.layers[layer]
    with peer.generate(ids, attention_mask=mask, max_new_tokens=NEW, do_sample=False,
                       pad_token_id=0) as tracer:  # fmt: skip
        found = list().save()  # type: ignore[attr-defined]  # noqa: C408  (nnsight adds `save`)
        for step in tracer.iter[:NEW]:
            if step in steps:
                if side == "in":
                    block.input = change(block.input)
                else:
                    block.output = change(block.output)
            found.append(peer.lm_head.output[:, -1].clone())
    return torch.stack([*found], 1)


def _last(function: Change) -> Change:
    def change(hidden: Tensor) -> Tensor:
        new = hidden.clone()
        new[:, -1] = function(hidden[:, -1])
        return new

    return change


EVERY, WRITTEN, PROMPT = range(NEW), range(1, NEW), range(1)


@pytest.mark.skipif(find_spec("nnsight") is None, reason="nnsight is not installed (extra: peers)")
@pytest.mark.parametrize(
    ("steer", "site", "layer", "side", "steps"),
    [
        (Steer(strength=2, unit="spread"), "resid_pre.1@last", 1, "in", EVERY),
        (Steer(strength=-1, unit="norm"), "resid_post.1@last", 1, "out", EVERY),
        (Steer(strength=2, during="generated"), "resid_pre.2@last", 2, "in", WRITTEN),
        (Steer(strength=2, during="prompt"), "resid_post.0@last", 0, "out", PROMPT),
        (Steer(strength=0.7, unit="state"), "resid_pre.1@last", 1, "in", EVERY),
        (Steer(action="ablate", tokens="all"), "resid_pre.1@last", 1, "in", EVERY),
        (Steer(action="amplify", strength=3), "resid_post.2@last", 2, "out", EVERY),
    ],
)
def test_logits_of_every_step_equal_those_of_nnsight(
    subject: Subject, steer: Steer, site: str, layer: int, side: str, steps: range
) -> None:
    directions = _directions(site)
    d = torch.tensor(directions.vectors[0], dtype=torch.float32)
    length = {"spread": 3.0, "norm": 5.0, "one": 1.0, "state": 1.0}[steer.unit] * steer.strength

    def function(hidden: Tensor) -> Tensor:
        if steer.action == "add":
            scale = hidden.norm(dim=-1, keepdim=True) if steer.unit == "state" else 1.0
            return hidden + length * scale * d
        sign = -1 if steer.action == "ablate" else 1
        return hidden + sign * steer.strength * (hidden @ d).unsqueeze(-1) * d

    change = _last(function) if steer.tokens == "last" else function
    ours = _ours(subject, steer, directions)
    torch.testing.assert_close(ours, _theirs(subject, layer, side, change, steps),
                               rtol=0, atol=1e-5)  # fmt: skip
    # Neither side may have left the model alone.
    plain = _ours(subject, Steer(strength=0), directions)
    assert (ours - plain).abs().max() > 1e-3
