"""The outermost tier's requests as arrays, batch by batch: what every pass over them reads.

Names become codes once; batches are kept in memory while the recording is small enough, so that a second pass costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.store import Evidence, quote

#: Requests a batch holds, and up to how many are kept for the next pass (22 bytes each: 110 MB).
BATCH, KEEP = 500_000, 5_000_000

Key = tuple[str, str]
"""``(method, route)``; "" for an unreadable request line."""
Batch = tuple[Any, Any, Any, Any, Any]
"""``(time µs, duration µs or −1, status, method code, route code)``: int64, int64, int16, int16, int32 arrays of one length."""


@dataclass(frozen=True)
class Total:
    """All requests of one service, method and route: how many, their summed durations in µs, responses with status ≥ 500."""

    service: str
    method: str
    route: str
    count: int
    micros: int
    errors: int

    @property
    def key(self) -> Key:
        """``(method, route)``."""
        return self.method, self.route


def totals(evidence: Evidence) -> list[Total]:
    """One row for each service, method and route, sorted."""
    rows = evidence.rows("SELECT service, method, route, count(*), sum(duration_us), count(*) FILTER (status >= 500) FROM requests GROUP BY ALL")
    return sorted((Total(s or "", m or "", r or "", int(n), int(d or 0), int(e)) for s, m, r, n, d, e in rows), key=lambda t: (t.service, t.method, t.route))


def by_key(rows: list[Total]) -> dict[Key, Total]:
    """Totals per method and route, whichever peer of the tier logged them; ``service`` joins their names."""
    merged: dict[Key, Total] = {}
    for t in rows:
        old = merged.get(t.key)
        merged[t.key] = t if old is None else Total(f"{old.service}, {t.service}", *t.key, old.count + t.count, old.micros + t.micros, old.errors + t.errors)
    return merged


class Stream:
    """Batches of the requests that satisfy ``where``; ``rows`` are the totals of the services that it keeps."""

    def __init__(self, evidence: Evidence, where: str, rows: list[Total]) -> None:
        self.totals = by_key(rows)
        self._evidence, self._where = evidence, where
        self._methods, self._routes = sorted({m for m, _ in self.totals}), sorted({r for _, r in self.totals})
        self._kept: list[Batch] | None = None

    def numbered(self, number: Mapping[Key, int], rest: int) -> Any:
        """The number of each (method code, route code), shape (methods, routes), int64; ``rest`` where none is given."""
        table = np.full((max(1, len(self._methods)), max(1, len(self._routes))), rest, np.int64)
        method, route = ({name: i for i, name in enumerate(names)} for names in (self._methods, self._routes))
        for (m, r), n in number.items():
            table[method[m], route[r]] = n
        return table

    def batches(self) -> Iterator[Batch]:
        """Every request once, in no particular order."""
        if self._kept is not None:
            yield from self._kept
            return
        keep: list[Batch] | None = [] if sum(t.count for t in self.totals.values()) <= KEEP else None
        for batch in self._read():
            if keep is not None:
                keep.append(batch)
            yield batch
        self._kept = keep

    def _read(self) -> Iterator[Batch]:
        if not self.totals:
            return
        for name, values in (("method_name", self._methods), ("route_name", self._routes)):
            self._evidence.connection.execute(f"DROP TYPE IF EXISTS {name}")
            self._evidence.connection.execute(f"CREATE TYPE {name} AS ENUM ({', '.join(map(quote, values))})")
        reader = self._evidence.batches(
            "SELECT epoch_us(time), coalesce(duration_us, -1), coalesce(status, 0)::SMALLINT, coalesce(method, '')::method_name, coalesce(route, '')::route_name"
            f" FROM requests WHERE {self._where}",
            BATCH,
        )
        for found in reader:
            time, duration, status = (found.column(i).to_numpy(zero_copy_only=False) for i in range(3))
            method, route = (found.column(i).indices.to_numpy(zero_copy_only=False) for i in (3, 4))
            yield time, duration, status, method.astype(np.int16), route.astype(np.int32)
