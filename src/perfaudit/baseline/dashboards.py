"""Dashboards green, users slow: what a usual panel (one average over everything, one place, one minute) shows, and what it hides.

Each row sets a number as a panel would show it beside the same thing as users felt it. Only what differs by a factor of two and by a
tenth of a second is told: less, nobody calls slow (Nielsen, "Usability Engineering", 1993, ch. 5: below 0.1 s is felt as instant).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.baseline import probes
from perfaudit.baseline.cube import Cube
from perfaudit.baseline.levels import inside
from perfaudit.baseline.requests import Requests, RouteRow, Slice, error_measurement
from perfaudit.baseline.stream import Key
from perfaudit.baseline.tiers import Tiers
from perfaudit.baseline.windows import practical
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Measurement, Window, iso
from perfaudit.stats.percentile import Distribution

#: Felt over shown, and milliseconds more, from which a panel hides something.
TIMES, NOTICED_MS = 2.0, 100.0
#: From a second on, thought is interrupted (Nielsen, same place): a tail below it beside a quick mean is how every mix of routes looks.
FLOW_MS = 1000.0
#: Fewer probes than this share of the requests move no percentile that people look at.
DILUTES = 0.02
#: A route, instance or group with fewer requests has no p95 of its own.
LEAST = 72
#: Panels average over a minute, seconds. A spell inside it is real when a fifth of its requests is slower than all but one in a hundred.
PANEL, SPELL = 60, 0.2
#: Errors of all requests that look green, and of one route that do not (shares).
GREEN, RED = 0.01, 0.05
#: A probe that asked less than half as often as its timer would was itself waiting.
KEPT = 0.5
#: Of more requests than this, clients are looked at in the middle of the window only, long enough for so many.
MANY = 200_000
#: Requests that a client must have made, clients that make a group, and their share of all: by chance 1 in 850 clients with five requests
#: has three in the slowest twentieth. Routes that are asked for by name.
REQUESTS, CLIENTS, GROUP, ROUTES = 5, 3, 0.005, 20


@dataclass(frozen=True)
class View:
    """What the rows are made from: the requests, and the window that is spoken of (``zone`` names it in queries)."""

    evidence: Evidence
    tiers: Tiers
    requests: Requests
    cube: Cube
    window: Window
    zone: str

    def now(self, row: RouteRow) -> Slice:
        """A row in the window."""
        return row.affected if self.zone else row.all

    @property
    def where(self) -> str:
        """SQL: the outermost tier in the window."""
        return f"{self.requests.condition} AND {within(self.window)}"


def hidden(evidence: Evidence, tiers: Tiers, requests: Requests, cube: Cube) -> list[dict[str, Any]]:
    """``baseline.hidden``: what differs most first. Each row: ``how``, ``shown`` and ``felt`` (what, and a measurement), ``detail``."""
    windows = requests.windows
    zone = "affected" if requests.total.affected.durations.n else ""
    view = View(evidence, tiers, requests, cube, windows.affected if zone else windows.whole, zone)
    if view.now(requests.total).durations.n < LEAST:
        return []
    timers = probes.find(cube, windows.reference or windows.whole)
    rows = [*_average(view), *_dilution(view, timers), *_probe(view, timers), *_route(view), *_errors(view), *_instance(view), *_clients(view), *_tier(view), *_minute(view)]
    return sorted(rows, key=lambda row: (-row["felt"]["measurement"]["value"] / max(row["shown"]["measurement"]["value"], 1e-9), row["how"]))


def _row(how: str, shown: tuple[str, Measurement], felt: tuple[str, Measurement], detail: str, **scope: str) -> dict[str, Any]:
    out: dict[str, Any] = {"how": how, "shown": {"what": shown[0], "measurement": shown[1].to_json()}, "felt": {"what": felt[0], "measurement": felt[1].to_json()}, "detail": detail}
    return out | ({"scope": scope} if scope else {})


def _differs(shown: Measurement, felt: Measurement) -> bool:
    a, b = float(shown.value or 0.0), float(felt.value or 0.0)
    return b >= TIMES * a and b - a >= NOTICED_MS


def _quantile(durations: Distribution, q: float, query: str = "") -> Measurement:
    value, low, high = durations.percentile(q)
    return Measurement(value / 1e3, "ms", (None if low is None else low / 1e3, None if high is None else high / 1e3), n=durations.n, method="order statistics", query=query)


def _name(key: Key) -> str:
    return f"{key[0]} {key[1]}".strip()


def _average(view: View) -> Iterator[dict[str, Any]]:
    """A mean over everything, itself below a second, against the slowest hundredth, where that takes a second and took less before."""
    total = view.requests.total
    before = total.reference.quantile(0.99) if view.zone else None
    now = view.now(total).durations
    sql = view.requests.query(0.99, view.zone)
    mean, felt = Measurement(now.total / now.n / 1e3, "ms", n=now.n, method="mean", query=sql.replace("quantile_disc(duration_us, 0.99)", "avg(duration_us)")), _quantile(now, 0.99, sql)
    if float(mean.value or 0) < FLOW_MS <= float(felt.value or 0) and _differs(mean, felt) and (before is None or practical(0.95, now.percentile(0.99).value, before)):
        yield _row("average", ("mean of all requests", mean), ("p99 of all requests", felt), f"one request in a hundred takes {felt.value:,.0f} ms or longer, which a mean of {mean.value:,.0f} ms does not show")


def _dilution(view: View, timers: dict[Key, float]) -> Iterator[dict[str, Any]]:
    """Percentiles with health checks among the requests, and without."""
    kept = [view.now(r).durations for r in view.requests.routes if (r.method, r.route) not in timers]
    everything = view.now(view.requests.total).durations
    people = kept[0] if kept else None
    for part in kept[1:]:
        people = people.plus(part) if people else part
    if not timers or people is None or people.n < LEAST or (share := 1 - people.n / everything.n) < DILUTES:
        return
    without = " AND ".join(f"NOT (method = {quote(m)} AND route = {quote(r)})" for m, r in sorted(timers))
    for q in (0.5, 0.95, 0.99):
        sql = view.requests.query(q, view.zone)
        shown, felt = _quantile(everything, q, sql), _quantile(people, q, f"{sql} AND {without}")
        if _differs(shown, felt):
            names = ", ".join(map(_name, sorted(timers)))
            yield _row("health checks", (f"p{q * 100:g} of all requests", shown), (f"p{q * 100:g} without health checks", felt), f"{share:.0%} of the requests come from a timer and are answered at once ({names})")
            return


def _probe(view: View, timers: dict[Key, float]) -> Iterator[dict[str, Any]]:
    """A probe that stays quick, or stops asking, while people wait."""
    total = view.requests.total
    if not (view.zone and total.reference.durations.n):
        return
    for row in view.requests.routes:
        key, now = (row.method, row.route), row.affected.durations
        if key not in timers or not now.n:
            continue
        people = [r for r in view.requests.routes if (r.method, r.route) not in timers and r.affected.durations.n >= LEAST and r.reference.durations.n >= LEAST and _departs(r)]
        if not people or _departs(row):
            continue
        worst = max(people, key=lambda r: (r.affected.seconds, r.route))
        shown, felt = _quantile(now, 0.95, view.requests.query(0.95, view.zone, key)), _quantile(worst.affected.durations, 0.95, view.requests.query(0.95, view.zone, (worst.method, worst.route)))
        asked = row.affected.count / max(1e-9, timers[key] * view.window.seconds)
        said = f"the probe {_name(key)} stays quick while {_name((worst.method, worst.route))} is slow"
        said += f"; it asked {asked:.0%} as often as before: it waits for its answers and so leaves out the worst (coordinated omission)" if asked < KEPT else ""
        if _differs(shown, felt):
            yield _row("probe", (f"p95 of the probe {_name(key)}", shown), (f"p95 of {_name((worst.method, worst.route))}", felt), said, route=worst.route)


def _departs(row: RouteRow) -> bool:
    now, before = row.affected.quantile(0.95), row.reference.quantile(0.95)
    return now is not None and before is not None and practical(0.95, now, before)


def _route(view: View) -> Iterator[dict[str, Any]]:
    """A route that became slow while the percentile over all requests did not."""
    total = view.requests.total
    if not view.zone or min(total.affected.durations.n, total.reference.durations.n) < LEAST or _departs(total):
        return
    shown = _quantile(total.affected.durations, 0.95, view.requests.query(0.95, view.zone))
    for row in view.requests.routes:
        if min(row.affected.durations.n, row.reference.durations.n) >= LEAST and row.method != "*" and _departs(row):
            felt = _quantile(row.affected.durations, 0.95, view.requests.query(0.95, view.zone, (row.method, row.route)))
            before = (row.reference.quantile(0.95) or 0.0) / 1e3
            if _differs(shown, felt):
                share = row.affected.count / max(1, total.affected.count)
                said = f"{_name((row.method, row.route))} went from {before:,.0f} to {felt.value:,.0f} ms; with {share:.1%} of the requests, its slow ones are too few among all to move that percentile"
                yield _row("one route", ("p95 of all requests", shown), (f"p95 of {_name((row.method, row.route))}", felt), said, route=row.route)


def _errors(view: View) -> Iterator[dict[str, Any]]:
    """A route that fails while the error ratio over all requests looks green."""
    total = view.now(view.requests.total)
    if total.error_ratio >= GREEN:
        return
    for row in view.requests.routes:
        now = view.now(row)
        if now.count >= LEAST and now.error_ratio >= RED:
            said = f"{_name((row.method, row.route))} fails {now.error_ratio:.1%} of its {now.count:,} requests"
            yield _row("errors of one route", ("errors of all requests", error_measurement(total)), (f"errors of {_name((row.method, row.route))}", error_measurement(now)), said, route=row.route)


def _instance(view: View) -> Iterator[dict[str, Any]]:
    """One slow instance among several."""
    if (view.evidence.one(f"SELECT count(DISTINCT instance) FROM requests WHERE {view.where}")[0] or 0) < 2:
        return
    rows = view.evidence.rows(
        f"SELECT instance, count(*), quantile_disc(duration_us, 0.95) FROM requests WHERE {view.where} AND instance IS NOT NULL AND duration_us IS NOT NULL GROUP BY 1 HAVING count(*) >= {LEAST} ORDER BY 3 DESC, 1"
    )
    if len(rows) < 2:
        return
    name, n, p95 = rows[0]
    shown = _quantile(view.now(view.requests.total).durations, 0.95, view.requests.query(0.95, view.zone))
    felt = Measurement(p95 / 1e3, "ms", n=n, method="quantile", query=f"SELECT quantile_disc(duration_us, 0.95) / 1e3 AS ms FROM requests WHERE {view.where} AND instance = {quote(str(name))}")
    if _differs(shown, felt):
        yield _row("one instance", ("p95 of all instances", shown), (f"p95 of {name}", felt), f"{name} answers {n / sum(r[1] for r in rows):.0%} of the requests; the others have p95 of {max(r[2] for r in rows[1:]) / 1e3:,.0f} ms and less")


def _clients(view: View) -> Iterator[dict[str, Any]]:
    """A group of clients whose requests are mostly among the slowest of their routes."""
    rows = sorted((r for r in view.requests.routes if r.method not in ("", "*") and view.now(r).durations.n >= LEAST), key=lambda r: -view.now(r).count)[:ROUTES]
    if not rows:
        return
    bars = " ".join(f"WHEN method = {quote(r.method)} AND route = {quote(r.route)} THEN duration_us > {view.now(r).quantile(0.95):.0f}" for r in rows)
    part = min(1.0, MANY / max(1, view.now(view.requests.total).count))
    middle, half = (view.window.start + view.window.end) // 2, round(part * (view.window.end - view.window.start) / 2)
    where = view.where if part == 1 else f"{view.requests.condition} AND {within(Window(middle - half, middle + half))}"
    marked = f"SELECT client_key, duration_us, CASE {bars} END AS slow FROM requests WHERE {where} AND client_key IS NOT NULL AND duration_us IS NOT NULL"
    group = f"SELECT client_key FROM ({marked}) GROUP BY 1 HAVING count(*) >= {REQUESTS} AND count(*) FILTER (slow) >= count(slow) / 2"
    clients, found = view.evidence.one(f"SELECT count(*), count(*) FILTER (slow) FROM (SELECT count(*) >= {REQUESTS} AND count(*) FILTER (slow) >= count(slow) / 2 AS slow FROM ({marked}) GROUP BY client_key)")
    if (found or 0) < max(CLIENTS, GROUP * clients) or found > clients / 2:
        return
    n, p50 = view.evidence.one(f"SELECT count(*), quantile_disc(duration_us, 0.5) FROM requests WHERE {where} AND duration_us IS NOT NULL AND client_key IN ({group})")
    if n < LEAST:
        return
    shown = _quantile(view.now(view.requests.total).durations, 0.5, view.requests.query(0.5, view.zone))
    felt = Measurement(p50 / 1e3, "ms", n=n, method="quantile", query=f"SELECT quantile_disc(duration_us, 0.5) / 1e3 AS ms FROM requests WHERE {where} AND client_key IN ({group})")
    if _differs(shown, felt):
        yield _row("one group of clients", ("median of all requests", shown), (f"median of {found:,} clients", felt), f"{found:,} of {clients:,} clients have at least half of their requests among the slowest twentieth of the route" + (f" (looked at over {2 * half / 1e6:,.0f} s)" if part < 1 else ""))


def _tier(view: View) -> Iterator[dict[str, Any]]:
    """A panel of the application against what its edge sees."""
    outer = view.now(view.requests.total)
    for tier in view.tiers.all:
        if not tier.inside or not 0.8 <= tier.requests / max(1, view.requests.total.all.count) <= 1.2:
            continue
        where = f"coalesce(service, '') = {quote(tier.service)} AND {within(view.window)}"
        sql = f"SELECT quantile_disc(duration_us, 0.95) / 1e3 AS ms FROM requests WHERE {where}"
        value = view.evidence.one(sql)[0]
        shown, felt = Measurement(value, "ms", method="quantile", query=sql), _quantile(outer.durations, 0.95, view.requests.query(0.95, view.zone))
        if value is not None and _differs(shown, felt):
            yield _row("another tier", (f"p95 as {tier.service} measures it", shown), (f"p95 as {tier.inside} measures it", felt), f"{tier.inside} waits before {tier.service} begins to measure: a queue in front of it is in nobody's panel")


def _minute(view: View) -> Iterator[dict[str, Any]]:
    """A spell of seconds that the mean of its minute smooths away."""
    cube, at = view.cube, inside(view.cube, view.window)
    whole = cube.whole[at].astype(np.int64)
    step, n = int(cube.steps[at[0]]) if len(at) else PANEL, int(whole.sum())
    size = max(1, math.ceil(LEAST * len(at) / max(1, n)))
    if size * step > PANEL / 2 or len(at) * step < 2 * PANEL:
        return
    ranks = np.cumsum(whole.sum(axis=0))
    bar = int(np.searchsorted(ranks, math.ceil(0.99 * ranks[-1])))
    begin = np.arange(0, len(at) - len(at) % size, size)
    parts = np.add.reduceat(whole[: len(begin) * size], begin, axis=0)
    count = parts.sum(axis=1)
    slow = parts[:, bar + 1 :].sum(axis=1) / np.maximum(count, 1)
    spells = np.flatnonzero((slow >= SPELL) & (count >= LEAST / 2))
    if not 0 < len(spells) <= len(begin) / 10:
        return
    worst = max(spells, key=lambda i: (float((parts[i] * cube.fine).sum()), -i))
    first = int(begin[worst])
    middle, half = first + size // 2, max(1, round(PANEL / step / 2))
    minute = whole[max(0, middle - half) : middle + half].sum(axis=0)
    shown = Measurement(float((minute * cube.fine).sum() / max(1, minute.sum())) / 1e3, "ms", n=int(minute.sum()), method="mean of the minute, 8-bit histogram")
    spell = parts[worst]
    p95 = float(cube.fine[int(np.searchsorted(np.cumsum(spell), math.ceil(0.95 * spell.sum() - 1e-9)))]) / 1e3
    felt = Measurement(p95, "ms", n=int(spell.sum()), method="8-bit histogram")
    if _differs(shown, felt):
        yield _row("a short spell", (f"mean of the minute around {iso(int(cube.bins[at][middle]))}", shown), (f"p95 of its worst {size * step} s", felt), f"{len(spells)} spells of {size * step} s hold a fifth or more of requests slower than all but one in a hundred")
