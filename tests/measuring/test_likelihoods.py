from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from seedbed.core.errors import InputError
from seedbed.measuring.likelihoods import Side, likelihoods
from seedbed.models.hooks import Add, Along, Edit, Rows
from seedbed.models.recurrent import Recurrent
from seedbed.models.subject import Subject

Pairs = list[tuple[tuple[int, ...], tuple[int, ...]]]


def some_pairs(rows: int, count: int = 19) -> Pairs:
    """Contexts of 1 to 9 tokens, some of them twice, with continuations of 1 to 4."""
    rng = torch.Generator().manual_seed(3)

    def ids(most: int) -> tuple[int, ...]:
        n = int(torch.randint(1, most + 1, (1,), generator=rng))
        return tuple(torch.randint(3, rows, (n,), generator=rng).tolist())

    contexts = [ids(9) for _ in range(count // 2 + 1)]
    return [(contexts[i // 2], ids(4)) for i in range(count)]


def slowly(
    model: Any, pairs: Pairs, push: Callable[[torch.Tensor, int], torch.Tensor] | None = None
) -> list[tuple[float, bool]]:
    """Pair by pair, the plain formula; `push` changes what block 1 takes in, by prompt length."""
    found = []
    path = "model.layers.1" if hasattr(model, "model") else "transformer.h.1"
    for context, continuation in pairs:
        prompt = len(context)

        def look(_: Any, args: Any, n: int = prompt) -> Any:
            return None if push is None else (push(args[0], n), *args[1:])

        handle = model.get_submodule(path).register_forward_pre_hook(look)
        with torch.no_grad():
            logits = model(torch.tensor([context + continuation])).logits[0].double()
        handle.remove()
        logp = logits.log_softmax(-1)[len(context) - 1 : -1]
        picked = logp[range(len(continuation)), list(continuation)]
        greedy = logp.argmax(-1).tolist() == list(continuation)
        found.append((float(picked.sum()), greedy))
    return found


def steered(vector: torch.Tensor, which: str) -> Callable[[Sequence[int]], list[Edit]]:
    """`vector` added to what block 1 takes in, at the prompt's last token or from it on."""

    def at(lengths: Sequence[int]) -> list[Edit]:
        ends = {"last": 0, "on": 2**31}[which]
        rows = tuple(range(n - 1, max(n, ends)) for n in lengths)
        return [Add("resid_pre.1", vector, Rows(rows))]

    return at


@pytest.mark.parametrize("kind", ["tied", "gpt2"])
def test_pair_by_pair_gives_the_same(kind: str, subject_of: Callable[..., Subject]) -> None:
    subject = subject_of(kind)
    pairs = some_pairs(len(subject.tokenizer))
    found = likelihoods(replace(subject, batch=4), pairs)
    for ours, (total, greedy) in zip(found, slowly(subject.model, pairs), strict=True):
        assert ours.total == pytest.approx(total, abs=1e-4)
        assert (ours.greedy, ours.cut) == (greedy, 0)


def test_greedy_means_each_token_is_the_likeliest(subject_of: Callable[..., Subject]) -> None:
    subject = subject_of("tied")
    context = (4, 5, 6)
    written: tuple[int, ...] = context
    for _ in range(4):
        with torch.no_grad():
            best = int(subject.model(torch.tensor([written])).logits[0, -1].argmax())
        written = (*written, best)
    other = (*written[3:-1], (written[-1] + 1) % len(subject.tokenizer))
    found = likelihoods(subject, [(context, written[3:]), (context, other)])
    assert [f.greedy for f in found] == [True, False]


@pytest.mark.parametrize("kind", ["tied", "gpt2", "gemma2"])
def test_strength_zero_gives_the_very_numbers_of_none(
    kind: str, subject_of: Callable[..., Subject]
) -> None:
    subject = subject_of(kind)
    pairs = some_pairs(len(subject.tokenizer))
    width = subject.model.config.hidden_size
    direction = torch.randn(width, generator=torch.Generator().manual_seed(0))

    def nothing(lengths: Sequence[int]) -> list[Edit]:
        rows = Rows(tuple(range(n - 1, n) for n in lengths))
        return [
            Add("resid_pre.1", 0 * direction, rows),
            Add("resid_pre.0", 0 * direction, None, scaled=True),
            Along("resid_post.1", direction, 0.0, rows),
        ]

    assert likelihoods(subject, pairs, nothing) == likelihoods(subject, pairs)


@pytest.mark.parametrize("which", ["last", "on"])
@pytest.mark.parametrize("kind", ["tied", "gpt2"])
def test_padding_and_batches_change_nothing(
    which: str, kind: str, subject_of: Callable[..., Subject]
) -> None:
    subject = subject_of(kind)
    pairs = some_pairs(len(subject.tokenizer))
    width = subject.model.config.hidden_size
    vector = 3 * torch.randn(width, generator=torch.Generator().manual_seed(1))

    def push(hidden: torch.Tensor, n: int) -> torch.Tensor:
        changed = hidden.clone()
        changed[:, n - 1 : n if which == "last" else None] += vector
        return changed

    wanted = [total for total, _ in slowly(subject.model, pairs, push)]
    plain = [total for total, _ in slowly(subject.model, pairs)]
    assert max(abs(a - b) for a, b in zip(wanted, plain, strict=True)) > 0.5
    sides: tuple[Side, ...] = ("right", "left")
    for padding in sides:
        for batch in (1, 16):
            found = likelihoods(replace(subject, batch=batch), pairs, steered(vector, which),
                                padding)  # fmt: skip
            assert [f.total for f in found] == pytest.approx(wanted, abs=1e-4)


def test_one_beginning_split_in_two_places_is_steered_apart(
    subject_of: Callable[..., Subject],
) -> None:
    """The same ids run for both, but the last token of the prompt is another one."""
    subject = subject_of("tied")
    vector = 3 * torch.ones(subject.model.config.hidden_size)
    pairs: Pairs = [((4, 5, 6), (7,)), ((4, 5), (6, 7))]

    def push(hidden: torch.Tensor, n: int) -> torch.Tensor:
        changed = hidden.clone()
        changed[:, n - 1 : n] += vector
        return changed

    wanted = [total for total, _ in slowly(subject.model, pairs, push)]
    found = likelihoods(subject, pairs, steered(vector, "last"))
    assert [f.total for f in found] == pytest.approx(wanted, abs=1e-4)


def test_too_long_a_context_loses_its_beginning(subject_of: Callable[..., Subject]) -> None:
    subject = subject_of("tied")
    long = tuple(3 + i % 9 for i in range(80))
    kept = long[-(subject.context + 1 - 2) :]
    whole, short = likelihoods(subject, [(long, (4, 5)), (kept, (4, 5))])
    assert (whole.cut, short.cut) == (80 - len(kept), 0)
    assert whole.total == pytest.approx(short.total, abs=1e-6)


def test_unfit_pairs_are_refused(subject_of: Callable[..., Subject]) -> None:
    subject = subject_of("tied")
    assert likelihoods(subject, []) == []
    with pytest.raises(InputError, match="a token before the continuation"):
        likelihoods(subject, [((), (4,))])
    with pytest.raises(InputError, match="continuation of 65 tokens is longer"):
        likelihoods(subject, [((3,), (4,) * 65)])


@pytest.mark.parametrize("which", ["last", "on"])
def test_recurrent_depth_is_steered_alike_in_every_batch(which: str) -> None:
    """At one recurrence of a core block, whose initial state is drawn from each row's tokens."""
    texts = ["a b c d e f g h i j k l m n o p q r s t u v w x y z"]
    subject = Recurrent(width=16, heads=2, core=2, recurrences=3, init=0.3).build(texts, [], 0)
    pairs = some_pairs(len(subject.tokenizer))
    vector = 3 * torch.randn(16, generator=torch.Generator().manual_seed(1))

    def at(lengths: Sequence[int]) -> list[Edit]:
        ends = {"last": 0, "on": 2**31}[which]
        rows = Rows(tuple(range(n - 1, max(n, ends)) for n in lengths))
        return [Add("resid_pre.2r1", vector, rows)]

    sides: tuple[Side, ...] = ("right", "left")
    found = [
        [f.total for f in likelihoods(replace(subject, batch=batch), pairs, at, padding)]
        for padding in sides
        for batch in (1, 16)
    ]
    for one in found[1:]:
        assert one == pytest.approx(found[0], abs=1e-4)
    plain = likelihoods(subject, pairs)
    assert max(abs(f.total - x) for f, x in zip(plain, found[0], strict=True)) > 0.5
    assert likelihoods(subject, pairs, lambda _: []) == plain
