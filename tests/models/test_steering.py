from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from seedbed.core.cells import MEAN
from seedbed.core.directions import Directions
from seedbed.core.errors import InputError
from seedbed.models.blocks import Site
from seedbed.models.hooks import Positions, Rows, edited, read
from seedbed.models.steering import Steer, edits_of
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import Batch, TokenSequence, pad

WIDTH = 16
IDS = ((1, 4, 5, 6, 7), (1, 8, 5))


@pytest.fixture(scope="module")
def subject() -> Subject:
    made = Tiny(layers=3, width=WIDTH, heads=2, init=0.3).build(["a b c d e f g"], [], 0)
    made.model.eval()
    return made


def _directions(*sites: str) -> Directions:
    vectors = np.random.default_rng(1).normal(size=(len(sites), WIDTH))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    one = np.ones(len(sites))
    return Directions(sites, vectors, 0 * one, 3 * one, 5 * one, "stored", "computed")


def _batch() -> Batch:
    return pad([TokenSequence(r, (False,) * len(r)) for r in IDS])


def _states(
    subject: Subject, steer: Steer, directions: Directions, site: Site,
    positions: Positions | Mapping[str, Positions] = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    before = read(subject.model, _batch(), [site])[site]
    with edited(subject.model, edits_of(steer, directions, positions)):
        after = read(subject.model, _batch(), [site])[site]
    return before, after


@pytest.mark.parametrize("unit", ["spread", "norm", "one", "state"])
def test_strength_counts_in_the_unit_asked_for(subject: Subject, unit: Any) -> None:
    directions, site = _directions("resid_pre.1@last"), Site("resid_pre", 1)
    before, after = _states(subject, Steer(strength=2, unit=unit, tokens="all"), directions, site)
    moved = (after - before)[0]
    length = {"spread": 6, "norm": 10, "one": 2}.get(unit, 2 * before[0].norm(dim=-1))
    expected = torch.as_tensor(length)[..., None] * torch.tensor(directions.vectors[0])
    torch.testing.assert_close(moved, expected.float().expand(5, -1), rtol=1e-4, atol=1e-5)


def test_a_direction_of_what_a_block_takes_in_acts_there_and_not_on_what_it_hands_on(
    subject: Subject,
) -> None:
    directions = _directions("resid_pre.1@last", "resid_post.1@last")
    first, second = (edits_of(Steer(sites=(s,)), directions)[0] for s in directions.sites)
    assert (first.site, second.site) == (Site("resid_pre", 1), Site("resid_post", 1))
    steer = Steer(sites=("resid_post.1@last",), tokens="all", strength=3)
    before, after = _states(subject, steer, directions, Site("resid_pre", 1))
    assert torch.equal(before, after)
    before, after = _states(subject, steer, directions, Site("resid_post", 1))
    assert (after - before)[0].norm(dim=-1).min() > 1


def test_ablation_leaves_no_part_along_the_direction_and_amplification_doubles_it(
    subject: Subject,
) -> None:
    directions, site = _directions("resid_post.0@last"), Site("resid_post", 0)
    d = torch.tensor(directions.vectors[0]).float()
    for action, factor in (("ablate", 0), ("amplify", 2)):
        steer = Steer.model_validate({"action": action, "tokens": "all"})
        before, after = _states(subject, steer, directions, site)
        torch.testing.assert_close(after[0] @ d, factor * (before[0] @ d), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(after[0] - torch.outer(after[0] @ d, d),
                                   before[0] - torch.outer(before[0] @ d, d))  # fmt: skip


@pytest.mark.parametrize("action", ["add", "ablate", "amplify"])
def test_strength_0_leaves_every_bit_as_it_is(subject: Subject, action: Any) -> None:
    directions = _directions("resid_pre.0@last", "resid_post.2@last")
    steer = Steer(action=action, strength=0, tokens="all")
    assert edits_of(steer, directions) == []
    batch = _batch()
    with torch.no_grad():
        plain = subject.model(batch.ids, attention_mask=batch.mask).logits
        with edited(subject.model, edits_of(steer, directions)):
            assert torch.equal(subject.model(batch.ids, attention_mask=batch.mask).logits, plain)


def test_last_is_each_rows_own_last_token_under_padding(subject: Subject) -> None:
    directions, site = _directions("resid_pre.1@b"), Site("resid_pre", 1)
    before, after = _states(subject, Steer(strength=3, tokens="last"), directions, site)
    changed = (after != before).any(-1)
    assert changed.tolist() == [[False] * 4 + [True], [False, False, True, False, False]]


def test_places_are_steered_where_they_stand_and_a_mean_everywhere(subject: Subject) -> None:
    directions = _directions("resid_pre.1@a", "resid_pre.2@b", f"resid_pre.0@{MEAN}")
    at: dict[str, Positions] = {"a": Rows(((1,), (2,))), "b": (3,)}
    edits = edits_of(Steer(tokens="place"), directions, at)
    assert [e.positions for e in edits] == [at["a"], (3,), None]
    steer = Steer(tokens="place", sites=("resid_pre.1@a",), strength=3)
    before, after = _states(subject, steer, directions, Site("resid_pre", 1), at)
    changed = (after != before).any(-1)
    assert changed.nonzero().tolist() == [[0, 1], [1, 2]]


def test_steering_behind_the_last_token_changes_nothing(subject: Subject) -> None:
    directions = _directions("resid_pre.1@a")
    steer = Steer(tokens="place", strength=9)
    before, after = _states(subject, steer, directions, Site("resid_post", 2), range(5, 2**31))
    assert torch.equal(before, after)


def test_prompt_and_written_tokens_can_be_steered_apart(subject: Subject) -> None:
    directions = _directions("resid_pre.1@last")
    ids = torch.tensor([IDS[0]])
    found = {}
    steers = {d: Steer(strength=3, during=d) for d in ("prompt", "generated", "both")}
    for during, steer in {**steers, "never": Steer(strength=0)}.items():
        with edited(subject.model, edits_of(steer, directions)):
            made = subject.model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=3, do_sample=False,
                pad_token_id=0, output_logits=True, return_dict_in_generate=True,
            )  # fmt: skip
        found[during] = torch.stack(made.logits)
    # The first token is read before anything was written.
    assert torch.equal(found["generated"][0], found["never"][0])
    assert torch.equal(found["prompt"][0], found["both"][0])
    assert not torch.equal(found["prompt"][0], found["never"][0])
    assert not torch.equal(found["generated"][1], found["never"][1])


def test_unfit_sites_places_and_tokens_are_refused_with_the_nearest_right_thing() -> None:
    directions = _directions("resid_pre.1@a", "resid_pre.1@b")
    with pytest.raises(InputError, match="@a'; did you mean resid_pre"):
        edits_of(Steer(sites=("resid_pre.2@a",)), directions)
    with pytest.raises(InputError, match="would both act on last tokens of"):
        edits_of(Steer(), directions)
    with pytest.raises(InputError, match="@b: no positions of the place; given: a"):
        edits_of(Steer(tokens="place"), directions, {"a": (1,)})
    with pytest.raises(InputError, match="needs positions of the place"):
        edits_of(Steer(tokens="place"), directions)
    with pytest.raises(ValidationError, match="cannot be steered during 'generated'"):
        Steer(tokens="place", during="generated")
