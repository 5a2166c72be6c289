"""Patching of input parts: another question's state at a part's tokens, from one block on.

At the first block it is ablation by swapping; further up it says what of a part is still to be
read where it stands.
"""

from collections.abc import Mapping, Sequence

from pydantic import Field

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import stream
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.asking import Asked
from seedbed.finders.measures import ByMeasure
from seedbed.finders.part_effects import PartMeasure, among, claims_of, untried
from seedbed.finders.part_values import PartValues, drawn
from seedbed.finders.parts import asked_by_parts, block_of, parts_of, text_at
from seedbed.finders.patches import Patch, Patched, Run, patched_logits
from seedbed.models.subject import Subject

Donors = Mapping[tuple[int, str], Sequence[int]]
"""By question and part: the questions that lend their states there."""


class PartPatching(ByMeasure):
    """The residual stream that a block takes in, at a part's tokens, from other questions.

    Donors have another text there in as many tokens. `layer` counts from 0; by default it is
    the middle block.
    """

    kind: str = "part-patching"
    sites = SiteKind.INPUT
    measure: PartMeasure | tuple[PartMeasure, ...] = Field(
        default="flip", description="flip, drop, any; several: a row for each, from one pass"
    )
    layer: int | None = Field(default=None, ge=0, description="null: the middle block")
    draws: int = Field(default=8, ge=1, description="donors of a part")

    def find_all(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> list[Claim]:
        """Scores [questions, parts] of each measure, 0 where a question lacks a part.

        Runs at most questions × parts × draws patches (Vig et al. 2020), those that cannot
        matter left out. Raises InputError for a question without places or choices, choices
        that no single token tells apart, a block that the model lacks, and if no part has a
        donor.
        """
        parts = parts_of(questions)
        layer = block_of(subject, self.layer, 0.5)
        asked = asked_by_parts(subject, questions)
        lenders = donors(subject.seed, questions, asked, parts, self.draws)
        if not lenders:
            raise InputError(
                f"no part of these {len(questions)} questions has a donor: another question with"
                " another text there, in as many tokens"
            )
        given = patched(subject, asked, lenders, layer)
        rows = iter(given.logits.tolist())
        effects = {
            (i, part): [among(next(rows)[: len(asked[i].choices)]) for _ in mine]
            for (i, part), mine in lenders.items()
        }
        before = [
            among(row[: len(one.choices)])
            for row, one in zip(given.base.tolist(), asked, strict=False)
        ]
        ran = int((~given.noop).sum())
        notes = {
            "patches": f"{ran} of {len(given.noop)} patches into block {layer} were run, the others"
            f" cannot matter; tier {given.tier}, one checked against a plain forward:"
            f" {given.checked:.1e}",
        }
        places = [(i, part) for i, q in enumerate(questions) for part in q.places]
        notes |= untried(parts, [place for place in places if place not in lenders], places)
        return claims_of(self.measures, questions, parts, before, effects, notes)


def donors(
    seed: int, questions: Sequence[Question], asked: Sequence[Asked], parts: Sequence[str],
    draws: int,
) -> dict[tuple[int, str], list[int]]:  # fmt: skip
    """Up to `draws` questions for each question and part, one for each text drawn there.

    Texts are drawn as `Ablation` draws them, among those that stand in as many tokens
    somewhere; whose of that text is drawn by the seed and the ids alone.
    """
    values = PartValues(questions)
    found = {}
    for i, question in enumerate(questions):
        for part in (p for p in parts if p in question.places):
            tokens = len(asked[i].places[part])
            by_text: dict[str, list[int]] = {}
            for j in sorted(values.mates(i, part), key=lambda j: questions[j].id):
                if len(asked[j].places[part]) == tokens:
                    by_text.setdefault(text_at(questions[j], part), []).append(j)
            others = [text for text in values.others(i, part) if text in by_text]
            if texts := drawn(seed, question.id, others, draws):
                found[i, part] = [
                    stream(seed, "donors", question.id, text).choice(by_text[text])
                    for text in texts
                ]
    return found


def patched(subject: Subject, asked: Sequence[Asked], lenders: Donors, layer: int) -> Patched:
    """Logits of the choices' next tokens after each patch, in the order of `lenders`.

    The first runs, whose logits are `base`, are the questions as they are; questions with fewer
    choices than others repeat their last one.
    """
    runs, patches = [Run(a.ids, ()) for a in asked], []
    owners = list(range(len(asked)))
    pairs = sorted({(i, j) for (i, _), mine in lenders.items() for j in mine})
    run_of = {pair: len(runs) + n for n, pair in enumerate(pairs)}
    for i, j in pairs:
        runs.append(Run(asked[i].ids, asked[j].ids))
        owners.append(i)
    for (i, part), mine in lenders.items():
        for j in mine:
            positions = zip(asked[i].places[part], asked[j].places[part], strict=True)
            patches.append(Patch(run_of[i, j], "resid_pre", layer, tuple(positions)))
    widest = max(len(a.choices) for a in asked)
    padded = [(*a.choices, *a.choices[-1:] * (widest - len(a.choices))) for a in asked]
    tokens = [padded[i] for i in owners]
    return patched_logits(subject, runs, patches, tokens, seed=subject.seed)
