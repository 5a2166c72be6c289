"""lm-eval on the user's own subject and directions: the settings, and the intervention of files."""

from pathlib import Path
from typing import Any

from seedbed.core.config import Config, validate
from seedbed.core.directions import Directions
from seedbed.core.errors import InputError
from seedbed.finders.states import model_digest
from seedbed.measuring.harness import Harness
from seedbed.measuring.interventions import always, placed
from seedbed.measuring.likelihoods import Intervention
from seedbed.models.steered_file import read_steered, write_steered
from seedbed.models.steering import Steer, edits_of
from seedbed.models.subject import Subject

ENDINGS = (".pt", ".pth")


class Harnessing(Config):
    """What lm-eval runs, and how directions are put in place."""

    harness: Harness
    steer: Steer | None = None

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Harnessing":
        """From values of --set; raises ConfigError naming the key."""
        return validate(cls, values, "--set")


def directions_for(path: Path, subject: Subject, name: str = "the subject") -> Directions:
    """Saved directions; raises InputError if their file says that they are of another model.

    `name` is what a message calls the subject. Vectors made elsewhere may name no model.
    """
    found = Directions.load(path)
    if found.made.get("model") not in (None, "", model_digest(subject.model)):
        raise InputError(f"{path}: was made of another model than {name}")
    return found


def intervention_of(
    config: Harnessing, subject: Subject, directions: Path | None, steered: Path | None
) -> Intervention | None:
    """The intervention of a file of directions, or of one of lm-eval's `steered` model.

    Where `steer` names no site, it is the one that the directions chose on dev (all of them where
    none was chosen). `steered`: where it is written for that model type. Raises InputError for
    settings without directions, for both kinds of settings at once, and what such a file cannot
    say.
    """
    if directions is None:
        if config.steer is not None or steered is not None:
            raise InputError("give --directions FILE: there is nothing to steer along")
        return None
    if directions.suffix in ENDINGS:
        if config.steer is not None:
            raise InputError(f"{directions} says itself how to steer; leave steer.* out")
        edits = read_steered(directions, subject.model)[1]
        if steered is not None:
            raise InputError(f"{directions} is a file of that kind already; leave --steered out")
        return always(edits)
    read, steer = directions_for(directions, subject), config.steer or Steer()
    if not steer.sites and (chosen := read.made.get("site")):
        steer = steer.model_copy(update={"sites": (chosen,)})
    if steered is not None:
        write_steered(steered, subject.model, edits_of(steer, read))
    return placed(steer, read)
