"""What metrics say of a thing of limited number (connections of a pool, workers): how many are in use, of how many, and who waits.

Names by convention: OpenTelemetry ``db.client.connection.*``, HikariCP and Micrometer ``hikaricp_connections_*``, ``jdbc_connections_*``, Go ``go_sql_*``,
``tomcat_threads_*``, ``jetty_threads_*``, ``puma_*``, ``php_fpm_*``, ``uwsgi_*``, Micrometer ``executor_*``, and plain words (``…_pool_used``, ``…_pool_limit``).
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Window
from perfaudit.paths.account import TimeAccount

#: What a series is about, by its name (RE2 for DuckDB, dots of OTLP names count as underscores).
POOL = r"hikaricp_connections|jdbc_connections|db_client_connection|go_sql|pgbouncer_pools|(^|_)(db|sql|jdbc|conn|connection|connections|datasource|database|pg|mysql|mongo)[a-z]*_pool|pool_(conn|checked)"
WORKER = r"(tomcat|jetty)_threads|puma_|php_?fpm|uwsgi_|executor_(active|queued|pool_max)|(^|_)(requests|workers?|admission|threadpool|thread_pool)_(in_flight|limit|waiting|busy|max|queued|active|size|backlog|wait)|server_(active_requests|request_queue_time)|apache_(workers|scoreboard)|listen_queue"
#: Which role a series plays, by the end of its name; tried in this order.
ROLES = (
    ("wait", re.compile(r"(?:wait|acquire|acquisition|checkout|queue)(?:_?time|_duration)?(?:_(seconds|milliseconds|ms))?_(?:sum|seconds_total)$|wait_duration_seconds_total$|blocked_seconds(?:_total)?$")),
    ("held", re.compile(r"(?:hold|use|usage|held)(?:_time|_duration)?(?:_(seconds|milliseconds|ms))?_sum$")),
    ("holds", re.compile(r"(?:hold|use|usage|held)(?:_time|_duration)?(?:_(?:seconds|milliseconds|ms))?_count$")),
    ("timeouts", re.compile(r"time_?outs?(?:_total)?$")),
    ("waiting", re.compile(r"(?:pending(?:_requests|_threads)?|waiting(?:_count|_requests|_connections)?|waiters|queued(?:_tasks)?|backlog|listen_queue(?:_length)?|jobs(?:_count)?)$")),
    ("limit", re.compile(r"(?:max|limit|capacity|max_open(?:_connections)?|max_threads|maximum|pool_size|pool_max(?:_threads)?)(?:_connections)?$")),
    ("used", re.compile(r"(?:used|in_?use(?:_connections)?|active(?:_connections|_threads|_processes|_requests)?|busy(?:_threads|_workers)?|checked_?out(?:_connections)?|borrowed|in_flight|usage|count)$")),
)
#: A state label that means "in use".
IN_USE = ("used", "in_use", "inuse", "active", "busy", "")
#: In use at the limit: this share of it and more (a sample may fall between two holders).
FULL = 0.95
#: None of this many samples with all in use: less than 14 % of the time, 95 % sure (0.86 ** 20).
SAMPLES = 20


@dataclass(frozen=True)
class Gauges:
    """What was seen in one window, all instances together. None: no such series.

    ``full``: share of samples in which an instance had all in use; ``least``: in use at the least over the limit in the last quarter of the window; ``size``: limits (medians over the window) added up;
    ``busy``: mean number in use; ``waiting``: mean number that waits; ``waited``: seconds waited per second; ``hold``: mean seconds of a finished hold, ``held``: seconds of finished holds per second (their mean number, by Little's law); ``timeouts``: per second.
    """

    full: float | None = None
    least: float | None = None
    size: float | None = None
    busy: float | None = None
    waiting: float | None = None
    waited: float | None = None
    hold: float | None = None
    held: float | None = None
    timeouts: float | None = None
    samples: int = 0
    query: str = ""

    @property
    def queue(self) -> float | None:
        """Mean number that waits: counted, or seconds waited per second (Little's law)."""
        return self.waiting if self.waiting is not None else self.waited


def gauges(evidence: Evidence, account: TimeAccount, about: str) -> tuple[Gauges, Gauges]:
    """The series whose name matches ``about`` in the affected window and in the reference."""
    if not evidence.has("metrics"):
        return Gauges(), Gauges()
    return _window(evidence, account.windows.affected, about), _window(evidence, account.windows.reference, about)


def _window(evidence: Evidence, window: Window | None, about: str) -> Gauges:
    if window is None:
        return Gauges()
    condition = f"regexp_matches(replace(lower(name), '.', '_'), {quote(about)}) AND NOT ends_with(name, '_bucket') AND NOT isnan(value) AND {within(window)}"
    rows = evidence.rows(f"SELECT replace(lower(name), '.', '_'), labels, epoch_us(time), value, coalesce(unit, '') FROM metrics WHERE {condition} ORDER BY time, name, labels::VARCHAR")
    series: dict[str, dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]] = {}
    for name, labels, time, value, unit in rows:
        role, per_second = _role(name, unit)
        labels = labels or {}
        state = str(labels.get("state", labels.get("db.client.connection.state", labels.get("db_client_connection_state", "")))).lower()
        if not role or (role == "used" and (state not in IN_USE or (name.endswith(("count", "usage")) and not state))):
            continue
        instance = tuple(sorted((k, str(v)) for k, v in labels.items() if k not in ("state", "status", "db.client.connection.state", "db_client_connection_state", "__name__", "le")))
        series.setdefault(role, {}).setdefault(instance, []).append((int(time), float(value) * (per_second if role in ("wait", "held") else 1.0)))
    return _gauges(series, window, condition) if series else Gauges()


def _role(name: str, unit: str) -> tuple[str, float]:
    """Role of a series and seconds per unit of its values."""
    for role, pattern in ROLES:
        found = pattern.search(name)
        if found:
            said = (found.group(1) if found.groups() else "") or unit
            return role, 1e-3 if said in ("milliseconds", "millisecond", "ms") else 1.0
    return "", 1.0


def _gauges(series: dict[str, dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]], window: Window, condition: str) -> Gauges:
    full, least = [], []
    late = window.end - (window.end - window.start) // 4
    used, limits = series.get("used", {}), series.get("limit", {})
    for instance, points in used.items():
        bounds = limits.get(instance, [])
        when = [time for time, _ in bounds]
        shares = [(time, value / bounds[max(0, bisect_right(when, time) - 1)][1]) for time, value in points if bounds and bounds[max(0, bisect_right(when, time) - 1)][1] > 0]
        full += [share >= FULL for _, share in shares]
        last = [share for time, share in shares if time >= late]
        least += [min(last)] if last else []
    waits, holds, held = (_grown(series, role, window) for role in ("wait", "holds", "held"))
    return Gauges(
        float(np.mean(full)) if full else None, max(least, default=None), sum(float(np.median([v for _, v in p])) for p in limits.values()) if limits else None, _mean(used), _mean(series.get("waiting", {})), waits,
        held / holds if held is not None and holds else None, held, _grown(series, "timeouts", window), len(full) or sum(len(p) for s in series.values() for p in s.values()),
        f"SELECT name, labels, avg(value) AS mean, max(value) AS most FROM metrics WHERE {condition} GROUP BY 1, 2 ORDER BY 1",
    )  # fmt: skip


def _mean(series: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]) -> float | None:
    """Means of the instances, added up."""
    return float(sum(np.mean([v for _, v in points]) for points in series.values())) if series else None


def _grown(series: dict[str, dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]], role: str, window: Window) -> float | None:
    """Growth per second of counters; a reset counts from zero."""
    found = series.get(role)
    if not found:
        return None
    grown = 0.0
    for points in found.values():
        values = [v for _, v in points]
        grown += sum(b - a if b >= a else b for a, b in itertools.pairwise(values))
    return grown / window.seconds if window.seconds > 0 else None
