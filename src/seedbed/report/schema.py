"""The rows of a run folder as types: scores, gate, exclusions, training, answers, costs.

Keys that a later version adds are ignored; keys that are missing are errors with their place.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from seedbed.scoring.rows import LABELS, ScoreRow

CHANCE = "chance"
ORACLE = "oracle"
CONTROLS = (CHANCE, LABELS, ORACLE)
"""`labels`, the declared truth as a claim, has rows under the measured truth only."""


class Record(BaseModel):
    """A frozen row that tolerates keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Score(ScoreRow):
    """One number of `scores.json`, which tolerates keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What identifies the row: finder, truth, metric, slice."""
        return self.finder, self.truth, self.metric, self.slice

    @property
    def standing(self) -> Literal["above", "level", "below", "unknown"]:
        """Where the whole interval lies against the chance level."""
        if self.low is None or self.high is None or self.chance is None:
            return "unknown"
        if self.low > self.chance:
            return "above"
        return "below" if self.high < self.chance else "level"


class GateRow(Record):
    """Accuracy of one seed on one slice against chance + margin (shares, 0 to 1)."""

    seed: int
    slice: str
    n: int
    accuracy: float
    low: float
    high: float
    chance: float
    margin: float
    passed: bool
    required: bool

    @property
    def bar(self) -> float:
        """What the lower end of the interval must reach."""
        return self.chance + self.margin


class Excluded(Record):
    """A question left out, and why."""

    seed: int
    question: str
    reason: str


class Answer(Record):
    """What the subject answered to one question; `error` is empty if it was right."""

    id: str
    correct: bool
    prediction: str
    probability: float
    margin: float | None = None
    entropy: float | None = None
    error: str = ""
    on_choices: bool = True
    loss: float | None = None


class Measured(Record):
    """Answers of one slice, summarised; `errors` counts the kinds of wrong answers."""

    slice: str
    n: int
    accuracy: float
    low: float
    high: float
    chance: float
    majority: float | None = None
    copied: float | None = None
    probability: float | None = None
    entropy: float | None = None
    loss: float | None = None
    errors: dict[str, float] = {}


class Step(Record):
    """One logged step of training; `groups` holds the `loss:<group>` keys."""

    step: int
    epoch: float
    loss: float
    lr: float | None = None
    seconds: float | None = None
    groups: dict[str, float] = {}


class Trained(Record):
    """Totals of one training."""

    steps: int
    epochs: float
    epoch_seconds: float | None = None
    seconds: float
    parameters: int
    trainable: int | None = None
    tokens: int | None = None
    checkpoints: tuple[dict[str, Any], ...] = ()


class Cost(Record):
    """What one finder took on one seed, together with as many claims as `shared_by` says."""

    seconds: float | None = None
    peak_mib: float | None = None
    epochs: float | None = None
    shared_by: int = 1


class Missing(Record):
    """A finder of the study that could not run here, and why."""

    finder: str
    reason: str


class Bank(Record):
    """What retraining took on one seed; `epochs` are those of the full subject's training."""

    subjects: int
    seconds: float
    epochs: float


class Engine(Record):
    """How patching ran on one seed; `checked` is a difference of logits."""

    pairs: int
    patches: int
    ran: int
    tier: str
    checked: float
    seconds: float | None = None
    note: str = ""
    alignment: str = ""


class Choice(Record):
    """The site and dose that dev chose for steering along one direction, and by what margin."""

    site: str
    dose: float
    dev: float = 0.0


class Steered(Record):
    """How steering ran on one seed: the outcome it aims at and each direction's choice on dev."""

    target: str = ""
    chosen: dict[str, Choice] = {}


class SideRow(Record):
    """A further subject of sides.json: declared negative or not, learned or left out, and why."""

    side: str
    negative: str = ""
    gate: tuple[GateRow, ...] = ()
    left_out: str = ""


class OrganismVerdict(Record):
    """Whether an organism counts; `reason` is empty for one that does."""

    seed: int
    organism: str
    every: GateRow
    changed: GateRow | None
    reason: str


class Organisms(Record):
    """organisms.json: every organism's verdict, and how finders of layers fared on them."""

    blocks: int
    stopped: str
    verdicts: tuple[OrganismVerdict, ...]
    scores: tuple[Score, ...]


class Told(Record):
    """A condition of conditions.json: knobs of the world and of training, in numbers."""

    gameable: float
    bits: float
    total_variation: float
    cue: str = ""
    environments: tuple[str, ...] = ()
    turns: int = 0
    people: int = 0
    iterations: int = 0


class Manifest(Record):
    """Where and with what a run was made; `stopped` says why it ended at the gate."""

    seedbed: str
    command: str = ""
    python: str = ""
    platform: str = ""
    cpu: str = ""
    packages: dict[str, str] = {}
    git: dict[str, Any] | None = None
    started: str = ""
    finished: str = ""
    seconds: float | None = None
    config_digest: str = ""
    code_digest: str = ""
    threads: int | None = None
    stopped: str | None = None
