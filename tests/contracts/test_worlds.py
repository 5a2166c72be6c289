"""Every world that can be named keeps the contract."""

import pytest

from seedbed.worlds.base import WORLDS
from seedbed.worlds.contract import check_world


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("kind", WORLDS.names())
def test_contract(kind: str, seed: int) -> None:
    check_world(WORLDS.build({"kind": kind}), seed)
