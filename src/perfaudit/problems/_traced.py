"""What checks that read traces share: how much of the users' time some spans own, what was added, on which routes, and how long single calls took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.baseline.windows import RELEVANT
from perfaudit.evidence.store import quote, within
from perfaudit.model import Measurement, Wanted
from perfaudit.paths.account import LEAST_REFERENCE, TimeAccount
from perfaudit.paths.tracing import AFFECTED, REFERENCE, Sum, Tracing

TRACES = Wanted(
    "traces of the requests (spans)",
    "curl -s 'http://localhost:16686/api/traces?service=SERVICE&lookback=1h&limit=1500' > traces.json  # Jaeger; or the Collector's file exporter: exporters: {file: {path: traces.jsonl}}",
    "splits the time of a request over its own work, pools, databases, caches and other services",
)
#: A route belongs to a finding's scope when it carries at least this share of what was added: less is a bystander that the same change touched.
CARRIES = 0.2


@dataclass(frozen=True)
class Claim:
    """Request-seconds that some spans own in the affected window, and those of them that the reference did not have (all of them where there is none).

    ``share`` is of all request-seconds of the affected window; ``explains``: of the added ones (None without a reference); ``routes`` by what was added.
    """

    seconds: Sum
    added: Sum
    share: Measurement
    explains: float | None
    routes: list[str]

    @property
    def scope_route(self) -> str | list[str]:
        """One route, or a list; "" where none is known."""
        return self.routes[0] if len(self.routes) == 1 else self.routes or ""


def compared(account: TimeAccount) -> bool:
    """Whether the reference holds traces to compare with."""
    return account.tracing is not None and account.windows.reference is not None and account.tracing.count(REFERENCE) > 0


def claim(account: TimeAccount, where: Any, values: Any = None, method: str = "traces: critical path", query: str = "") -> Claim:
    """What the spans ``where`` own; ``values`` (µs by span) instead of their own time on the critical path. Raises ValueError without traces."""
    tracing = account.tracing
    if tracing is None:
        raise ValueError("no traces")
    values = tracing.on_path if values is None else values
    owned = tracing.seconds(values, AFFECTED, where)
    before = compared(account)
    added = _felt(account, tracing.added(values, where)) if before else owned
    total = account.seconds or float(tracing.seconds(tracing.on_path, AFFECTED).seconds)
    share = max(0.0, added.seconds) / total if total else 0.0
    spread = 1.96 * added.error / total if total else 0.0
    measured = Measurement(min(1.0, share), "share of request-seconds", (max(0.0, share - spread), min(1.0, share + spread)), n=tracing.count(AFFECTED), method=method, query=query)
    explains = min(1.0, max(0.0, added.seconds) / account.added_seconds) if before and account.added_seconds > 0 else None
    return Claim(owned, added, measured, explains, routes(tracing, where, values))


def _felt(account: TimeAccount, added: Sum) -> Sum:
    """At most what users felt: where the log knows both windows and no more requests fail, traces cannot have added more than the requests took longer.

    A renamed callee, a new instrumentation or another sampling moves time between names, and nobody waits longer for it.
    """
    total = account.requests.total if account.requests else None
    if total is None or total.reference.durations.n < LEAST_REFERENCE or account.failed_beyond >= RELEVANT * account.count or added.seconds <= account.added_seconds:
        return added
    return Sum(account.added_seconds, added.error, added.traces)


def routes(tracing: Tracing, where: Any, values: Any) -> list[str]:
    """The routes that carry the time, the most first; where there is a reference, by what was added."""
    per_trace = tracing.per_trace(values, where)
    flow, zone = tracing.flow[tracing.roots], tracing.zone[tracing.roots]
    means = []
    for z in (AFFECTED, REFERENCE):
        at = zone == z
        count = np.bincount(flow[at], minlength=len(tracing.flows))
        means.append(np.bincount(flow[at], per_trace[at], len(tracing.flows)) / np.maximum(count, 1))
    gained = np.maximum(0.0, means[0] - means[1]) * tracing.requests[:, AFFECTED]
    found: dict[str, float] = {}
    for number in np.argsort(-gained, kind="stable").tolist():
        known = tracing.routes[number] if tracing.routes else None
        route = known[1] if known else tracing.flows[number].route or tracing.flows[number].operation
        if gained[number] > 0 and route:
            found[route] = found.get(route, 0.0) + float(gained[number])
    total = sum(found.values())
    return [route for route, gain in sorted(found.items(), key=lambda r: (-r[1], r[0])) if gain >= CARRIES * total]


def calls(tracing: Tracing, where: Any, zone: int) -> Any:
    """Durations (µs, int64) of the spans ``where`` in a zone, in input order."""
    return tracing.took[where & (tracing.zone == zone)]


def of_spans(account: TimeAccount, condition: str, what: str = "quantile_disc(duration_us, 0.5) / 1e3 AS ms") -> str:
    """SQL for ``perfaudit query`` over the spans of the affected window that satisfy a condition."""
    return f"SELECT {what} FROM spans WHERE {condition} AND {within(account.windows.affected)}"


def named(**columns: str) -> str:
    """A SQL condition: these columns have these texts (those that are "" are null)."""
    return " AND ".join(f"{name} = {quote(text)}" if text else f"{name} IS NULL" for name, text in columns.items()) or "true"


def caller(account: TimeAccount) -> list[str]:
    """The services at the outside, as scopes name them."""
    return [s for s in account.tiers.outermost if s not in ("", "web")]
