"""What Redis tells of itself: INFO every second, its slow log every five, and a MONITOR capture where a case asks for one."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from lab.sources import FileSource, Place, Sampler, Source, block, write_head

if TYPE_CHECKING:
    from lab.processes import Component, Run


class Info(Sampler):
    """``redis-cli INFO all``, a block every second."""

    def __init__(self, run: Run, port: int, interval: float = 1.0) -> None:
        super().__init__("redis-info.txt", "cache", run.home("observer-redis") / "redis-info.txt", interval)
        self.port = port

    def sample(self) -> str:
        """All sections now."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as server, server.makefile("rb") as answer:
            server.sendall(b"INFO all\r\n")
            size = int(answer.readline()[1:])
            text = answer.read(size).decode("utf-8", "replace")
        # Where it is installed is nobody's business.
        lines = [line for line in text.splitlines() if not line.startswith(("executable:", "config_file:"))]
        return block("INFO", "\n".join(lines))


class SlowLog(Sampler):
    """``redis-cli SLOWLOG GET`` every few seconds; what was told is forgotten by the server, so that nothing is told twice."""

    def __init__(self, run: Run, port: int, interval: float = 5.0) -> None:
        super().__init__("redis-slowlog.txt", "cache", run.home("observer-redis") / "redis-slowlog.txt", interval)
        self.command = ["redis-cli", "-p", str(port)]

    def sample(self) -> str:
        """New entries as redis-cli shows them to a person."""
        text = subprocess.run([*self.command, "--no-raw", "SLOWLOG", "GET", "128"], capture_output=True, text=True, timeout=5, check=True).stdout
        if "1) 1)" not in text:
            return ""
        subprocess.run([*self.command, "SLOWLOG", "RESET"], capture_output=True, timeout=5, check=True)
        return block("SLOWLOG GET", text)


class Monitor(FileSource):
    """``redis-cli MONITOR``: every command. At most `limit` lines of a cut are kept, from its begin."""

    def __init__(self, run: Run, port: int, limit: int = 20_000) -> None:
        super().__init__("redis-monitor.txt", "cache", run.home("observer-redis-monitor") / "redis-monitor.txt")
        self.run, self.port, self.limit = run, port, limit
        self._component: Component | None = None

    def begin(self) -> None:
        """Starts the capture."""
        self._component = self.run.start("observer-redis-monitor", ["redis-cli", "-p", self.port, "MONITOR"], log=self.path)

    def end(self) -> None:
        """Ends it."""
        if self._component:
            self._component.stop()

    def cut(self, a: Place, b: Place, folder: Path) -> None:
        """The first `limit` commands between two marks."""
        write_head(self.read(a, b), folder / self.name, self.limit)


def everything(run: Run, port: int, *, monitor: bool = False) -> list[Source]:
    """INFO and the slow log; with `monitor` every command too."""
    return [Info(run, port), SlowLog(run, port), *([Monitor(run, port)] if monitor else [])]
