"""Outliers and what they are: requests far outside what their own route takes, by route, time, status and instance.

Far outside is Tukey's outer fence on the logarithm of the duration (upper quartile plus three times the distance of the quartiles;
Tukey 1977), because durations are skewed: of a lognormal or a normal 1 in 400,000 lies there, of real ones the tail.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from perfaudit.baseline.cube import Cube
from perfaudit.baseline.levels import inside
from perfaudit.baseline.note import Note
from perfaudit.baseline.requests import Requests, RouteRow
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Window, iso
from perfaudit.stats.percentile import Distribution

#: Three times the distance of the quartiles (Tukey's outer fence), and at least ten milliseconds over the upper quartile: a clock in
#: milliseconds makes a factor of two of nothing.
FENCE, LEAST_US = 3.0, 10_000
#: One in a hundred request-seconds in outliers: then a mean is made by them.
MOST = 0.01
#: Fewer requests have no quartiles worth the name.
FEW = 40
#: Above this many requests the statuses and instances are not asked for: it would cost a second pass.
ASKED = 300_000
#: Routes that are asked for by name.
ROUTES = 8


def notes(evidence: Evidence, requests: Requests, cube: Cube) -> list[Note]:
    """How much time outliers own in what counts as normal, and where, when and with which answer they occur."""
    windows = requests.windows
    normal, parts = windows.reference or windows.whole, [(row, row.reference if windows.reference else row.all) for row in requests.routes]
    found = [(row, *_beyond(part.durations)) for row, part in parts if part.durations.n >= FEW]
    found = sorted(((row, bar, n, us) for row, bar, n, us in found if n), key=lambda f: (-f[3], f[0].route))
    spent = sum(part.durations.total for _, part in parts)
    n, us = sum(f[2] for f in found), sum(f[3] for f in found)
    share = us / spent if spent else 0.0
    if not found:
        return [Note("outliers", True, "no request lies far outside what its route takes", 0.0, "share of request-seconds", most=MOST)]
    row, bar, most, _ = found[0]
    said = f"{n:,} {'request lies' if n == 1 else 'requests lie'} far outside what the route takes, {share:.1%} of the request-seconds; {most:,} on {row.method} {row.route} (over {bar / 1e3:,.0f} ms)".replace("  ", " ")
    said += "".join(f"; {part}" for part in (_when(cube, found, normal), _what(evidence, requests, found, normal)) if part)
    return [Note("outliers", share <= MOST, said, share, "share of request-seconds", most=MOST)]


def _beyond(durations: Distribution) -> tuple[float, int, float]:
    """The fence in µs, how many lie beyond it, and how many microseconds they take."""
    low, high = (max(1.0, durations.percentile(q).value) for q in (0.25, 0.75))
    bar = max(high * (high / low) ** FENCE, high + LEAST_US)
    beyond = durations.values > bar
    return bar, int(durations.counts[beyond].sum()), float((durations.values[beyond] * durations.counts[beyond]).sum())


def _when(cube: Cube, found: list[tuple[RouteRow, float, int, float]], normal: Window) -> str:
    """Whether they lie together: half of them within a tenth of the stretch."""
    at = inside(cube, normal)
    per_bin: Any = np.zeros(len(at))
    for row, bar, _, _ in found:
        if (row.method, row.route) in cube.keys:
            hist = cube.hist[cube.keys.index((row.method, row.route))][at]
            per_bin += hist[:, cube.values > bar].sum(axis=1)
    total, width = per_bin.sum(), max(1, math.ceil(len(at) / 10))
    if len(at) < 20 or total < 4:
        return ""
    sums = np.convolve(per_bin, np.ones(width), "valid")
    first = int(sums.argmax())
    if sums[first] < total / 2:
        return "spread over time"
    last = at[first + width - 1]
    return f"{sums[first] / total:.0%} of them between {iso(int(cube.bins[at[first]]))} and {iso(int(cube.bins[last] + cube.steps[last] * 1_000_000))}"


def _what(evidence: Evidence, requests: Requests, found: list[tuple[RouteRow, float, int, float]], normal: Window) -> str:
    """The status and the instance that stand out among them; asked of the evidence while that is small."""
    total = requests.total.reference if requests.windows.reference else requests.total.all
    if total.count > ASKED:
        return ""
    bars = " OR ".join(f"(method = {quote(row.method)} AND route = {quote(row.route)} AND duration_us > {bar:.0f})" for row, bar, _, _ in found[:ROUTES] if row.method != "*")
    if not bars:
        return ""
    where = f"{requests.condition} AND {within(normal)}"
    parts = []
    for column, name in (("status", "status"), ("instance", "instance")):
        rows = evidence.rows(f"SELECT {column}::VARCHAR, count(*) FILTER ({bars}) AS slow, count(*) AS n FROM requests WHERE {where} AND {column} IS NOT NULL GROUP BY 1 ORDER BY slow DESC, 1 LIMIT 1")
        for value, slow, n in rows:
            among, overall = slow / max(1, sum(f[2] for f in found[:ROUTES])), n / max(1, total.count)
            if slow >= 4 and among >= 0.5 and among >= 1.5 * overall:
                parts.append(f"{among:.0%} of them with {name} {value}, which has {overall:.1%} of the requests")
    return "; ".join(parts)
