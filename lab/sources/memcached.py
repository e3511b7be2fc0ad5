"""What memcached tells of itself: ``stats`` every second, slabs and items every five, and a ``watch`` capture where a case asks for one."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from lab.sources import FileSource, Place, Sampler, Source, block, write_head

if TYPE_CHECKING:
    from lab.processes import Run


class Stats(Sampler):
    """The answer to a ``stats`` command, a block each time."""

    def __init__(self, run: Run, port: int, command: str = "stats", interval: float = 1.0) -> None:
        name = f"memcached-{command.replace(' ', '-')}.txt"
        super().__init__(name, "cache", run.home("observer-memcached") / name, interval)
        self.port, self.command = port, command

    def sample(self) -> str:
        """``STAT name value`` lines, and ``END``."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as server, server.makefile("r", newline="\n") as answer:
            server.sendall(f"{self.command}\r\n".encode())
            lines: list[str] = []
            while not lines or lines[-1] not in ("END", "ERROR", "RESET"):
                lines.append(answer.readline().strip())
                if not lines[-1]:
                    raise OSError("memcached closed the connection")
        return block(self.command, "\n".join(lines))


class Watch(FileSource):
    """``watch fetchers mutations evictions``: every command on keys. At most `limit` lines of a cut are kept, from its begin."""

    def __init__(self, run: Run, port: int, what: str = "fetchers mutations evictions", limit: int = 20_000) -> None:
        super().__init__("memcached-watch.txt", "cache", run.home("observer-memcached") / "memcached-watch.txt")
        self.port, self.what, self.limit = port, what, limit
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Starts the capture."""
        self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        self._socket.sendall(f"watch {self.what}\r\n".encode())
        self._socket.settimeout(None)
        self._thread = threading.Thread(target=self._copy, args=(self._socket,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Ends it."""
        if self._socket:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        if self._thread:
            self._thread.join(5)

    def cut(self, a: Place, b: Place, folder: Path) -> None:
        """The first `limit` lines between two marks."""
        write_head(self.read(a, b), folder / self.name, self.limit)

    def _copy(self, server: socket.socket) -> None:
        with self.path.open("ab") as out, contextlib.suppress(OSError):
            while data := server.recv(65536):
                out.write(data.replace(b"\r\n", b"\n"))
                out.flush()


def everything(run: Run, port: int, *, watch: bool = False) -> list[Source]:
    """Counters; with `watch` every command too."""
    found: list[Source] = [Stats(run, port), Stats(run, port, "stats slabs", 5.0), Stats(run, port, "stats items", 5.0)]
    return [*found, Watch(run, port)] if watch else found
