"""What the account of time cannot tell apart, up to how much it could be, and which evidence would.

Instrumentation has known gaps: a commit, a wait for a pooled connection and a runtime's pause mostly have no span, and a proxy that holds requests back on
purpose looks like a slow one. Where traces are there, the gap is bounded by the own time that lies where such a wait would lie.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.components import DATABASE, POOL, SELF
from perfaudit.model import Measurement
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.hot import weights
from perfaudit.paths.tracing import AFFECTED, Tracing

#: A part of the account under a tenth of the time hides nothing that a decision would hang on (findings begin at 1 %, fixes at several per cent).
LARGE = 0.1
#: What could be a wait without a span is named from the common bar of relevance on.
RELEVANT = 0.01
_WRITES = re.compile(r"^\s*(insert|update|delete|merge|replace)\b", re.IGNORECASE)
_COMMITS = re.compile(r"\bcommit\b", re.IGNORECASE)
TRACES = "record traces: exporters: {file: {path: traces.jsonl}} in the OpenTelemetry Collector, or Jaeger's /api/traces?service=SERVICE&limit=1500"
_POOL = "a span around taking a connection (otelpgx pool.acquire, HikariCP getConnection), or the pool's metrics (db.client.connection.wait_time, hikaricp_connections_pending)"
_COMMIT = "the database's log with log_min_duration_statement = 0 (commits are statements there), or a span around commit"
_RUNTIME = "a CPU profile with wall clock (py-spy record --gil off, async-profiler -e wall), the runtime's pauses (jvm_gc_pause, process_runtime_*), and cpu.stat of the container"
_EDGE = "the proxy's error log (nginx: limiting requests, delaying request) and $request_time beside $upstream_response_time"
_QUEUE = "the proxy's $upstream_header_time beside the server span, joined by trace id in the access log; listen queues: ss -lnt"
_DATABASE = "sessions every second: psql -c 'select now(), * from pg_stat_activity' (PostgreSQL), select * from information_schema.innodb_trx (MySQL)"


@dataclass(frozen=True)
class BlindSpot:
    """What could hide in a part of the account: ``share`` of the request-seconds at most, and the evidence that would tell."""

    what: str
    inside: str
    share: Measurement
    collect: str


def blind_spots(account: TimeAccount) -> list[BlindSpot]:
    """The blind spots of an account of time, the largest first."""
    out: list[BlindSpot] = []
    shares = {part.name: share for part, share in account.shares()}

    def large(name: str) -> bool:
        return (shares[name].value or 0.0) >= LARGE

    for name, share in shares.items():
        if not large(name):
            continue
        if name == "unexplained":
            what = "everything behind the access log: own work, waiting, databases and other services" if account.tracing is None else "time that neither the access log nor the traces split"
            out.append(BlindSpot(what, name, share, TRACES))
        elif name.startswith("self"):
            out.append(BlindSpot("own work, pauses of the runtime, waits for a CPU and locks without a span", name, share, _RUNTIME))
        elif name == "edge":
            out.append(BlindSpot("requests that the proxy itself holds back, and clients that read slowly", name, share, _EDGE))
        elif "queue for a worker" in name:
            out.append(BlindSpot("waiting for a worker, the network, and requests that the proxy itself holds back", name, share, _QUEUE))
        elif name == "database: executing and waiting":
            out.append(BlindSpot("executing, and waiting for locks", name, share, _DATABASE))
        elif name.startswith("downstream") and account.tracing is not None and not _traced(account.tracing, name.partition(": ")[2]):
            out.append(BlindSpot("what the callee does: it has no spans here", name, share, TRACES.replace("SERVICE", "CALLEE")))
    if account.tracing is not None and account.seconds > 0:
        out += _gaps(account.tracing, account.seconds, shares)
    return sorted(out, key=lambda b: (-(b.share.value or 0.0), b.what, b.inside))


def _traced(tracing: Tracing, service: str) -> bool:
    return service in tracing.symbol("service")[1]


def _gaps(tracing: Tracing, seconds: float, shares: dict[str, Measurement]) -> list[BlindSpot]:
    """Own time right before database calls of services that record no wait for a pool, and right after their writes where they record no commit."""
    service, services = tracing.symbol("service")
    operation, operations = tracing.symbol("operation")
    writes = np.array([*(bool(_WRITES.search(text)) for text in operations), False])[operation]
    commits = np.array([*(bool(_COMMITS.search(text)) for text in operations), False])[operation]
    calls = tracing.own == DATABASE
    before, after = _beside(tracing, calls, calls & writes)
    out = []
    for owned, recorded, what, collect in (
        (before, tracing.own == POOL, "waiting for a connection of the pool: no span tells, and own time lies right before database calls", _POOL),
        (after, commits, "committing: no span tells, and own time lies right after writes to the database", _COMMIT),
    ):
        known = np.unique(service[recorded & (service >= 0)])
        for code in np.flatnonzero(owned / 1e6 / seconds >= RELEVANT).tolist():
            name = f"self: {services[code]}"
            if code not in known and name in shares:
                share = Measurement(min(float(owned[code]) / 1e6 / seconds, shares[name].value or 0.0), "share of request-seconds", n=tracing.count(AFFECTED), method="upper bound: own time beside database calls on the critical path")
                out.append(BlindSpot(what, name, share, collect))
    return out


def _beside(tracing: Tracing, calls: Any, writes: Any) -> tuple[Any, Any]:
    """Weighted µs of own time by service that end where a call begins, and that begin where a write ends. Shape (services,) each."""
    service, services = tracing.symbol("service")
    weight = weights(tracing, AFFECTED)
    before, after = np.zeros(len(services)), np.zeros(len(services))
    for span, start, end in tracing.traces.sections():
        own = (tracing.own[span] == SELF) & (service[span] >= 0)
        touching = (tracing.root[span[1:]] == tracing.root[span[:-1]]) & (start[1:] == end[:-1])
        took = (end - start) * weight[span]
        first = np.flatnonzero(touching & own[:-1] & calls[span[1:]])
        second = np.flatnonzero(touching & own[1:] & writes[span[:-1]]) + 1
        before += np.bincount(service[span[first]], took[first], len(services))
        after += np.bincount(service[span[second]], took[second], len(services))
    return before, after
