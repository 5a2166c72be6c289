"""Bergson (EleutherAI): gradient products of linear layers, streamed, stored or projected.

Its own pipeline leaves the output head out, and so does this unless `head` is set, as
with `biases`; norms and embeddings are never covered.
"""

from typing import ClassVar

from pydantic import Field

from seedbed.finders.adapters.peer import PeerFinder


class Bergson(PeerFinder):
    """Gradient dot product or cosine by bergson, exact or randomly projected."""

    peer_name: ClassVar[str] = "bergson"
    kind: str = "bergson"
    projection: int = Field(default=0, ge=0, description="width of both sides; 0: exact")
    store: bool = Field(default=False, description="write an index of gradients to disk first")
    unit_normalize: bool = Field(default=False, description="cosine instead of dot product")
    head: bool = Field(default=False, description="the output head too")
    biases: bool = Field(default=False, description="those of linear layers too")
