"""What a role sees, live and of a saved episode."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.simulation.moments import ASKED, THERAPY, Reciting, moment, opening

from seedbed.core.errors import InputError
from seedbed.core.transcripts import Said, Turn, Verdict
from seedbed.simulation.episodes import Simulation, simulate
from seedbed.simulation.roles import RolesConfig, build_roles
from seedbed.simulation.scene import Scene, scenes_of


def said(role: str, content: str) -> Said:
    return Said.model_validate({"role": role, "content": content})


def test_a_conversation_is_everything_up_to_now() -> None:
    first = Turn(number=0, state="asking", said="one", after=(said("environment", "two"),))
    now = replace(moment(), turns=(first,), said="three", heard=(said("tool", "four"),), number=1)
    assert [(s.role, s.content) for s in now.conversation()] == [
        ("system", "you are a kind guide"), ("environment", ASKED), ("agent", "one"),
        ("environment", "two"), ("agent", "three"), ("tool", "four"),
    ]  # fmt: skip
    before = replace(now, turns=(), said="", heard=())
    assert before.conversation() == list(before.opening.said)


class Watching:
    """A judge that says what another says and keeps the scenes."""

    def __init__(self, judge: object) -> None:
        self.inner, self.seen = judge, list[Scene]()

    def judge(self, scenes: Sequence[Scene]) -> list[Verdict]:
        self.seen += scenes
        found: list[Verdict] = self.inner.judge(scenes)  # type: ignore[attr-defined]  # any judge
        return found


def test_scenes_of_a_transcript_are_those_its_raters_saw() -> None:
    roles = build_roles(RolesConfig(), [THERAPY])
    watching = Watching(roles.rater)
    openings = [opening(n, kind) for n, kind in enumerate(["gameable", "other"] * 8)]
    played = simulate(
        Simulation(), {"therapy": THERAPY}, openings, Reciting(), replace(roles, rater=watching),
        None,
    )  # fmt: skip
    found = [scene for transcript in played for scene in scenes_of(transcript, THERAPY)]
    key = {(s.opening.id, s.number): s for s in watching.seen}
    assert len(key) == len(found) > 20
    assert found == [key[s.opening.id, s.number] for s in found]
    assert any(s.turns for s in found)


def test_an_environment_that_has_changed_is_named() -> None:
    (transcript,) = simulate(
        Simulation(), {"therapy": THERAPY}, [opening()], Reciting(),
        build_roles(RolesConfig(), [THERAPY]), None,
    )  # fmt: skip
    less = THERAPY.model_copy(update={"states": {"ended": THERAPY.states["ended"]}})
    with pytest.raises(InputError, match="has no state 'asking'"):
        scenes_of(transcript, less)
    subs = THERAPY.model_copy(update={"subs": {"smoking": THERAPY.subs["smoking"]}})
    with pytest.raises(InputError, match="'drinking' is unknown"):
        scenes_of(transcript, subs)
