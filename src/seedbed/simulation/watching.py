"""Roles that tell somebody what they answered, as it happens, and a person as the user.

They wrap any roles, so that a conversation in a terminal is played like every other episode.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seedbed.core.transcripts import Verdict
from seedbed.simulation.roles import Judge, Roles, Speaker, Spoken
from seedbed.simulation.scene import Scene

Tell = Callable[[str, Scene, Verdict], None]
"""Is told the name of a role, what it looked at and what it answered."""
LEFT = "the person left"


@dataclass(frozen=True)
class WatchedJudge:
    """A judge whose verdicts are told."""

    name: str
    judge_: Judge
    tell: Tell

    def judge(self, scenes: Sequence[Scene]) -> list[Verdict]:
        """What the judge says."""
        found = self.judge_.judge(scenes)
        for scene, one in zip(scenes, found, strict=True):
            self.tell(self.name, scene, one)
        return found


@dataclass(frozen=True)
class PersonSpeaker:
    """A person as the user: `ask` is shown the scene and gives the line that was typed."""

    ask: Callable[[Scene], str]

    def speak(self, scenes: Sequence[Scene]) -> list[Spoken]:
        """One line a scene; the end of the input is an error of the episode."""
        found = []
        for scene in scenes:
            try:
                found.append(Spoken(text=self.ask(scene).strip()))
            except EOFError:
                found.append(Spoken(error=LEFT))
        return found


def watched(roles: Roles, tell: Tell, user: Speaker | None = None) -> Roles:
    """The same roles with every verdict told, and another user where one is given."""
    third = None if roles.third is None else WatchedJudge("third person", roles.third, tell)
    return Roles(
        user=user or roles.user,
        rater=WatchedJudge("rating", roles.rater, tell),
        transition=WatchedJudge("moves", roles.transition, tell),
        detectors={
            name: WatchedJudge(f"detector {name}", judge, tell)
            for name, judge in roles.detectors.items()
        },
        third=third,
    )
