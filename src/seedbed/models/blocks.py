"""Where streams run in a model: decoder blocks, attention and MLP outputs, heads.

Found by structure and by the names that Hugging Face models use, so that one site name works
for any causal model, wrapped in LoRA or not, and for blocks that run several times.
"""

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from torch import nn

from seedbed.core.cells import STREAMS, Cell, Stream
from seedbed.core.errors import InputError
from seedbed.models.layout import layout_of

# What the parts of a decoder block are called in transformers, most usual first.
ATTENTION = ("self_attn", "attn", "attention", "self_attention", "temporal_block")
PROJECTION = ("o_proj", "out_proj", "c_proj", "dense", "wo", "proj", "out")
MLP = ("mlp", "feed_forward", "ffn", "block_sparse_moe", "mlp_block", "feedforward", "moe")
LAST_LINEAR = ("down_proj", "dense_4h_to_h", "c_proj", "fc2", "fc_out", "w2", "wo")
# Norms between a part's output and the residual stream, where a block has both.
SANDWICHES = (
    ("post_attention_layernorm", "post_feedforward_layernorm"),
    ("post_self_attn_layernorm", "post_mlp_layernorm"),
)
# transformer-lens and module paths, as (pattern, stream).
ALIASES: tuple[tuple[str, Stream], ...] = (
    (r"blocks\.(\d+)\.hook_resid_pre", "resid_pre"),
    (r"blocks\.(\d+)\.hook_resid_post", "resid_post"),
    (r"blocks\.(\d+)\.hook_attn_out", "attn_out"),
    (r"blocks\.(\d+)\.hook_mlp_out", "mlp_out"),
    (r"blocks\.(\d+)\.attn\.hook_z", "head"),
)


@dataclass(frozen=True, order=True)
class Site:
    """A stream of a block (from 0), at every position.

    `head` picks one attention head (from 0) of the stream `head`; None: all, side by side.
    `step` is one run (from 0) of a block that runs several times in a forward pass; None: the
    last run where states are read, every run where they are changed.
    """

    stream: Stream
    layer: int
    head: int | None = None
    step: int | None = None

    @property
    def name(self) -> str:
        """Such as `resid_post.14`, `head.3.0` or `resid_pre.1r7`."""
        step = "" if self.step is None else f"r{self.step}"
        return f"{self.stream}.{self.layer}{step}" + ("" if self.head is None else f".{self.head}")


def site_of(cell: Cell) -> Site:
    """Where a cell is, without its place."""
    return Site(cell.stream, cell.layer, cell.head, cell.step)


@dataclass(frozen=True)
class Spot:
    """What a site is in a model: the input or output of a module, or some columns of it."""

    module: nn.Module
    side: Literal["in", "out"]
    columns: slice | None = None


@dataclass(frozen=True)
class Blocks:
    """The decoder blocks of a model: the path (`model.layers`) of their list, and modules.

    `heads` is how many attention heads a block has (0: none), `width` the numbers in the
    residual stream of one token. `names` are the paths of single blocks, of several lists one
    after the other where a model has them (`path` is the longest). `order` holds (block, its
    run) as they follow one another in a forward pass of `root`.
    """

    path: str
    modules: tuple[nn.Module, ...]
    heads: int
    width: int
    names: tuple[str, ...]
    order: tuple[tuple[int, int], ...]
    root: nn.Module = field(repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.modules)

    @property
    def recurrent(self) -> bool:
        """Whether a block runs several times in a forward pass."""
        return len(self.order) > len(self.modules)

    def runs(self, layer: int) -> int:
        """How often a block runs in a forward pass."""
        return sum(block == layer for block, _ in self.order)

    def residual(self) -> tuple[Site, ...]:
        """The residual stream's edges in running order: what each run of each block takes in,
        then what the last one hands on. Blocks that run once have no step.
        """
        steps = [(b, r if self.runs(b) > 1 else None) for b, r in self.order]
        edges = [Site("resid_pre", block, None, step) for block, step in steps]
        return (*edges, Site("resid_post", steps[-1][0], None, steps[-1][1]))

    def cells(self, places: Sequence[str]) -> tuple[Cell, ...]:
        """The residual stream at `places`, edge by edge in running order."""
        return tuple(
            Cell(s.stream, s.layer, place, None, s.step)
            for s in self.residual()
            for place in places
        )

    def ends(self, site: Site) -> bool:
        """Whether the site is behind all attention: a part of the last block's last run."""
        return site.stream != "resid_pre" and self._is(site, self.order[-1])

    def begins(self, site: Site) -> bool:
        """Whether the site is what the first run of the first block takes in, and no other."""
        return site.stream == "resid_pre" and self._is(site, self.order[0])

    def _is(self, site: Site, at: tuple[int, int]) -> bool:
        if site.layer != at[0]:
            return False
        return site.step == at[1] or (site.step is None and self.runs(site.layer) == 1)

    def site(self, name: str) -> Site:
        """The site of a name: `resid_post.14`, `head.3.0`, `blocks.5.hook_resid_pre`,
        `model.layers.5` (what the block hands on), `model.layers.5.mlp`.

        Raises InputError if it is none, with the nearest name that is one.
        """
        found = _ours(name) or _alias(name) or self._module(name)
        if found is None:
            known = [f"{s}.0" for s in STREAMS if s != "head"]
            known += ["head.0.0", "blocks.0.hook_resid_pre", f"{self.path}.0", "resid_pre.0r0"]
            near = get_close_matches(re.sub(r"\d+", "0", name), known, n=1, cutoff=0.3)
            hint = f"; did you mean something like {near[0]}?" if near else ""
            raise InputError(f"{name!r} names no site of the model{hint}")
        self.check(found)
        return found

    def check(self, site: Site) -> None:
        """Raise InputError unless the model has such a site."""
        if not 0 <= site.layer < len(self):
            raise InputError(f"{site.name}: the model has blocks 0 to {len(self) - 1}")
        if site.head is not None and site.stream != "head":
            raise InputError(f"{site.name}: only the stream 'head' has heads")
        if site.stream == "head" and not self.heads:
            raise InputError(f"{site.name}: the model has no attention heads")
        if site.head is not None and not 0 <= site.head < self.heads:
            raise InputError(f"{site.name}: a block has heads 0 to {self.heads - 1}")
        if site.step is not None and not 0 <= site.step < (runs := self.runs(site.layer)):
            times = "once" if runs == 1 else f"{runs} times, from r0 to r{runs - 1}"
            raise InputError(f"{site.name}: block {site.layer} runs {times} in a forward pass")

    def spot(self, site: Site) -> Spot:
        """The module and side where `site` runs; raises InputError if the model has none."""
        self.check(site)
        block = self.modules[site.layer]
        if site.stream == "resid_pre":
            return Spot(block, "in")
        if site.stream == "resid_post":
            return Spot(block, "out")
        if site.stream == "mlp_out":
            return Spot(_mlp_output(block, site), "out")
        projection = _projection(block, site)
        if site.stream == "attn_out":
            return Spot(_sandwich(block, 0) or projection, "out")
        if site.head is None:
            return Spot(projection, "in")
        width = inputs(projection) // self.heads
        return Spot(projection, "in", slice(site.head * width, (site.head + 1) * width))

    def numbers(self, site: Site) -> int:
        """How many numbers a site holds for one token."""
        if site.stream != "head":
            return self.width
        whole = inputs(self.spot(site).module)
        return whole if site.head is None else whole // self.heads

    def _module(self, name: str) -> Site | None:
        bare = name.removeprefix("base_model.model.")
        paths = [path.removeprefix("base_model.model.") for path in self.names]
        match = re.fullmatch(r"(.+?\.\d+)(?:\.(\w+))?", bare)
        if match is None or (match[1] not in paths and not self._beside(match[1], paths)):
            return None
        part = match[2]
        stream: Stream | None = "resid_post"
        if part is not None:
            stream = "attn_out" if part in ATTENTION else "mlp_out" if part in MLP else None
        if stream is None:
            return None
        # One past the end is left to `check`, which says how many blocks there are.
        layer = paths.index(match[1]) if match[1] in paths else len(self)
        return Site(stream, layer)

    def _beside(self, path: str, paths: list[str]) -> bool:
        return path.rpartition(".")[0] in {p.rpartition(".")[0] for p in paths}


def plain(model: Any) -> Any:
    """The Hugging Face model inside wrappers of accelerate and PEFT.

    Raises InputError for prompt tuning, whose virtual tokens only the wrapper puts in.
    """
    model = getattr(model, "module", model)
    adapters = getattr(model, "peft_config", {})
    if any(adapter.is_prompt_learning for adapter in adapters.values()):
        raise InputError(f"{type(model).__name__}: prompt tuning has tokens at no position")
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def blocks_of(model: Any) -> Blocks:
    """The decoder blocks of a causal model, those of all lists that it runs through.

    Raises InputError if it has none.
    """
    model = plain(model)
    layout = layout_of(model)
    config = model.config.get_text_config()
    heads = int(getattr(config, "num_attention_heads", 0) or 0)
    path = max(layout.lists, key=lambda pair: len(pair[1]))[0]
    modules = tuple(block for _, blocks in layout.lists for block in blocks)
    names = tuple(f"{at}.{i}" for at, blocks in layout.lists for i in range(len(blocks)))
    return Blocks(path, modules, heads, int(config.hidden_size), names, layout.order, model)


def inputs(layer: Any) -> int:
    """How many numbers a linear layer takes in; GPT-2 keeps its weights transposed."""
    if hasattr(layer, "in_features"):
        return int(layer.in_features)
    base = getattr(layer, "base_layer", layer)
    return int(base.weight.shape[0])


def _ours(name: str) -> Site | None:
    match = re.fullmatch(r"([a-z_]+)\.(\d+)(?:r(\d+))?(?:\.(\d+))?", name)
    if match is None:
        return None
    stream = next((s for s in STREAMS if s == match[1]), None)
    step, head = (None if number is None else int(number) for number in match.groups()[2:])
    return None if stream is None else Site(stream, int(match[2]), head, step)


def _alias(name: str) -> Site | None:
    for pattern, stream in ALIASES:
        if match := re.fullmatch(pattern, name):
            return Site(stream, int(match[1]))
    return None


def _child(module: nn.Module, names: tuple[str, ...]) -> nn.Module | None:
    children = dict(module.named_children())
    return next((children[n] for n in names if n in children), None)


def _sandwich(block: nn.Module, part: int) -> nn.Module | None:
    children = dict(block.named_children())
    for names in SANDWICHES:
        if all(n in children for n in names):
            return children[names[part]]
    return None


def _projection(block: nn.Module, site: Site) -> nn.Module:
    attention = _child(block, ATTENTION)
    # GPT-Neo has one attention within another.
    inner = attention and (_child(attention, ATTENTION) or attention)
    found = inner and _child(inner, PROJECTION)
    if found is None:
        raise InputError(f"{site.name}: {type(block).__name__} has no attention output")
    return found


def _mlp_output(block: nn.Module, site: Site) -> nn.Module:
    if (norm := _sandwich(block, 1)) is not None:
        return norm
    mlp = _child(block, MLP)
    if mlp is None:
        # OPT keeps the layers of its MLP in the block itself.
        found = _child(block, ("fc2",))
        if found is None:
            raise InputError(f"{site.name}: {type(block).__name__} has no MLP output")
        return found
    if "residual" in inspect.signature(mlp.forward).parameters:
        # Bloom's MLP adds the residual stream itself; what it adds is its last layer's output.
        return _child(mlp, LAST_LINEAR) or mlp
    return mlp
