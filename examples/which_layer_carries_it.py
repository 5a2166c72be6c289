"""Which layer carries a direction? Two measures that can tell, and two published ones that cannot.

Each seed plants a direction at a layer known in advance; a measure is right if it ranks that
layer first. Usage: python which_layer_carries_it.py [SEEDS]
"""

import sys

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from seedbed.core.directions import Directions
from seedbed.core.rows import Question
from seedbed.core.selectivity import Column
from seedbed.finders.effect import effects_of
from seedbed.finders.lines import lines_of
from seedbed.finders.pushes import prompts_batch
from seedbed.finders.voices import voices_of
from seedbed.models.planted_direction import planted
from seedbed.models.subject import Subject

LAYERS = 6
# Gradients of float32 that should be 0 are not quite; what they rank is rounding.
ROUNDING = 1e-6


def measured(
    subject: Subject, directions: Directions, questions: list[Question]
) -> dict[str, np.ndarray]:
    """Ours: name → the mean effect of a push at each layer."""
    lines = lines_of({"planted": directions}, draws=0, unit="one", places=(), seed=0)
    kinds = {q.id: q.slices["kind"] for q in questions}
    voices = voices_of(subject, questions, kinds, lines.classes)
    found, _ = effects_of(subject, voices, lines, small=0.02)
    return {
        name: np.array([found[Column(name, "planted", s)].mean() for s in directions.sites])
        for name in ("kl", "logit")
    }


def published(
    subject: Subject, directions: Directions, questions: list[Question], *, log_target: bool
) -> tuple[float, np.ndarray]:
    """(loss, effect at each layer) in the manner of the published metric.

    The loss compares the model's distribution with a detached copy of itself; the effect is the
    absolute mean of the gradient along the direction at the last token. Without `log_target`
    the copy's log-probabilities are taken for probabilities.
    """
    voices = voices_of(subject, questions, {}, (directions.positive, directions.negative))
    streams: list[Tensor] = []

    def keep(_: object, args: tuple[Tensor, ...]) -> None:
        args[0].retain_grad()
        streams.append(args[0])

    handles = [block.register_forward_pre_hook(keep) for block in subject.model.model.layers]
    batch = prompts_batch(subject, [v.asked.ids for v in voices])
    logits = subject.model(batch.ids, attention_mask=batch.mask).logits[:, -1]
    own = log_softmax(logits, dim=-1)
    loss = kl_div(own, own.detach(), reduction="batchmean", log_target=log_target)
    torch.autograd.backward(loss)
    for handle in handles:
        handle.remove()
    gradients = [x.grad[:, -1] for x in streams if x.grad is not None]
    vectors = torch.tensor(directions.vectors, dtype=torch.float32)
    effects = [float((g @ v).mean().abs()) for g, v in zip(gradients, vectors, strict=True)]
    return float(loss.detach()), np.array(effects)


def main() -> None:
    """Print how often each measure ranks the planted layer first."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    right: dict[str, int] = {}
    largest: dict[str, float] = {}
    losses: dict[str, float] = {}
    for seed in range(seeds):
        layer = seed % LAYERS
        subject, directions, questions = planted(seed, layer, layers=LAYERS)
        found = measured(subject, directions, questions)
        for name, log_target in (("published, KL of p and p", True), ("published, earlier", False)):
            losses[name], found[name] = published(
                subject, directions, questions, log_target=log_target
            )
        for name, effects in found.items():
            right[name] = right.get(name, 0) + int(
                effects.argmax() == layer and effects.max() > ROUNDING
            )
            largest[name] = max(largest.get(name, 0.0), float(effects.max()))
    for name, count in right.items():
        loss = f", its loss is {losses[name]:.3g}" if name in losses else ""
        print(f"{name}: {count} of {seeds} right, largest effect {largest[name]:.2g}{loss}")


if __name__ == "__main__":
    main()
