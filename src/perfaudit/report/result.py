"""The result: one JSON object that holds everything an audit found. Every renderer reads only this.

Same input, same bytes: sorted keys, no clock, no random order. Keys are absent where a phase did not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfaudit import __version__
from perfaudit.baseline.requests import QUANTILES, Requests, RouteRow, Slice, error_measurement
from perfaudit.baseline.shape import Shape
from perfaudit.baseline.tiers import Tiers
from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.tables import TABLES
from perfaudit.model import Finding, Measurement, Outcome, Windows, iso
from perfaudit.paths.account import TimeAccount
from perfaudit.problems import discover
from perfaudit.verdict.decide import Judged

SCHEMA_VERSION = 1


def audit_part(name: str, question: str, assumptions: Sequence[str], definition: dict[str, Any], command: str = "") -> dict[str, Any]:
    """``audit``: what was asked, and what was assumed where nothing was said."""
    out: dict[str, Any] = {"name": name, "question": question, "assumptions": list(assumptions), "tool": {"name": "perfaudit", "version": __version__}}
    if definition:
        out["definition"] = definition
    if command:
        out["command"] = command
    return out


def inventory(bundle: Bundle) -> list[dict[str, Any]]:
    """``inventory``: per table its rows, time range and sources."""
    out = []
    for table in TABLES:
        sources = [s for s in bundle.sources if table in s["tables"]]
        if not sources:
            continue
        starts = [s["first"] for s in sources if s["first"] is not None]
        ends = [s["last"] for s in sources if s["last"] is not None]
        row: dict[str, Any] = {"table": table, "rows": bundle.rows(table), "sources": [_source(s) for s in sources]}
        if starts:
            row |= {"from": iso(min(starts)), "to": iso(max(ends))}
        out.append(row)
    return out


def _source(entry: dict[str, Any]) -> dict[str, Any]:
    keys = ("name", "sha256", "bytes", "reader", "lines", "parsed", "rejected", "rejected_examples", "notes")
    out = {k: entry[k] for k in keys}
    if entry["first"] is not None:
        out |= {"from": iso(entry["first"]), "to": iso(entry["last"])}
    if entry.get("role"):
        out["notes"] = [*entry["notes"], f"given as {entry['role']}"]
    return out


def services_part(tiers: Tiers) -> list[dict[str, Any]]:
    """``services``: every tier that logged requests."""
    return [{"service": t.service, "requests": t.requests, "request_seconds": t.seconds, "role": "inner" if t.inside else "outermost"} for t in tiers.all]


def windows_part(windows: Windows) -> dict[str, Any]:
    """``windows``: affected and reference."""
    out: dict[str, Any] = {"affected": {"start": iso(windows.affected.start), "end": iso(windows.affected.end)}}
    if windows.reference:
        out["reference"] = {"start": iso(windows.reference.start), "end": iso(windows.reference.end), "source": windows.source}
    return out


def baseline_part(requests: Requests, shape: Shape, validity: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """``baseline``: validity, requests, routes, series."""
    total = requests.total.all
    spent = sum(r.all.seconds for r in requests.routes)
    whole = requests.windows.whole
    out: dict[str, Any] = {
        "validity": list(validity),
        "requests": {
            "count": total.count,
            "rate_per_s": total.count / shape.covered_seconds if shape.covered_seconds else 0.0,
            "error_ratio": total.error_ratio,
            "error_ratio_interval": error_measurement(total).to_json(),
            "client_aborts": total.aborts,
            "status": total.status,
            "duration_ms": durations(requests, total),
            **_stretches(requests, requests.total, None),
        },
        "routes": [_route(requests, row, spent, shape.covered_seconds or whole.seconds) for row in requests.routes],
        "series": shape.series,
    }
    if shape.route_series:
        out["route_series"] = shape.route_series
    if shape.heatmap:
        out["heatmap"] = shape.heatmap
    return out


def durations(requests: Requests, part: Slice, zone: str = "", route: tuple[str, str] | None = None, names: Sequence[str] = tuple(QUANTILES)) -> dict[str, Any]:
    """``duration_ms``: percentiles and the maximum, as measurements; empty when no durations were logged."""
    out: dict[str, Any] = {}
    for name in names:
        measured = requests.measured(part, QUANTILES[name], zone, route)
        if measured:
            out[name] = measured.to_json()
    if part.durations.n and "p999" in names:
        out["max"] = Measurement(float(part.durations.values[-1]) / 1e3, "ms", n=part.durations.n, method="largest", query=requests.query(1.0, zone, route)).to_json()
    return out


def _route(requests: Requests, row: RouteRow, spent: float, seconds: float) -> dict[str, Any]:
    key = (row.method, row.route) if row.method != "*" else None
    out: dict[str, Any] = {
        "method": row.method or "-",
        "route": row.route or "(unreadable)",
        "service": row.service,
        "count": row.all.count,
        "rate_per_s": row.all.count / seconds if seconds else 0.0,
        "error_ratio": row.all.error_ratio,
        "duration_ms": durations(requests, row.all, "", key),
        "seconds": row.all.seconds,
        "share_of_time": row.all.seconds / spent if spent else 0.0,
    }
    return out | _stretches(requests, row, key)


def _stretches(requests: Requests, row: RouteRow, key: tuple[str, str] | None) -> dict[str, Any]:
    """The affected and the reference window of a row, where there are both."""
    if not requests.windows.reference:
        return {}
    return {
        zone: {"count": part.count, "error_ratio": part.error_ratio, "duration_ms": durations(requests, part, zone, key, ("p50", "p95", "p99"))}
        for zone in ("affected", "reference")
        if (part := row.zones.get(zone)) is not None
    }


def account_part(account: TimeAccount, findings: Sequence[Finding] = ()) -> list[dict[str, Any]]:
    """``time_account``: components with shares that sum to 1, and the problems that claim them."""
    out = []
    for part, share in account.shares():
        row: dict[str, Any] = {"component": part.name, "share": share.to_json(), "seconds": part.seconds, "evidence": part.evidence}
        claims = [f.problem for f in findings if part.name in f.components]
        out.append(row | ({"problems": claims} if claims else {}))
    return out


def checks_part(outcomes: dict[str, Outcome]) -> list[dict[str, Any]]:
    """``checks``: every class with its outcome and reason."""
    areas = discover()
    out = []
    for name, outcome in outcomes.items():
        row: dict[str, Any] = {"problem": name, "area": areas[name].area, "outcome": outcome.status.value, "reason": outcome.reason}
        if outcome.wanted:
            row["wanted"] = [w.to_json() for w in outcome.wanted]
        out.append(row)
    return out


def findings_part(judged: Judged) -> list[dict[str, Any]]:
    """``findings``, in order."""
    return [_finding(i + 1, f) for i, f in enumerate(judged.findings)]


def _finding(number: int, finding: Finding) -> dict[str, Any]:
    import hashlib

    stable = "|".join([finding.problem, *(f"{k}={v}" for k, v in sorted(finding.scope.items()))])
    out: dict[str, Any] = {
        "id": f"F{number}",
        "fingerprint": hashlib.sha256(stable.encode()).hexdigest()[:16],
        "problem": finding.problem,
        "type": finding.type,
        "parents": list(finding.parents),
        "scope": finding.scope,
        "share": finding.share.to_json(),
        "confidence": finding.confidence,
        "title": finding.title,
        "evidence": [e.to_json() for e in finding.evidence],
        "tests": [t.to_json() for t in finding.tests],
        "rejected": [t.to_json() for t in finding.rejected],
        "fixes": [f.to_json() for f in finding.fixes],
    }
    out |= {k: v for k in ("mechanism", "cause") if (v := getattr(finding, k))}
    if finding.benefit:
        out["benefit"] = finding.benefit
    return out
