"""Can an objective be measured, and can an alert on it ever fire? What cannot is refused, with the reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from perfaudit.slo.model import Slo, shorthand
from perfaudit.stats import budget
from perfaudit.stats.budget import BurnAlert

#: Bounds of a histogram where nobody chose others, in seconds (Prometheus client libraries, the Go client's DefBuckets).
DEFAULT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def alert(rule: BurnAlert, slo: Slo, rate: float | None) -> dict[str, Any]:
    """An alert as a row: windows, factor, threshold, minimum, what it takes to fire; ``feasible`` with ``reason`` where it cannot. ``rate``: events/s."""
    threshold = rule.threshold(slo.target)
    minimum = budget.minimum_bad(rule.factor, rule.long_s)
    row: dict[str, Any] = {
        "severity": rule.severity, "factor": rule.factor, "long_s": rule.long_s, "short_s": rule.short_s, "after_s": rule.after_s, "threshold": threshold,
        "minimum_bad": minimum, "budget_share": rule.share(slo.period_s), "feasible": True,
    }  # fmt: skip
    reason = _never(rule, slo, threshold, minimum, rate)
    if reason:
        return row | {"feasible": False, "reason": reason}
    outage = budget.detection_s(rule, slo.target)
    if rate:
        outage = max(outage, minimum / rate + rule.after_s)
    return row | {"outage_detected_s": outage, "outage_reset_s": budget.reset_s(rule, slo.target)}


def _never(rule: BurnAlert, slo: Slo, threshold: float, minimum: int, rate: float | None) -> str:
    """Why the alert can never fire; "" where it can."""
    if threshold >= 1:
        return f"it can never fire: a burn rate above {rule.factor:.4g} at a target of {slo.target * 100:.10g} % asks for an error ratio above {threshold:.0%}"
    if rule.long_s >= slo.period_s:
        return f"its window of {shorthand(rule.long_s)} is not shorter than the period of {shorthand(slo.period_s)}"
    if slo.method != "occurrences" and (rule.short_s or rule.long_s) < slo.slice_s:
        return f"a window of {shorthand(rule.short_s or rule.long_s)} holds no whole time slice of {shorthand(slo.slice_s)}"
    if slo.method != "occurrences" and rule.long_s / slo.slice_s < minimum:
        return f"{shorthand(rule.long_s)} hold {rule.long_s / slo.slice_s:.0f} time slices, and it asks for {minimum} bad ones"
    if rate is not None and rate * rule.long_s < minimum:
        return f"too little traffic: {rate * rule.long_s:,.1f} events in {shorthand(rule.long_s)}, and it asks for {minimum} bad ones, so that chance does not fire it"
    return ""


def objective(slo: Slo, rate: float | None, alerts: Sequence[dict[str, Any]], histogram: tuple[str, Sequence[float]] = ("", ())) -> list[dict[str, Any]]:
    """What speaks against an objective: rows of ``check``, ``ok`` and ``detail``. ``rate``: events/s of the recording; ``histogram``: name and bounds in s."""
    rows = []
    needed = math.ceil(1 / (1 - slo.target) - 1e-9)
    if rate is not None:
        expected = rate * slo.period_s
        enough = expected >= needed
        detail = f"about {expected:,.0f} events in {shorthand(slo.period_s)} at this load allow {expected * (1 - slo.target):,.1f} bad ones"
        rows.append({"check": "traffic", "ok": enough, "detail": detail + ("" if enough else f": one failure breaks the objective, which takes {needed:,} events")})
    possible = [a for a in alerts if a["feasible"]]
    if alerts:
        detail = f"{len(possible)} of {len(alerts)} alerts can fire" + "".join(f"; {name(a)}: {a['reason']}" for a in alerts if not a["feasible"])
        rows.append({"check": "alerts", "ok": len(possible) == len(alerts), "detail": detail})
    if slo.indicator.kind == "latency":
        rows.append(_bucket(slo.indicator.bound / 1e6, *histogram))
    return rows


def name(row: dict[str, Any]) -> str:
    """``page 14.4× over 1h and 5m``."""
    return f"{row['severity']} {row['factor']:.4g}× over {shorthand(row['long_s'])}" + (f" and {shorthand(row['short_s'])}" if row["short_s"] else "")


def _bucket(bound: float, recorded: str, bounds: Sequence[float]) -> dict[str, Any]:
    """Whether a histogram can count what the objective asks for."""
    known = tuple(bounds) or DEFAULT_BOUNDS
    whose = f"of {recorded}, which is recorded" if bounds else "that client libraries choose by default"
    named = {"metric": recorded} if bounds else {}
    if any(math.isclose(bound, b) for b in known):
        return {"check": "bucket", "ok": True, "detail": f"{bound:g} s is one of the bounds {whose}"} | named
    near = min(known, key=lambda b: abs(math.log(b / bound)))
    return {"check": "bucket", "ok": False if bounds else None, "detail": f"{bound:g} s is none of the bounds {whose} (nearest {near:g} s): a rule needs a bucket that ends there"} | named
