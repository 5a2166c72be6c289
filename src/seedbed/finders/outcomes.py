"""What a model says as one number: outcomes that patching effects are differences of.

Both are smooth in the logits of the choices' next tokens, so nothing is sampled or parsed.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from seedbed.core.errors import InputError

Outcome = Literal["logit-difference", "expected"]


def numbers_of(choices: Sequence[str]) -> Tensor:
    """The choices read as numbers, float64 [choices]; raises InputError if one is none."""
    found = []
    for choice in choices:
        try:
            found.append(float(choice.strip()))
        except ValueError as error:
            raise InputError(
                f"choice {choice!r} is no number, which the outcome 'expected' needs;"
                " use 'logit-difference'"
            ) from error
    return torch.tensor(found, dtype=torch.float64)


def expected(logits: Tensor, numbers: Tensor) -> Tensor:
    """Σ n · softmax(logits)ₙ over choices: logits [..., choices], numbers [choices] → [...]."""
    return logits.double().softmax(-1) @ numbers.to(logits.device)


def logit_difference(logits: Tensor, answer: int, other: int) -> Tensor:
    """Logit of the answer less that of the other choice: logits [..., choices] → [...]."""
    return (logits[..., answer] - logits[..., other]).double()
