"""Every finder that can be named keeps the contract of the sites it scores."""

from collections.abc import Callable

import pytest

from seedbed.core.errors import MissingExtra
from seedbed.core.sites import SiteKind
from seedbed.finders.adapters.peer import PeerFinder
from seedbed.finders.asking_parts import REPLIES, AskParts
from seedbed.finders.base import FINDERS, Finder
from seedbed.finders.contract import check_finder, check_layer_finder
from seedbed.finders.contract_cells import check_cell_finder
from seedbed.finders.contract_directions import check_direction_finder
from seedbed.finders.contract_inputs import check_input_finder, check_rule_finder
from seedbed.finders.contract_users import check_user_finder


def _check_documents(finder: Finder) -> None:
    check_finder(finder, by_text=finder.kind != "chance")


def _check_cells(finder: Finder) -> None:
    check_cell_finder(finder, by_pairs=finder.kind != "probes")


def _check_inputs(finder: Finder) -> None:
    if isinstance(finder, AskParts):
        check_input_finder(finder, [finder.wording, *REPLIES], by_name=True)
    else:
        check_input_finder(finder)


def _check_users(finder: Finder) -> None:
    check_user_finder(finder, own_base=finder.kind in ("user-contrast", "user-ablation"))


CHECKS: dict[SiteKind, Callable[[Finder], None]] = {
    SiteKind.DOCUMENT: _check_documents,
    SiteKind.LAYER: check_layer_finder,
    SiteKind.CELL: _check_cells,
    SiteKind.DIRECTION: check_direction_finder,
    SiteKind.INPUT: _check_inputs,
    SiteKind.RULE: check_rule_finder,
    SiteKind.USER: _check_users,
}


@pytest.mark.parametrize("kind", FINDERS.names())
def test_contract(kind: str) -> None:
    finder = FINDERS.build({"kind": kind})
    if isinstance(finder, PeerFinder):
        pytest.skip("starts a process for every call; see tests/finders/adapters")
    if reason := finder.unavailable():
        pytest.skip(reason)
    try:
        CHECKS[finder.sites](finder)
    except MissingExtra as error:
        # A finder of an extra can only be checked where the extra is installed, as in CI.
        pytest.skip(str(error))
