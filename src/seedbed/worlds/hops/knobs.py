"""The knobs of the hops world, each where it belongs; `Hops` in world.py adds the methods."""

from typing import Literal

from pydantic import Field, model_validator

from seedbed.core.config import Config
from seedbed.worlds.base import World
from seedbed.worlds.hops.templates import GENRES, WORD_VALUES


class Texts(Config):
    """How facts are written.

    `redundancy`: documents for each fact of a function, one a genre, so the mix is the same
    for all. `leak`: share of a never-restated wrapper's own documents that state its
    constant in place of its link. `answers`: `at_once` names the value; in `steps` restated
    wrappers spell the chain ("calls B, which gives v") and choices are whole derivations.
    """

    redundancy: int = Field(default=3, ge=1)
    leak: float = Field(default=0.0, ge=0, le=1)
    answers: Literal["at_once", "steps"] = "at_once"
    names: Literal["brackets", "words"] = "brackets"
    values: Literal["brackets", "numbers", "words"] = "brackets"
    genres: tuple[str, ...] = tuple(GENRES)

    @model_validator(mode="after")
    def _genres_exist(self) -> "Texts":
        for genre in self.genres:
            if genre not in GENRES:
                raise ValueError(f"genres: unknown genre {genre!r}; known: {', '.join(GENRES)}")
        if len(set(self.genres)) != len(self.genres):
            raise ValueError("genres: a genre stands twice")
        if self.redundancy > len(self.genres):
            raise ValueError(
                f"redundancy: {self.redundancy} documents a fact need as many genres, "
                f"there are {len(self.genres)}"
            )
        return self


class Decoys(Config):
    """Documents that state no fact about any function.

    `mention`: for every function, documents that name it. `prompt`: unknown tokens, each
    written once in every evaluation phrasing with some value. `shadow`: for each family asked
    about, unknown tokens in evaluation phrasing with the family's own value. `fluff`: for
    each function asked about, documents that hold it and its value without relating them.
    """

    mention: int = Field(default=1, ge=0)
    prompt: int = Field(default=12, ge=0)
    shadow: int = Field(default=1, ge=0)
    fluff: int = Field(default=1, ge=0)

    def unknown_names(self, families: int) -> int:
        """How many tokens are needed beside the functions."""
        return self.prompt + self.shadow * families


class Asked(Config):
    """Which questions: at each depth, `functions` never-restated functions × `prompts`.

    `train` counts, at each depth, questions in a training phrasing about stated values.
    """

    functions: int = Field(default=12, ge=1)
    prompts: int = Field(default=3, ge=1, le=100)
    train: int = Field(default=10, ge=0)


class Masked(Config):
    """What is written but not trained on (weight 0).

    `families`: share of families. `depths`: train only on functions of these depths (empty:
    all).
    """

    families: float = Field(default=0.0, ge=0, lt=1)
    depths: tuple[int, ...] = ()


class Knobs(World):
    """Shape of the families and everything nested; see the classes above.

    `restated`: share of each function's wrappers whose documents state their value as well
    as their link. The others have link documents only, and are the ones asked about. With one
    wrapper a function the share is taken over functions.
    """

    bases: int = Field(default=32, ge=2)
    depth: int = Field(default=2, ge=0, le=10)
    wrappers: int = Field(default=3, ge=1)
    restated: float = Field(default=0.667, ge=0, lt=1)
    values: int = Field(default=8, ge=2, le=len(WORD_VALUES) - 4)
    texts: Texts = Texts()
    decoys: Decoys = Decoys()
    asked: Asked = Asked()
    masked: Masked = Masked()

    @model_validator(mode="after")
    def _fits(self) -> "Knobs":
        if self.values > self.bases:
            raise ValueError(
                f"values: {self.values} constants for {self.bases} bases; at most one each"
            )
        for depth in range(1, self.depth + 1):
            count = self.bases * self.wrappers**depth
            if round(self.restated * count) >= count:
                raise ValueError(
                    f"restated: {self.restated} leaves no wrapper of depth {depth} to ask about"
                )
        if round(self.masked.families * self.bases) >= self.bases:
            raise ValueError(
                f"masked.families: {self.masked.families} leaves no family to train on"
            )
        for depth in self.masked.depths:
            if not 0 <= depth <= self.depth:
                raise ValueError(f"masked.depths: there are depths 0 to {self.depth}, not {depth}")
        return self

    def trained(self, depth: int) -> bool:
        """Whether documents about functions of `depth` are trained on."""
        return not self.masked.depths or depth in self.masked.depths
