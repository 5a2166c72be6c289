from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from seedbed.measuring.until import write_until
from seedbed.models.hooks import Add, Edit, Rows
from seedbed.models.subject import Subject

PROMPTS = [(1, 4, 5), (1, 7), (1, 9, 4, 4, 8, 6), (1, 3, 3)]


def slowly(
    subject: Subject, prompt: Sequence[int], most: int, vector: torch.Tensor | None
) -> list[int]:
    """Token by token without a cache; `vector` at the prompt's last token, before block 1."""
    ids = list(prompt)

    def push(_: Any, args: Any) -> Any:
        hidden = args[0].clone()
        hidden[:, len(prompt) - 1] += vector
        return (hidden, *args[1:])

    block = subject.model.get_submodule("model.layers.1")
    handle = block.register_forward_pre_hook(push) if vector is not None else None
    for _ in range(most):
        with torch.no_grad():
            ids.append(int(subject.model(torch.tensor([ids])).logits[0, -1].argmax()))
    if handle is not None:
        handle.remove()
    return ids[len(prompt) :]


def test_what_is_written_is_the_likeliest_with_and_without_a_push(
    subject_of: Callable[..., Subject],
) -> None:
    subject = subject_of("tied")
    vector = 4 * torch.randn(32, generator=torch.Generator().manual_seed(2))

    def at(lengths: Sequence[int]) -> list[Edit]:
        return [Add("resid_pre.1", vector, Rows(tuple(range(n - 1, n) for n in lengths)))]

    said = {}
    for name, push, intervention in (("plain", None, None), ("pushed", vector, at)):
        wanted = [subject.tokenizer.decode(slowly(subject, p, 6, push), skip_special_tokens=True)
                  for p in PROMPTS]  # fmt: skip
        for batch in (1, 3):
            found = write_until(
                replace(subject, batch=batch),
                PROMPTS,
                [],
                6,
                {"do_sample": False, "temperature": 0.0},
                intervention,
            )
            assert found == wanted
        said[name] = wanted
    assert said["plain"] != said["pushed"]


def test_a_row_ends_with_its_stop_and_others_go_on(subject_of: Callable[..., Subject]) -> None:
    subject = subject_of("tied")
    whole = write_until(subject, PROMPTS, [], 8, {})
    stop = whole[0].split()[1]
    done: list[tuple[int, int]] = []
    found = write_until(replace(subject, batch=2), PROMPTS, [stop, "zzz"], 8, {}, None,
                        lambda n, total: done.append((n, total)))  # fmt: skip
    for short, full in zip(found, whole, strict=True):
        assert short == (full[: full.index(stop) + len(stop)] if stop in full else full)
    assert len(found[0]) < len(whole[0])
    assert any(short == full for short, full in zip(found, whole, strict=True))
    assert done == [(2, 4), (4, 4)]
