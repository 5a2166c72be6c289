from typing import Any

import pytest
import torch
from torch import Tensor

from seedbed.models.recurrent import Draw, Recurrent, recurring
from seedbed.nets.recurrent import RecurrentConfig, RecurrentForCausalLM
from seedbed.nets.states import marks, normals

IDS = ((1, 7, 3, 3, 12, 9), (1, 11, 5), (1, 8, 8, 4))


@pytest.fixture(scope="module")
def model() -> Any:
    """Prelude 1, core 2 × 4, coda 1, random weights."""
    made = Recurrent(width=16, heads=2, recurrences=4, init=0.3)
    return made.build(["a b c d e f"], [], 0).model.eval()


def _padded(left: bool) -> tuple[Tensor, Tensor]:
    width = max(map(len, IDS)) + 1
    rows, masks = [], []
    for ids in IDS:
        fill = [0] * (width - len(ids))
        rows.append([*fill, *ids] if left else [*ids, *fill])
        real = [1] * len(ids)
        masks.append([*fill, *real] if left else [*real, *fill])
    return torch.tensor(rows), torch.tensor(masks)


@torch.no_grad()
def test_the_pass_is_the_sum_of_its_parts(model: Any) -> None:
    """A slow pass by the paper's equations gives the same logits."""
    body, ids = model.model, torch.tensor([IDS[0]])
    places = torch.arange(ids.shape[1])[None]
    turns = body.rotary_emb(body.embed_tokens(ids), position_ids=places)
    closed = torch.full((6, 6), float("-inf")).triu(1)[None, None]

    def through(blocks: Any, x: Tensor) -> Tensor:
        for block in blocks:
            x = block(x, attention_mask=closed, position_embeddings=turns)
        return x

    given = through(body.prelude, body.embed_tokens(ids))
    state = normals(marks(ids, places).cumsum(1), 16, model.config.state_seed)
    for _ in range(4):
        lengths = [x.square().mean(-1, keepdim=True).sqrt() for x in (state, given)]
        both = torch.cat([state / lengths[0], given / lengths[1]], dim=-1)
        state = through(body.core, body.adapter(both))
    wanted = model.lm_head(body.norm(through(body.coda, state)))
    torch.testing.assert_close(model(ids).logits, wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("left", [False, True])
def test_batch_order_and_padding_change_nothing(model: Any, left: bool) -> None:
    ids, mask = _padded(left)
    together = model(ids, attention_mask=mask).logits
    turned = model(ids.flip(0), attention_mask=mask.flip(0)).logits.flip(0)
    for row, sequence in enumerate(IDS):
        alone = model(torch.tensor([sequence])).logits[0]
        for found in (together, turned):
            torch.testing.assert_close(found[row][mask[row].bool()], alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("recurrences", [1, 4, 6])
def test_cached_generation_is_the_uncached_pass(model: Any, recurrences: int) -> None:
    ids, mask = _padded(left=True)
    options = {"max_new_tokens": 5, "do_sample": False, "return_dict_in_generate": True,
               "output_logits": True, "pad_token_id": 0}  # fmt: skip
    with recurring(model, recurrences):
        made = model.generate(input_ids=ids, attention_mask=mask, **options)
        mask = torch.cat([mask, torch.ones(len(mask), 4, dtype=torch.long)], 1)
        whole = model(made.sequences[:, :-1], attention_mask=mask).logits[:, -5:]
    torch.testing.assert_close(torch.stack(made.logits, 1), whole, atol=1e-4, rtol=1e-4)
    # Beams reorder the cache, and with it what the state is drawn from.
    with recurring(model, recurrences):
        beams = model.generate(
            input_ids=ids[:1], max_new_tokens=4, num_beams=3, pad_token_id=0,
            attention_mask=mask[:1, : ids.shape[1]], do_sample=False, use_cache=True,
        )  # fmt: skip
        plain = model.generate(
            input_ids=ids[:1], max_new_tokens=4, num_beams=3, pad_token_id=0,
            attention_mask=mask[:1, : ids.shape[1]], do_sample=False, use_cache=False,
        )  # fmt: skip
    assert torch.equal(beams, plain)


@torch.no_grad()
def test_logits_to_keep_and_hidden_states(model: Any) -> None:
    ids = torch.tensor([IDS[0]])
    whole = model(ids, output_hidden_states=True)
    # One row is multiplied in another way than six.
    torch.testing.assert_close(model(ids, logits_to_keep=2).logits, whole.logits[:, -2:])
    keep = torch.tensor([0, 3])
    torch.testing.assert_close(model(ids, logits_to_keep=keep).logits, whole.logits[:, keep])
    # One prelude block, two core blocks four times, one coda block, and behind the last norm.
    assert len(whole.hidden_states) == 1 + 8 + 1 + 1
    assert torch.equal(model.lm_head(whole.hidden_states[-1]), whole.logits)
    assert model(ids).past_key_values is None
    assert model(ids, use_cache=True).past_key_values.get_seq_length() == 6


def test_labels_give_the_mean_loss_of_the_next_tokens(model: Any) -> None:
    ids = torch.tensor([IDS[0]])
    found = model(ids, labels=ids)
    wanted = torch.nn.functional.cross_entropy(found.logits[0, :-1], ids[0, 1:])
    torch.testing.assert_close(found.loss, wanted)


def test_embeddings_alone_are_refused(model: Any) -> None:
    with pytest.raises(ValueError, match="input_ids are needed"):
        model(inputs_embeds=torch.zeros(1, 2, 16))


def _runs(draw: Draw, seeds: int) -> list[int]:
    model = Recurrent(width=16, heads=2, recurrences=3, draw=draw).build(["a b"], [], 0).model
    model.train()
    found = []
    with torch.random.fork_rng(devices=[]):
        for seed in range(seeds):
            torch.manual_seed(seed)
            found.append(model.model._recurrences())
    return found


def test_recurrences_are_drawn_in_training_and_fixed_at_test() -> None:
    uniform = _runs(Draw(recurrences=6), 300)
    assert set(uniform) == set(range(1, 7))
    assert max(uniform.count(n) for n in range(1, 7)) < 2 * min(
        uniform.count(n) for n in range(1, 7)
    )
    assert set(_runs(Draw(), 50)) == {1, 2, 3}
    assert set(_runs(Draw(rule="fixed", recurrences=9), 5)) == {3}
    poisson = torch.tensor(_runs(Draw(rule="poisson", recurrences=8), 800)).float()
    # Mean 8 + 1; variance 8 of the Poisson number and 64 (e^¼ − 1) of its rate.
    assert float(poisson.mean()) == pytest.approx(9, abs=0.6)
    assert float(poisson.var()) == pytest.approx(8 + 64 * 0.284, rel=0.3)
    assert int(poisson.min()) >= 1


def test_training_draws_other_states_by_torch_s_seed() -> None:
    made = Recurrent(width=16, heads=2, recurrences=2, draw=Draw(rule="fixed"), init=0.3)
    model = made.build(["a b c d e f"], [], 0).model.train()
    ids = torch.tensor([[1, 4, 5]])
    found = []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            found.append(model(ids).logits)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_deep_model_stays_stable(model: Any) -> None:
    """The state is normed at every recurrence, so depth beyond training does not blow it up."""
    ids = torch.tensor([IDS[0]])
    with torch.no_grad(), recurring(model, 200):
        assert bool(model(ids).logits.isfinite().all())
        assert float(model(ids).logits.abs().max()) < 1e3


def test_the_config_alone_builds_it() -> None:
    config = RecurrentConfig(
        vocab_size=11, hidden_size=8, intermediate_size=8, num_attention_heads=2,
        num_hidden_layers=5, prelude_layers=1, core_layers=3, coda_layers=1, recurrences=2,
    )  # fmt: skip
    made = RecurrentForCausalLM(config).eval()
    assert RecurrentConfig.from_dict(config.to_dict()).core_layers == 3
    assert made(torch.tensor([[1, 2]])).logits.shape == (1, 2, 11)
