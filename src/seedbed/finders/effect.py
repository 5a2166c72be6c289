"""Effect per layer: how strongly a small push along a direction changes what the model says.

Two measures that need no answer to be right: how far the next token's distribution moves, and
how fast the log-odds of two answers move, each per unit of the push.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from seedbed.core.selectivity import Column
from seedbed.finders.lines import Line, Lines, Measured, Way, tried
from seedbed.finders.patching_plan import chunks
from seedbed.finders.pushes import TOKENS, Spent, prompts_batch
from seedbed.finders.voices import Voice
from seedbed.models.blocks import Site, blocks_of
from seedbed.models.hooks import Change, evaluating, hooked
from seedbed.models.logits import logits_at
from seedbed.models.subject import Subject


def effects_of(
    subject: Subject, voices: Sequence[Voice], lines: Lines, small: float
) -> tuple[Measured, Spent]:
    """Columns `kl` and `logit` of every line, [voices] each.

    `kl` is (KL(p ‖ p₊) + KL(p ‖ p₋)) / 2ε² with p± the next token's distribution after a push of
    ±ε units, ε = `small`: half the Fisher information of the push as ε → 0, since KL(p ‖ p_ε) =
    ε²/2 · dᵀFd + O(ε³) and the odd terms cancel (Kullback 1959, section 2.6). `logit` is
    |∂ log-odds / ∂ push| by one backward pass for all sites; its mean is of absolute values. It
    is NaN where the model cuts gradients off, as HRM-Text does behind its last inner cycles.
    """
    ways = [Way("", small), Way("", -small)]
    measured, spent = tried(subject, voices, lines, ways)
    slopes = slopes_of(subject, voices, lines.lines, lines.vectors)
    found: Measured = {}
    for n, line in enumerate(lines.lines):
        up, down = (measured[way.column("kl", line)] for way in ways)
        found[Column("kl", line.direction, line.cell.name)] = (up + down) / (2 * small**2)
        found[Column("logit", line.direction, line.cell.name)] = np.abs(slopes[:, n])
    return found, spent


def slopes_of(
    subject: Subject, voices: Sequence[Voice], lines: Sequence[Line], vectors: Tensor
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Slopes of the log-odds [voices, lines], per unit along each line; NaN without the place.

    One forward and one backward pass a batch, whatever the number of lines.
    """
    found = np.full((len(voices), len(lines)), np.nan)
    table = vectors.to(subject.device)
    order = sorted(range(len(voices)), key=lambda i: len(voices[i].asked.ids))
    with evaluating(subject.model):
        for chunk in chunks([len(voices[i].asked.ids) for i in order], TOKENS):
            index = [order[i] for i in chunk]
            here = [voices[i] for i in index]
            slopes = _gradients(subject, here, list(dict.fromkeys(x.site for x in lines)))
            for n, line in enumerate(lines):
                along = (slopes[line.site] @ table[line.vector].to(slopes[line.site])).cpu()
                for row, voice in enumerate(here):
                    if at := voice.positions(line.cell.place):
                        found[index[row], n] = line.unit * float(along[row, list(at)].sum())
    return found


def _gradients(
    subject: Subject, voices: Sequence[Voice], sites: Sequence[Site]
) -> dict[Site, Tensor]:
    """∂ log-odds / ∂ stream at each site, [voices, length, width] of a right-padded batch.

    NaN at all of them if a run of some block takes no gradient: theirs would lack its share.
    """
    probes: dict[Site, Tensor] = {}
    blocks, follows = blocks_of(subject.model), True

    def probe(site: Site) -> Change:
        def change(hidden: Tensor) -> Tensor:
            # Frozen weights hand on states that take no gradient; a block may run several times.
            if site not in probes:
                probes[site] = torch.zeros_like(hidden, requires_grad=True)
            return hidden + probes[site]

        return change

    def look(_: Tensor) -> None:
        nonlocal follows
        follows = follows and torch.is_grad_enabled()

    batch = prompts_batch(subject, [v.asked.ids for v in voices])
    changes: dict[Site, Change] = {s: probe(s) for s in sites}
    watched: dict[Site, Change] = dict.fromkeys(blocks.residual() if blocks.recurrent else (), look)
    with torch.enable_grad(), hooked(blocks, watched), hooked(blocks, changes):
        logits = logits_at(subject.model, batch, batch.predicted, use_cache=False)
        total = torch.stack([
            voice.odds(row[list(voice.asked.choices)])
            for voice, row in zip(voices, logits, strict=True)
        ]).sum()  # fmt: skip
        if not follows:
            return {s: torch.full_like(probes[s], torch.nan) for s in sites}
        grads = torch.autograd.grad(total, [probes[s] for s in sites], allow_unused=True)
    return {s: torch.zeros_like(probes[s]) if g is None else g
            for s, g in zip(sites, grads, strict=True)}  # fmt: skip
