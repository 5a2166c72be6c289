"""SmolLM2-135M-Instruct (Llama architecture, 30 blocks, tied head, context 8,192).

Fetched on first use; see fetch.py. Its weights were quantised to 4 bits before conversion.
"""

from pathlib import Path
from typing import ClassVar

from seedbed.models.fetch import fetch
from seedbed.models.pretrained import FromFolder


class SmolLM2(FromFolder):
    """The everyday pretrained subject."""

    recurs: ClassVar[bool | None] = False
    kind: str = "smollm2"

    def place(self) -> tuple[Path, str, bool]:
        """The converted folder in the user's cache, named by its kind."""
        return fetch("smollm2"), "smollm2", False
