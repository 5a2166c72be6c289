"""The peers of the patching benchmark, each as its users would call it: one cell a forward pass.

Donor states are read once, before the clock starts; every peer gets them in advance. They live
in an environment of their own: pip install transformer-lens nnsight pyvene, then seedbed.
"""

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from patching_work import Cell

PEERS = ("transformer-lens", "nnsight", "pyvene", "plain hooks")
MODULES = {"transformer-lens": "transformer_lens"}


class Peer:
    """Patches cells of all runs of a batch: `run(cell)` gives logits [runs, vocabulary]."""

    def __init__(self, model: Any, ids: Tensor, donor: Tensor) -> None:
        self.model, self.ids = model, ids
        with torch.no_grad():
            self.read(donor)

    def read(self, donor: Tensor) -> None:
        """Keep what every block takes in when the donors run."""
        kept: list[Tensor] = []
        with contextlib.ExitStack() as stack:
            for block in self.model.model.layers:
                hook = block.register_forward_pre_hook(lambda _, args: kept.append(args[0].clone()))
                stack.callback(hook.remove)
            self.model(donor)
        self.states = kept

    def run(self, cell: Cell) -> Tensor:
        raise NotImplementedError

    def cells(self, cells: list[Cell]) -> Tensor:
        """Logits [cells, runs, vocabulary]."""
        with torch.no_grad():
            return torch.stack([self.run(cell) for cell in cells])


class Hooks(Peer):
    """A forward hook a cell; the head at the last position only."""

    def run(self, cell: Cell) -> Tensor:
        layer, place = cell
        with self._patched(layer, place):
            logits: Tensor = self.model(self.ids, logits_to_keep=1, use_cache=False).logits
        return logits[:, -1]

    @contextlib.contextmanager
    def _patched(self, layer: int, place: int) -> Iterator[None]:
        def hook(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
            hidden = args[0].clone()
            hidden[:, place] = self.states[layer][:, place]
            return (hidden, *args[1:])

        handle = self.model.model.layers[layer].register_forward_pre_hook(hook)
        try:
            yield
        finally:
            handle.remove()


class Lens(Peer):
    """transformer-lens 4: `TransformerBridge.run_with_hooks`; it changes the model it is given."""

    def __init__(self, model: Any, ids: Tensor, donor: Tensor, tokenizer: Any) -> None:
        from transformer_lens.model_bridge import TransformerBridge

        self.bridge = TransformerBridge.boot_transformers(
            "HuggingFaceTB/SmolLM2-135M-Instruct", hf_model=model, tokenizer=tokenizer, device="cpu"
        )
        super().__init__(model, ids, donor)

    def read(self, donor: Tensor) -> None:
        names = {self._name(i) for i in range(self.model.config.num_hidden_layers)}
        _, cache = self.bridge.run_with_cache(donor, names_filter=lambda name: name in names)
        self.states = [cache[self._name(i)] for i in range(len(names))]

    def run(self, cell: Cell) -> Tensor:
        layer, place = cell

        def hook(hidden: Tensor, hook: Any) -> Tensor:
            hidden = hidden.clone()
            hidden[:, place] = self.states[layer][:, place]
            return hidden

        logits: Tensor = self.bridge.run_with_hooks(self.ids, fwd_hooks=[(self._name(layer), hook)])
        return logits[:, -1]

    @staticmethod
    def _name(layer: int) -> str:
        return f"blocks.{layer}.hook_resid_pre"


class NNsight(Peer):
    """nnsight: a trace a cell."""

    def __init__(self, model: Any, ids: Tensor, donor: Tensor) -> None:
        import nnsight

        super().__init__(model, ids, donor)
        self.wrapped = nnsight.NNsight(model)

    def run(self, cell: Cell) -> Tensor:
        layer, place = cell
        wrapped, value = self.wrapped, self.states[layer][:, place]
        with wrapped.trace(self.ids):
            wrapped.model.layers[layer].input[:, place] = value
            logits = wrapped.lm_head.output[:, -1].save()
        found: Tensor = logits
        return found


class Pyvene(Peer):
    """pyvene: an intervenable model a block, made in advance, with the states given."""

    def __init__(self, model: Any, ids: Tensor, donor: Tensor) -> None:
        super().__init__(model, ids, donor)
        self.made: dict[int, Any] = {}

    def run(self, cell: Cell) -> Tensor:
        import pyvene

        layer, place = cell
        if layer not in self.made:
            part = pyvene.RepresentationConfig(layer, "block_input", "pos", 1)
            config = pyvene.IntervenableConfig(
                model_type=type(self.model), representations=[part],
                intervention_types=pyvene.VanillaIntervention,
            )  # fmt: skip
            self.made[layer] = pyvene.IntervenableModel(config, self.model)
        where = (None, [[[place]] * len(self.ids)])
        _, output = self.made[layer](
            {"input_ids": self.ids}, None, {"sources->base": where},
            source_representations=[self.states[layer][:, place : place + 1]],
        )  # fmt: skip
        logits: Tensor = output.logits
        return logits[:, -1]


def peer(name: str, model: Any, ids: Tensor, donor: Tensor, tokenizer: Any) -> Peer | str:
    """The peer, ready to patch, or why it cannot be used."""
    module = MODULES.get(name, name)
    if name != "plain hooks" and find_spec(module) is None:
        return f"not installed in this environment: pip install {name}"
    if name == "transformer-lens":
        if tokenizer is None:
            return "wraps models whose name and tokenizer it knows"
        return Lens(model, ids, donor, tokenizer)
    kinds: dict[str, type[Peer]] = {"nnsight": NNsight, "pyvene": Pyvene, "plain hooks": Hooks}
    return kinds[name](model, ids, donor)
