from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.finders.pushes import Push, pushed
from seedbed.models.blocks import Site
from seedbed.models.hooks import Add, Along, Edit, edited
from seedbed.models.recurrent import Recurrent
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny

PROMPTS = ((1, 4, 5, 6, 7), (1, 8, 5), (1, 9, 9, 4))
SITES = (Site("resid_pre", 0), Site("resid_pre", 2), Site("resid_post", 2), Site("attn_out", 1),
         Site("mlp_out", 0), Site("head", 1, 1))  # fmt: skip
Tier = Literal["auto", "patches", "hooks"]


@pytest.fixture(scope="module")
def subject() -> Subject:
    made = Tiny(layers=3, width=16, heads=2, init=0.3).build(["a b c d e f g"], [], 0)
    made.model.eval()
    return made


def _vectors(width: int = 16) -> Tensor:
    found = torch.randn(3, width, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(found)


def _logits(
    subject: Subject, pushes: list[Push], tier: Tier = "auto", vectors: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(unpushed, pushed) logits, each [pushes, vocabulary]."""
    found, _ = pushed(subject, PROMPTS, pushes, _vectors() if vectors is None else vectors,
                      lambda _, before, after: torch.stack([before, after], 1), tier)  # fmt: skip
    return found[:, 0], found[:, 1]


@pytest.mark.parametrize("tier", ["patches", "hooks"])
@pytest.mark.parametrize("site", SITES, ids=lambda s: s.name)
def test_a_push_is_an_edit_of_a_plain_forward_pass(subject: Subject, site: Site, tier: Any) -> None:
    vectors = _vectors(8) if site.stream == "head" else _vectors()
    pushes = [Push(run, site, at, run, 2.5 - run, 0.5 * run)
              for run, at in enumerate([(1, 4), (2,), (0, 1, 3)])]  # fmt: skip
    found = _logits(subject, pushes, tier, vectors)[1]
    for push, row in zip(pushes, found, strict=True):
        d = vectors[push.vector]
        edits: list[Edit] = [Along(site, d, push.factor, push.positions),
                 Add(site, push.add * d, push.positions)]  # fmt: skip
        with torch.no_grad(), edited(subject.model, edits):
            wanted = subject.model(torch.tensor([PROMPTS[push.run]])).logits[0, -1]
        torch.testing.assert_close(row, wanted, rtol=0, atol=1e-4)


def test_both_ways_agree_on_many_pushes_in_any_order(subject: Subject) -> None:
    pushes = [
        Push(run, site, (p,), (run + p) % 3, add, factor)
        for run, prompt in enumerate(PROMPTS)
        for site in SITES[:5]
        for p in range(len(prompt))
        for add, factor in ((3.0, 0.0), (0.0, -1.0))
    ]
    fast = _logits(subject, pushes, "patches")[1]
    slow = _logits(subject, pushes, "hooks")[1]
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-4)
    turned = _logits(subject, pushes[::-1])[1].flip(0)
    torch.testing.assert_close(turned, fast, rtol=0, atol=1e-5)


@pytest.mark.parametrize("tier", ["patches", "hooks"])
def test_a_push_that_is_idle_changes_no_bit(subject: Subject, tier: Any) -> None:
    site = Site("resid_pre", 1)
    idle = [Push(0, site, (1,), 0), Push(0, site, (), 0, 5.0), Push(1, site, (3, 9), 0, 5.0)]
    before, after = _logits(subject, [*idle, Push(0, site, (1,), 0, 5.0)], tier)
    assert torch.equal(before[:3], after[:3])
    assert not torch.equal(before[3], after[3])


def test_small_portions_give_the_same(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    pushes = [Push(run, Site("resid_pre", 1), (1,), 0, 2.0) for run in (2, 0, 1, 0)]
    whole = _logits(subject, pushes)[1]
    monkeypatch.setattr("seedbed.finders.pushes.HELD", 1)
    torch.testing.assert_close(_logits(subject, pushes)[1], whole, rtol=0, atol=1e-5)


def test_nothing_to_push_and_unknown_sites(subject: Subject) -> None:
    found = pushed(subject, PROMPTS, [], _vectors(), lambda _, __, after: after)[0]
    assert len(found) == 0
    # As what is reduced, and not a piece of the vectors on the model's device.
    assert found.dtype == torch.float64
    with pytest.raises(InputError, match="the model has blocks 0 to 2"):
        _logits(subject, [Push(0, Site("resid_pre", 3), (1,), 0, 1.0)])
    with pytest.raises(InputError, match="tier: 'quick' is none of"):
        _logits(subject, [], "quick")  # type: ignore[arg-type]  # (what is refused)


def test_a_push_of_one_recurrence_is_an_edit_of_that_recurrence() -> None:
    config = Recurrent(prelude=1, core=2, coda=1, recurrences=3, width=16, heads=2, init=0.3)
    subject = config.build(["a b c d e f g"], [], 0)
    subject.model.eval()
    sites = [Site("resid_pre", 0), Site("resid_pre", 1, step=2), Site("resid_pre", 2, step=0),
             Site("resid_post", 3)]  # fmt: skip
    vectors = _vectors()
    pushes = [Push(run, site, (len(PROMPTS[run]) - 1,), run, 3.0, 0.5)
              for run in range(3) for site in sites]  # fmt: skip
    before, found = _logits(subject, pushes)
    for push, plain, row in zip(pushes, before, found, strict=True):
        edits: list[Edit] = [Along(push.site, vectors[push.vector], 0.5, push.positions),
                             Add(push.site, 3 * vectors[push.vector], push.positions)]  # fmt: skip
        with torch.no_grad(), edited(subject.model, edits):
            wanted = subject.model(torch.tensor([PROMPTS[push.run]])).logits[0, -1]
        torch.testing.assert_close(row, wanted, rtol=0, atol=1e-4)
        assert (row - plain).abs().max() > 1e-2
