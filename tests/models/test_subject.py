from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from seedbed.core.errors import DataError
from seedbed.core.rows import Document
from seedbed.models.folders import save_weights, trainable_state
from seedbed.models.subject import SUBJECTS, Checkpoint, Subject, SubjectConfig
from seedbed.models.tiny import Tiny

Make = Callable[..., Any]


def tiny() -> Subject:
    return Tiny(layers=1, width=16, heads=2, context=32, batch=3).build(["a b c d e f"], [], 0)


def test_batches_hold_every_row_once_and_change_no_result() -> None:
    subject = tiny()
    texts = ["a", "a b c", "b", "c d e f a", "f e", "a b", "d"]
    rows = subject.encode([Document(id=str(i), text=t) for i, t in enumerate(texts)])
    seen: list[int] = []
    for index, batch in subject.batches(rows):
        assert len(index) <= 3
        seen += index
        with torch.no_grad():
            together = subject.model(input_ids=batch.ids, attention_mask=batch.mask).logits
            for place, i in enumerate(index):
                alone = subject.model(input_ids=torch.tensor([rows[i].ids])).logits[0]
                torch.testing.assert_close(together[place, : len(alone)], alone, atol=1e-6, rtol=0)
    assert sorted(seen) == list(range(len(texts)))
    assert [len(i) for i, _ in subject.batches(rows, 5)] == [5, 2]


def test_at_a_checkpoint_and_back(tmp_path: Path) -> None:
    subject = tiny()
    first = {n: t.clone() for n, t in trainable_state(subject.model).items()}
    save_weights(subject.model, tmp_path)
    with torch.no_grad():
        for p in subject.model.parameters():
            p.add_(1)
    last = {n: t.clone() for n, t in trainable_state(subject.model).items()}
    checkpoint = Checkpoint(1, 0.5, 0.1, tmp_path)
    with subject.at(checkpoint) as earlier:
        assert earlier.checkpoints == ()
        now = trainable_state(earlier.model)
        assert all(torch.equal(now[n], first[n]) for n in first)
    now = trainable_state(subject.model)
    assert all(torch.equal(now[n], last[n]) for n in last)
    with pytest.raises(RuntimeError, match="stop"), subject.at(checkpoint):
        raise RuntimeError("stop")
    assert all(torch.equal(t, last[n]) for n, t in trainable_state(subject.model).items())
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(DataError, match="no such checkpoint"), subject.at(checkpoint):
        pass


@pytest.mark.parametrize(
    ("values", "context"),
    [
        ({"max_position_embeddings": 9}, 9),
        ({"n_positions": 8}, 8),
        ({"max_sequence_length": 7}, 7),
        ({"max_seq_len": 6}, 6),
        ({"block_size": 5}, 5),
        ({}, 2**30),
    ],
)
def test_the_context_under_its_names(values: dict[str, int], context: int) -> None:
    config = SimpleNamespace(**values)
    config.get_text_config = lambda: config
    assert Subject(SimpleNamespace(config=config), None).context == context


def test_the_context_of_a_model_with_a_text_part() -> None:
    from transformers import Gemma3Config, Gemma3TextConfig

    config = Gemma3Config(text_config=Gemma3TextConfig(max_position_embeddings=77).to_dict())
    assert Subject(SimpleNamespace(config=config), None).context == 77


def test_kinds_are_found_by_name() -> None:
    names = SUBJECTS.names()
    assert {"tiny", "hf", "smollm2"} <= set(names)
    assert "" not in names
    assert all(issubclass(cls, SubjectConfig) for cls in names.values())
