from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from seedbed.core.errors import InputError
from seedbed.models.blocks import Site
from seedbed.models.hooks import LAST, Add, Positions, Rows, edited
from seedbed.models.tokens import TokenSequence, pad

IDS = ((1, 7, 3, 3, 12, 9), (1, 21, 5), (1, 8, 8, 30))
SITE = Site("resid_post", 1)
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


# What positions mean in rows of 6, 3 and 4 tokens, written out.
MEANT: list[tuple[Positions, list[set[int]]]] = [
    (None, [{0, 1, 2, 3, 4, 5}, {0, 1, 2}, {0, 1, 2, 3}]),
    ((1, 4), [{1, 4}, {1}, {1}]),
    (range(1, 2**31, 2), [{1, 3, 5}, {1}, {1, 3}]),
    (range(4, 0, -2), [{4, 2}, {2}, {2}]),
    (LAST, [{5}, {2}, {3}]),
    (Rows(((5, 0), range(2), range(3, 2**31))), [{5, 0}, {0, 1}, {3}]),
    (Rows(((), (2,), ())), [set(), {2}, set()]),
]


@pytest.mark.parametrize(("positions", "meant"), MEANT)
@pytest.mark.parametrize("side", ["right", "left"])
def test_positions_mean_real_tokens(
    architecture_of: Make, positions: Positions, meant: list[set[int]], side: str
) -> None:
    model, batch = architecture_of("llama").model, _batch()
    given = {"input_ids": batch.ids, "attention_mask": batch.mask} if side == "right" else _left()
    kept: list[Tensor] = []
    handle = model.model.layers[2].register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    with torch.no_grad():
        model(**given)
        with edited(model, [Add(SITE, _vector(), positions)]):
            model(**given)
    handle.remove()
    for row, wanted in enumerate(meant):
        real = given["attention_mask"][row].bool()
        moved = (kept[1][row] - kept[0][row])[real]
        for position, change in enumerate(moved):
            goal = _vector() if position in wanted else torch.zeros(16)
            torch.testing.assert_close(change, goal, atol=1e-5, rtol=1e-5)


def test_sequences_that_share_a_row_stand_where_they_say(architecture_of: Make) -> None:
    """Several prompts in one line, as measuring lays them out, tell their own positions."""
    model = architecture_of("llama").model
    ids, places = torch.tensor([[1, 7, 3, 7, 3]]), torch.tensor([[0, 1, 2, 1, 2]])
    kept: list[Tensor] = []
    handle = model.model.layers[2].register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    mask = torch.ones_like(ids)
    with torch.no_grad():
        model(ids, attention_mask=mask, position_ids=places)
        with edited(model, [Add(SITE, _vector(), (2,))]):
            model(ids, attention_mask=mask, position_ids=places)
    handle.remove()
    moved = (kept[1] - kept[0])[0].abs().amax(dim=-1) > 1e-3
    assert moved.tolist() == [False, False, True, False, True]
    with (
        pytest.raises(InputError, match="LAST: tokens of several sequences share a row"),
        edited(model, [Add(SITE, _vector(), LAST)]),
    ):
        model(ids, attention_mask=mask, position_ids=places)
