"""Memory and cores for workers: of the machine, and of the container or job that it is in."""

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")


@dataclass(frozen=True)
class Memory:
    """In GiB. Memory that the system would give back on demand (its file cache) counts as left."""

    total: float
    left: float


def memory(root: Path = ROOT) -> Memory | None:
    """The tightest of the machine's memory and the limits of its control groups (v1 and v2).

    None where the system does not tell. `root` holds `proc` and `sys`.
    """
    sizes = _table(root / "proc/meminfo")
    if "MemAvailable:" not in sizes:
        return None
    found = [Memory(sizes["MemTotal:"] / 2**20, sizes["MemAvailable:"] / 2**20)]
    for folder in _groups(root):
        for limit, used, spare in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            most, now = _number(folder / limit), _number(folder / used)
            if most < found[0].total * 2**30 and math.isfinite(now):
                free = most - now + _table(folder / "memory.stat").get(spare, 0)
                found.append(Memory(most / 2**30, free / 2**30))
    return Memory(min(m.total for m in found), min(m.left for m in found))


def cores(root: Path = ROOT) -> int:
    """The cores that this process may use: those it is bound to, less where a control group (v2)
    gives its processes the time of fewer.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = [float(bound or 1)]
    for folder in _groups(root):
        with suppress(OSError, ValueError):
            quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
            found.append(int(quota) / int(period))
    return max(1, int(min(found)))


def resident(pid: int, root: Path = ROOT) -> tuple[float, float]:
    """(resident memory now, its peak) of a process in GiB; zeros if it has ended or is unknown."""
    sizes = _table(root / f"proc/{pid}/status")
    return sizes.get("VmRSS:", 0) / 2**20, sizes.get("VmHWM:", 0) / 2**20


def _groups(root: Path) -> list[Path]:
    """Folders of this process's control groups that may limit its memory, up to the top."""
    found = []
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds and "memory" not in kinds.split(","):
                continue
            top = root / "sys/fs/cgroup" / ("memory" if kinds else "")
            own = top / path.lstrip("/")
            # In a container the path may be the host's, and only the top is there.
            found += [p for p in (own, *own.parents) if p.is_relative_to(top) and p.is_dir()]
    return found


def _table(path: Path) -> dict[str, float]:
    """Lines of a name and a number."""
    found = {}
    with suppress(OSError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name, *rest = line.split()[:2]
            if rest and rest[0].isdigit():
                found[name] = float(rest[0])
    return found


def _number(path: Path) -> float:
    """The number in a file; infinity for "max", for none, and where there is no file."""
    with suppress(OSError, ValueError):
        return float(path.read_text(encoding="utf-8"))
    return math.inf
