"""What the requests of each root operation wait for, in the affected window beside the reference.

A flow's mean time is split over the account's components; the difference of a component's means has the error of two independent means, with traces as
units (Cochran 1977, "Sampling Techniques", §2.11): the spans of a trace belong together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.store import quote, within
from perfaudit.model import Measurement
from perfaudit.paths.traced import METHOD, Labels
from perfaudit.paths.tracing import AFFECTED, LEAST_TRACES, REFERENCE, Key, Tracing


@dataclass(frozen=True)
class Piece:
    """A component of a flow: its share of the flow's time (with interval) and its mean per request in ms, in the reference too where known, and their difference."""

    component: str
    share: Measurement
    affected: float
    reference: float | None
    difference: Measurement | None


@dataclass(frozen=True)
class Flow:
    """All traces of a root operation: how many in both windows, the requests that they stand for, request-seconds, share, mean ms, and request-seconds added (None without a reference)."""

    number: int
    key: Key
    traces: tuple[int, int]
    requests: float
    seconds: float
    share: Measurement
    affected: Measurement
    reference: Measurement | None
    added: Measurement | None
    pieces: tuple[Piece, ...]


def name(key: Key) -> str:
    """A flow as people call it: ``GET /orders``, with its service."""
    said = f"{key.method} {key.route}".strip() if key.route else key.operation
    return said or key.service or "(unnamed)"


class Means:
    """Sums by label, flow and window over traces: ``n`` shape (flows, 2), ``y``, ``yy``, ``xy`` shape (labels, flows, 2) in µs, ``x`` and ``xx`` of whole traces."""

    def __init__(self, tracing: Tracing, found: Labels) -> None:
        roots = tracing.roots
        zone, flow = tracing.zone[roots], tracing.flow[roots]
        at = np.flatnonzero((zone == AFFECTED) | (zone == REFERENCE))
        index, flows = flow[at].astype(np.int64) * 2 + zone[at], len(tracing.flows)

        def added(values: Any) -> Any:
            return np.bincount(index, values, 2 * flows).reshape(flows, 2)

        whole = tracing.whole[at]
        self.n, self.x, self.xx = added(None), added(whole), added(whole**2)
        shape = (len(found.names), flows, 2)
        self.y, self.yy, self.xy = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for code in range(len(found.names)):
            spent = tracing.per_trace(tracing.on_path, found.codes == code)[at]
            self.y[code], self.yy[code], self.xy[code] = added(spent), added(spent**2), added(spent * whole)

    def mean(self, code: int, flow: int, zone: int) -> float:
        """Mean µs of a label in a flow's traces."""
        return float(self.y[code, flow, zone] / max(self.n[flow, zone], 1))

    def variance(self, code: int, flow: int, zone: int) -> float:
        """Variance of that mean."""
        n = float(self.n[flow, zone])
        return max(0.0, float(self.yy[code, flow, zone]) - n * self.mean(code, flow, zone) ** 2) / max(n - 1, 1) / max(n, 1)

    def whole(self, flow: int, zone: int) -> tuple[float, float]:
        """Mean ms of a flow's traces and its standard error."""
        n = max(float(self.n[flow, zone]), 1.0)
        mean = float(self.x[flow, zone]) / n
        return mean / 1e3, math.sqrt(max(0.0, float(self.xx[flow, zone]) - n * mean**2) / max(n - 1, 1) / n) / 1e3

    def measured(self, flow: int, zone: int) -> Measurement:
        """The same with its interval, from :data:`LEAST_TRACES` traces on."""
        n, (mean, error) = int(self.n[flow, zone]), self.whole(flow, zone)
        interval = (max(0.0, mean - 1.96 * error), mean + 1.96 * error) if n >= LEAST_TRACES else None
        return Measurement(mean, "ms", interval, n=n, method="mean over traces")

    def share(self, code: int, flow: int) -> tuple[float, float]:
        """Share of the flow's time in the affected window and its standard error."""
        n, x = float(self.n[flow, AFFECTED]), float(self.x[flow, AFFECTED])
        share = float(self.y[code, flow, AFFECTED]) / x
        residual = float(self.yy[code, flow, AFFECTED]) - 2 * share * float(self.xy[code, flow, AFFECTED]) + share**2 * float(self.xx[flow, AFFECTED])
        return share, math.sqrt(max(0.0, residual) * n / max(n - 1, 1)) / x


def flows(tracing: Tracing, found: Labels, most: int) -> tuple[list[Flow], int]:
    """The flows of the affected window, those with the most added time first (the most costly where there is no reference), and how many there are."""
    sums = Means(tracing, found)
    seconds = sums.x[:, AFFECTED] / 1e6 * tracing.weight[:, AFFECTED]
    total = float(seconds.sum())
    here = np.flatnonzero((sums.n[:, AFFECTED] > 0) & (sums.x[:, AFFECTED] > 0))
    comparable = (sums.n >= LEAST_TRACES).all(axis=1)
    means = sums.x / np.maximum(sums.n, 1)
    gained = np.where(comparable, (means[:, AFFECTED] - means[:, REFERENCE]) * tracing.requests[:, AFFECTED] / 1e6, 0.0)
    order = here[np.lexsort((here, -seconds[here], -gained[here]))]
    out = []
    for flow in order[:most].tolist():
        known = bool(comparable[flow])
        out.append(
            Flow(
                flow, tracing.flows[flow], (int(sums.n[flow, AFFECTED]), int(sums.n[flow, REFERENCE])), float(tracing.requests[flow, AFFECTED]), float(seconds[flow]),
                _of_all(tracing, flow, float(seconds[flow]), total), sums.measured(flow, AFFECTED), sums.measured(flow, REFERENCE) if known else None,
                _added(sums, flow, float(gained[flow]), float(tracing.requests[flow, AFFECTED])) if known else None, _pieces(tracing, found, sums, flow, known),
            )
        )  # fmt: skip
    return out, len(here)


def _added(sums: Means, flow: int, seconds: float, requests: float) -> Measurement:
    spread = 1.96 * math.hypot(sums.whole(flow, AFFECTED)[1], sums.whole(flow, REFERENCE)[1]) / 1e3 * requests
    return Measurement(seconds, "s", (seconds - spread, seconds + spread), n=int(sums.n[flow].sum()), method="difference of means over traces, times the requests")


def _of_all(tracing: Tracing, flow: int, seconds: float, total: float) -> Measurement:
    query = (
        f"SELECT sum(epoch_us(end_time) - epoch_us(start_time)) FILTER ({_root(tracing.flows[flow])}) / sum(epoch_us(end_time) - epoch_us(start_time)) AS trace_share"
        f" FROM critical_path WHERE NOT fragment AND {within(tracing.windows.affected, 'root_time')}"
    )
    return Measurement(seconds / total if total else 0.0, "share of request-seconds", n=int((tracing.flow[tracing.roots] == flow).sum()), method=METHOD, query=query)


def _root(key: Key) -> str:
    texts = {"root_service": key.service, "root_operation": key.operation}
    return " AND ".join(f"{column} = {quote(text)}" if text else f"{column} IS NULL" for column, text in texts.items())


def _pieces(tracing: Tracing, found: Labels, sums: Means, flow: int, known: bool) -> tuple[Piece, ...]:
    out = []
    n = (int(sums.n[flow, AFFECTED]), int(sums.n[flow, REFERENCE]))
    for code, label in enumerate(found.names):
        now, before = sums.mean(code, flow, AFFECTED), sums.mean(code, flow, REFERENCE)
        if not now and not (known and before):
            continue
        share, error = sums.share(code, flow)
        interval = (max(0.0, share - 1.96 * error), min(1.0, share + 1.96 * error)) if n[0] >= LEAST_TRACES else None
        difference = None
        if known:
            gap, spread = (now - before) / 1e3, 1.96 * math.sqrt(sums.variance(code, flow, AFFECTED) + sums.variance(code, flow, REFERENCE)) / 1e3
            difference = Measurement(gap, "ms", (gap - spread, gap + spread), n=n[0] + n[1], method="difference of means over traces")
        out.append(Piece(label, Measurement(share, "share of the flow's time", interval, n=n[0], method=METHOD), now / 1e3, before / 1e3 if known else None, difference))
    return tuple(sorted(out, key=lambda p: (-(p.share.value or 0.0), p.component)))
