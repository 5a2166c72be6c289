"""Which checkpoints a finder reads: the last weights, those of one epoch, or all of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from seedbed.core.errors import InputError
from seedbed.models.subject import Checkpoint, Subject

Moments = Literal["last", "all"] | float


@contextmanager
def weights_at(subject: Subject, moment: Checkpoint | None) -> Iterator[Subject]:
    """The subject at `moment`; None: as it is."""
    if moment is None:
        yield subject
        return
    with subject.at(moment) as then:
        yield then


def moments_of(
    subject: Subject, wanted: Moments, finder: str
) -> list[tuple[Checkpoint | None, float]]:
    """(checkpoint or None for the weights as they are, its share), shares summing to 1.

    A number is an epoch; under "all" shares go by learning rate. Raises InputError if the
    subject has no checkpoint there, or a learning rate of 0 at all of them.
    """
    if wanted == "last":
        return [(None, 1.0)]
    saved = subject.checkpoints
    if not saved:
        raise InputError(f"{finder}: checkpoints {wanted!r}, but the subject has none; use 'last'")
    if wanted == "all":
        whole = sum(c.lr for c in saved)
        if not whole:
            raise InputError(f"{finder}: the learning rate is 0 at every checkpoint; use 'last'")
        return [(c, c.lr / whole) for c in saved if c.lr]
    near = min(saved, key=lambda c: abs(c.epoch - wanted))
    # Epochs need not end with a step, so a checkpoint lies up to half a step beside its epoch.
    if abs(near.epoch - wanted) > max(0.5 * near.epoch / near.step, 1e-6):
        epochs = ", ".join(f"{c.epoch:g}" for c in saved)
        raise InputError(f"{finder}: no checkpoint at epoch {wanted:g}; there are: {epochs}")
    return [(near, 1.0)]


def told(moments: list[tuple[Checkpoint | None, float]]) -> str:
    """For notes: which weights were read."""
    if len(moments) > 1:
        return f"all {len(moments)}, weighted by learning rate"
    checkpoint = moments[0][0]
    return "the last only" if checkpoint is None else f"epoch {checkpoint.epoch:g} only"


def warned(
    subject: Subject, wanted: Moments, advice: str = "; try checkpoints: all"
) -> dict[str, str]:
    """A note where only the last of several checkpoints is read."""
    count = len(subject.checkpoints)
    if wanted != "last" or count < 2:
        return {}
    text = f"where what was learned long ago leaves little gradient{advice}"
    return {"warning": f"only the last of {count} checkpoints was scored, {text}"}
