"""A second device without a second device: tensors of the device `elsewhere` hold CPU values.

They refuse what CUDA's tensors refuse: to be mixed with the CPU's, and to become numpy arrays
unasked. Import it before models are made, in a process of its own: a device is registered once
for a process and stays.

The device is torch's private-use backend (PrivateUse1), its tensors are wrappers without storage
that run every operator on the CPU tensor they hold. What such wrappers cannot do as a real device
does is patched below, each with its reason.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import safetensors.torch
import torch
from accelerate.state import PartialState
from torch.utils import _device, backend_registration
from torch.utils._pytree import tree_map

NAME, AUTOCAST = "elsewhere", "AutocastPrivateUse1"
CPU = torch.device("cpu")
aten = torch.ops.aten


class _Backend:
    """What torch asks a backend's module for, as torch.cuda answers with one GPU."""

    def is_available(self) -> bool:
        return True

    is_built = is_initialized = is_autocast_available = is_available

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        """It draws from the CPU's generator."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def set_device(self, device: object) -> None:
        """There is one."""

    def synchronize(self, device: object = None) -> None:
        """Operators have run when they return."""

    def get_rng_state(self, device: object = None) -> torch.Tensor:
        return torch.zeros(1, dtype=torch.uint8)

    def set_rng_state(self, state: torch.Tensor, device: object = None) -> None:
        """It has none of its own."""


backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Backend())
DEVICE = torch.device(NAME, 0)


class Elsewhere(torch.Tensor):
    """A tensor of the other device; `raw` is the CPU tensor with its values."""

    raw: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # as torch documents it for wrappers

    @staticmethod
    def __new__(cls, raw: torch.Tensor) -> "Elsewhere":
        made: Elsewhere = torch.Tensor._make_wrapper_subclass(
            cls, raw.size(), strides=raw.stride(), storage_offset=raw.storage_offset(),
            dtype=raw.dtype, layout=raw.layout, device=DEVICE, requires_grad=False,
        )  # fmt: skip
        return made

    def __init__(self, raw: torch.Tensor) -> None:
        self.raw = raw

    def __repr__(self, **options: Any) -> str:  # type: ignore[override]  # any option
        return f"Elsewhere({self.raw})"

    def __deepcopy__(self, memo: Any) -> torch.Tensor:
        # A wrapper has no storage, which is what torch would copy.
        copied = Elsewhere(self.raw.clone())
        copied.requires_grad_(self.requires_grad)
        if isinstance(self, torch.nn.Parameter):
            return torch.nn.Parameter(copied, self.requires_grad)
        return copied

    # Indexing by lists makes index tensors on the device of the tensor in C++, out of reach of
    # the operators below; made on the CPU they are what CUDA takes as well.
    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(_indices(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_indices(index), value)

    # Python asks these of the storage, which a wrapper lacks.
    def storage(self) -> Any:
        return self.raw.storage()

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.raw.untyped_storage()

    def data_ptr(self) -> int:
        return self.raw.data_ptr()

    def new_tensor(self, data: Any, **options: Any) -> torch.Tensor:  # type: ignore[override]  # any option
        return torch.tensor(data, **{"dtype": self.dtype, "device": self.device, **options})

    # Setting it swaps what a tensor is in C++, and would leave the values where they were.
    @property
    def data(self) -> torch.Tensor:
        return self.detach()

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        if not isinstance(value, Elsewhere) or value.size() != self.size():
            raise RuntimeError(f"data of {DEVICE} can only be set to some of its size there")
        self.raw = value.raw

    def tolist(self) -> Any:
        return self.raw.tolist()

    def numpy(self, **options: Any) -> Any:
        raise TypeError(f"can't convert {DEVICE} tensor to numpy; use Tensor.cpu() first")

    def __array__(self, *args: Any, **options: Any) -> Any:
        return self.numpy()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch declares a method
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # fmt: skip
        return _run(func, args, kwargs or {})


def _indices(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_indices(i) for i in index)
    if isinstance(index, list | range):
        return torch.tensor(list(index), dtype=None if len(index) else torch.long)
    return torch.from_numpy(index) if isinstance(index, np.ndarray) else index


COPIES = {aten._to_copy.default, aten.copy_.default}
INDEXED = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default,
           aten._index_put_impl_.default}  # fmt: skip


def _run(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run an operator on the CPU values; raises RuntimeError where CUDA would.

    That is for a CPU tensor of one axis or more beside one of this device, but in copies and as
    an index, and for a CPU tensor that is indexed by one of this device.
    """
    first = args[0] if args else None
    own = isinstance(first, Elsewhere)
    if func is aten.index.Tensor and isinstance(first, torch.Tensor) and not own:
        raise RuntimeError(f"{func}: indices should be on the CPU, as the indexed tensor is")
    to, kwargs = DEVICE, {k: v for k, v in kwargs.items() if k != "pin_memory"}
    if kwargs.get("device") is not None:
        to, kwargs["device"] = torch.device(kwargs["device"]), CPU
    plain = []
    for value in args:
        if isinstance(value, torch.device):
            to = value
        plain.append(CPU if isinstance(value, torch.device) else value)
    seen: dict[int, Elsewhere] = {}

    def values(x: Any) -> Any:
        if isinstance(x, Elsewhere):
            seen[id(x.raw)] = x
            return x.raw
        stranger = isinstance(x, torch.Tensor) and x.dim() > 0 and x.numel() > 0
        if stranger and func not in COPIES and func not in INDEXED:
            raise RuntimeError(
                f"{func}: expected all tensors on {DEVICE}, one of shape {tuple(x.shape)} is on"
                f" {x.device}"
            )
        return x

    found = func(*tree_map(values, tuple(plain)), **tree_map(values, kwargs))
    if func is aten.copy_.default:
        return first

    def wrapped(x: Any) -> Any:
        if not isinstance(x, torch.Tensor) or isinstance(x, Elsewhere):
            return x
        if to.type != NAME:
            # A copy to the CPU must not share memory, as one from a GPU does not.
            return x.clone() if id(x) in seen else x
        known = seen.get(id(x))
        if known is not None and known.size() != x.size():
            raise RuntimeError(f"{func}: a tensor of {DEVICE} was resized in place")
        return Elsewhere(x) if known is None else known

    return tree_map(wrapped, found)


_fallback = torch.library.Library("_", "IMPL")
_fallback.fallback(lambda func, *args, **kwargs: _run(func, args, kwargs), "PrivateUse1")

# Those that make tensors from nothing have no argument by which torch would find the fallback.
FACTORIES = ("arange", "arange.start", "arange.start_step", "linspace", "eye", "eye.m", "full",
             "randperm", "randperm.generator", "randn", "randn.generator", "rand",
             "rand.generator", "randint", "randint.low", "randint.generator",
             "randint.low_generator", "tril_indices", "triu_indices")  # fmt: skip


def _factory(name: str) -> Callable[..., Any]:
    packet, _, overload = name.partition(".")
    func = getattr(getattr(aten, packet), overload or "default")
    return lambda *args, **kwargs: _run(func, args, kwargs)


_library = torch.library.Library("aten", "IMPL")
for _name in FACTORIES:
    _library.impl(_name, _factory(_name), "PrivateUse1")


# Autocast as CUDA has it: products in the low precision, what sums or exponentiates in float32.
LOWERED = ("linear", "matmul", "mm", "addmm", "bmm", "baddbmm", "scaled_dot_product_attention")
RAISED = ("softmax.int", "log_softmax.int", "layer_norm", "nll_loss", "pow.Tensor_Scalar", "rsqrt",
          "exp", "log", "norm.ScalarOpt_dim")  # fmt: skip


def _cast(name: str, dtype: torch.dtype | None) -> Callable[..., Any]:
    packet, _, overload = name.partition(".")
    func = getattr(getattr(aten, packet), overload or "default")

    def cast(x: Any) -> Any:
        floats = isinstance(x, Elsewhere) and x.is_floating_point()
        return x.to(dtype or torch.get_autocast_dtype(NAME)) if floats else x

    def kernel(*args: Any, **kwargs: Any) -> Any:
        key = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, AUTOCAST))
        with torch._C._ExcludeDispatchKeyGuard(key):
            return func(*tree_map(cast, args), **tree_map(cast, kwargs))

    return kernel


_fallback.fallback(torch.library.fallthrough_kernel, AUTOCAST)
for _name in LOWERED:
    _library.impl(_name, _cast(_name, None), AUTOCAST)
for _name in RAISED:
    _library.impl(_name, _cast(_name, torch.float32), AUTOCAST)


def _through_cpu(made: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def patched(*args: Any, device: Any = None, **kwargs: Any) -> torch.Tensor:
        value = made(*args, **kwargs)
        there = device is not None and torch.device(device).type == NAME
        return value.to(DEVICE) if there else value

    return patched


# They fill the storage from Python's numbers, and a wrapper has none. Which functions
# `with torch.device(...)` reaches is looked up once: before they are replaced.
_device._device_constructors()
torch.tensor = _through_cpu(torch.tensor)
torch.as_tensor = _through_cpu(torch.as_tensor)


def _raw(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.raw if isinstance(tensor, Elsewhere) else tensor


def _saved(made: Callable[..., Any]) -> Callable[..., Any]:
    def patched(tensors: dict[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        return made({n: _raw(t).detach() for n, t in tensors.items()}, *args, **kwargs)

    return patched


# safetensors reads storages, those of a GPU by way of the CPU.
safetensors.torch.save_file = _saved(safetensors.torch.save_file)
safetensors.torch.save = _saved(safetensors.torch.save)
for _name in ("storage_ptr", "storage_size"):
    _plain = getattr(safetensors.torch, _name)
    setattr(safetensors.torch, _name, lambda t, plain=_plain: plain(_raw(t)))

_to = torch.nn.Module.to


def _moved(self: torch.nn.Module, *args: Any, **kwargs: Any) -> torch.nn.Module:
    # A wrapper cannot take another's data, so a moved parameter would be a new object, and an
    # optimiser would keep the old one.
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        return _to(self, *args, **kwargs)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


torch.nn.Module.to = _moved  # type: ignore[assignment]  # one function for its overloads
# accelerate goes through the devices it knows.
PartialState.default_device = property(lambda self: DEVICE)
