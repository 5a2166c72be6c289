from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from seedbed.core.errors import InputError
from seedbed.models.blocks import Site, blocks_of
from seedbed.models.layout import core_order, cycle_order, layout_of


class _Model(nn.Module):
    """Lists of blocks under given names, and a config."""

    def __init__(self, lists: dict[str, int], **config: Any) -> None:
        super().__init__()
        inner = nn.Module()
        for name, count in lists.items():
            setattr(inner, name, nn.ModuleList(nn.Linear(2, 2) for _ in range(count)))
        self.inner = inner
        self.config = SimpleNamespace(hidden_size=2, **config)
        self.config.get_text_config = lambda: self.config


def test_orders_written_out() -> None:
    assert core_order(1, 2, 1, 2) == ((0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (3, 0))
    assert core_order(0, 1, 0, 3) == ((0, 0), (0, 1), (0, 2))
    assert cycle_order(1, 2, 2, 1) == ((0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1))
    # Huginn-0125: 2 + 4 × 32 + 2 runs of 8 blocks.
    assert len(core_order(2, 4, 2, 32)) == 132


def test_prelude_core_and_coda_in_running_order() -> None:
    lists = {"coda": 1, "core_block": 2, "prelude": 2}
    found = layout_of(_Model(lists, mean_recurrence=3))
    assert [path for path, _ in found.lists] == ["inner.prelude", "inner.core_block", "inner.coda"]
    assert found.order == core_order(2, 2, 1, 3)
    blocks = blocks_of(_Model({**lists, "coda": 0}, recurrences=2))
    # Where no coda follows, the last run of the core is what the stream ends with.
    assert blocks.residual()[-1] == Site("resid_post", 3, None, 1)
    assert blocks.ends(Site("resid_post", 3, None, 1))
    assert not blocks.ends(Site("resid_post", 3, None, 0))
    assert not blocks.ends(Site("resid_post", 3))
    assert blocks.begins(Site("resid_pre", 0))
    assert blocks.begins(Site("resid_pre", 0, None, 0))
    assert not blocks.begins(Site("resid_pre", 2, None, 0))


def test_a_core_without_a_prelude_and_coda_is_a_list_like_others() -> None:
    found = layout_of(_Model({"core": 3}))
    assert [path for path, _ in found.lists] == ["inner.core"]
    assert found.order == ((0, 0), (1, 0), (2, 0))
    assert not blocks_of(_Model({"core": 3})).recurrent


def test_how_often_the_core_runs_must_be_said() -> None:
    with pytest.raises(InputError, match="_Model: every block runs once, it has no recurrences"):
        layout_of(_Model({"prelude": 1, "core": 1, "coda": 1}))
