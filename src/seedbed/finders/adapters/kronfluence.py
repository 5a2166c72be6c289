"""Kronfluence: influence of linear layers under K-FAC, EK-FAC, a diagonal, or no curvature.

It tracks linear layers only (with their biases): embeddings, norms and the transposed linear
layers of GPT-2 are left out.
"""

from typing import ClassVar, Literal

from pydantic import Field

from seedbed.finders.adapters.peer import PeerFinder


class Kronfluence(PeerFinder):
    """Influence functions by kronfluence (Grosse et al. 2023)."""

    peer_name: ClassVar[str] = "kronfluence"
    kind: str = "kronfluence"
    strategy: Literal["identity", "diagonal", "kfac", "ekfac"] = "ekfac"
    damping: float | None = Field(
        default=None, ge=0, description="null: a tenth of each layer's mean eigenvalue"
    )
    fisher: Literal["sampled", "empirical"] = Field(
        default="sampled", description="labels for the curvature: the model's own, or the text's"
    )
