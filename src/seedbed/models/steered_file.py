"""lm-eval's `steered` files (.pt): edits written so that its own model type steers alike, and read.

Such a file names modules and acts on what they hand on, at every token and in every pass.
"""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seedbed.core.cells import MEAN, Cell
from seedbed.core.directions import Directions
from seedbed.core.errors import DataError, InputError
from seedbed.core.files import atomic_file
from seedbed.models.blocks import Blocks, Site, blocks_of
from seedbed.models.hooks import Add, Along, Edit

KEYS = ("steering_vector", "steering_coefficient", "action", "bias", "head_index")


def write_steered(path: Path, model: Any, edits: Sequence[Edit]) -> None:
    """Write `edits` for lm-eval's `--model steered --model_args steer_path=…`.

    An `Add` becomes its `add`, taking a direction out whole (`Along` of factor −1) its `clamp`
    to 0. Raises InputError for what such a file cannot say: positions, passes, recurrences,
    steps scaled by each token's length, other factors, heads.
    """
    if path.suffix not in (".pt", ".pth"):
        raise InputError(f"{path}: lm-eval reads steering from files that end in .pt")
    hooks: dict[str, dict[str, Any]] = {}
    for edit in edits:
        name = _hookpoint(model, edit)
        entry = _entry(edit)
        if (known := hooks.get(name)) is not None:
            if "clamp" in (known["action"], entry["action"]):
                raise InputError(
                    f"lm-eval's file holds one action a module, and two meet at {name}"
                )
            entry = _added(_pushed(known) + _pushed(entry))
        hooks[name] = entry
    with atomic_file(path) as temporary:
        torch.save(hooks, temporary)


def read_steered(path: Path, model: Any) -> tuple[Directions, list[Edit]]:
    """(the directions of a `steered` file, the edits that do what lm-eval does with it).

    Directions stand at `resid_post.3@mean` and the like; their `spread` is the file's coefficient
    times the vector's length, so that `Steer(tokens="all")` is its `add`. How long states are it
    does not say: `norm` is 1. Raises DataError for another file and for modules that the model
    lacks or that hand on no stream of it.
    """
    hooks, blocks = _loaded(path), blocks_of(model)
    sites: list[str] = []
    vectors, middle, spread = [], [], []
    edits: list[Edit] = []
    for name, entry in hooks.items():
        site = _site_of(path, blocks, model, name)
        vector, value, action = _read(path, name, entry, blocks.numbers(site))
        length = float(vector.norm())
        unit = vector / length
        if action == "add":
            edits.append(Add(site, vector * value, None))
            unit, threshold = (-unit if value < 0 else unit), 0.0
        else:
            bias = entry.get("bias")
            threshold = value + (0.0 if bias is None else float(bias.float() @ unit))
            edits += [Along(site, unit, -1.0, None), Add(site, threshold * unit, None)]
        sites.append(Cell(site.stream, site.layer, MEAN).name)
        vectors.append(unit.numpy())
        middle.append(threshold)
        spread.append(abs(value) * length if action == "add" else 0.0)
    made = {
        "method": "lm-eval steered",
        "file": path.name,
        "actions": {s: e["action"] for s, e in zip(sites, hooks.values(), strict=True)},
    }
    found = Directions(tuple(sites), np.stack(vectors), np.array(middle), np.array(spread),
                       np.ones(len(sites)), "positive", "negative", made)  # fmt: skip
    return found, edits


def _entry(edit: Edit) -> dict[str, Any]:
    """One action of the file; raises InputError where it has none for the edit."""
    if edit.positions is not None:
        raise InputError("lm-eval's steered model acts at all tokens; set tokens: all")
    if edit.passes is not None:
        raise InputError("lm-eval's steered model acts in every pass; set during: both")
    if isinstance(edit, Add):
        if edit.scaled:
            raise InputError("lm-eval's steered model knows no step of each token's own length;"
                             " take another unit than 'state'")  # fmt: skip
        return _added(edit.vector)
    if isinstance(edit, Along) and edit.factor == -1:
        direction = edit.direction.detach().float().cpu()
        return dict(zip(KEYS, (direction, 0.0, "clamp", None, None), strict=True))
    raise InputError("lm-eval's steered model adds, or takes a direction out whole (ablate at"
                     " strength 1); it knows nothing else")  # fmt: skip


def _added(vector: Tensor) -> dict[str, Any]:
    vector = vector.detach().float().cpu()
    if vector.dim() != 1:
        raise InputError("lm-eval's steered model adds one vector to all rows")
    length = float(vector.norm())
    unit = vector / length if length else vector
    return dict(zip(KEYS, (unit, length, "add", None, None), strict=True))


def _pushed(entry: dict[str, Any]) -> Tensor:
    vector: Tensor = entry["steering_vector"] * entry["steering_coefficient"]
    return vector


def _hookpoint(model: Any, edit: Edit) -> str:
    """The module, as lm-eval names it, whose output is the site of an edit."""
    blocks = blocks_of(model)
    site = blocks.site(edit.site) if isinstance(edit.site, str) else edit.site
    if site.step is not None:
        raise InputError(f"{site.name}: lm-eval's steered model acts in every run of a block")
    if site.stream == "resid_pre" and site.layer and not blocks.recurrent:
        site = Site("resid_post", site.layer - 1)
    module: nn.Module | None = None
    if blocks.begins(site):
        module = _before_blocks(model, blocks)
    else:
        spot = blocks.spot(site)
        if spot.side == "out" and spot.columns is None:
            module = spot.module
    if module is None:
        raise InputError(f"{site.name}: no module hands this stream on by itself, and lm-eval's"
                         " steered model acts on what modules hand on")  # fmt: skip
    return next(name for name, m in _modules(model).items() if m is module)


def _modules(model: Any) -> dict[str, nn.Module]:
    # Of a model in an adapter, lm-eval names modules from within the adapter.
    return dict(getattr(model, "module", model).base_model.named_modules())


def _before_blocks(model: Any, blocks: Blocks) -> nn.Module | None:
    """The module whose output is, as it stands, what the first block takes in; None: none is."""
    # With the outputs themselves, so that no later tensor takes the number of one that is gone.
    seen: dict[int, tuple[nn.Module, Tensor]] = {}
    taken: list[Tensor] = []

    def look(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            seen[id(output)] = module, output

    def take(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        taken.append(args[0] if args else kwargs["hidden_states"])

    handles = [m.register_forward_hook(look) for m in _modules(model).values()]
    handles.append(blocks.modules[0].register_forward_pre_hook(take, with_kwargs=True))
    try:
        with torch.no_grad():
            device = next(model.parameters()).device
            model(input_ids=torch.zeros((1, 1), dtype=torch.long, device=device))
    finally:
        for handle in handles:
            handle.remove()
    found = seen.get(id(taken[0]))
    return None if found is None else found[0]


def _site_of(path: Path, blocks: Blocks, model: Any, name: str) -> Site:
    module = _modules(model).get(name)
    if module is None:
        raise DataError(path, None, f"names {name!r}, which is no module of the model")
    if module is _before_blocks(model, blocks):
        return Site("resid_pre", 0)
    for layer, block in enumerate(blocks.modules):
        if module is block:
            return Site("resid_post", layer)
        if any(module is part for part in block.modules()):
            return _part(path, blocks, layer, name, module)
    raise DataError(path, None, f"{name}: hands on no stream that directions can stand in")


def _part(path: Path, blocks: Blocks, layer: int, name: str, module: nn.Module) -> Site:
    for stream in ("attn_out", "mlp_out"):
        site = Site(stream, layer)
        try:
            spot = blocks.spot(site)
        except InputError:
            continue  # a block without such a part has no such site to be named
        if spot.module is module and spot.side == "out":
            return site
    raise DataError(path, None, f"{name}: hands on no stream that directions can stand in")


def _loaded(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        raise DataError(path, None, "no such file")
    try:
        hooks = torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(path, None, f"not a file of tensors alone: {why}") from error
    if not isinstance(hooks, dict) or not hooks:
        raise DataError(path, None, "not lm-eval's steering: a mapping of modules is needed")
    return hooks


def _read(path: Path, name: str, entry: Any, width: int) -> tuple[Tensor, float, str]:
    """(vector, coefficient, action) of one entry, checked."""
    if not isinstance(entry, dict) or not isinstance(entry.get("steering_vector"), Tensor):
        raise DataError(path, None, f"{name}: has no steering_vector")
    vector = entry["steering_vector"].detach().float().flatten()
    if vector.shape != (width,) or not float(vector.norm()) > 0:
        raise DataError(path, None, f"{name}: a vector of {width} numbers, not all 0, is needed")
    if entry.get("action") not in ("add", "clamp"):
        raise DataError(path, None, f"{name}: action {entry.get('action')!r} is neither add nor"
                        " clamp")  # fmt: skip
    if entry.get("head_index") is not None:
        raise DataError(path, None, f"{name}: steers one head, which no stream here is")
    return vector, float(entry.get("steering_coefficient", 1.0)), str(entry["action"])
