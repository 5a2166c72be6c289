"""Probes of what an agent reads of its user, where it begins to reply.

That a word can be read does not mean that it is used: a probe of words stands beside the finders
that ask for replies, and beside the same probe before feedback (Belinkov 2022, section 4).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from seedbed.core.cells import LAST
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import derive
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.kinds_of_user import (
    Floats,
    attribute_of,
    before_feedback,
    kinds_of,
    put_in,
    user_claim,
)
from seedbed.finders.measures import ByMeasure
from seedbed.finders.parts import block_of
from seedbed.finders.probes import FOLDS, regressed
from seedbed.finders.states import cell_of, held
from seedbed.finders.user_ratings import RATING, desirable
from seedbed.models.blocks import Site
from seedbed.models.subject import Subject

Reads = Literal["rating", "word", "learned"]


class UserProbe(ByMeasure):
    """Ridge probes of the last token of the prompt, as a block hands it on.

    `rating`: fitted to the ratings of the last `most` desirable documents; what it reads with
    each word put into the asked prompts. `word`: fitted to the word itself on three of four
    questions; how much more it says the right word than the others on the fourth. `learned`: that
    of the agent after feedback less that before.
    """

    kind: str = "user-probe"
    sites = SiteKind.USER
    measure: Reads | tuple[Reads, ...] = Field(
        default="rating", description="rating, word, learned; several: a row for each"
    )
    layer: int | None = Field(default=None, ge=0, description="null: the last block")
    most: int = Field(default=512, ge=8, description="documents that ratings are fitted to")

    def find_all(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> list[Claim]:
        """Scores [questions, kinds of user]: a word's value less the mean of the other words of
        its attribute; those of `word` and `learned` are the same for every question.

        Raises InputError for a block that the model lacks, for `rating` where no desirable
        document has one, and for `learned` without the agent before feedback.
        """
        kinds = kinds_of(documents, questions)
        asked = put_in(subject, questions, kinds)
        layer = block_of(subject, self.layer, 1.0)
        # In one order whatever the caller's, so that sums round alike.
        spots = sorted(asked, key=lambda spot: (questions[spot[0]].id, spot[1]))
        prompts = [asked[spot] for spot in spots]
        x = _states(subject, prompts, layer)
        words = _Words(subject.seed, kinds, questions, spots)
        found = []
        for measure in self.measures:
            if measure == "rating":
                values = np.full((len(questions), len(kinds)), np.nan)
                for spot, value in zip(spots, self._rated(subject, documents, layer, x),
                                       strict=True):  # fmt: skip
                    values[spot] = value
            else:
                values = words.read(x)
                if measure == "learned":
                    base = before_feedback(subject, self.name)
                    values = values - words.read(_states(base, prompts, layer))
            notes = {"read": f"after block {layer}, at the last token of the prompt"}
            found.append(user_claim(questions, kinds, values, notes))
        return found

    def _rated(
        self, subject: Subject, documents: Sequence[Document], layer: int, x: Tensor
    ) -> list[float]:
        rated = [d for _, d in desirable(documents)][-self.most :]
        fitted = _states(subject, [_asked(d) for d in rated], layer)
        goal = torch.tensor([[d.marks[RATING]] for d in rated], dtype=torch.float64)
        values: list[float] = regressed(fitted, goal, x)[:, 0].tolist()
        return values


class _Words:
    """Probes of each attribute's words; questions are dealt into folds by their ids."""

    def __init__(
        self, seed: int, kinds: Sequence[str], questions: Sequence[Question],
        spots: Sequence[tuple[int, int]],
    ) -> None:  # fmt: skip
        self.kinds = kinds
        self.owner = np.array([k for _, k in spots])
        fold = {q.id: derive(seed, "user-probe", q.id) % FOLDS for q in questions}
        self.fold = np.array([fold[questions[i].id] for i, _ in spots])

    def read(self, x: Tensor) -> Floats:
        """By kind: the mean of what is read for the right word less that of the others."""
        values = np.full(len(self.kinds), np.nan)
        names = [attribute_of(kind) for kind in self.kinds]
        for name in sorted(set(names)):
            mine = [k for k, own in enumerate(names) if own == name]
            here = np.flatnonzero(np.isin(self.owner, mine))
            present = [k for k in mine if (self.owner[here] == k).any()]
            if len(present) < 2:
                continue
            owner, fold, states = self.owner[here], self.fold[here], x[here]
            goal = torch.from_numpy((owner[:, None] == np.array(present)).astype(np.float64))
            read = torch.full_like(goal, torch.nan)
            for k in np.unique(fold):
                test = torch.from_numpy(fold == k)
                if bool((~test).any()):
                    read[test] = regressed(states[~test], goal[~test], states[test])
            right = (read * goal).sum(1) - (read * (1 - goal)).sum(1) / (len(present) - 1)
            for k in present:
                values[k] = float(right[torch.from_numpy(owner == k)].nanmean())
        return values


def _states(subject: Subject, asked: Sequence[Question], layer: int) -> Tensor:
    """States [asked, width] in float64; what stands twice is run once."""
    cell = cell_of(Site("resid_post", layer), LAST)
    different = {(q.prompt, q.choices): q.model_copy(update={"places": {}}) for q in asked}
    states = held(subject, list(different.values()), [cell]).at(cell).double()
    row = {key: n for n, key in enumerate(different)}
    return states[[row[q.prompt, q.choices] for q in asked]]


def _asked(document: Document) -> Question:
    """What stands before the agent's last turn in a document, and the turn as the answer."""
    start, end = document.targets[-1]
    return Question(id=document.id, prompt=document.text[:start], answer=document.text[start:end])
