from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from seedbed.core.config import digest
from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Question
from seedbed.finders.patches import Patch, Run, patched_logits
from seedbed.measuring.choices import score_choices
from seedbed.models.blocks import Site, blocks_of
from seedbed.models.folders import load_subject, save_subject
from seedbed.models.hooks import Add, Along, Edit, Replace, edited, read
from seedbed.models.recurrent import Recurrent, recurring
from seedbed.models.subject import SUBJECTS, Subject
from seedbed.models.tiny import Tiny
from seedbed.models.tokens import TokenSequence, pad
from seedbed.training.config import Training
from seedbed.training.loop import train
from seedbed.training.resume import ResumeState

SMALL: dict[str, Any] = {"width": 16, "heads": 2, "recurrences": 3, "init": 0.3, "context": 32}
TEXTS = ["a b c d e f g h"]
ROWS = ((1, 7, 5, 3, 12, 9), (1, 11, 5), (1, 8, 8, 4))


@pytest.fixture(scope="module")
def subject() -> Subject:
    """Prelude 1, core 2 × 3, coda 1, random weights."""
    made = Recurrent(**SMALL).build(TEXTS, [], 0)
    made.model.eval()
    return made


def _batch() -> Any:
    return pad([TokenSequence(r, (False,) * len(r)) for r in ROWS])


def _vector(seed: int = 0) -> Tensor:
    return torch.randn(16, generator=torch.Generator().manual_seed(seed))


def _logits(model: Any) -> Tensor:
    batch = _batch()
    with torch.no_grad():
        found: Tensor = model(batch.ids, attention_mask=batch.mask).logits
    return found


def _digest(model: Any) -> str:
    return digest({k: v.tolist() for k, v in model.state_dict().items()})


def test_the_seed_decides_weights_and_states() -> None:
    random_state = torch.random.get_rng_state()
    one, same = Recurrent(**SMALL).build(TEXTS, [], 1), Recurrent(**SMALL).build(TEXTS, [], 1)
    assert torch.equal(torch.random.get_rng_state(), random_state)
    other = Recurrent(**SMALL).build(TEXTS, [], 2)
    assert _digest(one.model) == _digest(same.model) != _digest(other.model)
    assert one.model.config.state_seed == same.model.config.state_seed
    assert one.model.config.state_seed != other.model.config.state_seed
    assert torch.equal(_logits(one.model.eval()), _logits(same.model.eval()))
    assert SUBJECTS.names()["recurrent"] is Recurrent
    assert one.context == 32


@pytest.mark.parametrize(
    "values",
    [{"width": 12, "heads": 4}, {"core": 0}, {"prelude": 0}, {"recurrences": 0},
     {"draw": {"rule": "normal"}}, {"layers": 3}],
)  # fmt: skip
def test_unfit_knobs_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises((ValueError, ValidationError)):
        Recurrent.model_validate({"kind": "recurrent", **values})


def test_a_saved_folder_is_read_without_code_of_its_own(subject: Subject, tmp_path: Path) -> None:
    save_subject(subject, tmp_path / "s")
    assert not list((tmp_path / "s").glob("*.py"))
    back = load_subject(tmp_path / "s")
    assert torch.equal(_logits(back.model), _logits(subject.model))
    assert back.model.config.recurrences == 3


def test_recurrences_are_set_at_test(subject: Subject) -> None:
    before = _logits(subject.model)
    with recurring(subject.model, 5):
        assert blocks_of(subject.model).runs(1) == 5
        assert not torch.equal(_logits(subject.model), before)
        with recurring(subject.model, 3):
            assert torch.equal(_logits(subject.model), before)
    assert torch.equal(_logits(subject.model), before)
    plain = Tiny(layers=1, width=16, heads=2).build(TEXTS, [], 0).model
    for model, count, message in (
        (subject.model, 0, "recurrences: 0; the core runs at least once"),
        (plain, 2, "every block runs once, it has no recurrences"),
    ):
        with pytest.raises(InputError, match=message), recurring(model, count):
            pass


def test_sites_are_the_hidden_states_of_the_model(subject: Subject) -> None:
    model, batch = subject.model, _batch()
    blocks = blocks_of(model)
    sites = blocks.residual()
    assert [s.name for s in sites] == [
        "resid_pre.0", "resid_pre.1r0", "resid_pre.2r0", "resid_pre.1r1", "resid_pre.2r1",
        "resid_pre.1r2", "resid_pre.2r2", "resid_pre.3", "resid_post.3",
    ]  # fmt: skip
    assert [blocks.site(s.name) for s in sites] == list(sites)
    assert [c.name for c in blocks.cells(["b", "last"])][:3] == [
        "resid_pre.0@b", "resid_pre.0@last", "resid_pre.1r0@b",
    ]  # fmt: skip
    with torch.no_grad():
        wanted = model(batch.ids, attention_mask=batch.mask, output_hidden_states=True)
    found = read(model, batch, sites)
    for site, states in zip(sites[:-1], wanted.hidden_states, strict=False):
        assert torch.equal(found[site], states), site.name
    # Without a step the last run is read.
    last = read(model, batch, ["resid_post.2", "resid_post.2r2", "head.1.1", "head.1r2.1"])
    assert torch.equal(last[Site("resid_post", 2)], last[Site("resid_post", 2, None, 2)])
    assert torch.equal(last[Site("head", 1, 1)], last[Site("head", 1, 1, 2)])
    with recurring(model, 5):
        again = read(model, batch, ["resid_post.2r2", "resid_post.2"])
    assert torch.equal(again[Site("resid_post", 2, None, 2)], last[Site("resid_post", 2)])
    assert not torch.equal(again[Site("resid_post", 2)], last[Site("resid_post", 2)])


@pytest.mark.parametrize(
    ("name", "message"),
    [("resid_pre.1r3", "resid_pre.1r3: block 1 runs 3 times, from r0 to r2 in a forward pass"),
     ("resid_post.0r1", "resid_post.0r1: block 0 runs once in a forward pass"),
     ("resid_post.4", "resid_post.4: the model has blocks 0 to 3"),
     ("model.core.2", "the model has blocks 0 to 3")],
)  # fmt: skip
def test_names_of_nothing(subject: Subject, name: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        blocks_of(subject.model).site(name)
    assert message in str(error.value)


def test_reading_and_patching_a_state_with_itself_change_nothing(subject: Subject) -> None:
    model, batch = subject.model, _batch()
    plain = _logits(model)
    sites = [*blocks_of(model).residual(), *map(blocks_of(model).site, ["mlp_out.1r1", "head.2r0"])]
    held = read(model, batch, sites)
    assert torch.equal(_logits(model), plain)
    positions = range(batch.ids.shape[1])
    for site in sites:
        with edited(model, [Replace(site, positions, held[site])]):
            assert torch.equal(_logits(model), plain), site.name


def test_an_edit_at_a_step_changes_nothing_before_it(subject: Subject) -> None:
    model, batch = subject.model, _batch()
    sites = blocks_of(model).residual()
    before = read(model, batch, sites)
    at = sites.index(Site("resid_pre", 1, None, 1))
    with edited(model, [Add("resid_pre.1r1", _vector(), (1,))]):
        after = read(model, batch, sites)
    for site in sites[:at]:
        assert torch.equal(after[site], before[site]), site.name
    torch.testing.assert_close(after[sites[at]][:, 1], before[sites[at]][:, 1] + _vector())
    for site in sites[at:]:
        assert torch.equal(after[site][:, 0], before[site][:, 0])
        assert (after[site][:, 1] - before[site][:, 1]).abs().max() > 1e-3


def test_an_edit_without_a_step_is_one_at_every_step(subject: Subject) -> None:
    model = subject.model
    for make in (
        lambda site: Add(site, _vector(), (1, 2)),
        lambda site: Along(site, _vector(), -1.0),
        lambda site: Replace(site, (2,), _vector(3)),
    ):
        with edited(model, [make("mlp_out.2")]):
            all_steps = _logits(model)
        with edited(model, [make(f"mlp_out.2r{step}") for step in range(3)]):
            assert torch.equal(_logits(model), all_steps)
        with edited(model, [make("mlp_out.2r2")]):
            assert not torch.equal(_logits(model), all_steps)


def test_edits_of_one_place_keep_their_order_across_steps(subject: Subject) -> None:
    edits: list[Edit] = [
        Add("resid_post.1r1", _vector(1)),
        Replace("resid_post.1", (1,), _vector(2)),
        Add("resid_post.1r1", _vector(3)),
    ]
    with edited(subject.model, edits):
        found = read(subject.model, _batch(), ["resid_post.1r1", "resid_post.1r2"])
    torch.testing.assert_close(found[Site("resid_post", 1, None, 1)][:, 1],
                               (_vector(2) + _vector(3)).expand(3, 16))  # fmt: skip
    torch.testing.assert_close(
        found[Site("resid_post", 1, None, 2)][:, 1], _vector(2).expand(3, 16)
    )


@pytest.mark.parametrize("name", ["resid_pre.1r1", "mlp_out.2"])
def test_steering_holds_in_cached_generation(subject: Subject, name: str) -> None:
    model, ids = subject.model, torch.tensor([ROWS[0]])
    options = {"max_new_tokens": 5, "do_sample": False, "return_dict_in_generate": True,
               "output_logits": True, "pad_token_id": 0}  # fmt: skip
    with torch.no_grad(), edited(model, [Add(name, 2 * _vector(), range(2, 2**31))]):
        made = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options)
        whole = model(made.sequences[:, :-1]).logits[0, ids.shape[1] - 1 :]
    torch.testing.assert_close(torch.cat(made.logits), whole, atol=1e-4, rtol=1e-4)


def test_patching_is_exact_and_of_itself_nothing(subject: Subject) -> None:
    model = subject.model
    recipient, donor = (1, 7, 5, 3, 12), (1, 7, 9, 3, 12)
    runs = [Run(recipient, donor), Run(recipient, recipient)]
    steps = (None, 0, 1, 2)
    patches = [Patch(0, "resid_pre", 1, ((2, 2), (3, 3)), step=s) for s in steps]
    patches += [Patch(1, "resid_pre", 1, ((2, 2), (3, 3)), step=s) for s in steps]
    # Another position of the same prompt: nothing is dropped as being alike.
    patches += [Patch(0, "resid_post", 2, ((3, 3),)), Patch(0, "resid_post", 3, ((4, 4),))]
    found = patched_logits(model, runs, patches)
    assert found.tier == "full"
    assert found.noop.tolist() == [False] * 4 + [True] * 4 + [False, False]
    assert torch.equal(found.logits[4:8], found.base[1].expand(4, -1))
    # All of the last block's output at the last token is all that is read.
    torch.testing.assert_close(found.logits[9], found.donor[0], atol=1e-4, rtol=1e-4)
    names = [f"resid_pre.1r{s}" for s in range(3)]
    batch = pad([TokenSequence(donor, (False,) * 5)])
    held = read(model, batch, names)
    states = [held[blocks_of(model).site(n)][:, [2, 3]] for n in names]
    for row, chosen in enumerate(([0, 1, 2], [0], [1], [2])):
        put = [Replace(names[s], (2, 3), states[s]) for s in chosen]
        with torch.no_grad(), edited(model, put):
            wanted = model(torch.tensor([recipient])).logits[0, -1]
        torch.testing.assert_close(found.logits[row], wanted, atol=1e-4, rtol=1e-4)
        assert (wanted - found.base[0]).abs().max() > 1e-3
    again = patched_logits(model, runs, [patches[4]], prune=False)
    assert float((again.logits - again.base[1]).abs().max()) < 1e-5
    for tier in ("sweep", "prefix"):
        with pytest.raises(InputError, match=f"tier '{tier}' does not fit"):
            patched_logits(model, runs, patches, tier=tier)


def test_choices_are_scored_as_if_each_ran_alone(subject: Subject) -> None:
    questions = [
        Question(id=str(i), prompt=prompt, choices=("e f", "g"), answer="g")
        for i, prompt in enumerate(("a b c", "a b", "h h a b c d"))
    ]
    together = score_choices(subject, questions)
    for question, found in zip(questions, together, strict=True):
        (alone,) = score_choices(subject, [question], share=False)
        assert found.logprobs == pytest.approx(alone.logprobs, abs=1e-5)


DOCUMENTS = [Document(id=str(i), text=t) for i, t in enumerate(("a b c d", "e f g", "h a b", "c"))]


def _trained(folder: Path) -> Subject:
    made = Recurrent(**SMALL).build(TEXTS, [], 0)
    return train(made, DOCUMENTS, Training(steps=8, batch=2, loss="text"), folder)


def test_training_learns_and_resumes_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _trained(tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seedbed.training.resume.EVERY_SECONDS", 0.0)
        save = ResumeState.save_if_due

        def stop(self: ResumeState, *args: Any) -> None:
            self.every, self._cost = 0.0, 0.0
            save(self, *args)
            if args[2] == 5:
                raise KeyboardInterrupt

        patch.setattr(ResumeState, "save_if_due", stop)
        with pytest.raises(KeyboardInterrupt):
            _trained(tmp_path / "cut")
    torch.manual_seed(99)
    assert _digest(_trained(tmp_path / "cut").model) == _digest(whole.model)
    assert _digest(whole.model) != _digest(Recurrent(**SMALL).build(TEXTS, [], 0).model)
    assert not whole.model.training


def test_lora_adapts_the_blocks_of_all_lists(tmp_path: Path) -> None:
    made = Recurrent(**SMALL).build(TEXTS, [], 0)
    config = Training(steps=3, batch=2, loss="text", lora={"r": 2})
    made = train(made, DOCUMENTS, config, tmp_path / "t")
    placed = {n.split(".self_attn")[0] for n, _ in made.model.named_parameters() if "lora_A" in n}
    assert {p for p in placed if ".mlp" not in p} == set(blocks_of(made.model).names)
    save_subject(made, tmp_path / "s")
    assert torch.equal(_logits(load_subject(tmp_path / "s").model), _logits(made.model))
    with edited(made.model, [Add("resid_post.1r1", _vector())]):
        assert not torch.equal(_logits(made.model), _logits(load_subject(tmp_path / "s").model))
