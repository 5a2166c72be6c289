"""The self-test of an adapter: a handful of documents scored through its environment."""

import numpy as np

from seedbed.core.errors import InputError
from seedbed.finders.adapters.bergson import Bergson
from seedbed.finders.adapters.dattri_llm import DattriLlm
from seedbed.finders.adapters.kronfluence import Kronfluence
from seedbed.finders.adapters.peer import PeerFinder
from seedbed.finders.adapters.peers import Peer
from seedbed.finders.adapters.traker import Traker
from seedbed.finders.contract import example

TESTED: tuple[PeerFinder, ...] = (
    Bergson(), Kronfluence(strategy="identity"), DattriLlm(), Traker(projection=4),
)  # fmt: skip


def self_test(peer: Peer) -> str:
    """Let `peer` score twelve documents for three questions; returns what was seen, in words.

    Raises InputError if it fails, if scores are not finite or of the wrong shape, or if they
    are the same for all documents.
    """
    finder = next(f for f in TESTED if f.peer_name == peer.name)
    subject, documents, questions = example()
    claim = finder.find(subject, documents, questions, [])
    if not np.ptp(claim.scores, axis=1).all():
        raise InputError(f"{peer.name}: the same score for every document")
    shape = " × ".join(str(n) for n in claim.scores.shape)
    return f"{shape} scores, all finite, by {claim.notes['package']}"
