"""What the touched route will be like without the constraint: from the reference, and from a replay of the traces where there are any."""

from __future__ import annotations

from typing import Any

from perfaudit.baseline.requests import RouteRow
from perfaudit.model import Finding, Measurement
from perfaudit.paths import traced, whatif
from perfaudit.paths.account import LEAST_REFERENCE, TimeAccount
from perfaudit.paths.tracing import LEAST_TRACES
from perfaudit.stats.percentile import Distribution, wilson


def predicted(account: TimeAccount, main: Finding, row: RouteRow | None) -> dict[str, Any]:
    """``predicted`` for the route ``row``: p95, error ratio where that rose, and what caps it then; empty without a reference of the route."""
    if row is None or row.reference.durations.n < LEAST_REFERENCE or not row.affected.durations.n:
        return {}
    out: dict[str, Any] = {"route": f"{row.method} {row.route}".strip()}
    if row.affected.error_ratio >= row.reference.error_ratio + 0.01:
        bounds = wilson(row.reference.errors, row.reference.count)
        out["error_ratio"] = Measurement(row.reference.error_ratio, "share", bounds, n=row.reference.count, method=f"reference of {row.method} {row.route}, Wilson").to_json()
    if not account.added(row):  # it did not get slower: nothing to win in time
        return out if "error_ratio" in out else {}
    after = _replayed(account, main)
    measured = _by_traces(account, row, after) or _by_share(account, main, row)
    out["duration_ms"] = {"p95": measured.to_json()}
    rest = after.left if after else {c.name: c.seconds for c in account.components if c.name not in main.components}
    if rest and max(rest.values()) > 0:
        out["capped_by"] = max(sorted(rest), key=lambda name: rest[name])
    return out


def _replayed(account: TimeAccount, main: Finding) -> whatif.After | None:
    """The traces with the finding's components back at the reference's cost; None where they do not tell."""
    tracing = account.tracing
    if tracing is None or not main.components or not tracing.total_requests[1]:
        return None
    found = traced.labels(tracing)
    return whatif.to_reference(tracing, main.components, found) if whatif.names_of(main.components, found.names) else None


def _by_traces(account: TimeAccount, row: RouteRow, after: whatif.After | None) -> Measurement | None:
    """The reference's p95, times what the replay leaves above the reference's mean."""
    tracing = account.tracing
    if after is None or tracing is None:
        return None
    flows = [i for i, key in enumerate(tracing.routes) if key == (row.method, row.route)]
    traces = after.mean(flows)[2]
    try:
        left, low, high = whatif.residual(tracing, after, flows)
        said = "the traces without the constraint cost as much as the reference's" if low <= 1 else f"the traces without the constraint still cost {left:.2f} times the reference's ({low:.2f}–{high:.2f})"
    except ValueError:
        if traces < LEAST_TRACES:
            return None
        left, low, high = 1.0, 1.0, 1.0
        said = "too few to tell whether something else stays"
    value, bottom, top = row.reference.durations.percentile(0.95)
    stays = left if low > 1 else 1.0  # within its error the replay is the reference
    interval = None if bottom is None else bottom * stays / 1e3, None if top is None else top * max(stays, high if low > 1 else 1.0) / 1e3
    return Measurement(value * stays / 1e3, "ms", interval, n=row.reference.durations.n, method=f"p95 of the reference of {row.method} {row.route}; what-if replay of {traces} traces: {said}")


def _by_share(account: TimeAccount, main: Finding, row: RouteRow) -> Measurement:
    """The reference's p95; what the constraint does not explain stays and stretches it."""
    explained = min(1.0, main.explains if main.explains is not None else main.added_seconds / max(account.added(row), 1e-9))
    value, low, high = row.reference.durations.percentile(0.95)
    if explained < 0.99:
        left = (1 - explained) * account.added(row) * 1e6 / row.affected.durations.n
        stretch = 1 + left / max(row.reference.mean * 1e6, 1.0)
        moved = Distribution((row.reference.durations.values * stretch).astype(row.reference.durations.values.dtype), row.reference.durations.counts)
        value, low, high = moved.percentile(0.95)
    method = f"reference of {row.method} {row.route}; {explained:.0%} of the added time is removed"
    return Measurement(value / 1e3, "ms", (None if low is None else low / 1e3, None if high is None else high / 1e3), n=row.reference.durations.n, method=method)
