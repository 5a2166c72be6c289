"""Rule fitting: which of the candidate rules says what the model answers?

It sees what every rule would answer and nothing of which was taught.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from seedbed.core.errors import InputError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.measures import ByMeasure
from seedbed.finders.part_effects import Floats, among
from seedbed.finders.rule_evidence import Ints, evidence, log_odds, twins
from seedbed.measuring.choices import score_choices
from seedbed.models.subject import Subject

RuleMeasure = Literal["answers", "likelihood", "posterior", "disagreement"]


class RuleFit(ByMeasure):
    """How well each rule explains the model's answers, question by question or all together.

    `answers`: 1 where the rule says the model's likeliest choice. `likelihood`: nats by which
    the model prefers the rule's choice to guessing. `disagreement`: over the other rules that
    say something else here, the share that this one beats less the share that beat it.
    `posterior`: log odds of the rule against the others given all questions, on every row.
    """

    kind: str = "rule-fit"
    sites = SiteKind.RULE
    measure: RuleMeasure | tuple[RuleMeasure, ...] = Field(
        default="answers", description="several: a row for each, from one pass"
    )

    def find_all(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> list[Claim]:
        """Scores [questions, rules] of each measure; a rule that says nothing scores 0 there.

        Scores each question's choices once, beginnings shared. `posterior` is that of
        `rule_evidence.evidence` under a uniform prior over rules. Raises InputError for a
        question without rules or choices, and for fewer than two rules in all.
        """
        names, by_rule = rules_of(questions)
        scored = [among(s.logprobs) for s in score_choices(subject, questions)]
        said = [int(row.argmax()) for row in scored]
        notes = notes_of(questions, names, by_rule)
        ids = tuple(q.id for q in questions)
        return [
            Claim(ids, names, _scores(measure, scored, said, by_rule), SiteKind.RULE, dict(notes))
            for measure in self.measures
        ]


def rules_of(questions: Sequence[Question]) -> tuple[tuple[str, ...], Ints]:
    """(rules in order of first appearance, index of the choice that each says, −1 for none).

    The array is [questions, rules]. Raises InputError for a question without rules, and for
    fewer than two rules.
    """
    for question in questions:
        if not question.rules:
            raise InputError(
                f"question {question.id!r}: has no rules (name → the choice it says), which"
                " finders on rules score"
            )
    names = tuple(dict.fromkeys(name for q in questions for name in q.rules))
    if len(names) < 2:
        raise InputError(
            f"{len(names)} rules in {len(questions)} questions; at least two are needed to tell"
            " which one it is"
        )
    table = [[q.choices.index(q.rules[n]) if n in q.rules else -1 for n in names]
             for q in questions]  # fmt: skip
    return names, np.array(table, dtype=np.int64)


def notes_of(questions: Sequence[Question], names: Sequence[str], by_rule: Ints) -> dict[str, str]:
    """On how many questions rules differ, and which never do."""
    apart = sum(len(set(row[row >= 0])) > 1 for row in by_rule)
    notes = {"apart": f"rules say different things on {apart} of {len(questions)} questions"}
    if same := twins(by_rule, names):
        shown = "; ".join(" = ".join(group) for group in same)
        notes["tied"] = (
            f"these say the same on every question, so nothing tells them apart: {shown}"
        )
    return notes


def _scores(
    measure: RuleMeasure, scored: Sequence[Floats], said: Sequence[int], by_rule: Ints
) -> Floats:
    speaks = by_rule >= 0
    right: Floats = (by_rule == np.array(said)[:, None]).astype(np.float64)
    if measure == "answers":
        return right
    if measure == "posterior":
        logs = evidence(said, by_rule, [len(row) for row in scored])
        return np.tile(log_odds(logs), (len(scored), 1))
    found: Floats = np.zeros(by_rule.shape)
    if measure == "likelihood":
        for i, (row, rules) in enumerate(zip(scored, by_rule, strict=True)):
            found[i, speaks[i]] = row[rules[speaks[i]]] + np.log(len(row))
        return found
    for other in range(by_rule.shape[1]):
        apart = speaks & speaks[:, [other]] & (by_rule != by_rule[:, [other]])
        found += np.where(apart, right - right[:, [other]], 0.0) / (by_rule.shape[1] - 1)
    return found
