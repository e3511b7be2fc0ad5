"""The load tests of a bundle: which result files tell of the same test, and what they tell, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.evidence.readers import discover
from perfaudit.evidence.readers._load import part_of
from perfaudit.evidence.store import Evidence, quote
from perfaudit.model import Window
from perfaudit.stats.arrivals import Flow, Stall, flow, stalls
from perfaudit.stats.percentile import Distribution

#: Result files that share this much of the shorter one's time tell of one test: a distributed generator, or two outputs of one.
SAME_TEST = 0.8
#: Totals without a time belong to a timed test when their numbers of requests differ by no more: requests in flight at the end, and set-up.
SAME_REQUESTS = 0.01
#: Totals that are no counts: the largest, or the smallest, of several files is kept.
_LARGEST, _SMALLEST = ("duration_us.max",), ("duration_us.min",)
#: Requests for each iteration from which a script is one of several steps.
SEVERAL = 1.2
#: No load test lasts longer than a week; counts that are further apart are of wrong clocks.
LONGEST_US = 7 * 86_400_000_000


@dataclass(frozen=True)
class Run:
    """One load test. ``starts``, ``durations`` (µs; −1: unknown) and ``status`` are arrays by start, empty where only totals are told."""

    tool: str
    told: str
    tests: tuple[str, ...]
    starts: NDArray[np.int64]
    durations: NDArray[np.int64]
    status: NDArray[np.int64]
    stages: tuple[dict[str, Any], ...]
    users: tuple[tuple[int, float], ...]
    most_users: float
    totals: dict[str, float]
    buckets: Distribution
    thresholds: tuple[dict[str, Any], ...] = ()
    flow: Flow | None = None
    stalls: tuple[Stall, ...] = field(default=())

    @property
    def window(self) -> Window | None:
        """From the first start to the last end, or of the stages; None where nothing has a time."""
        if len(self.starts):
            return Window(int(self.starts[0]), int((self.starts + np.maximum(self.durations, 0)).max()) + 1)
        timed = [s for s in self.stages if s["time"] is not None]
        return Window(timed[0]["time"], max(s["time"] + (s["duration_us"] or 0) for s in timed)) if timed else None

    @property
    def seconds(self) -> float:
        """Length of the test; 0 where not told."""
        window = self.window
        return window.seconds if window else max((s["duration_us"] or 0 for s in self.stages), default=0) / 1e6

    @property
    def known(self) -> NDArray[np.int64]:
        """The durations that are known."""
        return self.durations[self.durations >= 0]

    @property
    def distribution(self) -> Distribution:
        """Durations in µs: of single requests, else the buckets of a histogram; empty where there are neither."""
        if len(self.known):
            return Distribution(*np.unique(self.known, return_counts=True))
        return self.buckets

    @property
    def requests(self) -> int:
        """Requests that the tool tells of."""
        return len(self.starts) or int(self.totals.get("requests", 0)) or self.buckets.n

    @property
    def arrivals(self) -> int:
        """Iterations that began; requests where the tool knows no iterations."""
        return round(sum((s["achieved_per_s"] or 0) * (s["duration_us"] or 0) / 1e6 for s in self.stages)) or self.requests

    @property
    def rate(self) -> float:
        """Arrivals a second from the first start to the last: what waits for its response after the last start is no longer load. 0 where not told."""
        span = (int(self.starts[-1]) - int(self.starts[0])) / 1e6 if len(self.starts) > 1 else 0.0
        if span > 0:
            return self.arrivals * (1 - 1 / len(self.starts)) / span
        return self.arrivals / self.seconds if self.seconds else 0.0

    @property
    def dropped(self) -> int | None:
        """Iterations that were due and not started; None where the tool cannot tell."""
        told = [s["dropped"] for s in self.stages if s["dropped"] is not None]
        return sum(told) if told else None

    @property
    def target(self) -> float | None:
        """Planned arrivals a second, where known: of all generators of a test together."""
        told = [(s["test"], s["target_per_s"], s["duration_us"] or 1) for s in self.stages if s["target_per_s"] is not None]
        return sum(t * d for _, t, d in told) / sum(d for *_, d in told) * len({test for test, *_ in told}) if told else None


def runs(bundle: Bundle, evidence: Evidence) -> list[Run]:
    """Every load test of the bundle, in the order of their names."""
    readers = {r.NAME: r for r in discover().values() if hasattr(r, "TOOL")}
    found = [s for s in bundle.sources if s["reader"] in readers and s.get("role") != "baseline"]
    if not found:
        return []
    named = sorted({test for table, column in (("requests", "instance"), ("load_stages", "test"), ("load_points", "test")) for (test,) in evidence.rows(_tests(table, column)) if test})
    tools: dict[str, tuple[str, str]] = {}
    for source in found:
        reader = readers[source["reader"]]
        name = reader.test_of(source["name"]) if hasattr(reader, "test_of") else source["name"]
        tools[name] = (reader.TOOL, getattr(reader, "MODEL", ""))
    single = [_load(evidence, *tools[file], (name,)) for name in named if (file := name if name in tools else part_of(name)[0]) in tools]
    return [run if len(group) == 1 else _load(evidence, run.tool, run.told, tuple(t for r in group for t in r.tests)) for group in _groups(single) for run in group[:1]]


def _tests(table: str, column: str) -> str:
    return f"SELECT DISTINCT {column} FROM {table}" + (f" WHERE service = {quote(LOAD_GENERATOR)}" if table == "requests" else "")


def _groups(single: Sequence[Run]) -> list[list[Run]]:
    """Runs that tell of one test: of one tool and time, and the same operations; totals without a time join the only test of their tool that has
    as many requests."""
    groups: list[list[Run]] = []
    for run in sorted((r for r in single if r.window), key=lambda r: r.tests):
        for group in groups:
            if group[0].tool == run.tool and part_of(group[0].tests[0])[1] == part_of(run.tests[0])[1] and _together(group[0].window, run.window):
                group.append(run)
                break
        else:
            groups.append([run])
    for run in (r for r in single if not r.window):
        same = [g for g in groups if g[0].tool == run.tool and g[0].window]
        if len(same) == 1 and _as_many(same[0], run):
            same[0].append(run)
        else:
            groups.append([run])
    return groups


def _together(a: Window | None, b: Window | None) -> bool:
    return a is not None and b is not None and a.overlap(b) > SAME_TEST * min(a.end - a.start, b.end - b.start)


def _as_many(group: Sequence[Run], run: Run) -> bool:
    """Whether totals tell of the same requests; a test that has totals of its own needs none, and they would add up."""
    requests = sum(r.requests for r in group)
    return bool(run.requests) and not any("requests" in r.totals for r in group) and abs(requests - run.requests) <= SAME_REQUESTS * max(requests, run.requests)


def _totals(evidence: Evidence, names: str) -> dict[str, float]:
    """Totals of a test. Counts of several files add up; percentiles do not, so they are kept only where one file tells them."""
    rows = evidence.rows(
        "SELECT name || coalesce('.' || labels['stat'], ''), test, sum(value) FROM load_points"
        f" WHERE time IS NULL AND labels['route'] IS NULL AND name <> 'duration_bucket' AND test IN ({names}) GROUP BY ALL ORDER BY ALL"
    )
    told: dict[str, list[float]] = {}
    for name, _, value in rows:
        told.setdefault(str(name), []).append(float(value))
    out = {}
    for name, values in told.items():
        if name in _LARGEST or name in _SMALLEST:
            out[name] = (max if name in _LARGEST else min)(values)
        elif len(values) == 1 or not name.startswith("duration_us."):
            out[name] = sum(values)
    return out


def _load(evidence: Evidence, tool: str, told: str, tests: tuple[str, ...]) -> Run:
    names = ", ".join(map(quote, tests))
    rows = evidence.columns(
        "SELECT epoch_us(time) AS start, coalesce(duration_us, -1) AS duration, coalesce(status, -1) AS status FROM requests"
        f" WHERE service = {quote(LOAD_GENERATOR)} AND instance IN ({names}) ORDER BY 1, 2"
    )
    start, duration, status = (np.asarray(rows[k], np.int64) for k in ("start", "duration", "status"))
    stages = evidence.rows(f"SELECT epoch_us(time), duration_us, target_per_s, achieved_per_s, dropped, virtual_users, test FROM load_stages WHERE test IN ({names}) ORDER BY ALL")
    keys = ("time", "duration_us", "target_per_s", "achieved_per_s", "dropped", "virtual_users", "test")
    listed = [dict(zip(keys, row, strict=True)) for row in stages]
    timed = [s for s in listed if s["time"] is not None]
    users = evidence.rows(f"SELECT epoch_us(time), max(value) FROM load_points WHERE name = 'virtual_users' AND time IS NOT NULL AND test IN ({names}) GROUP BY 1 ORDER BY 1")
    (most,) = evidence.one(f"SELECT max(value) FROM load_points WHERE name IN ('vus_max', 'virtual_users') AND test IN ({names})")
    buckets = evidence.columns(f"SELECT CAST(labels['value_us'] AS DOUBLE) AS value, CAST(round(sum(value)) AS BIGINT) AS n FROM load_points WHERE name = 'duration_bucket' AND test IN ({names}) GROUP BY 1 HAVING n > 0 ORDER BY 1")
    marks = evidence.rows(f"SELECT labels['metric'], labels['threshold'], min(value) FROM load_points WHERE name = 'threshold' AND test IN ({names}) GROUP BY ALL ORDER BY ALL")
    seen = _flow(evidence, names, start, duration, most or 0)
    for told_tool, told_model in evidence.rows(f"SELECT labels['tool'], labels['model'] FROM load_points WHERE name = 'arrival_model' AND test IN ({names}) ORDER BY ALL"):
        tool, told = str(told_tool), str(told_model)
    return Run(
        tool, told, tests, start, duration, status, tuple(timed or listed), tuple((int(t), float(v)) for t, v in users), float(most or 0),
        _totals(evidence, names), Distribution(np.asarray(buckets["value"], np.float64), np.asarray(buckets["n"], np.int64)),
        tuple({"metric": str(m), "threshold": str(t), "ok": bool(v)} for m, t, v in marks), seen, tuple(stalls(seen)) if seen is not None else (),
    )  # fmt: skip


def _flow(evidence: Evidence, names: str, start: NDArray[np.int64], duration: NDArray[np.int64], most_users: float) -> Flow | None:
    """Arrivals over time: of single requests; of iterations by the second where a script makes several requests, for only the first of them
    arrives by itself; None where neither has times."""
    known = duration >= 0
    counts = evidence.columns(f"SELECT epoch_us(time) AS time, sum(value) AS n FROM load_points WHERE name = 'arrivals' AND time IS NOT NULL AND test IN ({names}) GROUP BY 1 ORDER BY 1")
    times, n = np.asarray(counts["time"], np.int64), np.asarray(counts["n"], np.float64)
    if known.any() and (not n.sum() or len(start) < SEVERAL * n.sum()):
        resolution = 1_000_000 if not np.any((start + np.maximum(duration, 0)) % 1_000_000) else 1
        return flow(start[known], duration[known], resolution=resolution)
    if not len(times) or int(times[-1]) - int(times[0]) > LONGEST_US:
        return None
    origin = int(times[0])
    place = (times - origin) // 1_000_000
    arrivals = np.bincount(place, weights=n, minlength=int(place[-1]) + 1).astype(np.int64)
    if not known.any():
        return Flow(origin, 1_000_000, arrivals, np.full(len(arrivals), int(most_users), np.int64))
    edges = origin + np.arange(len(arrivals)) * 1_000_000
    ends = np.sort(start[known] + duration[known])
    return Flow(origin, 1_000_000, arrivals, np.searchsorted(np.sort(start[known]), edges, "left") - np.searchsorted(ends, edges, "right"))
