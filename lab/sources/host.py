"""What the kernel tells: control groups of the components, pressure, the network's counters, and the reports of sysstat and procps.

Text of ``/proc`` and ``/sys/fs/cgroup`` is appended block after block, each under ``# time <ISO> <name>``. The name of this machine
is replaced; processes and sockets of anybody else are left out.
"""

from __future__ import annotations

import contextlib
import json
import platform
import re
import signal
import subprocess
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.sources import FileSource, Place, Sampler, Source, block

if TYPE_CHECKING:
    from lab.processes import Component, Run

#: Not of the system that is observed.
OURS = ("observer", "load", "proxy")
#: Read every second; everything else that a group has every fifth time.
OFTEN = ("cpu.stat", "cpuacct.usage", "memory.usage_in_bytes", "memory.current", "cpu.pressure", "io.pressure", "memory.pressure")
#: What sadf shows of what sar collected: CPU, load and pressure, memory, swapping, paging, disks, network, TCP.
SAR = ("-u", "-q", "ALL", "-r", "-W", "-B", "-w", "-b", "-d", "-n", "DEV,EDEV,TCP,ETCP,SOCK")


def observed(run: Run) -> list[Component]:
    """Components of the system itself that run now."""
    return [c for c in run.components if not c.name.startswith(OURS) and c.alive()]


class Groups(Sampler):
    """Control group files of every component, as ``cat`` shows them; also who was inside (for the other sources)."""

    def __init__(self, run: Run, interval: float = 1.0) -> None:
        super().__init__("cgroups.txt", "host", run.home("observer-host") / "cgroups.txt", interval)
        self.run, self.count = run, 0
        self.pids: set[int] = set()

    def sample(self) -> str:
        """All groups now."""
        seldom = self.count % 5 == 0
        self.count += 1
        blocks = []
        for group in {c.cgroup.name: c.cgroup for c in observed(self.run)}.values():
            self.pids.update(group.pids())
            files = group.files()
            if "cpu" in group.folders:  # beside it version 2 has a cpu.stat without throttling
                files["cpu.stat"] = group.folders["cpu"] / "cpu.stat"
            for name, path in files.items():
                if seldom or name in OFTEN:
                    with contextlib.suppress(OSError):
                        blocks.append(block(f"{group.name}/{name}", path.read_text()))
        return "".join(blocks)


class Kernel(Sampler):
    """Files of ``/proc``, block after block."""

    def __init__(self, name: str, run: Run, files: tuple[str, ...], interval: float) -> None:
        super().__init__(name, "host", run.home("observer-host") / name, interval)
        self.files = [Path(file) for file in files]

    def sample(self) -> str:
        """All of them now; what this kernel does not have is left out."""
        return "".join(block(str(file), file.read_text()) for file in self.files if file.is_file())


class Listeners(Sampler):
    """``ss -ltn``: connections that wait to be accepted (Recv-Q) and how many may (Send-Q), at the ports of this run."""

    def __init__(self, run: Run, interval: float = 2.0) -> None:
        super().__init__("ss-listeners.txt", "host", run.home("observer-host") / "ss-listeners.txt", interval)
        self.run = run

    def sample(self) -> str:
        """Listening sockets now."""
        text = subprocess.run(["ss", "-ltn"], capture_output=True, text=True, timeout=5, check=True).stdout
        first, *rest = text.splitlines()
        own = {Path(lock.name).name for lock in self.run._ports}
        kept = [line.rstrip() for line in rest if (port := re.search(r":(\d+)\s", line)) and port[1] in own]
        return block("ss -ltn", "\n".join([first.rstrip(), *kept]))


class Report(FileSource):
    """The output of a tool that reports every so many seconds, as a process of its own."""

    def __init__(self, name: str, run: Run, argv: list[str], header: int = 0, stop: signal.Signals = signal.SIGINT) -> None:
        self.component_name = "observer-" + name.partition(".")[0]
        super().__init__(name, "host", run.home(self.component_name) / name, header)
        self.run, self.argv, self.stop = run, argv, stop
        self.component: Component | None = None

    def begin(self) -> None:
        """Starts the tool."""
        self.component = self.run.start(self.component_name, self.argv, env={"S_TIME_FORMAT": "ISO", "S_COLORS": "never"}, log=self.path, stop=self.stop)

    def end(self) -> None:
        """Stops it."""
        if self.component:
            self.component.stop()

    def keep(self, line: bytes) -> bool:
        """Is the line of the observed system?"""
        return True

    def cut(self, a: Place, b: Place, folder: Path) -> None:
        """Lines between two marks, without this machine's name."""
        super().cut(a, b, folder)
        written = folder / self.name
        if written.is_file():
            lines = [line for line in written.read_bytes().splitlines(keepends=True) if self.keep(line)]
            written.write_bytes(b"".join(lines).replace(platform.node().encode(), b"host"))


class Processes(Report):
    """``pidstat``: CPU, memory, disk and switches of each process of the components."""

    def __init__(self, run: Run, groups: Groups, interval: int = 2) -> None:
        super().__init__("pidstat.txt", run, ["pidstat", "-hurdwH", "-U", run.user.pw_name, str(interval)])
        self.groups = groups

    def keep(self, line: bytes) -> bool:
        """Only processes that were seen in one of the components' groups."""
        fields = line.split()
        return not (len(fields) > 2 and fields[0].isdigit()) or int(fields[2]) in self.groups.pids


class Sar(Report):
    """``sar -o`` every second; a cut is what ``sadf -j`` says of it."""

    def __init__(self, run: Run) -> None:
        self.data = run.home("observer-sar") / "sa"
        super().__init__("sar.json", run, ["/usr/lib/sysstat/sadc", "-S", "XALL", "1", str(self.data)])

    def cut(self, a: Place, b: Place, folder: Path) -> None:
        """The statistics between two marks."""
        if not self.data.is_file():
            return
        said: dict[str, Any] = json.loads(subprocess.run(["sadf", "-j", str(self.data), "--", *SAR], capture_output=True, text=True, timeout=30, check=True).stdout)
        for host in said["sysstat"]["hosts"]:
            host["nodename"] = "host"
            host["statistics"] = [s for s in host["statistics"] if a.time <= _instant(s["timestamp"]) <= b.time]
            for one in host["statistics"]:
                _only_busy(one)
        (folder / self.name).write_text(json.dumps(said, indent=1) + "\n")


def _instant(said: dict[str, Any]) -> float:
    return datetime.fromisoformat(f"{said['date']}T{said['time']}+00:00").timestamp()


def _only_busy(statistics: dict[str, Any]) -> None:
    """Leaves out loop and RAM devices, as ``iostat -z`` leaves out what is idle."""
    if "disk" in statistics:
        statistics["disk"] = [d for d in statistics["disk"] if any(isinstance(v, float | int) and v for v in d.values())]


def everything(run: Run) -> list[Source]:
    """All of it."""
    groups = Groups(run)
    return [
        groups,
        Kernel("pressure.txt", run, ("/proc/pressure/cpu", "/proc/pressure/io", "/proc/pressure/memory"), 1.0),
        Kernel("net.txt", run, ("/proc/net/netstat", "/proc/net/snmp", "/proc/net/sockstat"), 5.0),
        Listeners(run),
        Sar(run),
        # A shell ignores SIGINT for what it starts in the background, and so does vmstat then; the tools of sysstat set it anew.
        Report("vmstat.txt", run, ["vmstat", "-n", "-t", "-w", "1"], header=2, stop=signal.SIGTERM),
        Report("iostat.txt", run, ["iostat", "-dxtyz", "1"]),
        Processes(run, groups),
    ]
