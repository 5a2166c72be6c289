"""Every world that can be named keeps the contract, and so does every view of it."""

import pytest

from seedbed.worlds.base import WORLDS
from seedbed.worlds.contract import check_world
from seedbed.worlds.contract_views import check_views


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("kind", WORLDS.names())
def test_contract(kind: str, seed: int) -> None:
    check_world(WORLDS.build({"kind": kind}), seed)


@pytest.mark.parametrize("kind", WORLDS.names())
def test_views(kind: str) -> None:
    check_views(WORLDS.build({"kind": kind}), seed=1)
