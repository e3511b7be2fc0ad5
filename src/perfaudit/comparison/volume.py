"""Data volume: which statements both databases run, over how many rows, and what that costs a request."""

from __future__ import annotations

from dataclasses import dataclass

from perfaudit.comparison.arms import Source
from perfaudit.evidence.store import Evidence

#: Rows per call, or rows of the tables, this many times as many are other data: below, estimates of live rows differ by themselves
#: (ANALYZE samples 300 × default_statistics_target rows; autovacuum waits for a tenth of a table to change).
GREW = 1.2


@dataclass(frozen=True)
class Volume:
    """What statements that both arms ran cost a request more in B (``milliseconds``), and whether the data they run over is larger."""

    milliseconds: float
    grew: bool
    said: str


def compare(a: Source, b: Source) -> Volume | None:
    """Compare the statements; None where either arm has none, or B no two snapshots that say how often a request runs them."""
    counters = [_statements(a, inside=False), _statements(b, inside=True)]
    if not counters[0] or not counters[1]:
        return None
    shared = [f for f in counters[1] if f in counters[0]]
    if not shared:
        return None
    cost, rows = 0.0, [0.0, 0.0]
    for f in shared:
        (calls_a, micros_a, rows_a), (calls_b, micros_b, rows_b) = counters[0][f], counters[1][f]
        per_call = rows_b / calls_b / max(rows_a / calls_a, 1e-9) if rows_a else 1.0
        if per_call >= GREW or per_call <= 1 / GREW or not rows_a:
            rows[0] += rows_a / calls_a * calls_b
            rows[1] += rows_b
        cost += calls_b * (micros_b / calls_b - micros_a / calls_a)
    tables = [_rows(s.evidence) for s in (a, b)]
    ratio = tables[1] / tables[0] if min(tables) > 0 else None
    fetched = rows[1] / rows[0] if rows[0] > 0 else None
    grew = any(r is not None and (r >= GREW or r <= 1 / GREW) for r in (ratio, fetched))
    said = [f"{len(shared)} statements that both ran cost {cost / max(1, b.requests) / 1e3:+.3g} ms per request"]
    said += [f"tables hold {ratio:.2g} times the rows"] if ratio is not None else []
    said += [f"statements return {fetched:.2g} times the rows"] if fetched is not None else []
    return Volume(cost / max(1, b.requests) / 1e3, grew, "; ".join(said) + ("" if grew else "; the data is no larger, so nothing is attributed to it"))


def _statements(one: Source, *, inside: bool) -> dict[str, tuple[float, float, float]]:
    """Per fingerprint: calls, µs, rows between the first and the last snapshot; with one snapshot since the reset, unless ``inside``."""
    rows = one.evidence.rows(
        "SELECT fingerprint, max(calls) - min(calls), max(duration_us) - min(duration_us), max(rows) - min(rows), max(calls), max(duration_us), max(rows) FROM statements GROUP BY 1 ORDER BY 1"
    )
    moved = any(r[1] for r in rows)
    if inside and not moved:
        return {}
    out = {}
    for fingerprint, *values in rows:
        calls, micros, fetched = (float(v or 0) for v in (values[:3] if moved else values[3:]))
        if fingerprint and calls > 0:
            out[str(fingerprint)] = (calls, micros, fetched)
    return out


def _rows(evidence: Evidence) -> float:
    """Live rows of all tables at the last snapshot."""
    (found,) = evidence.one("SELECT sum(rows) FROM (SELECT name, arg_max(rows, time) AS rows FROM db_objects WHERE kind = 'table' GROUP BY name)")
    return float(found or 0)
