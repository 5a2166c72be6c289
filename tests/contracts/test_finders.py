"""Every finder that can be named keeps the contract."""

import pytest

from seedbed.core.errors import MissingExtra
from seedbed.finders.base import FINDERS
from seedbed.finders.contract import check_finder


@pytest.mark.parametrize("kind", FINDERS.names())
def test_contract(kind: str) -> None:
    try:
        check_finder(FINDERS.build({"kind": kind}))
    except MissingExtra as error:
        # A finder of an extra can only be checked where the extra is installed, as in CI.
        pytest.skip(str(error))
