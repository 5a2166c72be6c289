"""Rating saved transcripts once more, by other judges: what another rater would have rewarded.

The verdicts that the episode was played with stay in its transcript, the new ones beside it.
"""

from collections.abc import Mapping, Sequence

from seedbed.core.config import Config
from seedbed.core.errors import ConfigError, InputError
from seedbed.core.rows import Row
from seedbed.core.transcripts import Transcript, Verdict
from seedbed.simulation.asked import RATER
from seedbed.simulation.judging import Judge
from seedbed.simulation.roles import Cast, Voice, check_role, judge_of
from seedbed.simulation.scene import scenes_of
from seedbed.worlds.users.environment import Environment


class Rater(Config):
    """A judge of saved transcripts: its role's prompt and options, and who plays it.

    `role` is `rater` (as the user), `third` (from outside), or a detector's name.
    """

    role: str = RATER
    voice: Voice = Voice()


class RatedAgain(Row):
    """A transcript, and by each judge's name its verdicts, one for each turn."""

    transcript: Transcript
    verdicts: dict[str, tuple[Verdict, ...]]


def build_judges(
    raters: Mapping[str, Rater], environments: Sequence[Environment], cast: Cast | None = None
) -> dict[str, Judge]:
    """The judges that are configured, by name; models are shared as `build_roles` shares them.

    Raises ConfigError and InputError as `build_roles` does.
    """
    cast = cast or Cast()
    for name, rater in raters.items():
        for environment in environments:
            known = ("rater", "third", *environment.roles.detectors)
            if rater.role not in known:
                raise ConfigError(
                    f"again.{name}.role: {rater.role!r} is none of {', '.join(known)}"
                    f" (environment {environment.name!r})"
                )
            check_role(rater.role, rater.voice, environment)
    return {name: judge_of(rater.role, rater.voice, cast) for name, rater in raters.items()}


def rate_again(
    transcripts: Sequence[Transcript],
    judges: Mapping[str, Judge],
    environments: Mapping[str, Environment],
) -> list[RatedAgain]:
    """Every transcript with a verdict of every judge on every turn, in the given order.

    Each judge is asked once about all turns together; a verdict that failed carries its error.
    Raises InputError for a transcript of an unknown environment, or of one that has changed since
    (a state or sub-environment that is no more).
    """
    scenes = []
    for transcript in transcripts:
        name = transcript.opening.environment
        if name not in environments:
            raise InputError(
                f"transcript {transcript.id!r}: environment {name!r} is none of those that are"
                f" known here: {', '.join(environments)}"
            )
        scenes.append(scenes_of(transcript, environments[name]))
    asked = [scene for row in scenes for scene in row]
    given = {name: iter(judge.judge(asked)) for name, judge in judges.items()}
    return [
        RatedAgain(
            transcript=transcript,
            verdicts={name: tuple(next(found) for _ in row) for name, found in given.items()},
        )
        for transcript, row in zip(transcripts, scenes, strict=True)
    ]
