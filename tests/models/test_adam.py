from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from seedbed.core.errors import DataError, InputError
from seedbed.models.adam import STATE, read_adam, save_adam
from seedbed.models.folders import trainable_state
from seedbed.models.subject import Checkpoint, Subject
from seedbed.models.tiny import Tiny


@pytest.fixture
def subject() -> Subject:
    return Tiny(layers=1, width=16, heads=2).build(["a b c d"], [], 0)


def step(subject: Subject, count: int) -> tuple[torch.optim.AdamW, dict[str, torch.Tensor]]:
    """`count` steps with gradients of known size; returns v computed by hand."""
    parameters = dict(subject.model.named_parameters())
    optimizer = torch.optim.AdamW(parameters.values(), lr=1e-3, betas=(0.9, 0.95), eps=1e-7)
    v = {n: torch.zeros_like(p) for n, p in parameters.items()}
    own = torch.Generator().manual_seed(0)
    for _ in range(count):
        for name, p in parameters.items():
            p.grad = torch.randn(p.shape, generator=own)
            v[name] = 0.95 * v[name] + 0.05 * p.grad**2
        optimizer.step()
    return optimizer, v


def test_second_moments_come_back_corrected(subject: Subject, tmp_path: Path) -> None:
    optimizer, v = step(subject, 3)
    save_adam(subject.model, optimizer, tmp_path)
    found = Checkpoint(3, 1.0, 0.1, tmp_path).adam(subject.model)
    assert (found.step, found.betas, found.eps) == (3, (0.9, 0.95), 1e-7)
    corrected, scales = found.corrected(), found.scales()
    assert list(corrected) == list(trainable_state(subject.model))
    for name, value in v.items():
        torch.testing.assert_close(corrected[name], value / (1 - 0.95**3), rtol=1e-4, atol=1e-8)
        by_hand = 1 / ((value / (1 - 0.95**3)).sqrt() + 1e-7)
        torch.testing.assert_close(scales[name], by_hand, rtol=1e-4, atol=0)
    first = (tmp_path / STATE).read_bytes()
    save_adam(subject.model, optimizer, tmp_path)
    assert (tmp_path / STATE).read_bytes() == first


def test_unfit_states_are_named_in_one_line(subject: Subject, tmp_path: Path) -> None:
    path = tmp_path / STATE

    def says(text: str, kind: type[InputError] = DataError) -> None:
        with pytest.raises(kind, match=text) as caught:
            read_adam(subject.model, tmp_path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)

    says("no optimiser state was saved.*second_moments: true", InputError)
    save_adam(subject.model, step(subject, 1)[0], tmp_path)
    whole = path.read_bytes()
    for cut in (len(whole) - 1, len(whole) // 2, 4):
        path.write_bytes(whole[:cut])
        says("damaged or cut short")
    path.write_bytes(whole)
    state = load_file(path)
    first = next(iter(state))
    save_file(state, path)
    says("does not say its step")
    about = {"adam": '{"step": 1, "betas": [0.9, 0.95], "eps": 1e-8}'}
    save_file({n: t for n, t in state.items() if n != first}, path, about)
    says(f"lacks the tensor {first}")
    save_file({**state, first: -state[first] - 1}, path, about)
    says("finite and at least 0")
