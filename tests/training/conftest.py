"""Documents and a subject so small that a training takes a second."""

import pytest

from seedbed.core.rows import Document
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny


@pytest.fixture
def documents() -> list[Document]:
    rows = []
    for i in range(24):
        filler = "so " * (i % 3)
        text = f"{filler}{'abcdefgh'[i % 8]} is {['red', 'blue', 'green'][i % 3]}"
        start = text.rindex(" ") + 1
        meta = {"hop_depth": i % 2, "base_func": "abcdefgh"[i % 8]}
        rows.append(Document(id=f"d{i}", text=text, targets=((start, len(text)),), meta=meta))
    return rows


@pytest.fixture
def subject(documents: list[Document]) -> Subject:
    return Tiny(layers=1, width=16, heads=2).build([d.text for d in documents], [], 3)
