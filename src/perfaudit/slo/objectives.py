"""Was an objective kept in the affected window?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from perfaudit.baseline.requests import Requests, RouteRow
from perfaudit.config import Objective
from perfaudit.evidence.store import Evidence
from perfaudit.model import Measurement
from perfaudit.slo.events import largest
from perfaudit.stats.percentile import wilson


def judge_all(objectives: Iterable[Objective], requests: Requests | None, evidence: Evidence) -> tuple[str, list[dict[str, Any]]]:
    """``("kept" | "broken" | "", rows)``: broken when any objective is; "" when none could be judged."""
    rows = [_judge(o, requests, evidence) for o in objectives]
    states = [r["state"] for r in rows]
    overall = "broken" if "broken" in states else "kept" if "kept" in states else ""
    return overall, rows


def _judge(objective: Objective, requests: Requests | None, evidence: Evidence) -> dict[str, Any]:
    row: dict[str, Any] = {"objective": objective.text, "state": "unknown"}
    if objective.kind == "metric":
        value, n, query = largest(evidence, objective, requests.windows.affected if requests else None)
        if n and value is not None:
            row |= {"state": "kept" if value < objective.bound else "broken", "measured": Measurement(float(value), "", n=n, method="largest", query=query).to_json()}
        return row
    if requests is None:
        return row
    part = _chosen(objective, requests)
    if part is None or not part.affected.count:
        return row
    affected = part.affected
    if objective.kind == "errors":
        low, high = wilson(affected.errors, affected.count)
        measured = Measurement(affected.error_ratio, "share", (low, high), n=affected.count, method="Wilson")
        return row | {"state": "kept" if affected.error_ratio < objective.bound else "broken", "measured": measured.to_json()}
    key = (part.method, part.route) if part.route and part.method != "*" else None
    latency = requests.measured(affected, objective.quantile, "affected", key)
    if latency is None or not isinstance(latency.value, (int, float)):
        return row
    return row | {"state": "kept" if latency.value * 1e3 < objective.bound else "broken", "measured": latency.to_json()}


def _chosen(objective: Objective, requests: Requests) -> RouteRow | None:
    if not objective.route:
        return requests.total
    method, _, route = objective.route.rpartition(":") if objective.route.partition(":")[0].isupper() else ("", "", objective.route)
    rows = [r for r in requests.routes if r.route == route and (not method or r.method == method)]
    return max(rows, key=lambda r: r.all.count, default=None)
