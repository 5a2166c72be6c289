"""What a stage costs: wall seconds and the peak of memory above where it began."""

import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Measured:
    """Filled when the block ends; `peak_mib` is resident memory above the start."""

    seconds: float = 0.0
    peak_mib: float = 0.0


@contextmanager
def measured() -> Iterator[Measured]:
    """Measure a block; on Linux memory is sampled every 5 ms, elsewhere it is the process peak."""
    result = Measured()
    sampler = _Sampler()
    started = time.perf_counter()
    sampler.start()
    try:
        yield result
    finally:
        result.seconds = time.perf_counter() - started
        result.peak_mib = sampler.stop()


class _Sampler(threading.Thread):
    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._done = threading.Event()
        self._first = self._top = _resident_mib()

    def run(self) -> None:
        while not self._done.wait(0.005):
            self._top = max(self._top, _resident_mib())

    def stop(self) -> float:
        self._done.set()
        self.join()
        return max(self._top, _resident_mib()) - self._first


def _resident_mib() -> float:
    status = Path("/proc/self/statm")
    if status.exists():
        pages = int(status.read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
