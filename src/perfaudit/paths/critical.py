"""Where user-visible time goes: the critical paths of all traces, added up by root operation.

The share of a part is a ratio of sums over traces, so its error is that of a ratio estimator with traces as the sampled units (Cochran 1977, "Sampling
Techniques", §2.11): the sections of one trace belong together, traces are taken to be independent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.components import COMPONENTS, NEEDED, pieces
from perfaudit.evidence.store import quote, within
from perfaudit.evidence.traces import SYMBOLS, Traces, read
from perfaudit.model import Measurement, Window

#: With fewer traces a ratio's normal interval is not to be trusted (Cochran 1977, §6.4: at least 30 units).
LEAST_TRACES = 30
METHOD = "critical path, ratio of sums over traces"


@dataclass(frozen=True)
class Part:
    """What a flow waits for, the seconds that it owns and its share of the flow's.

    Where a component is summed, ``service``, ``operation`` and ``kind`` are empty. ``traces``: how many waited for it, ``sections``: how often.
    """

    service: str
    operation: str
    kind: str
    component: str
    seconds: float
    share: Measurement
    traces: int
    sections: int


@dataclass(frozen=True)
class Flow:
    """All traces of a root operation. The shares of ``parts`` sum to 1, and so do those of ``components``; the largest come first."""

    service: str
    operation: str
    traces: int
    seconds: float
    parts: tuple[Part, ...]
    components: tuple[Part, ...]


def of_bundle(bundle: Bundle, window: Window | None = None, *, completion: bool = False) -> list[Flow]:
    """The flows of a bundle's traces, the most costly first."""
    return flows(read(bundle, symbols=NEEDED), window, completion=completion)


def flows(traces: Traces, window: Window | None = None, *, completion: bool = False) -> list[Flow]:
    """Flows of the traces whose root began in ``window``, the most costly first. Fragments are left out (:meth:`Traces.fragments`)."""
    roots = np.flatnonzero((traces.parent < 0) & ~traces.fragments())
    if window is not None:
        roots = roots[(traces.start[roots] >= window.start) & (traces.start[roots] < window.end)]
    root_codes, place = np.unique(_codes(traces, roots, ("service", "operation")), return_inverse=True)
    flow_of = np.full(len(traces), -1, np.int32)
    flow_of[roots] = place
    detail, coarse, whole = _Sums(), _Sums(), _Sums()
    for piece in pieces(traces, completion):
        keep = flow_of[piece.root] >= 0
        span, root, start, end, component = (column[keep] for column in piece)
        took, code = end - start, component.astype(np.int64)
        total = whole.add(flow_of, root, np.zeros(len(root), np.int64), took, None)
        coarse.add(flow_of, root, code, took, total)
        detail.add(flow_of, root, _codes(traces, span, SYMBOLS) * len(COMPONENTS) + code, took, total)
    sums = {int(flow): row for flow, _, *row in whole.rows()}
    parts: list[list[Part]] = [[] for _ in root_codes]
    components: list[list[Part]] = [[] for _ in root_codes]
    counts, view = np.bincount(place, minlength=len(root_codes)), "critical_path_completion" if completion else "critical_path"
    names = [_texts(traces, int(code), ("service", "operation")) for code in root_codes]
    for into, rows in ((parts, detail.rows()), (components, coarse.rows())):
        for flow, key, *row in rows:
            label, component = divmod(int(key), len(COMPONENTS))
            said = _texts(traces, label, SYMBOLS) if into is parts else {}
            condition = " AND ".join(_is(name, text) for name, text in {**said, "component": COMPONENTS[component]}.items())
            query = (
                f"SELECT sum(epoch_us(end_time) - epoch_us(start_time)) FILTER ({condition}) / sum(epoch_us(end_time) - epoch_us(start_time)) AS share FROM {view}"
                f" WHERE NOT fragment AND {' AND '.join(_is(f'root_{name}', text) for name, text in names[int(flow)].items())}{_began(window)}"
            )
            share = _ratio(row, sums[int(flow)], int(counts[int(flow)]), query)
            text = {name: said.get(name) or "" for name in SYMBOLS}
            into[int(flow)].append(Part(text["service"], text["operation"], text["kind"], COMPONENTS[component], row[0] / 1e6, share, int(row[3]), int(row[4])))
    out = [
        Flow(names[i]["service"] or "", names[i]["operation"] or "", int(counts[i]), (sums[i][0] if i in sums else 0) / 1e6, _largest(parts[i]), _largest(components[i]))
        for i in range(len(root_codes))
    ]
    return sorted(out, key=lambda f: (-f.seconds, f.service, f.operation))


class _Sums:
    """Sums over traces for each (flow, key): of y (µs), y², x·y, traces, sections; y is what a trace spends on the key, x what it spends at all."""

    def __init__(self) -> None:
        self.chunks: list[Any] = []

    def add(self, flow_of: Any, root: Any, key: Any, took: Any, total: Any) -> Any:
        """Add a chunk of whole traces; gives x for each section (``total``, when None: this key is all there is)."""
        order = np.lexsort((key, root))
        first, group = _groups(root[order], key[order])
        y = np.add.reduceat(took[order], first) if len(first) else took
        x = y if total is None else total[order][first]
        sections = np.bincount(group, minlength=len(first))
        flow, code = flow_of[root[order][first]], key[order][first]
        values = np.stack([y, y.astype(np.float64) ** 2, x.astype(np.float64) * y, np.ones(len(y)), sections]) if len(first) else np.empty((5, 0))
        self.chunks.append(_merge(flow, code, values))
        out = np.empty(len(root), np.int64)
        out[order] = y[group]
        return out

    def rows(self) -> Iterable[list[Any]]:
        """``[flow, key, Σy, Σy², Σxy, traces, sections]`` of each."""
        if not self.chunks:
            return []
        flow, code, values = _merge(*(np.concatenate([c[i] for c in self.chunks], axis=-1) for i in range(3)))
        return [[f, c, *v] for f, c, v in zip(flow.tolist(), code.tolist(), values.T.tolist(), strict=True)]


def _groups(*sorted_by: Any) -> tuple[Any, Any]:
    """Where each run of equal rows begins, and the run of each row."""
    n = len(sorted_by[0])
    new = np.ones(n, bool)
    if n:
        new[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in sorted_by])
    return np.flatnonzero(new), np.cumsum(new) - 1


def _merge(flow: Any, code: Any, values: Any) -> tuple[Any, Any, Any]:
    order = np.lexsort((code, flow))
    first, _ = _groups(flow[order], code[order])
    return flow[order][first], code[order][first], np.add.reduceat(values[:, order], first, axis=1) if len(first) else values


def _ratio(row: list[float], whole: list[float], n: int, query: str) -> Measurement:
    """Σy / Σx with the variance of its linearisation; without an interval below :data:`LEAST_TRACES`."""
    x, xx = whole[0], whole[1]
    share = row[0] / x
    interval = None
    if n >= LEAST_TRACES:
        residual = max(0.0, row[1] - 2 * share * row[2] + share * share * xx)
        spread = 1.96 * math.sqrt(residual * n / (n - 1)) / x
        interval = max(0.0, share - spread), min(1.0, share + spread)
    return Measurement(share, "share of user-visible seconds", interval, n=n, method=METHOD, query=query)


def _largest(parts: list[Part]) -> tuple[Part, ...]:
    return tuple(sorted(parts, key=lambda p: (-p.seconds, p.service, p.operation, p.kind, p.component)))


def _codes(traces: Traces, span: Any, columns: tuple[str, ...]) -> Any:
    """One number for the texts of several columns."""
    code = np.zeros(len(span), np.int64)
    for name in columns:
        code = code * (len(traces.names[name]) + 1) + (traces.symbols[name][span] + 1)
    return code


def _texts(traces: Traces, code: int, columns: tuple[str, ...]) -> dict[str, str | None]:
    """The texts behind a number of :func:`_codes`."""
    found: dict[str, str | None] = {}
    for name in reversed(columns):
        code, index = divmod(code, len(traces.names[name]) + 1)
        found[name] = traces.names[name][index - 1] if index else None
    return {name: found[name] for name in columns}


def _is(column: str, text: str | None) -> str:
    return f"{column} IS NULL" if text is None else f"{column} = {quote(text)}"


def _began(window: Window | None) -> str:
    return "" if window is None else f" AND {within(window, 'root_time')}"
