"""k6's end-of-test summary: what ``handleSummary`` gets, or ``--summary-export``. Totals of the test, no times.

Sources: Grafana k6 documentation, "Custom summary" and "k6 options" (``--summary-export``). The two tell thresholds the other way round:
``{"ok": true}`` is a threshold that held, while a bare ``true`` of the export is one that was crossed (seen with k6 1.1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._load import Load, document, number
from perfaudit.redact import note

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "k6 summary"
VERSION = 1
TABLES = ("load_stages", "load_points")
TOOL = "k6"
TIER = LOAD_GENERATOR

_OWN = (b'"http_req_duration"', b'"iteration_duration"', b'"iterations"', b'"vus_max"')
_PERCENTILE = re.compile(r"p\((\d{1,2}(?:\.\d{1,3})?)\)")
_STATS = {"avg": "mean", "med": "p50", "min": "min", "max": "max"}
#: Thresholds that are kept; a script has a handful.
_MOST_THRESHOLDS = 200


def sniff(sample: Sample) -> Recognised | None:
    """A JSON document with ``metrics`` that only k6 has, and no points."""
    head = sample.head.lstrip()
    if not head.startswith(b"{") or b'"metrics"' not in head or b'"Point"' in head or not any(name in head for name in _OWN):
        return None
    return Recognised(0.95, hint="k6 run --summary-export=summary.json, or --out json=result.json for single requests")


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """Totals: requests, failures, percentiles as k6 tells them, dropped iterations, thresholds."""
    value = document(source, sink, lambda found: isinstance(found.get("metrics"), dict), "not a summary of k6")
    if value is None:
        return
    load = Load(sink, options, source.name)
    metrics = {str(name): entry for name, entry in value["metrics"].items() if isinstance(entry, dict)}
    values = {name: entry["values"] if isinstance(entry.get("values"), dict) else entry for name, entry in metrics.items()}

    def told(metric: str, *keys: str) -> float | None:
        return next((found for key in keys if (found := number(values.get(metric, {}).get(key))) is not None), None)

    for key, raw in values.get("http_req_duration", {}).items():
        percentile = _PERCENTILE.fullmatch(str(key))
        stat = _STATS.get(str(key)) or (f"p{percentile[1].replace('.', '')}" if percentile else "")
        found = number(raw)
        if stat and found is not None and found >= 0:
            load.total("duration_us", found * 1e3, stat=stat)
    requests, iterations, dropped, users = told("http_reqs", "count"), told("iterations", "count"), told("dropped_iterations", "count"), told("vus_max", "max", "value")
    failures = told("http_req_failed", "passes")  # a rate counts what is true: "passes" are the requests that failed
    for name, total in (("requests", requests), ("failures", failures), ("iterations", iterations), ("vus_max", users), ("checks_passed", told("checks", "passes")), ("checks_failed", told("checks", "fails"))):
        if total is not None:
            load.total(name, total)
    for key in ("min", "max"):
        if (busy := told("vus", key)) is not None:
            load.total("vus", busy, stat=key)
    milliseconds = number(value["state"].get("testRunDurationMs")) if isinstance(value.get("state"), dict) else None
    rate, arrived = told("iterations", "rate") or told("http_reqs", "rate"), iterations or requests
    seconds = milliseconds / 1e3 if milliseconds else arrived / rate if arrived and rate else None
    if seconds and seconds > 0 and arrived is not None:
        load.stage(None, seconds, target=None if dropped is None else (arrived + dropped) / seconds, achieved=arrived / seconds, dropped=None if dropped is None else round(dropped), users=None if users is None else int(users))
    _thresholds(load, metrics)
    load.finish()


def _thresholds(load: Load, metrics: dict[str, dict[str, Any]]) -> None:
    kept = 0
    for metric, entry in metrics.items():
        thresholds = entry.get("thresholds")
        for expression, state in thresholds.items() if isinstance(thresholds, dict) else ():
            ok = state.get("ok") if isinstance(state, dict) else not state if isinstance(state, bool) else None
            if isinstance(ok, bool) and kept < _MOST_THRESHOLDS:
                load.total("threshold", float(ok), metric=note(metric), threshold=note(str(expression)))
                kept += 1
