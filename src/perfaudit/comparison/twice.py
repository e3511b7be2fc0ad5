"""Are requests counted twice? A log and its half-rotated copy in one folder hold the same lines; whole copies are left out while reading."""

from __future__ import annotations

import math

from perfaudit.comparison.arms import Source
from perfaudit.evidence.store import quote, within

#: What two records of one request agree in; neither service nor instance, which may come from the file's name.
IDENTITY = ("time", "method", "route", "status", "duration_us", "response_bytes", "request_bytes", "client_key", "request_id")
#: From this share of an arm's requests on it is told (the common bar of relevance).
TOLD = 0.01
#: Different requests agree by chance where clocks are coarse, within a file as between files (two files of n lines have n²/2 pairs each and n² across): so many times as often is none.
CHANCE = 4
#: Up to about this many requests are looked at; beyond, evenly chosen instants.
MOST = 2_000_000


def counted(one: Source) -> float:
    """The share of the arm's requests that another file of it holds as well; 0 for one file, and for logs that say too little to tell requests apart."""
    parts = one.evidence.bundle.parts("requests")
    columns = [c for c in IDENTITY if all(c in stored for _, stored in parts)]
    if len(parts) < 2 or not {"time", "duration_us"} <= set(columns):
        return 0.0
    files, same = ", ".join(quote(str(path.resolve())) for path, _ in parts), ", ".join(columns)
    thin = f" AND hash(time) % {every} = 0" if (every := math.ceil(one.requests / MOST)) > 1 else ""
    n, across, inside = one.evidence.one(
        "SELECT sum(n), sum(n - most), sum(n - files) FROM (SELECT sum(k) AS n, max(k) AS most, count(*) AS files FROM ("
        f"SELECT hash({same}) AS same, filename, count(*) AS k FROM read_parquet([{files}], filename = true, union_by_name = true) WHERE {within(one.window)}{thin} GROUP BY ALL) GROUP BY same)"
    )
    return float(across) / float(n) if n and across >= TOLD * n and across > CHANCE * inside else 0.0


def note(one: Source) -> str:
    """``production: 33 % of the requests stand in more than one file …``; "" where none do."""
    share = counted(one)
    return f"{one.name}: {100 * share:.0f} % of the requests stand in more than one file and are counted twice" if share else ""
