import time

import numpy as np

from seedbed.runs.cost import measured


def test_memory_above_the_start_is_seen() -> None:
    with measured() as cost:
        block = np.ones(64 * 2**20 // 8)
        block += 1
        # Memory is sampled: what is held for less than a sample may go unseen.
        time.sleep(0.3)
        del block
    assert 50 <= cost.peak_mib <= 200
    with measured() as idle:
        pass
    assert idle.peak_mib < 20
    assert cost.seconds > idle.seconds >= 0
