"""Leases: who makes a stage or writes a run, on any folder that machines share, without a server.

A lease is a small file that only one can create. Its holder renews a beat in it; whoever waits
takes over from a holder that is dead, judged by process id here and by a still beat elsewhere.
"""

import errno
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

BEAT_SECONDS = 10.0
"""A holder renews its beat so often."""
STALE_SECONDS = 60.0
"""A holder on another machine is dead if its beat stands still so long by the waiter's clock."""
POLL_SECONDS = (0.02, 0.5)
"""A waiter looks this often at first and at last."""
_BEAT = 12


@dataclass(frozen=True)
class Holder:
    """What a lease file says. `after` are the tokens of dead holders it followed, newest first.

    `unsure` is true if one of them was only taken to be dead and may wake up.
    """

    host: str
    machine: str
    pid: int
    started: str
    token: str
    after: tuple[str, ...] = ()
    unsure: bool = False
    beat: str = ""

    def here(self) -> bool:
        """Whether its process would show on this machine."""
        return self.machine == _machine()

    def gone(self) -> bool:
        """Whether its process, on this machine, has ended."""
        return _started(self.pid) != self.started


@dataclass
class Lease:
    """A lease that this process holds. `holder` is this process, as the file says it."""

    path: Path
    holder: Holder
    head: bytes
    beats: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def mine(self) -> bool:
        """Whether nobody has taken it over."""
        now = read(self.path)
        return now is not None and now.token == self.holder.token

    def renew(self) -> None:
        """Move the beat on; a lease that somebody took over stays untouched."""
        with self._lock, suppress(OSError), self.path.open("r+b", buffering=0) as file:
            # The file that was opened is the one that is written, whatever now has its name.
            if file.read(len(self.head)) == self.head:
                self.beats += 1
                file.write(_digits(self.beats))

    def release(self) -> None:
        """Give it up."""
        _HEART.forget(self)
        with self._lock:
            if self.mine():
                self.path.unlink(missing_ok=True)


@contextmanager
def held(path: Path, busy: Callable[[Holder], None] | None = None) -> Iterator[Lease]:
    """Hold the lease `path` in the block, after waiting for whoever holds it.

    `busy` is told of a living holder, at once on this machine and once its beat has moved on
    another, and may raise. Raises OSError if the folder cannot be written.
    """
    lease = _acquire(path, busy)
    _HEART.keep(lease)
    try:
        yield lease
    finally:
        lease.release()


def read(path: Path) -> Holder | None:
    """Who holds the lease `path`; None if nobody does. What cannot be read has an empty token."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        # A shared folder says of a file that was just replaced that its handle is stale.
        if error.errno in (errno.ENOENT, errno.ESTALE):
            return None
        raise
    head, _, beat = text.partition("\n")
    try:
        values = json.loads(head)
        return Holder(**{**values, "after": tuple(values["after"])}, beat=beat)
    except (ValueError, TypeError, KeyError):
        # Its writer was cut off between making and filling it.
        return Holder("an unknown host", "", 0, "", "", beat=text)


def _acquire(path: Path, busy: Callable[[Holder], None] | None) -> Lease:
    watch = _Watch()
    pause, longest = POLL_SECONDS
    while True:
        if (lease := _create(path)) is not None:
            return lease
        if (holder := read(path)) is not None:
            alive = watch.alive(holder)
            if alive is False:
                if (lease := _succeed(path, holder, watch)) is not None:
                    return lease
            elif alive and busy is not None:
                busy(holder)
        time.sleep(pause)
        pause = min(1.5 * pause, longest)


def _create(path: Path, after: tuple[str, ...] = (), unsure: bool = False) -> Lease | None:
    try:
        number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return None
    pid = os.getpid()
    token = uuid.uuid4().hex[:12]
    me = Holder(platform.node(), _machine(), pid, _started(pid), token, after, unsure)
    said = {k: v for k, v in vars(me).items() if k != "beat"}
    head = (json.dumps(said) + "\n").encode("ascii")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(head + _digits(0))
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return Lease(path, me, head)


def _succeed(path: Path, dead: Holder, watch: "_Watch") -> Lease | None:
    """Take the lease `path` over from `dead`; None if somebody else did.

    Only one can create the file that is named after the dead holder's token; it replaces the
    lease. One that dies in between is succeeded in the same way.
    """
    gate = path.with_name(f"{path.name}+{dead.token}")
    after = (dead.token, *dead.after)
    unsure = dead.unsure or not dead.here()
    mine = _create(gate, after, unsure)
    if mine is None:
        other = read(gate)
        if other is None or watch.alive(other) is not False:
            return None
        if (mine := _succeed(gate, other, watch)) is None:
            return None
    if read(path) != dead:
        gate.unlink(missing_ok=True)
        return None
    gate.replace(path)
    mine.path = path
    return mine


class _Watch:
    """What a waiter has seen of holders, by its own clock: clocks of machines are not compared."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}

    def alive(self, holder: Holder) -> bool | None:
        """Whether it lives; None: not known yet."""
        if holder.here():
            return not holder.gone()
        now = time.monotonic()
        beat, since = self._seen.setdefault(holder.token, (holder.beat, now))
        if beat != holder.beat:
            self._seen[holder.token] = holder.beat, now
            return True
        return False if now - since >= STALE_SECONDS else None


class _Heart:
    """The thread that renews this process's leases."""

    def __init__(self) -> None:
        self._kept: dict[int, Lease] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def keep(self, lease: Lease) -> None:
        with self._lock:
            self._kept[id(lease)] = lease
            # A forked process has the object but not the thread.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._beat, name="leases", daemon=True)
                self._thread.start()

    def forget(self, lease: Lease) -> None:
        with self._lock:
            self._kept.pop(id(lease), None)

    def _beat(self) -> None:
        while True:
            time.sleep(BEAT_SECONDS)
            with self._lock:
                kept = list(self._kept.values())
            for lease in kept:
                lease.renew()


_HEART = _Heart()


def _digits(beats: int) -> bytes:
    return f"{beats:0{_BEAT}d}\n".encode("ascii")


@cache
def _machine() -> str:
    """One name for all processes that see each other's ids: host, boot and name space."""
    boot, space = "", ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return f"{platform.node()} {boot} {space}"


def _started(pid: int) -> str:
    """When the process started, in the system's own count; "" if there is none or it has ended."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # The name in brackets may hold anything, so fields are counted from its end.
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in ("Z", "X") else fields[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "runs"
    return "runs"
