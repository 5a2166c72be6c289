"""What the patching benchmark shares: models, prompts of one length, and our side of each row."""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from seedbed.core.seeds import stream
from seedbed.finders.patches import Patch, Patched, Run, patched_logits
from seedbed.models.fetch import fetch
from seedbed.models.reading import read_model, read_tokenizer

TOKENS, PAIRS = 39, 16
# Ids 0 to 9 stand for ten answers; every way returns the same few logits.
ANSWERS = tuple(range(32, 42))
FRUIT = ("apple", "orange", "banana", "cherry", "lemon", "grape", "peach", "pear", "plum", "berry")
OTHER = ("table", "river", "stone", "house", "paper", "window", "garden", "bridge", "mirror",
         "candle")  # fmt: skip
Cell = tuple[int, int]


@dataclass(frozen=True)
class Work:
    """Runs of one length and the cells (block, position) that are patched in each of them."""

    model: Any
    runs: list[Run]
    cells: list[Cell]
    prune: bool
    answers: tuple[int, ...] = field(default=ANSWERS)

    def patches(self, cells: list[Cell]) -> list[Patch]:
        """A patch of what block l takes in, for every cell and run, cell by cell."""
        return [
            Patch(run, "resid_pre", layer, ((place, place),))
            for layer, place in cells
            for run in range(len(self.runs))
        ]

    def ours(
        self, cells: list[Cell] | None = None,
        tier: Literal["auto", "sweep", "prefix", "full"] = "auto",
    ) -> Patched:  # fmt: skip
        """Every cell of every run (or of some cells)."""
        patches = self.patches(self.cells if cells is None else cells)
        return patched_logits(
            self.model, self.runs, patches, self.answers, tier=tier, prune=self.prune
        )

    @property
    def count(self) -> int:
        """Patches in all."""
        return len(self.cells) * len(self.runs)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Recipient and donor ids, each [runs, tokens]."""
        ids = torch.tensor([r.ids for r in self.runs])
        return ids, torch.tensor([r.donor for r in self.runs])


def smollm2() -> tuple[Any, Any]:
    """SmolLM2-135M in float32 and its tokenizer."""
    folder = fetch("smollm2")
    return read_model(folder, "float32").eval(), read_tokenizer(folder)


def tiny() -> Any:
    """A Llama of 6 blocks, width 128, with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=256, hidden_size=128, intermediate_size=384, num_hidden_layers=6,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=64,
        initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()


def counting_runs(tokenizer: Any, count: int = PAIRS) -> list[Run]:
    """Pairs as they are used: a list of words, one of which is another in the donor."""
    rng = stream(0, "benchmark", "patching")
    runs: list[Run] = []
    tries = 0
    while len(runs) < count:
        tries += 1
        words = rng.sample(FRUIT, 3) + rng.sample(OTHER, 5)
        rng.shuffle(words)
        swapped = list(words)
        place = rng.randrange(len(words))
        swapped[place] = rng.choice([w for w in FRUIT + OTHER if w not in words])
        ids, donor = (tuple(tokenizer(_prompt(w))["input_ids"]) for w in (words, swapped))
        if tries > 10_000:
            raise ValueError(f"no pairs of {TOKENS} tokens with this tokenizer")
        if len(ids) == len(donor) == TOKENS:
            runs.append(Run(ids, donor))
    return runs


def unlike_runs(vocabulary: int, count: int) -> list[Run]:
    """Pairs that share nothing, not even their first tokens: nothing can be left out."""
    rng = stream(0, "benchmark", "patching", "unlike")
    firsts = rng.sample(range(vocabulary), 2 * count)
    rows = [(first, *(rng.randrange(vocabulary) for _ in range(TOKENS - 1))) for first in firsts]
    return [Run(a, b) for a, b in zip(rows[:count], rows[count:], strict=True)]


def grid(layers: int, places: range | list[int]) -> list[Cell]:
    """All cells of some positions."""
    return [(layer, place) for layer in range(layers) for place in places]


def _prompt(words: list[str]) -> str:
    listed = ", ".join(words)
    return (
        f"Task: Count how many words of a list are fruit. List: {listed}. The number of fruit in"
        " this list: "
    )
