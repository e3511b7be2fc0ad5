"""The traces of an audit as checks and the account read them: what each span is, how long its root waits for it, in which window, and what it stands for.

Traces are mostly a sample. A trace stands for the requests of its route: ``weight`` makes the seconds of a route's traces those of its requests (a ratio
estimator with traces as units, stratified by flow: Cochran 1977, "Sampling Techniques", §2.11 and §6.12).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np

from perfaudit.evidence import traces as read_traces
from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.components import COMPONENTS, NEEDED, SELF, of_spans
from perfaudit.evidence.traces import Traces
from perfaudit.model import Windows

#: Zones of a root: in the affected window, in the reference, elsewhere; a fragment is in none.
AFFECTED, REFERENCE, REST, FRAGMENT = 0, 1, 2, -1
#: Spans that are added up at once.
BATCH = 2_000_000
#: A flow with fewer traces in a window says nothing about its mean there (a t interval of 5 values is ± 1.2 standard deviations).
LEAST_TRACES = 5
#: What was added is summed over flows: one with three traces in a window tells something, with an error that Student's t makes twice as long.
LEAST_ADDED = 3


@dataclass(frozen=True)
class Key:
    """What makes a flow: service, operation, method and route of the root span ("" where not said)."""

    service: str
    operation: str
    method: str
    route: str


@dataclass(frozen=True)
class Sum:
    """Request-seconds with their standard error, and how many traces carry them."""

    seconds: float
    error: float = 0.0
    traces: int = 0

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.seconds - 1.96 * self.error


@dataclass
class Tracing:
    """All traces of an audit with what is derived from them. Arrays have shape (spans,) unless said.

    ``own``: index in :data:`perfaudit.evidence.components.COMPONENTS` of the time that the span itself owns. ``on_path``: µs of its root's response path that
    the span itself owns. ``root``: index of its root. ``zone``: of its root. ``flow``: index in ``flows``. ``weight``: shape (flows, 2), request-seconds of the
    flow for each second of its traces, in the affected window and in the reference; ``requests``: shape (flows, 2), requests that the flow stands for.
    ``routes``: the log's method and route of each flow, None where none fits.
    """

    bundle: Bundle
    traces: Traces
    windows: Windows
    own: Any
    on_path: Any
    root: Any
    zone: Any
    flow: Any
    flows: tuple[Key, ...]
    weight: Any
    requests: Any
    routes: list[tuple[str, str] | None] = field(default_factory=list)
    _symbols: dict[str, tuple[Any, list[str]]] = field(default_factory=dict)
    _numbers: dict[str, Any] = field(default_factory=dict)
    _parts: dict[int, list[Any]] = field(default_factory=dict)
    labelled: Any = None

    # ------------------------------------------------------------ columns

    def symbol(self, name: str) -> tuple[Any, list[str]]:
        """A column of texts: codes (int32, −1 for null) and what they stand for."""
        if name in self.traces.symbols:
            return self.traces.symbols[name], self.traces.names[name]
        if name not in self._symbols:
            codes, names = read_traces.symbol(self.bundle, name)
            self._symbols[name] = codes[self.traces.row], names
        return self._symbols[name]

    def number(self, name: str) -> Any:
        """A numeric column as float64, NaN for null."""
        if name not in self._numbers:
            self._numbers[name] = self._read(name)
        return self._numbers[name]

    def _read(self, name: str) -> Any:
        return read_traces.number(self.bundle, name)[self.traces.row]

    def texts(self, name: str, spans: Any) -> list[str]:
        """The texts of some spans, "" for null."""
        codes, names = self.symbol(name)
        return [names[c] if c >= 0 else "" for c in codes[spans].tolist()]

    def is_(self, name: str, *texts: str) -> Any:
        """Which spans have one of these texts (bool)."""
        codes, names = self.symbol(name)
        wanted = [i for i, text in enumerate(names) if text in texts]
        return np.isin(codes, wanted)

    @cached_property
    def failed(self) -> Any:
        """Which spans say that they failed: status error, or HTTP status ≥ 500."""
        return self.is_("status", "error") | (self._read("http_status") >= 500)

    @cached_property
    def resent(self) -> Any:
        """How often each call had been sent before, as the span says (``http.request.resend_count``), int32."""
        said = self._read("resend_count")
        return np.where(said > 0, np.minimum(said, 1_000_000), 0).astype(np.int32)

    @cached_property
    def under(self) -> Any:
        """µs of the root's response path that the span and everything below it own, int64."""
        from perfaudit.kernels.trace_trees import subtree_sums

        out = self.on_path.astype(np.int64)
        subtree_sums(self.traces.parent, out, np.zeros(len(out), np.int32), np.empty(len(out), np.int32))
        return out

    @cached_property
    def took(self) -> Any:
        """Duration of each span in µs, int64."""
        return self.traces.end - self.traces.start

    @cached_property
    def order(self) -> Any:
        """Spans by parent, then by start, then in input order: siblings stand together, roots (parent −1) first."""
        return np.lexsort((self.traces.start, self.traces.parent))

    @cached_property
    def dependency(self) -> tuple[Any, list[str]]:
        """Whom a calling span calls: the service of the server span below it, else the one that answers at its peer in other calls, else its peer, else its operation.

        Codes (−1: calls no service) and names. An attempt that never arrived has the callee of one that did.
        """
        from perfaudit.evidence.components import DOWNSTREAM, QUEUE

        service, services = self.symbol("service")
        peer, peers = self.symbol("peer")
        operation, operations = self.symbol("operation")
        calls = np.isin(self.own, (DOWNSTREAM, QUEUE)) & self.is_("kind", "client", "producer")
        codes = {name: i for i, name in enumerate(services)}
        names = list(services)
        out = np.full(len(self.traces), -1, np.int32)

        def place(text: str) -> int:
            if text not in codes:
                codes[text] = len(names)
                names.append(text)
            return codes[text]

        for column, texts in ((operation, operations), (peer, peers)):
            table = np.array([*(place(t) for t in texts), -1], np.int32)
            at = calls & (column >= 0)
            out[at] = table[column[at]]
        above = self.traces.parent
        served = np.flatnonzero((above >= 0) & self.is_("kind", "server", "consumer"))
        served = served[calls[above[served]] & (service[served] >= 0)]
        out[above[served]] = service[served]
        out[calls] = _answering(out[calls], peer[calls], len(services))
        return out, names

    # ------------------------------------------------------------ traces

    @cached_property
    def roots(self) -> Any:
        """The spans that are roots and no fragments."""
        return np.flatnonzero((self.traces.parent < 0) & (self.zone != FRAGMENT))

    @cached_property
    def place(self) -> Any:
        """For each span the position of its root in :attr:`roots`; −1 in a fragment."""
        at = np.full(len(self.traces), -1, np.int32)
        at[self.roots] = np.arange(len(self.roots), dtype=np.int32)
        return at[self.root]

    def per_trace(self, values: Any, where: Any = None) -> Any:
        """Sum of ``values`` (by span) over each trace of :attr:`roots`; ``where`` picks spans. Shape (roots,)."""
        at = self.place >= 0 if where is None else (self.place >= 0) & where
        return np.bincount(self.place[at], np.asarray(values)[at], len(self.roots))

    def count(self, zone: int) -> int:
        """Traces in a zone."""
        return int(np.count_nonzero(self.zone[self.roots] == zone))

    @cached_property
    def total_requests(self) -> tuple[float, float]:
        """Requests that the traces stand for, in the affected window and in the reference."""
        return float(self.requests[:, 0].sum()), float(self.requests[:, 1].sum())

    def seconds(self, values: Any, zone: int = AFFECTED, where: Any = None) -> Sum:
        """Request-seconds of ``values`` (µs by span, e.g. ``on_path``) in a zone, all flows."""
        return self.sum_of(self.per_trace(values, where), zone)

    def by_code(self, values: Any, codes: Any, count: int) -> Any:
        """:meth:`per_trace` for the spans of each code 0 … ``count`` − 1 at once, shape (count, roots)."""
        out, roots = np.zeros(count * len(self.roots)), len(self.roots)
        for first in range(0, len(self.traces), BATCH):
            some = slice(first, first + BATCH)
            at = np.flatnonzero(self.place[some] >= 0) + first
            out += np.bincount(codes[at].astype(np.int64) * roots + self.place[at], values[at], count * roots)
        return out.reshape(count, roots)

    def sum_of(self, per_trace: Any, zone: int = AFFECTED) -> Sum:
        """Request-seconds of µs by trace (shape of :attr:`roots`) in a zone."""
        total, variance, traces = 0.0, 0.0, 0
        for flow, y, x, kept in self._strata(per_trace, zone):
            weight = float(self.weight[flow, zone])
            own, whole, n = float((kept * y).sum()), float((kept * x).sum()), len(y)
            total += weight * own
            traces += int(np.count_nonzero(y))
            residual = kept * (y - x * (own / whole if whole > 0 else 0.0))
            variance += weight**2 * (float(np.sum(residual**2)) * n / (n - 1) if n > 1 else own**2)
        return Sum(total / 1e6, math.sqrt(variance) / 1e6, traces)

    def added(self, values: Any, where: Any = None) -> Sum:
        """Request-seconds of ``values`` in the affected window beyond what the same requests cost in the reference, flow by flow.

        Flows with fewer than :data:`LEAST_ADDED` traces in a window do not count: their mean is not known. Errors are those of Student's t for the traces of each.
        """
        return self.added_of(self.per_trace(values, where))

    def added_of(self, per_trace: Any) -> Sum:
        """:meth:`added` for µs by trace (shape of :attr:`roots`)."""
        total, variance, traces = 0.0, 0.0, 0
        before = {flow: (y, kept) for flow, y, _, kept in self._strata(per_trace, REFERENCE)}
        for flow, y, _, kept in self._strata(per_trace, AFFECTED):
            old, had = before.get(flow, (y[:0], kept[:0]))
            if min(len(y), len(old)) < LEAST_ADDED:
                continue
            requests = float(self.requests[flow, AFFECTED])
            now, then = _mean(y, kept), _mean(old, had)
            total += requests * (now[0] - then[0])
            variance += requests**2 * (now[1] * _student(len(y)) + then[1] * _student(len(old)))
            traces += len(y)
        return Sum(total / 1e6, math.sqrt(variance) / 1e6, traces)

    def _strata(self, per_trace: Any, zone: int) -> list[tuple[int, Any, Any, Any]]:
        """``(flow, values, durations, stands for)`` of the traces in a zone, by flow."""
        if zone not in self._parts:
            at = np.flatnonzero(self.zone[self.roots] == zone)
            flow = self.flow[self.roots[at]]
            at = at[np.argsort(flow, kind="stable")]
            cuts = np.flatnonzero(np.diff(self.flow[self.roots[at]])) + 1
            self._parts[zone] = [part for part in np.split(at, cuts) if len(part)]
        whole, stands = self.whole, self.stands_for
        return [(int(self.flow[self.roots[part[0]]]), per_trace[part], whole[part], stands[part]) for part in self._parts[zone]]

    @cached_property
    def stands_for(self) -> Any:
        """How many traces of its flow each of :attr:`roots` stands for, where they were not kept at random (else ones). Set before sums are asked for."""
        return np.ones(len(self.roots))

    @cached_property
    def whole(self) -> Any:
        """µs that each root of :attr:`roots` took on its response path."""
        return self.per_trace(self.on_path)

    @cached_property
    def biased(self) -> str:
        """Why shares of these traces are not shares of the requests ("" where they are): traces were kept for what happened in them."""
        codes, names = self.symbol("sampler")
        tail = [i for i, text in enumerate(names) if "tail" in text.lower()]
        kept = int(np.isin(codes[self.roots], tail).sum())
        return f"{kept:,} of {len(self.roots):,} traces were kept by a tail sampler: slow and failed requests are over-represented" if kept else ""


@cache
def _student(n: int) -> float:
    """By what the variance of a mean of ``n`` values counts more, so that 1.96 standard errors are the 95 % interval of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 0.975) / 1.96) ** 2


def _mean(values: Any, kept: Any) -> tuple[float, float]:
    """Weighted mean and its variance (Cochran 1977, §2.11: a ratio of sums)."""
    n, whole = len(values), float(kept.sum())
    mean = float((kept * values).sum()) / whole
    return mean, float(np.sum((kept * (values - mean)) ** 2)) * n / (n - 1) / whole**2


def _answering(callee: Any, peer: Any, services: int) -> Any:
    """Callees (codes; those below ``services`` are services) where an address becomes the service that answers there, where it is always the same."""
    known = (peer >= 0) & (callee >= 0) & (callee < services)
    pairs = np.unique(np.stack([peer[known], callee[known]], axis=1), axis=0)
    address, times = np.unique(pairs[:, 0], return_counts=True)
    service = np.full(int(peer.max(initial=-1)) + 2, -1, np.int32)
    service[pairs[:, 0]] = pairs[:, 1]
    service[address[times > 1]] = -1
    return np.where((callee >= services) & (service[peer] >= 0), service[peer], callee)


def of_bundle(bundle: Bundle, windows: Windows, *, correct_skew: bool = False) -> Tracing | None:
    """The traces of a bundle over these windows, each standing for itself; None where there are none. ``correct_skew`` moves other clocks' spans into their parents."""
    if not bundle.rows("spans"):
        return None
    traces = read_traces.read(bundle, symbols=NEEDED, correct_skew=correct_skew)
    if not len(traces):
        return None
    root = traces.roots()
    zone = _zones(traces.start, windows)
    zone[traces.fragments()] = FRAGMENT
    on_path = np.zeros(len(traces), np.int64)
    for span, start, end in traces.sections():
        low = int(span.min(initial=len(traces)))
        spent = np.bincount(span - low, end - start).astype(np.int64)
        on_path[low : low + len(spent)] += spent
    own = of_spans(traces)
    service = traces.symbols["service"]
    away = (own == SELF) & (service != service[root])
    own[away] = COMPONENTS.index("downstream")
    if on_path.max(initial=0) < 2**31:
        on_path = on_path.astype(np.int32)
    out = Tracing(bundle, traces, windows, own, on_path, root, zone[root], np.zeros(len(traces), np.int32), (), np.ones((0, 2)), np.zeros((0, 2)))
    _set_flows(out)
    return out


def _zones(start: Any, windows: Windows) -> Any:
    zone = np.full(len(start), REST, np.int8)
    for window, number in ((windows.reference, REFERENCE), (windows.affected, AFFECTED)):
        if window is not None:
            zone[(start >= window.start) & (start < window.end)] = number
    return zone


def _set_flows(tracing: Tracing) -> None:
    """Number the flows by their roots, and let each trace stand for itself."""
    columns = ("service", "operation", "method", "route")
    roots = tracing.roots
    code = np.zeros(len(roots), np.int64)
    for name in columns:
        codes, names = tracing.symbol(name)
        code = code * (len(names) + 1) + (codes[roots] + 1)
    distinct, first, place = np.unique(code, return_index=True, return_inverse=True)
    texts = [tracing.texts(name, roots[first]) for name in columns]
    tracing.flows = tuple(_key(*row) for row in zip(*texts, strict=True))
    flow = np.full(len(tracing.traces), -1, np.int32)
    flow[roots] = place
    tracing.flow = flow[tracing.root]
    zone = tracing.zone[roots]
    tracing.weight = np.ones((len(distinct), 2))
    tracing.requests = np.stack([np.bincount(place[zone == z], minlength=len(distinct)) for z in (AFFECTED, REFERENCE)], axis=1).astype(np.float64)


def _key(service: str, operation: str, method: str, route: str) -> Key:
    """A flow's key; method and route from the operation (``GET /orders/{id}``) where the span does not say them."""
    head, _, rest = operation.partition(" ")
    if not route and rest.startswith("/"):
        route = rest
    if not method and head.isupper() and head.isalpha():
        method = head
    return Key(service, operation, method, route or (operation if operation.startswith("/") else ""))
