"""Does another measurement agree with the log? Little's law, counters, and counters that were reset.

N = X·R (Little 1961): the mean number in flight is the arrival rate times the mean time in the system, whatever the distributions. It
tests data only where N was measured apart from the log: a sampled gauge, busy workers, another tier. In flight as rebuilt from the
log's own times is X·R by construction and proves nothing.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import numpy as np

from perfaudit.baseline.note import Note
from perfaudit.baseline.tiers import Tiers
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Window, iso
from perfaudit.stats.variance import long_run_variance

#: Further apart than a tenth, one of two measurements of the same thing is broken (the plan's bar).
APART = 0.1
#: What is not at the edge of this service (databases, pools, calls to others) counts other things.
_ELSEWHERE = r"^(?!.*(downstream|upstream|client|db|sql|postgres|pg_|mongo|pool|hikari|cache|redis|retr|attempt))"
#: Gauges of requests in flight by their names, as exporters and frameworks call them: http_inflight, http_requests_in_flight,
#: http_server_active_requests (OpenTelemetry), nginx_connections_reading/writing, apache_workers{state="busy"}, busy_workers, puma_busy_threads.
IN_FLIGHT = re.compile(_ELSEWHERE + r".*(^|_)(in_?flight(_requests)?|requests?_in_?flight|active_requests|connections_(reading|writing)|(busy|active)_(workers|threads)|(workers|threads)_(busy|active)|workers|connections)$")
#: Of gauges that hold a state apart, those that mean a request is being served.
BUSY = ("busy", "active", "reading", "writing")
#: Counters of requests: http_requests_total, nginx_http_requests_total, http_request_seconds_count, http_server_request_duration_seconds_count, …
REQUESTS = re.compile(_ELSEWHERE + r".*(^|_)requests?(_total|(_[a-z]+)*_(seconds|milliseconds|ms|duration)_count|_count)$")
#: Fewer samples of a gauge have no standard error worth the name.
SAMPLES = 20
#: A counter that falls in more than a tenth of its steps is not restarted all the time: several processes answer under its name.
OFTEN = 0.1
#: Characters of a metric's name; nobody's is longer, and an expression takes its square.
LONGEST = 200
#: Points that are read of a gauge.
MOST_POINTS = 200_000


class Series(NamedTuple):
    """A gauge summed over its label sets on one grid of samples: ``values`` in time order, and the window they cover."""

    name: str
    values: Any
    window: Window


def notes(evidence: Evidence, tiers: Tiers, whole: Window) -> list[Note]:
    """Little's law between the log and what else was measured; log against counters; counters that were reset."""
    found = _between_tiers(evidence, tiers, whole)
    if evidence.has("metrics"):
        names = [(str(n), str(k)) for n, k in evidence.rows(f"SELECT DISTINCT name, kind FROM metrics WHERE length(name) <= {LONGEST} ORDER BY ALL")]
        gauges = [n for n, kind in names if kind != "counter" and IN_FLIGHT.search(n.lower())]
        counters = [n for n, _ in names if REQUESTS.search(n.lower())]
        found += [note for series in _gauges(evidence, gauges, whole) if (note := _little(evidence, tiers, series)) is not None]
        found += _counted(evidence, tiers, counters, whole)
        found += _resets(evidence, whole) if any(kind == "counter" for _, kind in names) else []
    if not any(note.check == "Little's law" for note in found):
        found.insert(0, Note("Little's law", None, "no independent measurement of requests in flight (a gauge, busy workers, another tier), and in-flight rebuilt from the log would agree by construction"))
    return found


# ---------------------------------------------------------------- Little


def _gauges(evidence: Evidence, names: list[str], whole: Window) -> list[Series]:
    """Every gauge of requests in flight, each name by itself; ``connections`` and ``workers`` only in a state that means serving."""
    if not names:
        return []
    state = "coalesce(labels['state'], labels['status'], '')"
    rows = evidence.rows(
        f"SELECT name, labels::VARCHAR, epoch_us(time), value FROM metrics WHERE name IN ({', '.join(map(quote, names))}) AND {within(whole)}"
        f" AND (CASE WHEN {state} = '' THEN NOT regexp_matches(lower(name), '(^|_)(workers|connections)$') ELSE lower({state}) IN ({', '.join(map(quote, BUSY))}) END)"
        f" ORDER BY ALL LIMIT {MOST_POINTS}"
    )
    families: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for name, labels, time, value in rows:
        if value is not None and math.isfinite(value):
            families.setdefault(str(name).replace("_reading", "_reading+writing").replace("_writing", "_reading+writing") if "connections_" in name else str(name), {}).setdefault(f"{name} {labels}", []).append((int(time), float(value)))
    return [series for name, sets in sorted(families.items()) if (series := _summed(name, list(sets.values()))) is not None]


def _summed(name: str, sets: list[list[tuple[int, float]]]) -> Series | None:
    """The sum over label sets on the sampling grid of the densest one; a set that was not sampled in a slot counts as 0 there."""
    densest = max(sets, key=len)
    if len(densest) < 2:
        return None
    times = np.array([t for t, _ in densest])
    step = max(1, int(np.median(np.diff(times))))
    first, slots = int(times[0]) - step // 2, (int(times[-1]) - int(times[0])) // step + 1
    total, seen = np.zeros(slots), np.zeros(slots, bool)
    for points in sets:
        t, v = (np.array(x) for x in zip(*points, strict=True))
        at = (t - first) // step
        inside = (at >= 0) & (at < slots)
        n = np.bincount(at[inside], minlength=slots)
        total += np.bincount(at[inside], v[inside], slots) / np.maximum(n, 1)
        seen |= n > 0
    return Series(name, total[seen], Window(first, first + slots * step))


def _little(evidence: Evidence, tiers: Tiers, series: Series) -> Note | None:
    n, count = float(series.values.mean()), len(series.values)
    seconds, window = _seconds(evidence, tiers.condition, series.window), series.window
    if not seconds or not window.seconds:
        return None
    expected = seconds / window.seconds
    error = 1.96 * math.sqrt(max(long_run_variance(series.values), 0.0) / count) if count >= SAMPLES else math.inf
    said = f"the log's rate times its mean duration is {expected:.2f} in flight, {series.name} was {n:.2f} on average of {count:,} samples"
    if not math.isfinite(error):
        return Note("Little's law", None, f"{said}: fewer than {SAMPLES} samples tell nothing", n / expected, "ratio", 1 - APART, 1 + APART)
    off, margin = n / expected - 1, error / expected
    said += f" (± {error:.2f})"
    if abs(off) <= APART and margin <= 2 * APART:
        return Note("Little's law", True, said, 1 + off, "ratio", 1 - APART, 1 + APART)
    if abs(off) - margin > APART:
        return Note("Little's law", False, f"{said}: {abs(off):.0%} apart, so one of the two does not see every request, or not all of its time", 1 + off, "ratio", 1 - APART, 1 + APART)
    return Note("Little's law", None, f"{said}: too few or too scattered samples to tell a tenth", 1 + off, "ratio", 1 - APART, 1 + APART)


def _between_tiers(evidence: Evidence, tiers: Tiers, whole: Window) -> list[Note]:
    """Time at the upstream as the outer log gives it against the inner log's own; only where both count the same requests."""
    inner = [t for t in tiers.all if t.inside]
    if not inner:
        return []
    found = []
    for tier in inner:
        of = f"coalesce(service, '') = {quote(tier.inside)} AND {within(whole)} AND upstream_us IS NOT NULL"
        n, spent = evidence.one(f"SELECT count(*), sum(upstream_us) / 1e6 FROM requests WHERE {of}")
        own, took = evidence.one(f"SELECT count(*), sum(duration_us) / 1e6 FROM requests WHERE coalesce(service, '') = {quote(tier.service)} AND {within(whole)}")
        if not n or not spent or not took or abs(own / n - 1) > 0.02:
            continue
        ratio = took / spent
        said = f"{tier.inside} waited {spent:,.1f} s for its upstream, {tier.service} logged {took:,.1f} s for the same {own:,} requests"
        ok = None if ratio < 1 - APART else ratio <= 1 + APART
        why = "" if ok else ": a part cannot take longer than the whole, so one of the two is wrong" if ok is False else ": the rest is spent between the two, or the inner log begins late"
        found.append(Note("Little's law", ok, said + why, ratio, "ratio", 1 - APART, 1 + APART))
    return found


def _seconds(evidence: Evidence, condition: str, window: Window) -> float:
    """Request-seconds that lie in ``window``, those of requests that began before it or end after it cut."""
    start, end = (f"TIMESTAMP '{iso(t).rstrip('Z').replace('T', ' ')}'" for t in (window.start, window.end))
    sql = f"SELECT sum(greatest(0, least(epoch_us(time) + duration_us, {window.end}) - greatest(epoch_us(time), {window.start}))) / 1e6 FROM requests WHERE {condition} AND time < {end} AND time >= {start} - INTERVAL 1 HOUR"
    return float(evidence.one(sql)[0] or 0.0)


# ---------------------------------------------------------------- counters


def _counted(evidence: Evidence, tiers: Tiers, names: list[str], whole: Window) -> list[Note]:
    """The log's requests against a counter of requests: a log that holds much fewer is sampled, filtered or incomplete."""
    if not names:
        return []
    increase = "greatest(0, CASE WHEN value < lag(value) OVER w THEN value ELSE value - lag(value) OVER w END)"
    rows = evidence.rows(
        f"SELECT name, sum(more), epoch_us(min(time)), epoch_us(max(time)) FROM (SELECT name, time, {increase} AS more FROM metrics"
        f" WHERE name IN ({', '.join(map(quote, names))}) AND {within(whole)} WINDOW w AS (PARTITION BY hash(name, labels) ORDER BY time)) GROUP BY name ORDER BY name"
    )
    found = []
    for name, more, first, last in rows:
        if not more or last - first < 0.5 * (whole.end - whole.start):
            continue
        logged = evidence.one(f"SELECT count(*) FROM requests WHERE {tiers.condition} AND {within(Window(first, last))}")[0]
        share = logged / more
        said = f"the log holds {logged:,} requests, {name} counted {more:,.0f} in the same time"
        if share < 1 - APART:
            found.append(Note("sampling", False, f"{said}: {share:.0%}; the log is sampled or filtered, or the counter also counts what does not pass this log", share, "share of requests", least=1 - APART))
        else:
            found.append(Note("sampling", True if share <= 1 + APART else None, said if share <= 1 + APART else f"{said}: the counter sees only a part of what this log sees", share, "share of requests", least=1 - APART))
    return found


def _resets(evidence: Evidence, whole: Window) -> list[Note]:
    """Counters that fall: a process was restarted inside the recording, or several processes answer under one name."""
    rows = evidence.rows(
        "SELECT name, count(*) FILTER (fell), epoch_us(min(time) FILTER (fell)), count(fell) FROM (SELECT name, time, value < lag(value) OVER (PARTITION BY hash(name, labels) ORDER BY time) AS fell"
        f" FROM metrics WHERE kind = 'counter' AND {within(whole)}) GROUP BY name HAVING count(*) FILTER (fell) > 0 ORDER BY 3, 1"
    )
    mixed = [str(name) for name, falls, _, steps in rows if falls > OFTEN * steps]
    resets = [(str(name), int(at)) for name, falls, at, steps in rows if falls <= OFTEN * steps]
    n = sum(int(falls) for _, falls, _, steps in rows if falls <= OFTEN * steps)
    parts = [f"{n:,} falls of {len(resets)} counters ({'; '.join(f'{name} at {iso(at)}' for name, at in resets[:3])}): a process was restarted inside the recording, so it holds two lives"] if n else []
    parts += [f"{', '.join(mixed[:3])} goes up and down: several processes answer under one name, so no rate of it is right"] if mixed else []
    return [Note("counter resets", not parts, "; ".join(parts) or "no counter falls inside the recording", n, "resets", most=0)]
