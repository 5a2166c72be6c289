from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.models.blocks import Site
from seedbed.models.hooks import (
    LAST,
    Add,
    Along,
    Edit,
    Positions,
    Replace,
    Rows,
    edited,
    read,
)
from seedbed.models.tokens import TokenSequence, pad

IDS = ((1, 7, 3, 3, 12, 9), (1, 21, 5), (1, 8, 8, 30))
SITE = Site("resid_post", 1)
OPTIONS = {"max_new_tokens": 5, "do_sample": False, "return_dict_in_generate": True,
           "output_logits": True, "pad_token_id": 0}  # fmt: skip
Make = Callable[[str], Any]


def _batch() -> Any:
    return pad([TokenSequence(r, (False,) * len(r)) for r in IDS])


def _left() -> dict[str, Tensor]:
    width = max(map(len, IDS))
    ids = torch.tensor([[0] * (width - len(r)) + list(r) for r in IDS])
    mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in IDS])
    return {"input_ids": ids, "attention_mask": mask}


def _vector(seed: int = 0) -> Tensor:
    return torch.randn(16, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ["llama", "gpt2", "window"])
def test_each_row_s_own_positions_hold_in_cached_generation(
    architecture_of: Make, name: str
) -> None:
    model = architecture_of(name).model
    given = _left()
    positions = Rows((range(4, 2**31), (1, 4), (2,)))
    with torch.no_grad(), edited(model, [Add(SITE, 2 * _vector(), positions)]):
        together = model.generate(**given, **OPTIONS).sequences[:, given["input_ids"].shape[1] :]
    for row, (ids, mine) in enumerate(zip(IDS, positions.rows, strict=True)):
        with torch.no_grad(), edited(model, [Add(SITE, 2 * _vector(), mine)]):
            alone = model.generate(
                input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), **OPTIONS
            )
        assert torch.equal(alone.sequences[0, len(ids) :], together[row])


def _decoded(model: Any, edits: list[Edit], ids: tuple[int, ...] = IDS[0]) -> Any:
    with torch.no_grad(), edited(model, edits):
        return model.generate(
            input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), **OPTIONS
        )


def test_the_last_token_is_the_one_being_run(architecture_of: Make) -> None:
    model = architecture_of("llama").model
    found = _decoded(model, [Add(SITE, 2 * _vector(), LAST)])
    # The prompt's last token and each written one.
    same = _decoded(model, [Add(SITE, 2 * _vector(), range(5, 2**31))])
    assert torch.equal(torch.cat(found.logits), torch.cat(same.logits))


@pytest.mark.parametrize(
    ("passes", "positions"),
    [(range(1), range(6)), (range(1, 2**31), range(6, 2**31)), (range(2, 4), range(7, 9)),
     (range(1, 5, 2), (6, 8)), (None, None), (range(50, 60), ())],
)  # fmt: skip
def test_passes_count_the_prompt_and_then_each_written_token(
    architecture_of: Make, passes: range | None, positions: Positions
) -> None:
    model = architecture_of("llama").model
    for make in (
        lambda **where: Add(SITE, 2 * _vector(), **where),
        lambda **where: Along(SITE, _vector(), -1.0, **where),
        lambda positions=None, passes=None: Replace(SITE, positions, _vector(), passes),
    ):
        by_pass = _decoded(model, [make(passes=passes)])
        by_position = _decoded(model, [make(positions=positions)])
        assert torch.equal(torch.cat(by_pass.logits), torch.cat(by_position.logits))
    # The count starts anew wherever edits are put in.
    again = _decoded(model, [Add(SITE, 2 * _vector(), passes=passes)])
    first = _decoded(model, [Add(SITE, 2 * _vector(), passes=passes)])
    assert torch.equal(again.sequences, first.sequences)


def _changed(model: Any, edit: Edit) -> tuple[Tensor, Tensor]:
    before = read(model, _batch(), [SITE])[SITE]
    with edited(model, [edit]):
        return before, read(model, _batch(), [SITE])[SITE]


def test_arithmetic_of_every_action(architecture_of: Make) -> None:
    model = architecture_of("llama").model
    unit = _vector() / _vector().norm()
    real = _batch().mask.bool()
    before, after = _changed(model, Along(SITE, 3 * unit, -1.0))
    torch.testing.assert_close(
        (after @ unit)[real], torch.zeros(int(real.sum())), atol=1e-5, rtol=0
    )
    rest = before - (before @ unit).unsqueeze(-1) * unit
    torch.testing.assert_close(after[real], rest[real])
    before, after = _changed(model, Along(SITE, unit, 0.5, (1,)))
    torch.testing.assert_close((after @ unit)[:, 1], 1.5 * (before @ unit)[:, 1])
    assert torch.equal(after[:, 0], before[:, 0])
    before, after = _changed(model, Add(SITE, 0.25 * unit, None, scaled=True))
    wanted = before + 0.25 * before.norm(dim=-1, keepdim=True) * unit
    torch.testing.assert_close(after[real], wanted[real])
    rows = torch.stack([_vector(n) for n in range(3)])
    before, after = _changed(model, Add(SITE, rows, LAST))
    for row, ids in enumerate(IDS):
        torch.testing.assert_close(
            after[row, len(ids) - 1], before[row, len(ids) - 1] + _vector(row)
        )


def test_a_strength_of_nothing_changes_nothing(architecture_of: Make) -> None:
    model, batch = architecture_of("llama").model, _batch()
    with torch.no_grad():
        plain = model(batch.ids, attention_mask=batch.mask).logits
        for edit in (
            Add(SITE, torch.zeros(16)),
            Add(SITE, torch.zeros(16), scaled=True),
            Along(SITE, _vector(), 0.0),
            Add(SITE, _vector(), range(40, 50)),
        ):
            with edited(model, [edit]):
                assert torch.equal(model(batch.ids, attention_mask=batch.mask).logits, plain)


def test_replace_at_each_row_s_own_places(architecture_of: Make) -> None:
    model = architecture_of("llama").model
    values = torch.stack([_vector(n) for n in range(6)]).view(3, 2, 16)
    where = Rows(((5, 1), (0, 2), (2, 3)))
    after = _changed(model, Replace(SITE, where, values))[1]
    for row, places in enumerate(where.rows):
        for n, place in enumerate(places):
            assert torch.equal(after[row, place], values[row, n])
    after = _changed(model, Replace(SITE, LAST, values[:, :1]))[1]
    for row, ids in enumerate(IDS):
        assert torch.equal(after[row, len(ids) - 1], values[row, 0])
    after = _changed(model, Replace(SITE, None, values[0, 0]))[1]
    real = _batch().mask.bool()
    assert torch.equal(after[real], values[0, 0].expand(int(real.sum()), 16))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Along(SITE, torch.zeros(16), 1.0), "Along: the direction has no length"),
        (Along(SITE, torch.ones(15), 1.0), r"direction of shape \(15,\); the site needs 16"),
        (Add(SITE, torch.ones(16), Rows(((0,), (1,)))), "positions of 2 rows in a batch of 3"),
        (Add(SITE, torch.ones(16), Rows(((0,), (-1,), ()))), "count from 0"),
        (Add(SITE, torch.ones(16), range(-1, 3)), "count from 0"),
        (Replace(SITE, Rows(((0,), (0, 1), ())), torch.ones(3, 1, 16)), "unequal number"),
        (Add("resid_pre.1r1", torch.ones(16)), "resid_pre.1r1: block 1 runs once"),
    ],
)
def test_unfit_edits_are_refused(architecture_of: Make, edit: Edit, message: str) -> None:
    model, batch = architecture_of("llama").model, _batch()
    with pytest.raises(InputError, match=message), edited(model, [edit]):
        model(batch.ids, attention_mask=batch.mask)


def test_half_precision_sums_are_made_in_more_bits(architecture_of: Make) -> None:
    import copy

    model = copy.deepcopy(architecture_of("llama").model).to(torch.bfloat16)
    before, after = _changed(model, Along(SITE, _vector(), -1.0))
    unit = (_vector() / _vector().norm()).double()
    wanted = before.double() - (before.double() @ unit).unsqueeze(-1) * unit
    real = _batch().mask.bool()
    # Rounded once on the way in and once on the way out, 8 bits each.
    torch.testing.assert_close(after[real].double(), wanted[real], atol=2e-2, rtol=1e-2)
