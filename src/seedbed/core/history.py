"""history.jsonl of a subject asked while it was trained: one row a checkpoint and slice.

The form in which it travels from measuring to the report.
"""

from seedbed.core.rows import Row


class Snapshot(Row):
    """What a subject answered at one checkpoint to the sampled questions of one slice.

    `slice` is `split=NAME`. `accuracy` has a 95 % Wilson interval, `loss` is the mean over
    questions of the nats per token of the right answer; the prompt never counts. `step` counts
    optimiser steps, `epoch` passes over the documents.
    """

    step: int
    epoch: float
    slice: str
    n: int
    accuracy: float
    low: float
    high: float
    loss: float
