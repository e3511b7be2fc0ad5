"""One control group for each component: what it may use, and what it used.

Both layouts of Linux are served: one hierarchy a controller (version 1) and the single hierarchy (version 2). Where version 1
is mounted beside an empty version 2, the component is in both, because pressure (PSI) is told by version 2 only.

Source: Linux Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from lab.errors import NotRecordable

ROOT = Path("/sys/fs/cgroup")
PARENT = "perfaudit-lab"
CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "blkio", "freezer", "pids")
TOLD = (
    "cpu.stat", "cpuacct.usage", "cpuset.cpus", "cpu.cfs_quota_us", "cpu.shares", "cpu.max", "cpu.weight", "memory.usage_in_bytes", "memory.current", "memory.stat", "memory.failcnt", "cpu.pressure",
    "memory.pressure", "io.pressure", "blkio.throttle.io_service_bytes", "blkio.throttle.io_serviced", "io.stat",
)  # fmt: skip
PERIOD_US = 100_000
#: Weight of all recordings together. The default (1024) is that of one process outside: a single busy process would then take
#: half of the machine from all stacks together, which no operator sees on a server of his own.
SHARES = 64 * 1024


def _hierarchies() -> dict[str, Path]:
    if (ROOT / "cgroup.controllers").is_file():
        return {"unified": ROOT}
    found = {name: ROOT / name for name in CONTROLLERS if (ROOT / name / "cgroup.procs").is_file()}
    if (ROOT / "unified" / "cgroup.procs").is_file():
        found["unified"] = ROOT / "unified"
    return found


def _write(path: Path, value: object) -> None:
    try:
        path.write_text(f"{value}\n")
    except OSError as error:
        raise NotRecordable(f"cannot set {path.name} to {value}: {error.strerror}\nrun as root on a machine whose control groups can be written") from None


class Group:
    """The control group of one component in every hierarchy that can be written; none at all without the right to."""

    def __init__(self, run: str, name: str) -> None:
        self.name = name
        self.folders: dict[str, Path] = {}
        for controller, root in _hierarchies().items():
            folder = root / PARENT / run / name
            try:
                folder.mkdir(parents=True, exist_ok=True)
                if controller == "cpu":
                    (root / PARENT / "cpu.shares").write_text(str(SHARES))
                if controller == "cpuset":
                    for level in (root / PARENT, root / PARENT / run, folder):
                        for file in ("cpuset.cpus", "cpuset.mems"):
                            if not (level / file).read_text().strip():
                                (level / file).write_text((level.parent / file).read_text())
                if controller == "unified" and root == ROOT:
                    for level in (root, root / PARENT, root / PARENT / run):
                        for wanted in ("cpu", "cpuset", "io", "memory", "pids"):
                            with contextlib.suppress(OSError):
                                (level / "cgroup.subtree_control").write_text(f"+{wanted}")
            except OSError:
                continue
            self.folders[controller] = folder

    @property
    def doors(self) -> list[Path]:
        """The files into which a process writes its id to come in."""
        return [folder / "cgroup.procs" for folder in self.folders.values()]

    def pids(self) -> list[int]:
        """Processes inside, now."""
        found: set[int] = set()
        for door in self.doors:
            with contextlib.suppress(OSError):
                found.update(int(pid) for pid in door.read_text().split())
        return sorted(found)

    def files(self) -> dict[str, Path]:
        """What the kernel tells of this group: name → readable path, only what exists here."""
        # Version 1 last: its cpu.stat counts throttled periods, the one of an empty version 2 beside it does not.
        folders = sorted(self.folders.items(), key=lambda pair: pair[0] != "unified")
        return {name: folder / name for _, folder in folders for name in TOLD if (folder / name).is_file()}

    def cpu(self, cores: float | None) -> None:
        """At most so many cores' worth of time in each period of 100 ms; None lifts the limit."""
        quota = None if cores is None else max(1000, int(cores * PERIOD_US))
        if "cpu" in self.folders:
            _write(self._file("cpu", "cpu.cfs_period_us"), PERIOD_US)
            _write(self._file("cpu", "cpu.cfs_quota_us"), -1 if quota is None else quota)
        else:
            _write(self._file("unified", "cpu.max"), f"{'max' if quota is None else quota} {PERIOD_US}")

    def weight(self, shares: int) -> None:
        """Its part of a core that others want too, in the shares of version 1 (everybody's default is 1024)."""
        if "cpu" in self.folders:
            _write(self._file("cpu", "cpu.shares"), shares)
        else:
            _write(self._file("unified", "cpu.weight"), 1 + (shares - 2) * 9999 // 262142)

    def cores(self, cores: Sequence[int] | None) -> None:
        """Only these cores; None gives all back."""
        wanted = range(os.cpu_count() or 1) if cores is None else cores
        _write(self._file("cpuset" if "cpuset" in self.folders else "unified", "cpuset.cpus"), ",".join(map(str, wanted)))

    def memory(self, size: int | None) -> None:
        """At most so many bytes; None lifts the limit."""
        if "memory" in self.folders:
            _write(self._file("memory", "memory.limit_in_bytes"), -1 if size is None else size)
        else:
            _write(self._file("unified", "memory.max"), "max" if size is None else size)

    def disk(self, device: str, *, read_bps: int = 0, write_bps: int = 0, read_iops: int = 0, write_iops: int = 0) -> None:
        """At most so many bytes or operations a second on a device (``major:minor``); 0 means no limit."""
        limits = {"read_bps": read_bps, "write_bps": write_bps, "read_iops": read_iops, "write_iops": write_iops}
        if "blkio" in self.folders:
            for name, value in limits.items():
                _write(self._file("blkio", f"blkio.throttle.{name}_device"), f"{device} {value}")
        else:
            short = {"read_bps": "rbps", "write_bps": "wbps", "read_iops": "riops", "write_iops": "wiops"}
            _write(self._file("unified", "io.max"), device + "".join(f" {short[k]}={v or 'max'}" for k, v in limits.items()))

    def end(self) -> None:
        """Ends whoever is still inside, and removes the group."""
        for _ in range(50):
            left = self.pids()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                break
            time.sleep(0.02)
        remove([*self.folders.values()])

    def _file(self, controller: str, name: str) -> Path:
        if controller not in self.folders or not (self.folders[controller] / name).exists():
            raise NotRecordable(f"no control group with {name} can be made here\nrun as root on a machine with the {controller} controller")
        return self.folders[controller] / name


def remove(folders: Sequence[Path]) -> None:
    """Takes empty groups away, and the groups above them when they are empty too."""
    for folder in folders:
        for level in (folder, folder.parent, folder.parent.parent):
            if PARENT not in level.parts:
                break
            for _ in range(250):
                try:
                    level.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    if level != folder:
                        break
                    time.sleep(0.02)
                else:
                    break


def leftovers(run: str) -> list[Path]:
    """Groups of a run that still exist, innermost first."""
    found: list[Path] = []
    for root in _hierarchies().values():
        top = root / PARENT / run
        if top.is_dir():
            found += [p for p in top.iterdir() if p.is_dir()] + [top]
    return found
