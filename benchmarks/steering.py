"""Steering against not steering: what hooks cost in cached generation, and steps against nnsight.

Every pair of timings is taken side by side in processor seconds of one thread. nnsight lives in
an environment of its own: pip install nnsight, then seedbed.
"""

import argparse
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedbed.core.directions import Directions
from seedbed.models.blocks import blocks_of
from seedbed.models.hooks import edited
from seedbed.models.smollm2 import SmolLM2
from seedbed.models.steering import Steer, edits_of
from seedbed.models.subject import Subject
from seedbed.models.tiny import Tiny
from table import Row, arguments, missing, paired, show

PROMPT, ROWS = 32, 4
# Tokens to write: enough that a call takes about a second.
NEW = {"tiny": 96, "smollm2": 24}


def subjects() -> dict[str, Subject]:
    """A small subject from scratch and SmolLM2-135M, both in float32."""
    words = [" ".join(f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(400))]
    tiny = Tiny(layers=4, width=128, context=256, init=0.1).build(words, [], 0)
    return {"tiny": tiny, "smollm2": SmolLM2().build([], [], 0)}


def directions_of(subject: Subject) -> Directions:
    """A random direction at the input of every block."""
    blocks = blocks_of(subject.model)
    count = len(blocks)
    vectors = np.random.default_rng(0).normal(size=(count, blocks.width))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    one = np.ones(count)
    sites = tuple(f"resid_pre.{layer}@last" for layer in range(count))
    return Directions(sites, vectors, 0 * one, one, one, "one", "other")


def generated(subject: Subject, edits: list[Any], new: int) -> Tensor:
    """Logits [rows, new, vocabulary] of greedy cached generation with edits in place."""
    rng = torch.Generator().manual_seed(0)
    ids = torch.randint(5, len(subject.tokenizer), (ROWS, PROMPT), generator=rng)
    with torch.inference_mode(), edited(subject.model, edits):
        made = subject.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new,
            do_sample=False, pad_token_id=0, output_logits=True, return_dict_in_generate=True,
        )  # fmt: skip
    return torch.stack(made.logits, 1)


def by_nnsight(subject: Subject, layer: int, vector: Tensor, new: int) -> Tensor:
    """The same by nnsight: a vector added to what a block takes in, at each step's last token."""
    from nnsight import TransformersModel

    peer = TransformersModel(subject.model, task="text-generation", tokenizer=subject.tokenizer)
    rng = torch.Generator().manual_seed(0)
    ids = torch.randint(5, len(subject.tokenizer), (ROWS, PROMPT), generator=rng)
    block: Any = peer.model.layers[layer]
    with torch.inference_mode(), peer.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new,
        do_sample=False, pad_token_id=0,
    ) as tracer:  # fmt: skip
        found = list().save()  # type: ignore[attr-defined]  # noqa: C408  (nnsight adds `save`)
        for _ in tracer.iter[:new]:
            hidden = block.input.clone()
            hidden[:, -1] = hidden[:, -1] + vector
            block.input = hidden
            found.append(peer.lm_head.output[:, -1].clone())
    return torch.stack([*found], 1)


def rows_of(name: str, subject: Subject, repeat: int) -> list[Row]:
    """Overhead of one steered block, of all, and of strength 0; then nnsight."""
    subject.model.eval()
    directions, new = directions_of(subject), NEW[name]
    middle = directions.sites[len(directions.sites) // 2]
    steers = {
        "one block, last token": Steer(sites=(middle,)),
        "one block, all tokens": Steer(sites=(middle,), tokens="all"),
        "one block, ablated": Steer(action="ablate", sites=(middle,), tokens="all"),
        "all blocks, last token": Steer(),
        "strength 0": Steer(strength=0),
    }
    found = []
    for what, steer in steers.items():
        edits = edits_of(steer, directions)
        with_, without, ratio = paired(_call(subject, edits, new), _call(subject, [], new), repeat)
        moved = (generated(subject, edits, 2) - generated(subject, [], 2)).abs().max()
        found.append(
            Row(f"{name}: {what}", "no hooks", with_, without, ratio,
                f"CPU s, {ROWS} × {new} tokens", f"overhead {1 / ratio - 1:+.1%}, logits moved"
                f" {float(moved):.2g}")
        )  # fmt: skip
    what = f"{name}: one block, last token"
    if find_spec("nnsight") is None:
        return [*found, missing(what, "nnsight", "CPU s", "not installed in this environment")]
    layer = len(directions.sites) // 2
    vector = torch.tensor(directions.vectors[layer], dtype=torch.float32)
    edits = edits_of(steers["one block, last token"], directions)
    ours, theirs, ratio = paired(
        _call(subject, edits, new), lambda: by_nnsight(subject, layer, vector, new), repeat
    )
    gap = (generated(subject, edits, new) - by_nnsight(subject, layer, vector, new)).abs().max()
    return [*found, Row(what, "nnsight", ours, theirs, ratio, f"CPU s, {ROWS} × {new} tokens",
                        f"logits of all steps within {float(gap):.2g}")]  # fmt: skip


def _call(subject: Subject, edits: list[Any], new: int) -> Callable[[], Tensor]:
    return lambda: generated(subject, edits, new)


def main() -> None:
    """Run everything and print the table."""
    options: argparse.Namespace = arguments(__doc__ or "", repeat=5)
    found = [row for name, s in subjects().items() for row in rows_of(name, s, options.repeat)]
    show(found, "Steering in cached generation", options.json)


if __name__ == "__main__":
    main()
