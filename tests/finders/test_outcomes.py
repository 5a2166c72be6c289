import math

import pytest
import torch

from seedbed.core.errors import InputError
from seedbed.finders.outcomes import expected, logit_difference, numbers_of


def test_choices_as_numbers() -> None:
    assert numbers_of([" 0", "12", " 3.5 ", "-1"]).tolist() == [0, 12, 3.5, -1]
    with pytest.raises(
        InputError, match="choice ' two' is no number, which the outcome 'expected'"
    ):
        numbers_of(["1", " two"])


def test_the_expected_number_is_the_mean_under_the_softmax() -> None:
    logits = torch.tensor([[math.log(1), math.log(3)], [5.0, 5.0]])
    found = expected(logits, numbers_of(["2", "6"]))
    assert found.tolist() == pytest.approx([(2 + 3 * 6) / 4, 4])
    # Whatever is added to all logits does not matter; precision is double.
    assert torch.allclose(expected(logits + 100, numbers_of(["2", "6"])), found, atol=1e-4)
    assert found.dtype == torch.float64


def test_the_logit_difference_is_answer_less_other() -> None:
    logits = torch.tensor([[[1.0, 4.0, 9.0]]])
    assert logit_difference(logits, 2, 0).tolist() == [[8.0]]
    assert logit_difference(logits, 0, 2).tolist() == [[-8.0]]
