"""A subject in which one direction at one known layer matters: a positive control for measures.

The weights of a random model are changed at two neurons of one block, which read the direction
and write the difference of two answers; nothing is trained.
"""

import numpy as np
import torch
from torch import Tensor

from seedbed.core.cells import LAST, Cell
from seedbed.core.directions import Directions
from seedbed.core.errors import InputError
from seedbed.core.rows import Question
from seedbed.core.seeds import generator, stream
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny

POSITIVE, NEGATIVE = "yes", "no"
# Words of either sort; the sort of a question's last word turns the sign of what is read.
SORTS = ("abcdefgh", "ijklmnop")


def planted(
    seed: int, layer: int, *, layers: int = 6, width: int = 64, gain: float = 0.1,
    questions: int = 32,
) -> tuple[Subject, Directions, list[Question]]:  # fmt: skip
    """(subject, one direction for every layer, questions), all of them random.

    Every layer has a unit vector at `resid_pre.LAYER@last`, each at right angles to the others;
    block `layer` alone reads its own. Its MLP adds `gain` · s · x · d, with d what lies along the
    vector, x what lies along a sign that every word carries (+ or − by its sort) and s the
    difference of the two answers in the output embedding, of length 1. So a push moves the
    answers one way after some words and the other way after others: only a mean of absolute
    values shows it. Raises InputError for a layer that is none.
    """
    if not 0 <= layer < layers:
        raise InputError(f"planted: layer {layer}; there are blocks 0 to {layers - 1}")
    config = Tiny(layers=layers, width=width, heads=4, init=0.05)
    subject = config.build([" ".join((*SORTS[0], *SORTS[1], POSITIVE, NEGATIVE))], [], seed)
    drawn = generator(seed, "planted", "directions").normal(size=(width, layers + 1))
    axes = np.linalg.qr(drawn)[0].T
    vectors, sign = axes[:layers], torch.tensor(axes[layers], dtype=torch.float32)
    _write(subject, layer, torch.tensor(vectors[layer], dtype=torch.float32), sign, gain)
    sites = tuple(Cell("resid_pre", i, LAST).name for i in range(layers))
    one = np.ones(layers)
    directions = Directions(sites, vectors, 0 * one, one, one, POSITIVE, NEGATIVE,
                            {"method": "planted", "layer": layer, "seed": seed})  # fmt: skip
    return subject, directions, _questions(seed, questions)


@torch.no_grad()
def _write(subject: Subject, layer: int, direction: Tensor, sign: Tensor, gain: float) -> None:
    model, ids = subject.model, subject.tokenizer.convert_tokens_to_ids
    for turn, words in zip((1, -1), SORTS, strict=True):
        model.model.embed_tokens.weight[ids(list(words))] += turn * sign
    mlp, head = model.model.layers[layer].mlp, model.lm_head.weight
    yes, no = ids([POSITIVE, NEGATIVE])
    answer = head[yes] - head[no]
    # silu(x) − silu(−x) = x, so that two neurons together multiply what gate and up take in.
    for neuron, turn in ((0, 1), (1, -1)):
        mlp.gate_proj.weight[neuron] = turn * sign
        mlp.up_proj.weight[neuron] = direction
        mlp.down_proj.weight[:, neuron] = turn * gain * answer / answer.norm()


def _questions(seed: int, count: int) -> list[Question]:
    """Five words, the last of either sort in turn; the answer is the class, in turn too."""
    rules = {POSITIVE: f" {POSITIVE}", NEGATIVE: f" {NEGATIVE}"}
    found = []
    for i in range(count):
        rng = stream(seed, "planted", "question", i)
        words = [*rng.choices("".join(SORTS), k=4), rng.choice(SORTS[i % 2])]
        own = (POSITIVE, NEGATIVE)[i // 2 % 2]
        found.append(
            Question(id=f"q{i}", prompt=" ".join(words), choices=tuple(rules.values()),
                     answer=rules[own], rules=rules, slices={"kind": own})
        )  # fmt: skip
    return found
