"""What `incentives:` configures, and what is wrong with it in one line."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from seedbed.core.errors import ConfigError
from seedbed.studies.incentives import Incentives, cell_folder
from seedbed.studies.study import Study, load_study
from seedbed.worlds.recall.world import Recall
from seedbed.worlds.users.optima import Selecting
from seedbed.worlds.users.world import Users

ARM: dict[str, Any] = {"preference": {"selection": {"group": "person", "best": 1}}}
RANDOM: dict[str, Any] = {"preference": {"selection": {"group": "person", "by": "random"}}}


def made(**changes: Any) -> Incentives:
    return Incentives.model_validate({"arms": {"chosen": ARM, "random": RANDOM}, **changes})


def test_cells_are_conditions_by_arms() -> None:
    config = made(conditions={"own": {}, "half": {"world": {"gameable": 0.1}, "arms": ["random"]}})
    assert config.cells() == [("own", "chosen"), ("own", "random"), ("half", "random")]
    assert config.controls() == ("random",)
    assert config.ground() == ("own", "chosen")
    assert cell_folder("own", "chosen") == "incentives/own+chosen"


def test_a_condition_may_have_its_own_length() -> None:
    config = made(conditions={"own": {}, "long": {"world": {"turns": 2}, "iterations": 3}})
    assert config.rounds("own") == (192, 10)
    assert config.rounds("long") == (192, 3)


def test_a_cell_holds_all_that_its_rounds_depend_on() -> None:
    both = Users(environments=("therapy", "booking"))
    other = {"world": {"gameable": 0.1}, "environments": ["booking"]}
    config = made(conditions={"own": {}, "few": other})
    own, few = (config.cell(name, "chosen", both) for name in ("own", "few"))
    assert own.ground
    assert not few.ground
    assert few.world.environments == ("booking",)
    assert few.asked.environments == own.world.environments == ("therapy", "booking")
    assert few.world.gameable == 0.1
    assert own.key() != few.key()


def test_conditions_that_change_the_base_are_refused() -> None:
    config = made(conditions={"own": {}, "other": {"world": {"base": {"gaming": 0.4}}}})
    with pytest.raises(ConfigError, match=r"conditions\.other: changes what the base"):
        config.check(Users(base={"documents": 200}), 0)
    made(conditions={"own": {}, "few": {"world": {"gameable": 0.1}}}).check(
        Users(base={"documents": 200}), 0
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"conditions": {"own": {"arms": ["chose"]}}}, "no arm is called 'chose'"),
        ({"conditions": {"a/b": {}}}, "must consist of letters"),
        ({"arms": {"x": {**ARM, "simulation": {"slot": 3}}}}, "slots"),
        ({"people": 0}, "greater than or equal to 1"),
    ],
)
def test_what_is_unfit_is_named(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        made(**changes)


def test_finders_need_a_condition_that_leaves_the_world_alone() -> None:
    config = made(conditions={"few": {"world": {"gameable": 0.1}}})
    with pytest.raises(ConfigError, match="one must leave the world as the study has it"):
        config.ground()


def test_agents_are_trained_in_environments_of_the_world() -> None:
    with pytest.raises(ConfigError, match=r"no environment 'bookin'; there are: therapy"):
        made(conditions={"own": {}, "b": {"environments": ["bookin"]}}).trained_in("b", Users())


def test_only_users_give_feedback() -> None:
    with pytest.raises(ConfigError, match="the world 'recall' has no users"):
        made().world("own", Recall())


def test_a_study_of_users_says_how_they_are_learned_from(tmp_path: Path) -> None:
    values = yaml.safe_load(Path("studies/smoke/users.yaml").read_text())
    assert isinstance(load_study(Path("studies/smoke/users.yaml")), Study)
    del values["incentives"]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match="is about what feedback teaches"):
        load_study(path)


def test_a_knob_that_the_world_has_not_is_named_with_its_line(tmp_path: Path) -> None:
    values = yaml.safe_load(Path("studies/smoke/users.yaml").read_text())
    values["incentives"]["conditions"] = {"own": {}, "few": {"world": {"gamable": 0.1}}}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match=r"few.*gamable.*did you mean 'gameable'"):
        load_study(path)


def test_turns_are_the_worlds_own() -> None:
    """Else optima would be about other episodes than those that are played."""
    with pytest.raises(ValueError, match=r"simulation\.turns: set world\.turns"):
        made(simulation={"turns": 2})


def test_tables_select_as_the_first_arm_that_goes_by_reward() -> None:
    share = {"preference": {"selection": {"group": "person", "best": 0.25}}}
    config = made(attempts=8, iterations=4, arms={"random": RANDOM, "quarter": share, "one": ARM},
                  conditions={"own": {}, "long": {"arms": ["one"], "iterations": 9}})  # fmt: skip
    assert config.selecting("own") == Selecting(samples=8, best=2, iterations=4)
    assert config.selecting("long") == Selecting(samples=8, best=1, iterations=9)
