"""What a span on the critical path stands for: own work, or a wait for something that has a name.

Told from what instrumentations record: the kind, the system that is called (OpenTelemetry semantic conventions 1.37, ``db.system.name``,
``messaging.system``, ``rpc.system``), and the names of spans where only the name says it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from perfaudit.evidence.traces import SYMBOLS, Traces

#: Columns of symbols that this needs; pass them to :func:`perfaudit.evidence.traces.read`.
NEEDED = (*SYMBOLS, "system")

#: The parts that time on a critical path can be split into, exclusively.
COMPONENTS = ("self", "downstream", "database", "cache", "queue", "pool wait", "connection set-up", "application wait", "queue for a worker")
SELF, DOWNSTREAM, DATABASE, CACHE, QUEUE, POOL, CONNECT, WAIT, WORKER = range(len(COMPONENTS))

_CACHES = frozenset(("redis", "memcached", "valkey", "keydb", "dragonfly", "hazelcast", "infinispan", "geode", "coherence"))
_MESSAGING = frozenset(
    ["kafka", "rabbitmq", "jms", "activemq", "aws_sqs", "aws.sqs", "aws_sns", "aws.sns", "pulsar", "rocketmq", "nats", "servicebus", "eventhubs", "eventgrid", "gcp_pubsub"]
)
_CALLS = frozenset(["grpc", "connectrpc", "connect_rpc", "dubbo", "apache_dubbo", "dotnet_wcf", "java_rmi", "jsonrpc", "onc_rpc", "aws-api", "http"])
#: otelpgx "pool.acquire", pg-pool "pg-pool.connect", JDBC data sources "HikariDataSource.getConnection", generic "acquire connection".
_POOL = re.compile(r"\bpool\b.*\b(?:acquire|get|wait|checkout|check out|borrow|connect)|getconnection$|\b(?:acquire|borrow|checkout)[ ._-]?conn", re.IGNORECASE)
#: Pools of threads and workers, which are no pools of connections.
_THREADS = re.compile(r"(?:thread|worker)s?[ ._-]?pool", re.IGNORECASE)
#: Go's httptrace "http.dns", "http.connect", "http.tls"; Node "tcp.connect", "tls.connect", "dns.lookup"; SQLAlchemy "connect".
_CONNECT = re.compile(r"(?:^|[ ._-])(?:connect|dns|dns[ ._-]lookup|tls|tls[ ._-]handshake|handshake)$", re.IGNORECASE)
#: Before a request is worked on: Rack's and Passenger's "http.queue", "rack.queue", "queue time"; "admission.wait", "worker.queue", "executor wait", "threadpool.queue".
_WORKER = re.compile(r"(?:^|[ ._-])(?:admission|workers?(?:[ ._-]?pool)?|executor|thread[ ._-]?pool|dispatch(?:er)?|accept|request)[ ._-]?(?:wait|queued?|queue[ ._-](?:wait|time)|acquire)$|(?:^|[ ._-])(?:http|rack|request)[ ._-]queue$|(?:^|[ ._-])queue[ ._-](?:time|wait)$", re.IGNORECASE)
#: Waits that applications name themselves; no convention names them, so only plain words count: "lock.acquire", "mutex wait", "… wait".
_WAIT = re.compile(r"(?:^|[ ._-])(?:lock|mutex|semaphore|latch)(?:[ ._-](?:acquire|wait))?$|[ ._-]wait$", re.IGNORECASE)


def component(kind: str | None, system: str | None, operation: str | None) -> int:
    """The index in :data:`COMPONENTS` of the time that such a span itself owns."""
    name, called = operation or "", (system or "").lower()
    waits = kind not in ("server", "consumer")
    if waits and _POOL.search(name) and not _THREADS.search(name):
        return POOL
    if waits and _CONNECT.search(name):
        return CONNECT
    if waits and kind != "client" and _WORKER.search(name):
        return WORKER
    if waits and kind != "client" and _WAIT.search(name):
        return WAIT
    if waits and called in _CACHES:
        return CACHE
    if kind == "producer" or (waits and called in _MESSAGING):
        return QUEUE
    if waits and called and called not in _CALLS:
        return DATABASE
    return DOWNSTREAM if kind == "client" else SELF


class Pieces(NamedTuple):
    """Sections with what they are: index of span and root, from when to when (µs, int64), index in :data:`COMPONENTS`."""

    span: Any
    root: Any
    start: Any
    end: Any
    component: Any


def pieces(traces: Traces, completion: bool = False) -> Iterator[Pieces]:
    """The sections of all roots, chunk by chunk, by root and time. What a span owns after its own end is ``queue``: what it set off has not begun.

    A span's own work is ``downstream`` where its service is not the root's.
    """
    own, root_of, service = of_spans(traces), traces.roots(), traces.symbols["service"]
    for span, start, end in traces.sections(completion):
        if completion:
            span, start, end = _cut(span, start, end, traces.end[span])
        root = root_of[span]
        kind = own[span]
        kind[(kind == SELF) & (service[span] != service[root])] = DOWNSTREAM
        if completion:
            kind[start >= traces.end[span]] = QUEUE
        yield Pieces(span, root, start, end, kind)


def _cut(span: Any, start: Any, end: Any, at: Any) -> tuple[Any, Any, Any]:
    """Cut the sections that reach over an instant in two there."""
    over = (start < at) & (at < end)
    times = 1 + over.astype(np.int64)
    second = np.cumsum(times)[over] - 1
    span, start, end = (np.repeat(column, times) for column in (span, start, end))
    start[second] = end[second - 1] = at[over]
    return span, start, end


def of_spans(traces: Traces) -> Any:
    """:func:`component` of each span, uint8."""
    columns = ("operation", "system", "kind")
    key = np.zeros(len(traces), np.int64)
    for name in columns:
        key = key * (len(traces.names[name]) + 1) + (traces.symbols[name] + 1)
    distinct, place = np.unique(key, return_inverse=True)
    found = np.empty(len(distinct), np.uint8)
    for i, rest in enumerate(distinct.tolist()):
        texts: dict[str, str | None] = {}
        for name in reversed(columns):
            rest, code = divmod(rest, len(traces.names[name]) + 1)
            texts[name] = traces.names[name][code - 1] if code else None
        found[i] = component(texts["kind"], texts["system"], texts["operation"])
    return found[place]
