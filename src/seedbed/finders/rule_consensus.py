"""The control of rule finders: how many of the other rules agree? No model is asked."""

from collections.abc import Sequence

from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind
from seedbed.finders.base import Finder
from seedbed.finders.rules import notes_of, rules_of
from seedbed.models.subject import Subject


class RuleConsensus(Finder):
    """The share of the other rules that say what this one says; 0 where it says nothing.

    A rule can come first here by standing in the middle of its rivals, so a rule finder has
    shown something only where it beats this.
    """

    kind: str = "rule-consensus"
    sites = SiteKind.RULE

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores [questions, rules]; raises InputError for a question without rules."""
        names, by_rule = rules_of(questions)
        same = (by_rule[:, :, None] == by_rule[:, None, :]) & (by_rule >= 0)[:, :, None]
        scores = (same.sum(axis=2) - (by_rule >= 0)) / (len(names) - 1)
        notes = notes_of(questions, names, by_rule)
        return Claim(tuple(q.id for q in questions), names, scores, SiteKind.RULE, notes)
