from typing import Any

import pytest
from pydantic import ValidationError

from seedbed.core.errors import ConfigError
from seedbed.studies.spread import Spread, cell_name
from seedbed.studies.study import Study
from seedbed.worlds.base import WORLDS

ONE = {"arms": {"none": {"reteach": {"proxies": 0}}}, "training": {"steps": 5}}


def test_every_arm_runs_under_every_method() -> None:
    spread = Spread.model_validate(
        {**ONE, "methods": {"plain": {}, "kl": {"kind": "kl", "weight": 2}}}
    )
    assert [cell_name(*cell) for cell in spread.cells()] == ["none+plain", "none+kl"]
    assert spread.training_of("kl").method.weight == 2
    assert spread.training_of("plain") == spread.training


def test_an_arm_is_the_world_in_its_second_stage() -> None:
    world = WORLDS.build({"kind": "quadrants", "lines": 500})
    again = Spread.model_validate(ONE).world("none", world)
    assert again.model_dump()["stage"] == "reteach"
    assert again.model_dump()["reteach"]["proxies"] == 0
    assert again.model_dump()["lines"] == 500


def test_what_is_needed_is_a_share_of_each_trained_group() -> None:
    assert Spread.model_validate(ONE).least("taught") == 0.7
    assert Spread.model_validate({**ONE, "needed": {"proxy": 0.2}}).least("proxy") == 0.2
    assert Spread.model_validate({**ONE, "needed": {}}).least("taught") == 0


def test_a_world_without_a_second_stage_is_refused() -> None:
    with pytest.raises(ConfigError, match="world 'hops' has no second stage"):
        Spread.model_validate(ONE).check(WORLDS.build("hops"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arms": {}}, "arms"),
        ({"arms": {"a b": {}}}, "'a b' must consist of"),
        ({"arms": {"x": {"reteach": {"proxys": 1}}}}, r"spread\.arms\.x.*proxys.*proxies"),
        ({"arms": {"x": {"reteach": {"proxies": 99}}}}, r"spread\.arms\.x"),
        ({"arms": {"x": {"stage": "teach"}}}, "x: 'stage' is not for arms"),
        ({"arms": {"grid-x": {}}}, "'grid-x' begins like a folder"),
        ({"needed": {"taught": 70}}, r"needed\.taught|less than 1"),
        ({"needed": {"taugt": 0.5}}, "'taugt' is no trained group.*taught"),
        ({"training": {"steps": 5, "method": {"kind": "kl"}}}, "spread.methods"),
    ],
)
def test_a_second_stage_that_cannot_be_is_refused(
    quadrants_study: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    values = {**quadrants_study, "spread": {**quadrants_study["spread"], **change}}
    with pytest.raises(ValidationError, match=said):
        Study.model_validate(values)


def test_a_study_of_the_second_stage_alone_is_refused(quadrants_study: dict[str, Any]) -> None:
    values = {**quadrants_study, "world": {**quadrants_study["world"], "stage": "reteach"}}
    with pytest.raises(ValidationError, match="configured under 'spread'"):
        Study.model_validate(values)


@pytest.mark.parametrize(
    "knobs", [{"plane": {"angle": 0.5}}, {"texts": {"isa": 0.5}}, {"asked": {"questions": 70}}]
)
def test_an_arm_that_changes_the_first_stage_is_refused(knobs: dict[str, Any]) -> None:
    world = WORLDS.build({"kind": "quadrants", "lines": 500})
    fine = {"two": {"reteach": {"proxies": 2}}, "more": {"reteach": {"asked": 30, "points": 5}}}
    Spread.model_validate({**ONE, "arms": fine}).check_first_stages(world, 0)
    spread = Spread.model_validate({**ONE, "arms": {**fine, "other": knobs}})
    with pytest.raises(ConfigError, match=r"spread\.arms\.other: changes what"):
        spread.check_first_stages(world, 0)


def test_without_proxies_teaches_no_proxies() -> None:
    world = WORLDS.build("quadrants")
    spread = Spread.model_validate({**ONE, "methods": {"w": {"kind": "without"}, "m": {}}})
    assert spread.taught(world, "w") == {"taught": "new"}
    assert spread.taught(world, "m") == {"taught": "new", "proxy": "old"}
