"""Every finder that can be named keeps the contract."""

import pytest

from seedbed.core.errors import MissingExtra
from seedbed.finders.adapters.peer import PeerFinder
from seedbed.finders.base import FINDERS
from seedbed.finders.contract import check_finder


@pytest.mark.parametrize("kind", FINDERS.names())
def test_contract(kind: str) -> None:
    finder = FINDERS.build({"kind": kind})
    if isinstance(finder, PeerFinder):
        pytest.skip("starts a process for every call; see tests/finders/adapters")
    if reason := finder.unavailable():
        pytest.skip(reason)
    try:
        check_finder(finder, by_text=kind != "chance")
    except MissingExtra as error:
        # A finder of an extra can only be checked where the extra is installed, as in CI.
        pytest.skip(str(error))
