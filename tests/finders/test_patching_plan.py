from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.cells import Stream
from seedbed.finders.patching_base import tree_of
from seedbed.finders.patching_plan import Patch, Run, Trimmed, chunks, jobs_of, trimmed
from seedbed.models.blocks import blocks_of

A, B = (5, 6, 7, 8), (5, 6, 9, 8)


def _kept(
    blocks: Any, stream: Stream, layer: int, positions: list[tuple[int, int]], **options: Any
) -> list[tuple[int, int]]:
    run = Run(A, B)
    patch = Patch(0, stream, layer, tuple(positions))
    given = {"same_model": True, **options}
    jobs = jobs_of([trimmed(run, 0, 40)], [patch], [run], blocks, **given)
    return list(jobs[0].pairs) if jobs else []


def test_what_cannot_matter_is_dropped(architecture_of: Callable[[str], Any]) -> None:
    blocks = blocks_of(architecture_of("llama").model)
    every = [(p, p) for p in range(4)]
    # Equal beginnings; at the first block equal tokens; behind the last one all but the end.
    assert _kept(blocks, "resid_pre", 0, every) == [(2, 2)]
    assert _kept(blocks, "resid_pre", 1, every) == [(2, 2), (3, 3)]
    assert _kept(blocks, "attn_out", 0, every) == [(2, 2), (3, 3)]
    for stream in ("resid_post", "attn_out", "mlp_out"):
        assert _kept(blocks, stream, 2, every) == [(3, 3)]
    assert _kept(blocks, "resid_pre", 2, every) == [(2, 2), (3, 3)]
    # A shift is a difference, and so is another model.
    assert _kept(blocks, "resid_pre", 1, [(1, 0), (0, 1)]) == [(1, 0), (0, 1)]
    assert _kept(blocks, "resid_pre", 1, every, same_model=False) == every
    assert _kept(blocks, "resid_pre", 1, every, prune=False) == every


def test_a_recipient_ends_where_it_is_read() -> None:
    assert trimmed(Run(A, B), 0, 40) == Trimmed(A, B, 3)
    assert trimmed(Run(A, B, -2), 0, 40) == Trimmed(A[:3], B, 2)
    assert trimmed(Run(A, B, 1), 0, 40) == Trimmed(A[:2], B, 1)
    assert trimmed(Run(A, (*B, 3), 1), 0, 40) == Trimmed(A[:2], (*B, 3), 4)
    assert trimmed(Run(A, ()), 0, 40) == Trimmed(A, (), -1)


@given(st.lists(st.integers(1, 9), max_size=30), st.integers(1, 40))
def test_chunks_cover_everything_within_the_budget(sizes: list[int], budget: int) -> None:
    parts = list(chunks(sizes, budget))
    assert [i for part in parts for i in part] == list(range(len(sizes)))
    for part in parts:
        assert len(part) == 1 or len(part) * max(sizes[i] for i in part) <= budget


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple), min_size=1))
def test_a_tree_runs_every_beginning_once(sequences: list[tuple[int, ...]]) -> None:
    tree = tree_of(sequences)
    beginnings = {s[: i + 1] for s in sequences for i in range(len(s))}
    assert len(tree.ids) == len(beginnings)
    for sequence in sequences:
        slots = tree.slots[sequence]
        assert tuple(tree.ids[s] for s in slots) == sequence
        assert [tree.positions[s] for s in slots] == list(range(len(sequence)))


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_where_a_job_joins(name: str, architecture_of: Callable[[str], Any]) -> None:
    blocks = blocks_of(architecture_of(name).model)
    run = Run(A, B)
    patches = [Patch(0, s, 1, ((3, 3),)) for s in ("resid_pre", "attn_out", "resid_post")]
    jobs = jobs_of([trimmed(run, 0, 40)], patches, [run], blocks, same_model=True)
    assert [(j.joins, j.first(3), j.start) for j in jobs] == [(1, 1, 3), (2, 1, 3), (2, 2, 3)]
