"""What slow traces have in common that fast ones do not have: values of attributes, within one operation.

Of each trace of a flow it is asked whether any of its spans has a value (an instance, a peer, an error, a service version, …): each trace counts once, however many
spans it has. Over-representation among the slow (from p90 on) against the fast (up to the median) is tested by Fisher's exact test, one-sided, and the false
discovery rate of all values is kept at 5 % (Benjamini & Hochberg 1995). A value that is common among the slow is no cause: it says where to look.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.bundle import Bundle
from perfaudit.paths.tracing import AFFECTED, Tracing
from perfaudit.stats.multiple import false_discovery

#: Slow: from this rank on; fast: up to this one.
SLOW, FAST = 0.9, 0.5
#: Columns of symbols that are asked about, and what they are called.
COLUMNS = {"instance": "instance", "peer": "calls", "error": "error", "status": "status", "operation": "span", "method": "method", "statement": "statement"}
#: A value in fewer traces, slow or fast, could not be told from chance; filtering by the sum leaves the error rate as it is (Bourgon, Gentleman & Huber 2010).
LEAST = 5
#: Slow traces from which on shares are compared at all: 20 are 5 % each.
LEAST_SLOW = 20
#: The false discovery rate, and the least difference of shares that is worth a look (what a person would call "more often").
RATE, DIFFERENCE = 0.05, 0.2
#: Traces of a flow that are looked at, at most: every k-th in order of time.
MOST_TRACES = 5000
#: Values that are tested of one attribute, the most frequent first: an attribute with more is an identifier.
MOST_VALUES = 200


@dataclass(frozen=True)
class Typical:
    """A value that slow traces have more often: how many of the slow and of the fast have it, log₂ odds ratio with 95 % interval, adjusted p."""

    attribute: str
    value: str
    slow: int
    fast: int
    odds: tuple[float, float, float]
    p: float


@dataclass(frozen=True)
class Compared:
    """The slow and the fast traces of a flow; ``values`` that tell them apart, the largest difference of shares first, out of ``tested``."""

    slow: int
    fast: int
    tested: int
    values: tuple[Typical, ...]
    note: str = ""


def compare(tracing: Tracing, flow: int) -> Compared:
    """Slow against fast traces of a flow in the affected window."""
    roots = tracing.roots
    at = np.flatnonzero((tracing.flow[roots] == flow) & (tracing.zone[roots] == AFFECTED))
    at = at[:: -(-len(at) // MOST_TRACES) or 1]
    at = at[np.argsort(tracing.whole[at], kind="stable")]
    n = len(at)
    fast, slow = at[: int(FAST * n)], at[math.ceil(SLOW * n) :]
    if len(slow) < LEAST_SLOW:
        return Compared(len(slow), len(fast), 0, (), f"{n:,} traces are too few to compare slow with fast: {round(LEAST_SLOW / (1 - SLOW))} are needed")
    group = np.full(len(roots), -1, np.int8)
    group[slow], group[fast] = 1, 0
    inside = np.flatnonzero(tracing.place >= 0)
    spans = inside[group[tracing.place[inside]] >= 0]
    trace = tracing.place[spans]
    rows: list[tuple[str, str, int, int]] = []
    for attribute, code, texts in _values(tracing, spans):
        known = code >= 0
        pairs = np.unique(trace[known].astype(np.int64) * (len(texts) + 1) + code[known])
        value, side = pairs % (len(texts) + 1), group[pairs // (len(texts) + 1)]
        counts = np.stack([np.bincount(value[side == s], minlength=len(texts)) for s in (1, 0)], axis=1)
        often = np.argsort(-counts.sum(axis=1), kind="stable")[:MOST_VALUES]
        rows += [(attribute, texts[i], int(counts[i, 0]), int(counts[i, 1])) for i in often.tolist() if counts[i].sum() >= LEAST]
    return Compared(len(slow), len(fast), len(rows), _judged(rows, len(slow), len(fast)))


def _values(tracing: Tracing, spans: Any) -> Iterator[tuple[str, Any, list[str]]]:
    """``(attribute, code of each span, texts)``; an attribute of a call belongs to the service that made it."""
    services, names = tracing.symbol("service")
    several = len(np.unique(services[spans])) > 1
    for column, said in COLUMNS.items():
        codes, texts = tracing.symbol(column)
        code = codes[spans]
        if column == "status":
            code = np.where(np.isin(code, [i for i, text in enumerate(texts) if text == "error"]), code, -1)
        if not several:
            yield said, code, texts
            continue
        both = np.where((code >= 0) & (services[spans] >= 0), services[spans].astype(np.int64) * len(texts) + code, -1)
        distinct, place = np.unique(both, return_inverse=True)
        shift = int(bool(len(distinct)) and distinct[0] < 0)
        told = [f"{names[c // len(texts)]}: {texts[c % len(texts)]}" for c in distinct[shift:].tolist()]
        yield said, place - shift, told
    yield from _labels(tracing.bundle, tracing.traces.row[spans])


def _labels(bundle: Bundle, row: Any) -> Iterator[tuple[str, Any, list[str]]]:
    """The same for each key of the column of other attributes; the first value of a key that a span has."""
    import pyarrow.parquet as pq

    wanted = np.argsort(row, kind="stable")
    rows = row[wanted]
    known: dict[str, tuple[Any, dict[str, int]]] = {}
    begin = 0
    for path, _ in bundle.parts("spans"):
        with pq.ParquetFile(path) as file:
            have = "attributes" in file.schema_arrow.names
            for group in range(file.num_row_groups):
                n = file.metadata.row_group(group).num_rows
                a, b = np.searchsorted(rows, [begin, begin + n])
                if have and b > a:
                    column = file.read_row_group(group, columns=["attributes"]).column(0).take((rows[a:b] - begin).tolist())
                    for at, pairs in enumerate(column.to_pylist(), int(a)):
                        for key, value in pairs or ():
                            codes, texts = known.setdefault(key, (np.full(len(row), -1, np.int64), {}))
                            codes[wanted[at]] = texts.setdefault(value, len(texts))
                begin += n
    for key in sorted(known):
        yield key, known[key][0], list(known[key][1])


def _judged(rows: list[tuple[str, str, int, int]], slow: int, fast: int) -> tuple[Typical, ...]:
    if not rows:
        return ()
    from scipy.stats import hypergeom

    a, b = np.array([r[2] for r in rows]), np.array([r[3] for r in rows])
    p = np.clip(hypergeom.sf(a - 1, slow + fast, a + b, slow), 0.0, 1.0)
    adjusted = false_discovery(p)
    out = []
    for (attribute, value, here, there), q in zip(rows, adjusted.tolist(), strict=True):
        if q <= RATE and here / slow - there / fast >= DIFFERENCE:
            out.append(Typical(attribute, value, here, there, _odds(here, slow, there, fast), q))
    return tuple(sorted(out, key=lambda t: (t.fast / fast - t.slow / slow, t.attribute, t.value)))


def _odds(a: int, slow: int, b: int, fast: int) -> tuple[float, float, float]:
    """Odds ratio with its 95 % interval (Woolf 1955, with a half added to every cell: Haldane 1956)."""
    cells = [a + 0.5, slow - a + 0.5, b + 0.5, fast - b + 0.5]
    log = math.log(cells[0] * cells[3] / (cells[1] * cells[2]))
    spread = 1.96 * math.sqrt(sum(1 / c for c in cells))
    return math.exp(log), math.exp(log - spread), math.exp(log + spread)
