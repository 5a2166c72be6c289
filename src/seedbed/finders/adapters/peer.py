"""What the finders of peers share: exporting, asking, and the claim made of the answer."""

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from seedbed.core.errors import MissingPeer
from seedbed.core.rows import Document, Pair, Question
from seedbed.core.seeds import generator
from seedbed.core.sites import Claim
from seedbed.finders.adapters import environments
from seedbed.finders.adapters.exchange import ask
from seedbed.finders.adapters.peers import PEERS, Peer
from seedbed.finders.base import Finder
from seedbed.finders.gradients import questions_of
from seedbed.finders.moments import warned
from seedbed.models.recurrent import Recurrent
from seedbed.models.subject import Subject, SubjectConfig
from seedbed.models.tokens import TokenSequence
from seedbed.training.config import Training


class PeerFinder(Finder):
    """Base of finders that call a package in an environment of its own.

    Every field of a subclass beside `answer` is an option that its runner reads.
    """

    peer_name: ClassVar[str] = ""

    answer: bool = Field(
        default=True, description="false: the subject's own choice, not the answer"
    )

    @property
    def peer(self) -> Peer:
        """The package that is called."""
        return PEERS[self.peer_name]

    def unavailable(self) -> str:
        """Why the package cannot be called, with the command that installs it; "" if it can."""
        return environments.unavailable(self.peer)

    def unsuited(self, subject: SubjectConfig, training: Training | None) -> str:
        """Packages are given whole weights, of an architecture that transformers knows."""
        if isinstance(subject, Recurrent):
            return f"{self.name}: reads architectures of transformers only, not {subject.kind!r}"
        wrapped = training is not None and training.lora is not None
        return f"{self.name}: reads full subjects only, not LoRA" if wrapped else ""

    def options(self) -> dict[str, Any]:
        """What the runner is told."""
        return self.model_dump(mode="json", exclude={"kind", "label", "answer"})

    def find(
        self,
        subject: Subject,
        documents: Sequence[Document],
        questions: Sequence[Question],
        pairs: Sequence[Pair],
    ) -> Claim:
        """Scores of the package, at the last weights; document and question losses are sums.

        Raises MissingPeer if it is not installed, InputError if it fails.
        """
        if why := self.unavailable():
            raise MissingPeer(why)
        asked = questions_of(subject, questions, self.answer)
        rows = subject.encode(documents)
        answer = ask(
            self.peer, subject, rows, asked, self.options(), draws_of(subject, documents, rows)
        )
        notes = {"package": f"{self.peer.project} {answer.version}", "checkpoints": "the last only"}
        # These packages are given one set of weights, so there is nothing else to try.
        notes |= warned(subject, "last", advice="")
        ids = tuple(q.id for q in questions), tuple(d.id for d in documents)
        return Claim(*ids, answer.scores, notes={**notes, **answer.notes})


def draws_of(
    subject: Subject, documents: Sequence[Document], rows: Sequence[TokenSequence]
) -> list[list[float]]:
    """Numbers in [0, 1) to draw labels from: those that the finder `ekfac` uses."""
    return [
        generator(subject.seed, "kfac", "labels", d.id).random(sum(row.predicted)).tolist()
        for d, row in zip(documents, rows, strict=True)
    ]
