"""A site of runs on this machine, with the progress of those that are still running.

Serves files of two folders, the site's and that of the runs, and the state of studies; it
listens on this machine alone, answers GET and HEAD, and changes nothing but the site.
"""

import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from seedbed.core.errors import InputError, SeedbedError
from seedbed.report.live import Watched
from seedbed.report.live_page import HOST, NAMES, page, rendered
from seedbed.report.running import FINISHED, IDLE, STOPPED, state_of
from seedbed.runs.index import Index
from seedbed.runs.summary import Summary

Build = Callable[[Sequence[Summary], Path], object]
EVERY = 3.0
"""Seconds between looks at the folder of runs."""
LIVE = "/-/"
"""Addresses of running studies begin so; no file's does."""
TYPES = {
    ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml",
    ".png": "image/png", ".json": "application/json", ".jsonl": "application/jsonl",
    ".yaml": "application/yaml", ".txt": "text/plain", ".csv": "text/csv", ".md": "text/markdown",
    ".ico": "image/x-icon", ".woff2": "font/woff2", ".npz": "application/octet-stream",
}  # fmt: skip
"""What is served, by the ending of its name; nothing else is."""
_BINARY = {".png", ".ico", ".woff2", ".npz"}
_SHOWN, _PATIENCE, _REST = 40, 3.0, 5.0


@dataclass
class Viewed:
    """The runs under `root` and their site in `out`, which `build` writes.

    `look` is for one thread; everything else may be called from any. Raises InputError if `root`
    is no folder that runs can lie under.
    """

    root: Path
    out: Path
    build: Build
    built: str = ""
    building: bool = False
    trouble: str = ""
    runs: int = 0
    _index: Index | None = None
    _last: tuple[tuple[object, ...], ...] | None = None
    _not_before: float = 0.0
    _known: dict[Path, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        Index.open(self.root)
        self.root, self.out = self.root.resolve(), self.out.resolve()
        if self.root.is_relative_to(self.out):
            # All files of the site are given, hidden ones too.
            raise InputError(f"{self.out}: holds the runs; name another folder for the site")
        if self.out.is_file():
            raise InputError(f"{self.out}: is a file, a folder for the site is needed")
        # Links from the site to run folders are relative, so both keep their places.
        self.top = Path(os.path.commonpath([self.root, self.out]))

    @property
    def home(self) -> str:
        """The address of the site's first page."""
        return self.address(self.out / "index.html")

    def address(self, path: Path) -> str:
        """The address of a file under the site or the runs."""
        return "/" + quote(path.relative_to(self.top).as_posix())

    def look(self) -> bool:
        """Read what changed in the run folders, and build the site if any did; whether it was."""
        if self._index is None:
            # The database belongs to the thread that opened it.
            self._index = Index.open(self.root)
        self._index.refresh()
        runs = self._index.runs(lines=False)
        with self._lock:
            now = {r.folder.resolve(): str(r.state) for r in runs}
            # Those that were seen at work stay in sight when they end.
            kept = {p: now[p] for p in self._known if p in now}
            self._known = kept | {p: s for p, s in now.items() if s == "unfinished"}
            self.runs = len(runs)
        # The size of a run that is being written changes all the time.
        found = tuple(
            (str(r.folder), r.state, r.finished, r.digest, r.state == "finished" and r.bytes)
            for r in runs
        )
        if not runs or found == self._last or time.monotonic() < self._not_before:
            return False
        self._last = found
        self._write(self._index.runs())
        return True

    def _write(self, runs: Sequence[Summary]) -> None:
        self.building, started = True, time.monotonic()
        try:
            self.build(runs, self.out)
            self.built, self.trouble = f"{datetime.now():%H:%M:%S}", ""
        except Exception as error:
            # Whatever is wrong with the site, progress is still shown.
            self.trouble = " ".join(f"{error}".split()) or type(error).__name__
            sys.stderr.write(f"the site could not be built: {self.trouble}\n")
            if not isinstance(error, SeedbedError | OSError):
                traceback.print_exc()
        finally:
            self.building = False
            # A large site takes long: most of the time is left to the studies.
            self._not_before = time.monotonic() + _REST * (time.monotonic() - started)

    def keep(self, ended: Event, every: float = EVERY) -> None:
        """Look every so many seconds until `ended` is set."""
        while not ended.is_set():
            try:
                self.look()
            except (SeedbedError, OSError) as error:
                self.trouble = " ".join(str(error).split())
            ended.wait(every)

    def studies(self) -> list[Path]:
        """Run folders that are at work, or were while somebody looked."""
        with self._lock:
            return sorted(self._known)

    def state(self) -> dict[str, Any]:
        """Plain values: the `studies`, those at work first, and how the site stands."""
        order = {IDLE: 2, FINISHED: 1, STOPPED: 1}
        found = [self._study(path) for path in self.studies()]
        found.sort(key=lambda one: (order.get(one["state"], 0), one["folder"]))
        return {
            "studies": found[:_SHOWN], "built": self.built, "building": self.building,
            "trouble": self.trouble, "runs": self.runs,
        }  # fmt: skip

    def _study(self, path: Path) -> dict[str, Any]:
        name = path.relative_to(self.root).as_posix()
        report = path / "report.html"
        more = {"folder": name, "address": f"{LIVE}run/{quote(name)}/",
                "report": self.address(report) if report.is_file() else ""}  # fmt: skip
        return {**state_of(path), **more}

    def at_work(self) -> int:
        """How many studies say that they are running."""
        return sum(state_of(path)["state"] == "running" for path in self.studies())

    def file(self, address: str) -> Path | None:
        """The file of an address without its query; None unless it is one that may be served.

        It lies under the site or the runs even when links are followed, its name ends like one of
        `TYPES`, and below the runs nothing hidden is on its way.
        """
        parts = unquote(address).removeprefix("/").split("/")
        if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
            return None
        path = self.top.joinpath(*parts)
        if path.suffix.lower() not in TYPES:
            return None
        try:
            real = path.resolve(strict=True)
        except (OSError, ValueError):
            return None
        if not real.is_file():
            return None
        if real.is_relative_to(self.out):
            return real
        if not real.is_relative_to(self.root):
            return None
        hidden = any(part.startswith(".") for part in real.relative_to(self.root).parts)
        return None if hidden else real

    def run_of(self, name: str) -> Path | None:
        """The run folder of that name under the root, if it is one of `studies`."""
        return next(
            (p for p in self.studies() if p.relative_to(self.root).as_posix() == name), None
        )


def server(viewed: Viewed, port: int = 0) -> ThreadingHTTPServer:
    """A server of the site on this machine; port 0 takes a free one. Not started yet.

    Raises InputError if the port cannot be had.
    """
    handler = type("Handler", (_Handler,), {"viewed": viewed})
    try:
        return ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError(f"port {port}: {why}; --port 0 takes a free one") from error


class _Handler(BaseHTTPRequestHandler):
    viewed: Viewed

    def do_GET(self) -> None:
        # Another site's name that leads to this machine must not read the runs.
        if self.headers.get("Host", "").rpartition(":")[0] not in NAMES:
            self._say(403, "text/plain", b"this server answers this machine alone")
            return
        path = urlsplit(self.path).path
        if path == "/":
            there = (self.viewed.out / "index.html").is_file()
            self._lead(self.viewed.home if there else LIVE)
        elif path.startswith(LIVE):
            self._live(path.removeprefix(LIVE))
        else:
            self._file(path)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _live(self, rest: str) -> None:
        if rest == "":
            text = rendered("view", "Studies that are running", root=str(self.viewed.root))
            self._say(200, "text/html", text.encode())
        elif rest == "state.json":
            self._say(200, "application/json", json.dumps(self.viewed.state()).encode())
        else:
            self._run(unquote(rest))

    def _run(self, rest: str) -> None:
        name, slash, last = rest.removeprefix("run/").rpartition("/")
        run = self.viewed.run_of(name) if rest.startswith("run/") and slash else None
        if run is None or last not in ("", "state.json"):
            self._none()
            return
        try:
            watched = Watched(run)
            told = page(watched) if last == "" else json.dumps(watched.state())
        except SeedbedError as error:
            self._say(503, "text/plain", str(error).encode())
            return
        self._say(200, "application/json" if last else "text/html", told.encode())

    def _file(self, path: str) -> None:
        viewed, until = self.viewed, time.monotonic() + _PATIENCE
        while (found := viewed.file(path)) is None and viewed.building:
            # For a moment a site that is replaced is not there.
            if time.monotonic() > until:
                break
            time.sleep(0.05)
        if found is None:
            self._none()
            return
        kind = TYPES[found.suffix.lower()]
        try:
            if kind == "text/html" and found.is_relative_to(viewed.out):
                self._say(200, kind, with_bar(found.read_bytes(), viewed.at_work()))
                return
            with found.open("rb") as file:
                text = found.suffix.lower() not in _BINARY
                self._head(200, kind, os.fstat(file.fileno()).st_size, text)
                if self.command == "GET":
                    shutil.copyfileobj(file, self.wfile)
        except FileNotFoundError:
            self._none()

    def _none(self) -> None:
        self._say(404, "text/plain", b"there is no such page here")

    def _lead(self, address: str) -> None:
        self.send_response(302)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _say(self, status: int, kind: str, body: bytes) -> None:
        self._head(status, kind, len(body), text=True)
        if self.command == "GET":
            self.wfile.write(body)

    def _head(self, status: int, kind: str, size: int, text: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if text else kind)
        self.send_header("Content-Length", str(size))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
        pass


def with_bar(html: bytes, running: int) -> bytes:
    """A page of the site with a link to the studies that are running, at its very top."""
    words = {0: "nothing runs now", 1: "1 study is running"}.get(
        running, f"{running} studies are running"
    )
    bar = (
        '<aside aria-label="Live" style="padding:.3rem 1.5rem;font:.875rem system-ui,sans-serif;'
        f'border-bottom:1px solid var(--line)"><a href="{LIVE}">{words}</a></aside>'
    ).encode()
    start = html.find(b"<body")
    end = html.find(b">", start) + 1
    return html[:end] + bar + html[end:] if start >= 0 and end else html
