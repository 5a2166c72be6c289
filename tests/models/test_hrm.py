from pathlib import Path
from typing import Any

import pytest
import torch

from seedbed.core.rows import Document, Question
from seedbed.finders.patches import Patch, Run, patched_logits
from seedbed.measuring.choices import score_choices
from seedbed.models.blocks import Site, blocks_of
from seedbed.models.folders import load_subject, save_subject
from seedbed.models.hooks import Add, Replace, edited, read
from seedbed.models.hrm import Hrm
from seedbed.models.recurrent import recurring
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence, pad
from seedbed.training.config import Training
from seedbed.training.loop import train

TEXTS = ["a b c d e f g h"]
IDS = (1, 7, 5, 3, 12, 9)


@pytest.fixture(scope="module")
def subject() -> Subject:
    """Two low and two high blocks, two outer cycles of three inner ones, random weights."""
    made = Hrm(layers=2, cycles=2, inner=3, width=16, heads=2, init=0.3).build(TEXTS, [], 0)
    made.model.eval()
    return made


def _batch() -> Any:
    return pad([TokenSequence(IDS, (False,) * len(IDS))])


def test_blocks_follow_one_another_as_the_cycles_say(subject: Subject) -> None:
    blocks = blocks_of(subject.model)
    assert blocks.names == tuple(f"model.{s}_module.layers.{i}" for s in ("L", "H") for i in (0, 1))
    assert [blocks.runs(b) for b in range(4)] == [6, 6, 2, 2]
    low = [(b, r) for r in range(3) for b in (0, 1)]
    later = [(b, r) for r in range(3, 6) for b in (0, 1)]
    assert blocks.order == (*low, (2, 0), (3, 0), *later, (2, 1), (3, 1))
    with recurring(subject.model, 3):
        assert [blocks_of(subject.model).runs(b) for b in range(4)] == [9, 9, 3, 3]
        assert subject.model.config.num_hidden_layers == 24
    assert subject.model.config.num_hidden_layers == 16


@torch.no_grad()
def test_sites_are_what_transformers_says_each_run_hands_on(subject: Subject) -> None:
    model, batch = subject.model, _batch()
    wanted = model(batch.ids, attention_mask=batch.mask, output_hidden_states=True).hidden_states
    order = blocks_of(model).order
    sites = [Site("resid_post", block, None, run) for block, run in order]
    found = read(model, batch, sites)
    # The first is what the first block takes in, the last is behind the final norm.
    assert len(wanted) == len(order) + 1
    for site, states in zip(sites[:-1], wanted[1:-1], strict=True):
        assert torch.equal(found[site], states), site.name
    first = read(model, batch, ["resid_pre.0r0"])[Site("resid_pre", 0, None, 0)]
    assert torch.equal(first, wanted[0])


@torch.no_grad()
def test_edits_at_a_run(subject: Subject) -> None:
    model, batch = subject.model, _batch()
    plain = model(batch.ids).logits
    sites = blocks_of(model).residual()
    held = read(model, batch, sites)
    for site in sites:
        with edited(model, [Replace(site, range(6), held[site])]):
            assert torch.equal(model(batch.ids).logits, plain)
    with edited(model, [Add("resid_pre.1r3", torch.ones(16), (2,))]):
        after = read(model, batch, sites)
    at = sites.index(Site("resid_pre", 1, None, 3))
    moved = [bool((after[s] - held[s]).abs().max() > 1e-4) for s in sites]
    assert moved == [False] * at + [True] * (len(sites) - at)


@torch.no_grad()
@pytest.mark.parametrize("cycles", [2, 3])
def test_cached_steering_is_the_uncached_one(subject: Subject, cycles: int) -> None:
    model, ids = subject.model, torch.tensor([IDS])
    edit = Add("resid_post.1r2", 2 * torch.ones(16), range(3, 2**31))
    with recurring(model, cycles), edited(model, [edit]):
        made = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False,
            return_dict_in_generate=True, output_logits=True, pad_token_id=0,
        )  # fmt: skip
        whole = model(made.sequences[:, :-1]).logits[0, 5:]
    torch.testing.assert_close(torch.cat(made.logits), whole, atol=1e-4, rtol=1e-4)


def test_patching_is_exact(subject: Subject) -> None:
    run = Run(IDS, (1, 7, 9, 3, 12, 9))
    patches = [Patch(0, "resid_post", 3, ((2, 2),), step=s) for s in (0, 1)]
    patches.append(Patch(0, "resid_post", 3, ((5, 5),), step=1))
    found = patched_logits(subject.model, [run], patches)
    assert found.tier == "full"
    # The last run's output at an earlier token reaches nothing; the first run's does.
    assert found.noop.tolist() == [False, True, False]
    assert (found.logits[0] - found.base[0]).abs().max() > 1e-4
    torch.testing.assert_close(found.logits[2], found.donor[0], atol=1e-4, rtol=1e-4)


def test_choices_training_and_folders(subject: Subject, tmp_path: Path) -> None:
    questions = [
        Question(id=str(i), prompt=prompt, choices=("e f", "g"), answer="g")
        for i, prompt in enumerate(("a b c", "a b", "h h a b c d"))
    ]
    together = score_choices(subject, questions)
    alone = score_choices(subject, questions, share=False)
    for one, other in zip(together, alone, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
    made = Hrm(layers=1, width=16, heads=2).build(TEXTS, [], 0)
    documents = [Document(id=str(i), text=t) for i, t in enumerate(("a b c", "d e f g"))]
    before = {k: v.clone() for k, v in made.model.state_dict().items()}
    made = train(made, documents, Training(steps=3, batch=2, loss="text"), tmp_path / "t")
    stack = [k for k in before if "layers" in k and k.endswith("weight")]
    assert all(not torch.equal(before[k], made.model.state_dict()[k]) for k in stack)
    save_subject(made, tmp_path / "s")
    ids = torch.tensor([IDS])
    with torch.no_grad():
        assert torch.equal(load_subject(tmp_path / "s").model(ids).logits, made.model(ids).logits)
