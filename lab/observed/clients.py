"""What the clients saw: requests that began in a part of the recording, whenever they ended."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.load import Request

FILE = "clients.csv"
SPAN = "phase.json"


@dataclass(frozen=True, slots=True)
class Times:
    """Requests of one route: how many, how many a second, how many failed (no answer, 429 or 5xx), percentiles in ms."""

    count: int
    rate: float
    errors: int
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, requests: Sequence[Request], seconds: float) -> Times:
        """Summarises requests that began within so many seconds."""
        durations = sorted(r.ms for r in requests)
        failed = sum(r.status == 0 or r.status == 429 or r.status >= 500 for r in requests)
        return cls(len(requests), len(requests) / seconds if seconds else 0.0, failed, *(quantile(durations, q) for q in (0.5, 0.95, 0.99)))

    def told(self) -> dict[str, float]:
        """For ``truth.json``."""
        return {"count": self.count, "rate": round(self.rate, 2), "errors": self.errors, "p50": round(self.p50, 2), "p95": round(self.p95, 2), "p99": round(self.p99, 2)}


def quantile(ordered: Sequence[float], q: float) -> float:
    """The nearest-rank quantile of ordered values; 0 where there are none."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else 0.0


def write_clients(folder: Path, requests: Iterable[Request], a: float, b: float) -> None:
    """Writes the requests that began between two instants (epoch seconds) beside a part's cuts."""
    with (folder / FILE).open("w", newline="") as out:
        lines = csv.writer(out)
        lines.writerow(Request._fields)
        lines.writerows(r for r in requests if a <= r.time - r.ms / 1000 < b)
    (folder / SPAN).write_text(json.dumps({"begin": a, "end": b}))


def read_clients(folder: Path) -> list[Request]:
    """The requests of a part."""
    if not (folder / FILE).is_file():
        return []
    with (folder / FILE).open(newline="") as lines:
        return [Request(float(r["time"]), float(r["ms"]), r["route"], int(r["status"])) for r in csv.DictReader(lines)]
