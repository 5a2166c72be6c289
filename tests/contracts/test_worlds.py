"""Every world that can be named keeps the contract, and so does every view of it."""

import pytest

from seedbed.worlds.base import WORLDS
from seedbed.worlds.contract import check_world
from seedbed.worlds.contract_views import check_views

FEWER = {"counting": {"lists": 3000}, "quadrants": {"lines": 3000}, "triggers": {"facts": 5}}
"""Of the largest worlds views are checked on fewer documents; nothing else is another."""


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("kind", WORLDS.names())
def test_contract(kind: str, seed: int) -> None:
    check_world(WORLDS.build({"kind": kind}), seed)


@pytest.mark.parametrize("kind", WORLDS.names())
def test_views(kind: str) -> None:
    check_views(WORLDS.build({"kind": kind, **FEWER.get(kind, {})}), seed=1)
