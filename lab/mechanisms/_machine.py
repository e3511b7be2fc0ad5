"""What the cases about the machine itself have in common: the application's control groups, what they used, and signs of a rise."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lab.mechanism import Sign

if TYPE_CHECKING:
    from lab.cgroups import Group
    from lab.observed import Phase
    from lab.stack import Stack


def replicas(stack: Stack) -> list[Group]:
    """The control groups of the application's processes, in order."""
    found = {c.cgroup.name: c.cgroup for c in stack.run.components if c.name.startswith("app-")}
    return [found[name] for name in sorted(found)]


def used_s(groups: Sequence[Group]) -> float:
    """CPU seconds that groups used so far."""
    total = 0.0
    for files in (g.files() for g in groups):
        if "cpuacct.usage" in files:
            total += int(files["cpuacct.usage"].read_text()) / 1e9
        else:
            total += int(dict(line.split() for line in files["cpu.stat"].read_text().splitlines())["usage_usec"]) / 1e6
    return total


def pin(stack: Stack, groups: Sequence[Group], cores: Sequence[int]) -> None:
    """Confines groups to cores for the rest of the recording."""
    for group in groups:
        stack.run.undo(lambda g=group: g.cores(None))
        group.cores(cores)


def paths(stack: Stack, *names: str) -> list[str]:
    """The paths of routes by their names; of all where none is given."""
    return [r.path for r in stack.routes if not names or r.name in names]


def app_cpu(part: Phase) -> float:
    """Cores that the application used."""
    return sum(use.cpu_s for use in part.groups("app-*").values()) / part.seconds


def app_stalled(part: Phase) -> float:
    """Seconds of each second in which some process of a replica was ready and got no core, mean of the replicas."""
    told = [use.stalled_s["cpu"] for use in part.groups("app-*").values()]
    return sum(told) / part.seconds / max(1, len(told))


def rise(what: str, unit: str, values: Sequence[float], times: float, *, least: float = 0.0, back: float = 0.4) -> Sign:
    """A value that the fault makes `times` as large (and at least `least`), and whose fix takes back all but the share `back` of the growth."""
    healthy, fault, fixed = values
    risen = fault >= times * healthy and fault >= least
    ok = risen and fixed <= healthy + back * (fault - healthy)
    floor = f" and {least:g}" if least else ""
    return Sign(what, healthy, fault, fixed, unit, f"fault at least {times:g} × healthy{floor}, fixed keeps at most {back:.0%} of the growth", ok)


def steady(what: str, unit: str, values: Sequence[float], within: float) -> Sign:
    """A value that the fault must not change beyond a factor, against the quieter other part: a harmless deploy may have been in the other."""
    healthy, fault, fixed = values
    quiet = min(healthy, fixed)
    return Sign(what, healthy, fault, fixed, unit, f"fault within a factor {within:g} of the quieter part", quiet / within <= fault <= quiet * within)


def repetitions(work: Callable[[int], object], seconds: float) -> int:
    """How often `work` repeats its step so that one call takes so many CPU seconds on this machine."""
    work(8)
    best, n = 0.0, 64
    while best < 0.02:
        n *= 2
        best = min(_cpu_s(work, n) for _ in range(3))
    return max(1, round(n * seconds / best))


def _cpu_s(work: Callable[[int], object], n: int) -> float:
    begin = time.process_time()
    work(n)
    return time.process_time() - begin
