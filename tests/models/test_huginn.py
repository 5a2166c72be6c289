import copy
import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.models.blocks import Site, blocks_of
from seedbed.models.hooks import LAST, Add, edited, read
from seedbed.models.huginn import huginn_index, huginn_site, seeded_states
from seedbed.models.pretrained import Pretrained
from seedbed.models.reading import quiet
from seedbed.models.recurrent import recurring
from seedbed.models.subject import Subject
from seedbed.models.tokens import TokenSequence, pad

CODE = Path(__file__).parent / "double" / "huginn_double.py"
IDS = ((1, 7, 3, 3, 12, 9), (1, 21, 5), (1, 8, 8, 30))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with code of its own, random weights and a tokenizer."""
    from seedbed.models.scratch import word_tokenizer

    place = tmp_path_factory.mktemp("huginn")
    spec = importlib.util.spec_from_file_location("huginn_double", CODE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = module.DoubleForCausalLM(module.DoubleConfig())
        with torch.no_grad():
            for p in model.parameters():
                if p.dim() > 1:
                    p.normal_(std=0.3)
    model.config.auto_map = {
        "AutoConfig": "huginn_double.DoubleConfig",
        "AutoModelForCausalLM": "huginn_double.DoubleForCausalLM",
    }
    with quiet():
        model.save_pretrained(place)
    shutil.copy(CODE, place)
    word_tokenizer(["a b c d e f g"]).save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def subject(folder: Path) -> Subject:
    """The folder, read by path."""
    return Pretrained(path=str(folder), trust_remote_code=True, add_tokens=False).build([], [], 0)


def _batch(*rows: tuple[int, ...]) -> Any:
    return pad([TokenSequence(r, (False,) * len(r)) for r in rows])


@pytest.mark.parametrize(
    ("index", "name"),
    [(0, "resid_post.0"), (1, "resid_post.1"), (2, "resid_post.2r0"), (31, "resid_post.3r7"),
     (66, "resid_post.2r16"), (127, "resid_post.3r31"), (129, "resid_post.5r31"),
     (130, "resid_post.6"), (131, "resid_post.7")],
)  # fmt: skip
def test_the_index_that_the_field_uses(index: int, name: str) -> None:
    assert huginn_site(index).name == name
    assert huginn_index(huginn_site(index)) == index


def test_index_and_site_are_inverse_at_every_depth() -> None:
    for recurrences in (1, 5):
        for index in range(3 + 2 * recurrences + 1):
            site = huginn_site(index, recurrences, stream="resid_pre", prelude=3, core=2, coda=1)
            # A core that runs once has no recurrence to name, but may be asked for it.
            inner = 3 <= index < 3 + 2 * recurrences
            assert (site.step is not None) == (inner and recurrences > 1)
            named = Site(site.stream, site.layer, None, site.step or 0)
            assert huginn_index(named, recurrences, prelude=3, core=2, coda=1) == index


def test_what_has_no_index_is_refused() -> None:
    for site in (Site("resid_post", 8), Site("resid_post", 3, None, 32), Site("head", 0, 1, 1)):
        with pytest.raises(InputError, match="have no such place"):
            huginn_index(site)
    with pytest.raises(InputError, match=r"say at which recurrence, such as resid_post\.3r0"):
        huginn_index(Site("resid_post", 3))
    with pytest.raises(InputError, match="index 132: the model has 0 to 131"):
        huginn_site(132)


def test_blocks_of_all_lists_in_running_order(subject: Subject) -> None:
    blocks = blocks_of(subject.model)
    assert blocks.names[:3] == tuple(
        f"transformer.{n}" for n in ("prelude.0", "prelude.1", "core_block.0")
    )
    assert [blocks.runs(b) for b in range(len(blocks))] == [1, 1, 3, 3, 3, 3, 1, 1]
    assert blocks.site("transformer.core_block.1") == Site("resid_post", 3)
    named = [huginn_site(i, 3, stream="resid_pre") for i in range(16)]
    assert blocks.residual() == (*named, Site("resid_post", 7))
    assert subject.context == 64
    with recurring(subject.model, 5):
        assert blocks_of(subject.model).runs(2) == 5


def _captured(model: Any, run: Callable[[], Any]) -> list[Tensor]:
    """What the blocks hand on, in running order, caught by replacing their forward by hand."""
    kept: list[Tensor] = []
    lists = [model.transformer[n] for n in ("prelude", "core_block", "coda")]
    for block in (b for blocks in lists for b in blocks):
        own = type(block).forward

        def forward(*args: Any, own: Any = own, block: Any = block) -> Any:
            found = own(block, *args)
            kept.append(found[0].clone())
            return found

        block.forward = forward
    try:
        run()
    finally:
        for block in (b for blocks in lists for b in blocks):
            del block.forward
    return kept


def test_sites_read_are_the_states_captured_by_hand(subject: Subject) -> None:
    model, batch = subject.model, _batch(*IDS)
    with torch.no_grad():
        wanted = _captured(model, lambda: model(batch.ids, attention_mask=batch.mask))
    sites = [huginn_site(i, 3) for i in range(16)]
    found = read(model, batch, sites)
    for site, states in zip(sites, wanted, strict=True):
        assert torch.equal(found[site], states), site.name


def test_the_initial_state_hangs_on_a_row_s_own_tokens_alone(subject: Subject) -> None:
    model, batch = subject.model, _batch(*IDS)
    with torch.no_grad():
        together = model(batch.ids, attention_mask=batch.mask).logits
        assert torch.equal(together, model(batch.ids, attention_mask=batch.mask).logits)
        width = batch.ids.shape[1]
        left = torch.tensor([[0] * (width - len(r)) + list(r) for r in IDS])
        mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in IDS])
        padded = model(left, attention_mask=mask).logits
        for row, ids in enumerate(IDS):
            alone = model(torch.tensor([ids])).logits[0]
            torch.testing.assert_close(together[row, : len(ids)], alone, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(padded[row, -len(ids) :], alone, atol=1e-4, rtol=1e-4)
        with seeded_states(model, seed=1):
            other = model(batch.ids, attention_mask=batch.mask).logits
        assert (other - together).abs().max() > 1e-2
        assert torch.equal(together, model(batch.ids, attention_mask=batch.mask).logits)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        assert torch.equal(twin(batch.ids, attention_mask=batch.mask).logits, together)


def test_training_draws_its_own_states(folder: Path) -> None:
    made = Pretrained(path=str(folder), trust_remote_code=True, add_tokens=False).build([], [], 0)
    ids = torch.tensor([IDS[0]])
    made.model.train()
    with torch.no_grad():
        assert not torch.equal(made.model(ids).logits, made.model(ids).logits)
        made.model.eval()
        assert torch.equal(made.model(ids).logits, made.model(ids).logits)


def test_the_seeded_state_has_the_model_s_own_spread(subject: Subject) -> None:
    model = subject.model
    rng = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 40, (50, 60), generator=rng)
    kept: list[Tensor] = []
    seeded = model.initialize_state

    def look(*args: Any, **kwargs: Any) -> Tensor:
        kept.append(seeded(*args, **kwargs))
        return kept[-1]

    model.__dict__["initialize_state"] = look
    try:
        with torch.no_grad():
            model(ids)
    finally:
        model.__dict__["initialize_state"] = seeded
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        own = type(model).initialize_state(model, torch.zeros(50, 60, 16))
    assert kept[0].std() == pytest.approx(own.std().item(), rel=0.03)
    assert kept[0].mean() == pytest.approx(0, abs=0.03)
    assert kept[0].abs().max() <= 3 * 0.3 * 4.0 + 1e-5


def test_steering_one_recurrence_holds_in_cached_generation(subject: Subject) -> None:
    model, vector = subject.model, torch.randn(16, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([IDS[0]])
    options = {"max_new_tokens": 4, "do_sample": False, "return_dict_in_generate": True,
               "output_logits": True, "pad_token_id": 0}  # fmt: skip
    with torch.no_grad(), edited(model, [Add(huginn_site(8, 3), 4 * vector)]):
        made = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options)
        whole = model(made.sequences[:, :-1]).logits[0, ids.shape[1] - 1 :]
    torch.testing.assert_close(torch.cat(made.logits), whole, atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        plain = model(made.sequences[:, :-1]).logits[0, ids.shape[1] - 1 :]
    assert (plain - whole).abs().max() > 1e-2
    # Only the last token of the prompt: earlier positions stay as they were.
    with torch.no_grad(), edited(model, [Add(huginn_site(8, 3), 4 * vector, LAST)]):
        last = model(ids).logits
    assert torch.equal(last[0, :-1], model(ids).logits[0, :-1])
