"""What is recorded of a stack: one kind of evidence in each module, in the formats of stock tools.

Nearly everything is a text file that only grows. Its position is marked at the begin and at the end of each part of the
recording, and what lies between two marks is cut out at the end. :class:`FileSource` is a file that somebody else writes;
:class:`Sampler` writes its own, a snapshot at an interval and one at every mark, so that differences of counters between two
marks are exact.
"""

from __future__ import annotations

import shutil
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from lab.processes import Run

#: What `withhold` of a case can name.
KINDS = (
    "access-log", "app-log", "database-log", "sessions", "statements", "db-objects", "plans", "traces", "metrics", "runtime", "host",
    "cache", "proxy-log", "events",
)  # fmt: skip


class Source(ABC):
    """Evidence of one kind. `name` is the name of the file (or folder) that a cut writes."""

    def __init__(self, name: str, kind: str) -> None:
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of evidence; known: {', '.join(KINDS)}")
        self.name, self.kind = name, kind

    def begin(self) -> None:  # noqa: B027
        """Starts recording, where that needs anything."""

    def end(self) -> None:  # noqa: B027
        """Stops recording. Cuts are made afterwards too."""

    @abstractmethod
    def mark(self) -> Any:
        """The position now."""

    @abstractmethod
    def cut(self, a: Any, b: Any, folder: Path) -> None:
        """Writes what was recorded between two marks into a folder."""


class Place(NamedTuple):
    """A position in a growing file: bytes before and after the snapshot that was taken at the mark, and the time (epoch seconds)."""

    before: int
    after: int
    time: float


class FileSource(Source):
    """A text file that only grows. Cuts begin and end at ends of lines; the file's first `header` lines are repeated in every cut.

    A file that does not exist (yet) is an empty one, and an empty cut writes no file.
    """

    def __init__(self, name: str, kind: str, path: Path, header: int = 0) -> None:
        super().__init__(name, kind)
        self.path, self.header = path, header

    def mark(self) -> Place:
        """Bytes written so far."""
        size = self.size()
        return Place(size, size, time.time())

    def size(self) -> int:
        """Bytes written so far."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def read(self, a: Place, b: Place) -> bytes:
        """Whole lines between two marks, without the header."""
        if not self.path.is_file():
            return b""
        with self.path.open("rb") as lines:
            first = sum(len(lines.readline()) for _ in range(self.header))
            begin, end = (max(first, _line_end(lines, place)) for place in (a.before, b.after))
            lines.seek(begin)
            return lines.read(max(0, end - begin))

    def cut(self, a: Place, b: Place, folder: Path) -> None:
        """Writes whole lines between two marks."""
        text = self.read(a, b)
        if not text:
            return
        with (folder / self.name).open("wb") as out:
            with self.path.open("rb") as lines:
                out.writelines(lines.readline() for _ in range(self.header))
            out.write(text)


def _line_end(lines: Any, offset: int, block: int = 65536) -> int:
    """The last end of a line at or before `offset`."""
    while offset > 0:
        begin = max(0, offset - block)
        lines.seek(begin)
        found = lines.read(offset - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        offset = begin
    return 0


class Sampler(FileSource):
    """Appends what :meth:`sample` says to a file of its own: every `interval` seconds, and at every mark.

    A snapshot that fails is left out and counted, as a monitoring agent would leave it out: a database that is restarted or locked is part of some
    cases. `spent_s` is the CPU time of its thread so far.
    """

    def __init__(self, name: str, kind: str, path: Path, interval: float = 1.0, header: int = 0) -> None:
        super().__init__(name, kind, path, header)
        self.interval, self.spent_s, self.failed = interval, 0.0, 0
        self.error: str | None = None
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def sample(self) -> str:
        """One snapshot as text that ends with a line end (with its header line where `header` is set), or ""."""

    def close(self) -> None:
        """Lets connections go."""

    def begin(self) -> None:
        """Starts the thread."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._loop, name=f"observer-{self.name}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stops the thread."""
        self._stopped.set()
        if self._thread:
            self._thread.join(10)
        with self._lock:
            self.close()

    def mark(self) -> Place:
        """Takes a snapshot; the bytes before and after it."""
        with self._lock:
            now, before = time.time(), self.size()
            if not self._stopped.is_set():
                self._take()
            return Place(before, self.size(), now)

    def _loop(self) -> None:
        due = time.monotonic()
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            due = max(due + self.interval, time.monotonic())
            with self._lock:
                self._take()
            self.spent_s = time.thread_time()

    def _take(self) -> None:
        try:
            text = self.sample()
        except Exception as error:
            self.failed += 1
            self.error = f"{type(error).__name__}: {error}".strip()
            return
        if self.header and self.size():
            text = text.partition("\n")[2]
        with self.path.open("a") as out:
            out.write(text)


def stamp(seconds: float | None = None) -> str:
    """An instant (default: now) as RFC 3339 with milliseconds, UTC."""
    seconds = time.time() if seconds is None else seconds
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


def block(name: str, text: str) -> str:
    """A text block as a cron job would append it: ``# time <ISO> <name>`` and the text."""
    return f"# time {stamp()} {name}\n{text.rstrip()}\n"


def write_head(text: bytes, target: Path, limit: int) -> None:
    """Writes at most so many lines of a capture; an empty one writes no file."""
    lines = text.splitlines(keepends=True)[:limit]
    if lines:
        target.write_bytes(b"".join(lines))


def script(run: Run, component: str, file: Path) -> list[str]:
    """The command of an observer's process: its file is copied first, because the unprivileged user may not read this checkout."""
    copy = run.home(component) / file.name
    shutil.copyfile(file, copy)
    copy.chmod(0o644)
    return [run.python, str(copy)]
