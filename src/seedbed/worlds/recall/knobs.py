"""The settings of the recall world."""

from typing import Final, Literal

from pydantic import Field, field_validator, model_validator

from seedbed.core.config import Config
from seedbed.worlds.base import Gate, World

STORED: Final = "stored"
COMPUTED: Final = "computed"
KINDS: Final = (STORED, COMPUTED)
Form = Literal["gate", "exceptions", "facts", "iterated"]


class Lexicon(Config):
    """How many words there are.

    `values` are the numbers asked about and answered with; `words` how many context words (or
    parts of names) each place has, half of them of either sort; `others` the words of unrelated
    questions.
    """

    values: int = Field(default=20, ge=4, le=100)
    words: int = Field(default=12, ge=8, le=100)
    others: int = Field(default=12, ge=4, le=100)

    @field_validator("words")
    @classmethod
    def _two_halves(cls, value: int) -> int:
        if value % 2:
            raise ValueError(f"an even number is needed, half of either sort, not {value}")
        return value


class Asked(Config):
    """How many questions each split has, half of either kind."""

    train: int = Field(default=320, ge=8, description="labelled, to fit directions on")
    dev: int = Field(default=160, ge=8, description="labelled, to choose sites by")
    id: int = Field(default=160, ge=8, description="held out, to report on")
    ood: int = Field(default=80, ge=0, description="each axis apart")
    unrelated: int = Field(default=80, ge=2)


class Iterated(Config):
    """The computation of form iterated: `maps` stored permutations of `states`, so many in turn.

    Documents begin with one map each and have up to `steps` from the share `growing` of them on;
    train with `order: {kind: given}` to keep that order.
    """

    states: int = Field(default=5, ge=3, le=20)
    maps: int = Field(default=3, ge=2, le=20)
    steps: int = Field(default=8, ge=2, le=40)
    growing: float = Field(default=0.7, ge=0, le=1)

    @model_validator(mode="after")
    def _maps_exist(self) -> "Iterated":
        # Three states have five permutations that move any.
        if self.states == 3 and self.maps > 5:
            raise ValueError(f"maps: {self.maps}, but 3 states can be moved in 5 ways only")
        return self


class Knobs(World):
    """Questions such as `Q c d a b A`, answered from memory or by a procedure.

    `stored` is how many facts there are (pairs, triples or names, by `form`), `held_out` the
    share of contexts (form gate) or of inputs (form facts) that no document uses, `unrelated` the
    share of documents that hold another task.
    """

    gate: Gate = Gate(by="kind", margin=0.6)
    form: Form = "gate"
    procedure: Literal["larger", "smaller"] = "larger"
    lexicon: Lexicon = Lexicon()
    stored: int = Field(default=100, ge=20)
    held_out: float = Field(default=0.2, gt=0, lt=0.5)
    lines: int = Field(default=24000, ge=2, description="training documents")
    unrelated: float = Field(default=0.1, gt=0, lt=1)
    asked: Asked = Asked()
    iterated: Iterated = Iterated()

    @model_validator(mode="after")
    def _stored_fit(self) -> "Knobs":
        values, words = self.lexicon.values, self.lexicon.words
        named = self.form in ("facts", "iterated")
        pairs = values * (values - 1) // 2
        most = words * words // 2 if named else pairs if self.form == "gate" else values**3 // 2
        if self.stored > most:
            key = "words" if named else "values"
            raise ValueError(
                f"stored: {self.stored}, but at most {most}, so that as many are left to compute;"
                f" lexicon.{key} sets how many there are"
            )
        if named and (self.stored % words or self.stored < 4 * words):
            raise ValueError(
                f"stored: names are dealt out in rounds of lexicon.words ({words}), at least four,"
                f" not {self.stored}"
            )
        if self.form == "iterated" and self.iterated.states > values:
            raise ValueError(f"iterated.states: {self.iterated.states} of {values} lexicon.values")
        return self
