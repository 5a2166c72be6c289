"""What a study file holds. One YAML file is one study; the resolved form replays it."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializeAsAny, field_validator, model_validator

from seedbed.core.config import Config, apply_sets, read_yaml, validate
from seedbed.core.errors import ConfigError
from seedbed.core.sites import SiteKind
from seedbed.finders.base import FINDERS, Finder
from seedbed.finders.mediation import Mediation
from seedbed.finders.retraining import Retraining
from seedbed.finders.steering import Steering
from seedbed.models.subject import SUBJECTS, SubjectConfig
from seedbed.scoring.measured import ORACLE
from seedbed.scoring.rows import LABELS
from seedbed.studies.incentives import Incentives
from seedbed.studies.organisms import Organisms
from seedbed.studies.sides import Side
from seedbed.studies.spread import Spread, refuse_odd_names
from seedbed.training.config import Training
from seedbed.worlds.base import WORLDS, World

ALIKE = (
    "world",
    "subject",
    "training",
    "finders",
    "steering",
    "seeds",
    "questions",
    "threads",
    "device",
)
"""What a side takes over from its study."""


class TrainingPart(Config):
    """What `seedbed train` needs of a study file."""

    subject: SerializeAsAny[Annotated[SubjectConfig, BeforeValidator(SUBJECTS.build)]]
    training: Training


class Looks(Config):
    """What is asked besides the choices to every question; 0 and false: nothing.

    `words`: so many questions are answered in the subject's own words too, in as many tokens as
    the longest choice has, since documents teach no end of a reply; `history`: so many at every
    checkpoint (see training.checkpoint_every); `grid`: the world's grid is drawn; `recurrences`:
    recurrent-depth subjects are asked at each of these numbers of recurrences.
    """

    words: int = Field(default=0, ge=0)
    history: int = Field(default=0, ge=0)
    grid: bool = False
    recurrences: tuple[Annotated[int, Field(ge=1)], ...] = ()

    @field_validator("recurrences")
    @classmethod
    def _recurrences_differ(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(values)) < len(values):
            raise ValueError("the same number stands twice")
        return values


class Study(Config):
    """A world, a subject trained on it, the finders to compare, and the seeds.

    `questions` is how many questions each seed puts to the finders, spread evenly over the
    gate's groups and their causes. Without `training` the subject is taken as it is.
    `measured` asks for the second truth about documents, by retraining; `mediation` for that
    about cells, by patching. `steering` intervenes along the directions that finders name.
    `organisms` plant a change at known layers of further subjects; `spread` trains further
    subjects a second time and asks what that spread to; `sides` are further subjects or worlds
    on which directions are looked for and tried alike. `incentives` trains further subjects on
    the feedback of simulated users, and the finders look into one of them. `looks` are asked
    besides.
    `threads` are torch threads a process: more of them can change the last bits of a result,
    so they belong to the study, and so does `device` (auto: a GPU where workers have one).
    """

    name: str = ""
    world: SerializeAsAny[Annotated[World, BeforeValidator(WORLDS.build)]]
    subject: SerializeAsAny[Annotated[SubjectConfig, BeforeValidator(SUBJECTS.build)]]
    training: Training | None = None
    finders: tuple[SerializeAsAny[Annotated[Finder, BeforeValidator(FINDERS.build)]], ...]
    measured: Retraining | None = None
    mediation: Mediation | None = None
    steering: Steering | None = None
    organisms: Organisms | None = None
    spread: Spread | None = None
    sides: dict[str, Side] = Field(default={})
    incentives: Incentives | None = None
    looks: Looks = Looks()
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    questions: int = Field(default=60, ge=2)
    threads: int = Field(default=1, ge=1)
    device: str = Field(default="auto", pattern=r"^(auto|cpu|[a-z]+(:\d+)?)$")

    @field_validator("finders", mode="before")
    @classmethod
    def _framework_rows_stand_once(cls, values: Any) -> Any:
        """Chance and oracle rows are always there; naming them changes nothing."""
        if not isinstance(values, list | tuple):
            return values
        # Places stay as the file has them, so that a problem is shown on the right line.
        kept = [v for v in values if _kind(v) != "oracle"]
        there = any(_kind(v) == "chance" for v in kept)
        return kept if there else [*kept, {"kind": "chance"}]

    @field_validator("finders")
    @classmethod
    def _names_differ(cls, values: tuple[Finder, ...]) -> tuple[Finder, ...]:
        names = [v.name for f in values for v in f.variants()]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two finders are called '{name}'; give one a 'label'")
            if name in (ORACLE, LABELS):
                raise ValueError(f"'{name}' names a control row; give the finder another 'label'")
            if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
                raise ValueError(f"the name '{name}' must consist of letters, digits, - _ and .")
        return values

    @model_validator(mode="after")
    def _removal_follows_finders(self) -> "Study":
        names = [v.name for f in self.finders for v in f.variants()]
        for name in self.measured.removal.finders if self.measured else ():
            if name not in names:
                near = get_close_matches(name, names, n=1)
                hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(names)}"
                raise ValueError(f"measured.removal.finders: no finder is called '{name}'; {hint}")
        return self

    @model_validator(mode="after")
    def _truths_can_be_had(self) -> "Study":
        sites = self.world.sites
        if self.measured is not None and self.training is None:
            raise ValueError("measured: retraining needs 'training'")
        if self.organisms is not None and not any(f.sites is SiteKind.LAYER for f in self.finders):
            raise ValueError("organisms: no finder of this study reads layers")
        if self.measured is not None and sites is not SiteKind.DOCUMENT:
            raise ValueError(
                f"measured: the world '{self.world.kind}' plants no cause in documents;"
                f" what was measured about {sites}s is 'mediation'"
            )
        if self.mediation is not None and sites not in (SiteKind.CELL, SiteKind.INPUT):
            raise ValueError(f"mediation: the world '{self.world.kind}' has no pairs to patch")
        if sites is not SiteKind.DOCUMENT and not any(f.sites is sites for f in self.finders):
            known = sorted(k for k, f in FINDERS.names().items() if f.sites is sites)
            raise ValueError(
                f"finders: the world '{self.world.kind}' declares its truth about {sites}s, and"
                f" none of these reads {sites}s; there are: {', '.join(known)}"
            )
        return self

    @model_validator(mode="after")
    def _the_first_stage_is_studied(self) -> "Study":
        stage = getattr(self.world, "stage", "teach")
        if stage != "teach":
            raise ValueError(
                f"world.stage: a study's own subject is taught in the stage 'teach', not '{stage}';"
                " second stages are configured under 'spread'"
            )
        return self

    @model_validator(mode="after")
    def _changes_fit_the_world(self) -> "Study":
        try:
            if self.organisms is not None:
                for change in self.organisms.changes:
                    self.organisms.world(change, self.world)
            if self.spread is not None:
                self.spread.check(self.world)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self

    @field_validator("sides")
    @classmethod
    def _sides_have_plain_names(cls, values: dict[str, Side]) -> dict[str, Side]:
        refuse_odd_names(values)
        return values

    @model_validator(mode="after")
    def _directions_are_tried_where_they_are(self) -> "Study":
        if self.world.sites is not SiteKind.DIRECTION:
            for key in ("steering", "sides"):
                if getattr(self, key):
                    raise ValueError(f"{key}: the world '{self.world.kind}' plants no directions")
            if self.looks.recurrences:
                raise ValueError(
                    "looks.recurrences: asked along with directions, and the world"
                    f" '{self.world.kind}' plants none"
                )
        recur = [self.subject.recurs]
        for name in self.sides:
            try:
                side = self.beside(name)
            except ConfigError as error:
                raise ValueError(str(error)) from error
            if side.world.sites is not SiteKind.DIRECTION:
                raise ValueError(f"sides.{name}: its world plants no directions")
            recur.append(side.subject.recurs)
        if self.looks.recurrences and all(known is False for known in recur):
            raise ValueError(
                "looks.recurrences: no subject of this study runs a block several times"
            )
        return self

    @model_validator(mode="after")
    def _users_give_feedback(self) -> "Study":
        if (self.world.sites is SiteKind.USER) != (self.incentives is not None):
            if self.incentives is None:
                raise ValueError(
                    f"incentives: the world '{self.world.kind}' is about what feedback teaches;"
                    " say under 'incentives' how a subject is trained on it"
                )
            raise ValueError(f"incentives: the world '{self.world.kind}' has no users")
        if self.incentives is not None:
            try:
                self.incentives.ground()
                for name in self.incentives.conditions:
                    self.incentives.trained_in(name, self.world)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        return self

    def beside(self, name: str) -> "Study":
        """The study of a side: its parts changed, and only what directions need."""
        own = self.model_dump(mode="json", include=set(ALIKE))
        own["finders"] = [
            f for f, given in zip(own["finders"], self.finders, strict=True)
            if given.sites is SiteKind.DIRECTION
        ]  # fmt: skip
        # Whether any of the subjects has recurrences is for the study as a whole.
        own["looks"] = {}
        values = self.sides[name].of(own)
        return validate(Study, {"name": name, **values}, f"sides.{name}")

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(values)) != len(values):
            raise ValueError("the same seed stands twice")
        return values


def _kind(value: Any) -> Any:
    if isinstance(value, dict):
        return value.get("kind")
    return getattr(value, "kind", value)


def load_study(path: Path, sets: tuple[str, ...] = (), seeds: str | None = None) -> Study:
    """Read a study file, apply `--set` and `--seeds`; raises ConfigError in one line."""
    values = read_yaml(path)
    for key, command in (("sizes", "matrix"), ("vary", "sweep")):
        if key in values and "world" not in values:
            raise ConfigError(
                f"{path}: this is a {command} file; run it with: seedbed {command} {path}"
            )
    values = apply_sets(values, sets)
    if seeds is not None:
        values["seeds"] = parse_seeds(seeds)
    values.setdefault("name", path.stem)
    # A place in the file is only right for what the file says.
    return validate(Study, values, path if not sets else f"{path} with --set")


def parse_seeds(text: str) -> list[int]:
    """`0-4`, `0,2,5` or a mix; raises ConfigError otherwise."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ConfigError(f"--seeds {text}: write it as 0-4 or 0,2,5")
        seeds += range(int(first), int(last or first) + 1)
    return seeds
