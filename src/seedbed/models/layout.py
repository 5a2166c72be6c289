"""How a model's decoder blocks follow one another: one list, or lists that run several times.

Recurrent-depth models are known by the names of their parts: prelude, core and coda (arXiv
2502.05171), or the low and high modules of HRM-Text.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn

from seedbed.core.errors import InputError

# What models with a prelude, a core and a coda call their core, and how often it runs.
CORES = ("core", "core_block")
COUNTS = ("recurrences", "mean_recurrence")


@dataclass(frozen=True)
class Layout:
    """The lists of blocks as (path, modules), outermost first, and in which order blocks run.

    `order` holds (block, its run) for every time a block runs; blocks are numbered through all
    lists, runs of each from 0.
    """

    lists: tuple[tuple[str, tuple[nn.Module, ...]], ...]
    order: tuple[tuple[int, int], ...]


def layout_of(model: Any) -> Layout:
    """The layout of a plain Hugging Face causal model.

    Raises InputError for a model without a list of blocks.
    """
    for name, module in model.named_modules():
        parts = dict(module.named_children())
        at = f"{name}." if name else ""
        core = next((c for c in CORES if isinstance(parts.get(c), nn.ModuleList)), None)
        if core and all(isinstance(parts.get(p), nn.ModuleList) for p in ("prelude", "coda")):
            lists = tuple((f"{at}{p}", _blocks(parts[p])) for p in ("prelude", core, "coda"))
            prelude, core_blocks, coda = (len(blocks) for _, blocks in lists)
            return Layout(lists, core_order(prelude, core_blocks, coda, _count(model)))
        stacks = [getattr(parts.get(p), "layers", None) for p in ("L_module", "H_module")]
        if all(isinstance(s, nn.ModuleList) for s in stacks):
            paths = [f"{at}{p}.layers" for p in ("L_module", "H_module")]
            lists = tuple((p, _blocks(s)) for p, s in zip(paths, stacks, strict=True))
            config = model.config.get_text_config()
            low, high = (len(blocks) for _, blocks in lists)
            cycles = int(config.H_cycles), int(config.L_cycles)
            return Layout(lists, cycle_order(low, high, *cycles))
    path, blocks = _longest(model)
    return Layout(((path, blocks),), tuple((i, 0) for i in range(len(blocks))))


def counter_of(model: Any) -> str:
    """The setting in the model's config that says how often its recurrent part runs.

    Raises InputError for a model whose blocks all run once.
    """
    model = getattr(model, "module", model)
    if (found := _counter(model)) is None:
        raise InputError(f"{type(model).__name__}: every block runs once, it has no recurrences")
    return found


def recurs(model: Any) -> bool:
    """Whether how often a part of the model runs can be set."""
    return _counter(getattr(model, "module", model)) is not None


def scattered(model: Any) -> bool:
    """Whether embeddings go straight to other blocks than the first, as HRM's high module has."""
    return _counter(getattr(model, "module", model)) == "H_cycles"


def _counter(model: Any) -> str | None:
    config = model.config.get_text_config()
    names = (*COUNTS, "H_cycles")
    return next((n for n in names if getattr(config, n, None) is not None), None)


def core_order(prelude: int, core: int, coda: int, recurrences: int) -> tuple[tuple[int, int], ...]:
    """(block, run) of a model whose core runs `recurrences` times between prelude and coda."""
    inner = [(prelude + b, r) for r in range(recurrences) for b in range(core)]
    last = [(prelude + core + b, 0) for b in range(coda)]
    return (*((b, 0) for b in range(prelude)), *inner, *last)


def cycle_order(low: int, high: int, outer: int, inner: int) -> tuple[tuple[int, int], ...]:
    """(block, run) of HRM: in each outer cycle the low module runs `inner` times, the high once."""
    order = []
    for cycle in range(outer):
        order += [(b, cycle * inner + i) for i in range(inner) for b in range(low)]
        order += [(low + b, cycle) for b in range(high)]
    return tuple(order)


def _count(model: Any) -> int:
    return int(getattr(model.config.get_text_config(), counter_of(model)))


def _longest(model: Any) -> tuple[str, tuple[nn.Module, ...]]:
    """The longest outermost list of modules with weights."""
    lists: list[tuple[str, nn.ModuleList]] = []
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer, _ in lists)
        if (
            isinstance(module, nn.ModuleList)
            and not inside
            and any(True for _ in module.parameters())
        ):
            lists.append((name, module))
    if not lists:
        raise InputError(f"{type(model).__name__}: has no list of decoder blocks")
    path, found = max(lists, key=lambda pair: len(pair[1]))
    return path, tuple(found)


def _blocks(found: Any) -> tuple[nn.Module, ...]:
    return tuple(found)
