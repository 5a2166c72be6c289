"""The contract of a finder: blind rows and a subject in, a claim out.

Everything random draws from `subject.seed`, so one subject gives one claim.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from seedbed.core.kinds import Kinded, Kinds
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim, SiteKind

if TYPE_CHECKING:
    from seedbed.models.subject import Subject, SubjectConfig
    from seedbed.training.config import Training


class Finder(Kinded):
    """Base of finders; subclasses add their knobs as fields and a default `kind`.

    `label` names the row in tables (default: the kind), so one kind can stand twice.
    """

    label: str = ""
    sites: ClassVar[SiteKind] = SiteKind.DOCUMENT

    @property
    def name(self) -> str:
        """What tables and folders call this finder."""
        return self.label or self.kind

    def find(
        self,
        subject: "Subject",
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Score every site for every question; rows are blind (no role, cause or slice).

        Returns a Claim of shape [questions, sites], in the order given; higher = more.
        """
        raise NotImplementedError

    def variants(self) -> tuple["Finder", ...]:
        """One finder for each claim of `find_all`, names apart; most finders are their only one."""
        return (self,)

    def find_all(
        self,
        subject: "Subject",
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> list[Claim]:
        """The claim of every variant, in order; overridden where variants can share work."""
        return [v.find(subject, documents, questions, pairs) for v in self.variants()]

    def placed(self, subject: "SubjectConfig", training: "Training | None") -> "Finder":
        """The finder as it stands in a study of such a subject; most need nothing of it.

        `training` is None where the subject is taken as it is.
        """
        return self

    def unavailable(self) -> str:
        """Why this finder cannot run on this machine and what to do about it; "" if it can."""
        return ""

    def unsuited(self, subject: "SubjectConfig", training: "Training | None") -> str:
        """Why this finder cannot read such a subject; "" if it can."""
        return ""


FINDERS: Kinds[Finder] = Kinds("finder", "seedbed.finders", Finder)
