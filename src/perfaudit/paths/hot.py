"""Who owns the seconds that users wait: chains from the root down to the span that works, and the same by operation.

A chain is the service and name of every span from the root to the owner. Chains are told apart by a 64-bit hash that is built by pointer doubling, so that
the cost is that of the spans times the logarithm of the depth; that two of a million chains share a hash has a probability of 3·10⁻⁸ (birthday bound).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.components import COMPONENTS
from perfaudit.evidence.store import quote, within
from perfaudit.model import Measurement
from perfaudit.paths.traced import METHOD, Labels
from perfaudit.paths.tracing import AFFECTED, REFERENCE, Sum, Tracing

#: Steps that are named of a chain, at most: its first and its last half.
MOST_STEPS = 24
#: Odd multiplier of the hash over the steps of a chain, and the two of its mixing (Steele, Lea & Flood 2014, SplitMix64).
_STEP = 0x9E3779B97F4A7C15
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


@dataclass(frozen=True)
class Step:
    """A span of a chain, by its names; ``again``: how many spans of these names follow each other."""

    service: str
    operation: str
    again: int = 1


@dataclass(frozen=True)
class Chain:
    """From the root to the owner of the time: what it waits for, the request-seconds, their share, and seconds per request in the reference (None without)."""

    steps: tuple[Step, ...]
    component: str
    seconds: float
    share: Measurement
    reference: Measurement | None


@dataclass(frozen=True)
class Own:
    """What an operation itself owns on critical paths; ``calls`` per request in the affected window and in the reference."""

    service: str
    operation: str
    kind: str
    component: str
    seconds: float
    share: Measurement
    reference: Measurement | None
    calls: tuple[float, float | None]


def weights(tracing: Tracing, zone: int) -> Any:
    """Request-seconds of a zone for each second of a span, shape (spans,), 0 outside the zone."""
    if not len(tracing.flows):
        return np.zeros(len(tracing.traces))
    return np.where(tracing.zone == zone, tracing.weight[tracing.flow, zone], 0.0)


def requests(tracing: Tracing, zone: int) -> Any:
    """Requests of a zone that a span's trace stands for, shape (spans,), 0 outside the zone."""
    if not len(tracing.flows):
        return np.zeros(len(tracing.traces))
    at = tracing.zone[tracing.roots] == zone
    traces = np.bincount(tracing.flow[tracing.roots[at]], minlength=len(tracing.flows))
    return np.where(tracing.zone == zone, (tracing.requests[:, zone] / np.maximum(traces, 1))[tracing.flow], 0.0)


def share_of(owned: Sum, total: float, n: int, query: str = "") -> Measurement:
    """A share of all request-seconds with its interval."""
    share, spread = (owned.seconds / total, 1.96 * owned.error / total) if total else (0.0, 0.0)
    return Measurement(min(1.0, share), "share of request-seconds", (max(0.0, share - spread), min(1.0, share + spread)), n=n, method=METHOD, query=query)


def total(tracing: Tracing, zone: int) -> float:
    """All request-seconds of the zone's traces."""
    return tracing.seconds(tracing.on_path, zone).seconds


def _before(tracing: Tracing, where: Any) -> Measurement | None:
    if not tracing.count(REFERENCE):
        return None
    return share_of(tracing.seconds(tracing.on_path, REFERENCE, where), total(tracing, REFERENCE), tracing.count(REFERENCE))


# ------------------------------------------------------------ chains


def hashes(tracing: Tracing) -> Any:
    """A hash of each span's chain from its root, uint64."""
    code = _codes(tracing, ("service", "operation"))[0].astype(np.uint64)
    n = len(code)
    code = (code + np.uint64(1)) * np.uint64(_STEP)
    for shift, factor in ((30, _MIX[0]), (27, _MIX[1])):
        code = (code ^ (code >> np.uint64(shift))) * np.uint64(factor)
    out = np.append(code ^ (code >> np.uint64(31)), np.uint64(0))  # one more: what stands above the roots
    above = np.append(np.where(tracing.traces.parent < 0, n, tracing.traces.parent), n)
    factor = _STEP
    while (above[:n] != n).any():
        out += out[above] * np.uint64(factor)
        above, factor = above[above], factor * factor % 2**64
    return out[:n]


def chains(tracing: Tracing, found: Labels, most: int) -> tuple[list[Chain], int]:
    """The chains that own the most request-seconds of the affected window, and how many own any."""
    spent = weights(tracing, AFFECTED) * tracing.on_path
    own = np.flatnonzero(spent > 0)
    hashed = hashes(tracing) + found.codes.astype(np.uint64) * np.uint64(_MIX[0])  # spans of the same names may be different things: a first attempt, a retry
    distinct, first, place = np.unique(hashed[own], return_index=True, return_inverse=True)
    seconds = np.bincount(place, spent[own], len(distinct))
    everything = total(tracing, AFFECTED)
    out = []
    for i in np.lexsort((first, -seconds))[:most].tolist():
        span = int(own[first[i]])
        where = hashed == distinct[i]
        share = share_of(tracing.seconds(tracing.on_path, AFFECTED, where), everything, tracing.count(AFFECTED))
        out.append(Chain(steps(tracing, span), found.names[found.codes[span]], float(seconds[i]) / 1e6, share, _before(tracing, where)))
    return out, len(distinct)


def steps(tracing: Tracing, span: int) -> tuple[Step, ...]:
    """The chain from the root down to a span; spans of the same names that follow each other are one step."""
    line = [span]
    while (span := int(tracing.traces.parent[span])) >= 0:
        line.append(span)
    line.reverse()
    out: list[Step] = []
    for service, operation in zip(tracing.texts("service", line), tracing.texts("operation", line), strict=True):
        if out and (out[-1].service, out[-1].operation) == (service, operation):
            out[-1] = Step(service, operation, out[-1].again + 1)
        else:
            out.append(Step(service, operation))
    if len(out) > MOST_STEPS:
        half = MOST_STEPS // 2
        out = [*out[:half], Step("", f"… {len(out) - 2 * half} more …"), *out[-half:]]
    return tuple(out)


# ------------------------------------------------------------ operations


def own_time(tracing: Tracing, found: Labels, most: int) -> tuple[list[Own], int]:
    """What each (service, operation, kind, component) itself owns on critical paths of the affected window, the most first, and how many own any."""
    columns = ("service", "operation", "kind")
    code, _ = _codes(tracing, columns)
    code = code * len(found.names) + found.codes
    distinct, first, place = np.unique(code, return_index=True, return_inverse=True)
    seconds = np.bincount(place, weights(tracing, AFFECTED) * tracing.on_path, len(distinct))
    counts = [np.bincount(place, requests(tracing, zone), len(distinct)) for zone in (AFFECTED, REFERENCE)]
    everything, asked = total(tracing, AFFECTED), tracing.total_requests
    used = np.flatnonzero(seconds > 0)
    out = []
    for i in used[np.lexsort((used, -seconds[used]))][:most].tolist():
        span, where = [int(first[i])], place == i
        service, operation, kind = (tracing.texts(name, span)[0] for name in columns)
        query = "SELECT sum(epoch_us(end_time) - epoch_us(start_time)) / 1e6 AS trace_seconds FROM critical_path"
        said = {"service": service, "operation": operation, "kind": kind}
        query += f" WHERE NOT fragment AND {' AND '.join(f'{k} = {quote(v)}' if v else f'{k} IS NULL' for k, v in said.items())} AND {within(tracing.windows.affected, 'root_time')}"
        query += f" AND component = {quote(COMPONENTS[int(tracing.own[span[0]])])}"
        share = share_of(tracing.seconds(tracing.on_path, AFFECTED, where), everything, tracing.count(AFFECTED), query)
        calls = (float(counts[0][i]) / max(asked[0], 1e-9), float(counts[1][i]) / asked[1] if asked[1] > 0 else None)
        out.append(Own(service, operation, kind, found.names[found.codes[span[0]]], float(seconds[i]) / 1e6, share, _before(tracing, where), calls))
    return out, len(used)


def _codes(tracing: Tracing, columns: tuple[str, ...]) -> tuple[Any, int]:
    """One number for the texts of several columns of each span, int64, and how many numbers there could be."""
    code, size = np.zeros(len(tracing.traces), np.int64), 1
    for column in columns:
        codes, names = tracing.symbol(column)
        code = code * (len(names) + 1) + (codes + 1)
        size *= len(names) + 1
    return code, size
