"""Who plays what: read from a study's values, checked before anything runs, loaded once."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.models.conftest import make_family, make_tokenizer
from tests.simulation.moments import THERAPY, moment

from seedbed.core.config import validate
from seedbed.core.errors import ConfigError, InputError
from seedbed.models.subject import Subject
from seedbed.simulation.asked import AskedJudge, AskedUser
from seedbed.simulation.programmed import (
    ProgramDetector,
    ProgramRater,
    ProgramTransition,
    ProgramUser,
)
from seedbed.simulation.roles import Cast, RolesConfig, Voice, build_roles
from seedbed.worlds.users.environment import load_environment, shipped


def config(**values: Any) -> RolesConfig:
    return validate(RolesConfig, values, "study.yaml")


def test_programs_play_everything_unless_told_otherwise() -> None:
    roles = build_roles(config(third="program", detectors=["veto"]), [THERAPY])
    assert isinstance(roles.user, ProgramUser)
    assert isinstance(roles.rater, ProgramRater)
    assert isinstance(roles.third, ProgramRater)
    assert roles.third.kind == "other"
    assert isinstance(roles.transition, ProgramTransition)
    assert isinstance(roles.detectors["veto"], ProgramDetector)
    assert build_roles(config(), [THERAPY]).third is None
    assert not build_roles(config(), [THERAPY]).detectors


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_environment_can_be_played_by_programs_and_by_models(
    name: str, chat_server: Any
) -> None:
    environment = load_environment(name)
    detectors = list(environment.roles.detectors)
    build_roles(config(third="program", detectors=detectors), [environment])
    voice = {"by": "openai:m", "base_url": chat_server.url}
    asked = config(user=voice, rater=voice, third=voice, transition=voice,
                   detectors=dict.fromkeys(detectors, voice))  # fmt: skip
    build_roles(asked, [environment])


def test_one_model_serves_all_who_name_it(chat_server: Any) -> None:
    voice = {"by": "openai:m", "base_url": chat_server.url}
    cast = Cast()
    roles = build_roles(
        config(user=voice, rater={**voice, "answering": {"draws": 3}}, transition=voice,
               third={**voice, "options": {"concurrency": 2}}, detectors={"veto": voice}),
        [THERAPY], cast,
    )  # fmt: skip
    assert isinstance(roles.user, AskedUser)
    assert isinstance(roles.third, AskedJudge)
    judges = [roles.rater, roles.transition, roles.detectors["veto"]]
    chats = [judge.chat for judge in judges if isinstance(judge, AskedJudge)]
    assert [chat is roles.user.chat for chat in chats] == [True, True, True]
    assert roles.third.chat is not roles.user.chat
    assert len(cast.known) == 2


def test_a_local_model_is_loaded_once_and_when_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] + '\n' }}{% endfor %}"
    model = make_family("llama", len(tokenizer), tied=False)
    model.config.max_position_embeddings = 2048
    model.save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    from seedbed.models import folders

    loaded: list[Path] = []
    load = folders.load_subject

    def counted(path: Path) -> Subject:
        loaded.append(path)
        return load(path)

    monkeypatch.setattr(folders, "load_subject", counted)
    voice = {"by": f"hf:{tmp_path / 'm'}", "answering": {"floor": 1e-9, "max_tokens": 3}}
    roles = build_roles(
        config(user=voice, rater=voice, transition=voice, detectors={"veto": voice}), [THERAPY]
    )
    assert not loaded
    scenes = [moment(0), moment(1)]
    verdicts = [roles.rater.judge(scenes), roles.detectors["veto"].judge(scenes)]
    assert not [v.error for row in verdicts for v in row if v.error]
    assert len(roles.user.speak(scenes)) == 2
    assert len(loaded) == 1


def test_replies_are_kept_where_the_cast_is_told(chat_server: Any, tmp_path: Path) -> None:
    voice = {"by": "openai:m", "base_url": chat_server.url}
    for _ in range(2):
        roles = build_roles(config(user=voice), [THERAPY], Cast(tmp_path / "cache"))
        assert not roles.user.speak([moment(0), moment(1)])[0].error
    assert len(chat_server.seen) == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rater": {"by": "program", "flor": 1}}, "rater.flor: unknown key"),
        ({"rater": {"answering": {"flor": 0.1}}}, "did you mean 'floor'?"),
        ({"rater": {"answering": {"floor": 0}}}, "rater.answering.floor"),
        ({"ratr": "program"}, "did you mean 'rater'?"),
        ({"detectors": 3}, "detectors"),
    ],
)
def test_values_are_checked_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**values)
    assert message in str(caught.value)


def test_a_detector_that_no_environment_has_is_named() -> None:
    with pytest.raises(ConfigError, match="no detector 'vito'; did you mean 'veto'"):
        build_roles(config(detectors=["vito"]), [THERAPY])


def test_a_model_that_does_not_exist_is_named_before_the_run() -> None:
    with pytest.raises(ConfigError, match="chat model 'opena:m': write it as one of"):
        build_roles(config(rater="opena:m"), [THERAPY])


def test_programs_need_acts_and_models_need_options() -> None:
    bare = THERAPY.model_copy(update={"acts": {}, "kinds": {}})
    with pytest.raises(InputError, match="has no acts"):
        build_roles(config(), [bare])
    rater = THERAPY.roles.rater.model_copy(update={"options": ()})
    roles = THERAPY.roles.model_copy(update={"rater": rater})
    mute = THERAPY.model_copy(update={"roles": roles})
    with pytest.raises(ConfigError, match=r"roles\.rater needs at least two options"):
        build_roles(config(rater="openai:m"), [mute])


def test_a_voice_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Voice().by = "openai:m"  # type: ignore[misc]  # what must not work
