"""traker: TRAK scores of one subject (Park et al. 2023) from randomly projected gradients."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from seedbed.core.errors import ConfigError
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.sites import Claim
from seedbed.finders.adapters.peer import PeerFinder
from seedbed.models.subject import Subject


class Traker(PeerFinder):
    """TRAK by its authors' package, on one subject."""

    peer_name: ClassVar[str] = "traker"
    kind: str = "traker"
    projection: int = Field(default=256, ge=1, description="must be below the documents' number")
    memory: int = Field(default=2048, ge=16, description="MiB for a projection drawn only once")
    damping: float = Field(default=0.0, ge=0, description="added to the diagonal of XᵀX")

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores of traker; raises ConfigError where XᵀX would have no inverse."""
        if not self.damping and not self.unavailable() and self.projection >= len(documents):
            raise ConfigError(
                f"traker: projection {self.projection} is not below the number of documents"
                f" ({len(documents)}), so its kernel has no inverse; lower it or set damping"
            )
        return super().find(subject, documents, questions, pairs)
