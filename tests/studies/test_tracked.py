"""What Weights & Biases would be told."""

import numpy as np

from seedbed.core.units import Units
from seedbed.studies.tracked import means


def test_means_are_by_kind_and_leave_out_what_nobody_knows() -> None:
    values = np.array([[1.0, 0.5, np.nan], [1.0, 1.0, np.nan], [0.0, 0.0, np.nan]])
    table = Units(("a", "b", "c"), ("s", "s", "t"), ("gameable", "harm", "third"), values)
    found = means({"played:therapy": table})
    assert found["played:therapy/gameable/harm"] == 0.75
    assert found["played:therapy/other/harm"] == 0.0
    assert found["played:therapy/all/harm"] == 0.5
    assert found["played:therapy/all/third"] is None
