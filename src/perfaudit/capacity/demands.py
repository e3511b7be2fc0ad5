"""What a request costs each station in CPU time, and what twice of the busiest would bring.

CPU seconds come from counters (node, container, process); service demand is their regression on completions (Lazowska et al. 1984, ch. 12).
Bounds are asymptotic: X ≤ c/D at every station. What two of a station bring is exact mean value analysis; a station of c servers counts as
one of demand D/c and a delay of D(c−1)/c (Seidmann et al. 1987).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfaudit.capacity.points import Points
from perfaudit.evidence.store import Evidence
from perfaudit.stats import queueing
from perfaudit.stats.percentile import Interval

Array = NDArray[np.float64]

#: Counters of CPU seconds, the level they speak of, and the labels that name a station (the first that is there).
COUNTERS = {
    "node_cpu_seconds_total": ("node", ("instance", "node", "host")),
    "container_cpu_usage_seconds_total": ("container", ("container", "name", "container_name", "pod", "id")),
    "process_cpu_seconds_total": ("process", ("job", "service", "name", "instance")),
}
#: Modes in which a CPU of a node does nothing (waiting for a disk included).
IDLE = frozenset({"idle", "iowait", "steal"})
#: Fewer intervals than this make no regression.
LEAST_INTERVALS = 8
#: Busy time belongs to requests when they explain at least half of how it varies.
EXPLAINED = 0.5
#: A station below this share of all CPU time is not listed.
SMALL = 0.01


@dataclass(frozen=True)
class Station:
    """A station: ``demand`` in seconds of CPU per request, ``idle`` busy servers without any, ``busy`` servers at the busiest load.

    ``servers`` is None where nothing says how many there are; then there is no ``utilisation`` (0–1) and no ``bound`` (requests per second).
    ``attributed``: busy time follows requests, so it is theirs; else the demand counts everything that ran there, and is an upper bound.
    ``doubled``: throughput with two of it over throughput now, ``then`` what limits after that.
    """

    name: str
    level: str
    demand: Interval
    idle: Interval
    explained: float
    n: int
    busy: float
    attributed: bool = False
    servers: float | None = None
    utilisation: float | None = None
    bound: Interval | None = None
    doubled: Interval | None = None
    then: str = ""


def stations(evidence: Evidence, points: Points) -> list[Station]:
    """Every station with counters of CPU time over the intervals of ``points``, the largest demand first."""
    if not evidence.has("metrics") or not points.ordered:
        return []
    edges = np.concatenate([points.time, points.time + int(points.step * 1e6)])
    span = f"time BETWEEN make_timestamp({int(edges.min()) - 120_000_000}) AND make_timestamp({int(edges.max()) + 120_000_000})"
    names = ", ".join(f"'{name}'" for name in COUNTERS)
    rows = evidence.rows(f"SELECT name, labels, epoch_us(time), value FROM metrics WHERE name IN ({names}) AND {span} AND value IS NOT NULL ORDER BY name, labels::VARCHAR, time")
    busy, servers = _busy(rows, points)
    found = [s for key in sorted(busy) if (s := _station(key, busy[key], servers.get(key), points)) is not None]
    total = {level: sum(s.demand.value for s in found if s.level == level) for level in {s.level for s in found}}
    found = [s for s in found if s.demand.value >= SMALL * total[s.level]]
    return sorted(_doubled(found, points), key=lambda s: (-(s.utilisation or 0.0), -s.demand.value, s.name))


def _busy(rows: list[tuple[Any, ...]], points: Points) -> tuple[dict[tuple[str, str], Array], dict[tuple[str, str], float]]:
    """Busy servers per interval of every station, and how many a node has."""
    series: dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[int, float]]] = {}
    for name, labels, time, value in rows:
        series.setdefault((name, tuple(sorted(dict(labels or {}).items()))), []).append((time, value))
    busy: dict[tuple[str, str], Array] = {}
    cpus: dict[tuple[str, str], set[str]] = {}
    step = int(points.step * 1e6)
    for (name, items), samples in series.items():
        labels = dict(items)
        level, wanted = COUNTERS[name]
        key = (level, next((labels[w] for w in wanted if labels.get(w)), level))
        if level == "node":
            cpus.setdefault(key, set()).add(labels.get("cpu", ""))
            if labels.get("mode") in IDLE:
                continue
        if len(samples) < 2:
            continue
        time, value = np.array([t for t, _ in samples], np.int64), np.array([v for _, v in samples])
        steps = np.diff(value, prepend=value[0])
        total = np.cumsum(np.where(steps < 0, value, steps))  # a counter that was reset begins again at its value
        spent = np.interp(points.time + step, time, total) - np.interp(points.time, time, total)
        outside = (points.time + step <= time[0]) | (points.time >= time[-1])
        busy[key] = busy.get(key, np.zeros(len(points.time))) + np.where(outside, 0.0, spent / points.step)
    return busy, {key: float(len(found)) for key, found in cpus.items()}


def _station(key: tuple[str, str], busy: Array, servers: float | None, points: Points) -> Station | None:
    known = np.isfinite(busy) & (busy > 0)
    if known.sum() < LEAST_INTERVALS:
        return None
    found = queueing.service_demand(busy[known], points.throughput[known], block=points.block)
    demand = found.classes[0]
    attributed = found.explained >= EXPLAINED and bool(demand.low)
    if not attributed:
        ratio = busy[known] / points.throughput[known]
        low, high = np.quantile(ratio, [0.025, 0.975])
        demand, found = Interval(float(ratio.mean()), float(low), float(high)), found._replace(idle=Interval(0.0, 0.0, 0.0))
    at = float(np.median(busy[points.throughput >= np.quantile(points.throughput, 0.95, method="inverted_cdf")]))
    station = Station(key[1], key[0], demand, found.idle, found.explained, int(known.sum()), at, attributed)
    if servers is None:
        return station
    free = max(0.0, servers - found.idle.value)
    bound = Interval(free / demand.value, free / demand.high if demand.high else None, free / demand.low if demand.low else None)
    return replace(station, servers=servers, utilisation=min(1.0, at / servers), bound=bound)


def _doubled(found: list[Station], points: Points) -> list[Station]:
    """What two of the busiest station with known servers bring, with the requests in flight of the busiest load."""
    sized = [s for s in found if s.servers and s.attributed]
    if not sized:
        return found
    most = max(sized, key=lambda s: s.utilisation or 0.0)
    top = points.throughput >= np.quantile(points.throughput, 0.95, method="inverted_cdf")
    population = max(1, round(float(points.load[top].mean())))
    response = float(points.load[top].mean() / points.throughput[top].mean())
    ends = [_gain(sized, most, population, response, which) for which in ("value", "low", "high")]
    others = [s for s in sized if s is not most]
    then = max(others, key=lambda s: s.utilisation or 0.0).name if others else ""
    return [replace(s, doubled=Interval(ends[0], min(ends), max(ends)), then=then) if s is most else s for s in found]


def _gain(sized: list[Station], most: Station, population: int, response: float, end: str) -> float:
    per = [(getattr(s.demand, end) or s.demand.value) for s in sized]

    def throughput(copies: float) -> float:
        servers = [max(0.01, (s.servers or 1.0) * (copies if s is most else 1.0) - s.idle.value) for s in sized]
        queue = [d / c for d, c in zip(per, servers, strict=True)]
        rest = max(0.0, response - sum(per)) + sum(d * max(0.0, c - 1) / c for d, c in zip(per, servers, strict=True))
        return float(queueing.mva(queue, min(10_000, 2 * population), rest).throughput[-1])

    return throughput(2.0) / throughput(1.0)
