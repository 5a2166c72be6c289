"""dattri-llm: TracIn, K-FAC and EK-FAC from captured layer inputs and output gradients.

Norms of Llama's kind are left out. It tells rows apart by their content, so each row carries
its number and equal documents keep scores of their own.
"""

from typing import ClassVar, Literal

from pydantic import Field

from seedbed.finders.adapters.peer import PeerFinder


class DattriLlm(PeerFinder):
    """Gradient products or influence functions by dattri-llm."""

    peer_name: ClassVar[str] = "dattri_llm"
    kind: str = "dattri_llm"
    method: Literal["tracin", "kfac", "ekfac"] = "tracin"
    damping: float = Field(default=1e-3, gt=0, description="for kfac and ekfac")
    embeddings: bool = Field(default=True, description="false: linear layers only")
    keep: bool = Field(default=False, description="hold what was captured in memory, read once")
