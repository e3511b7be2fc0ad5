"""Is this window fit to conclude from? Each note says what was tested, with numbers."""

from __future__ import annotations

from typing import Any

from perfaudit.baseline.requests import Requests
from perfaudit.baseline.shape import Shape
from perfaudit.evidence.bundle import Bundle
from perfaudit.stats.percentile import rank_bounds

#: Shorter recordings hold no scheduled job and few bursts: a minute is the least that a person would call a baseline.
LEAST_SECONDS = 60
#: Whole hours that two clocks may be apart, as time zones go (UTC−12 … UTC+14).
ZONES = range(-14, 15)


def check(bundle: Bundle, requests: Requests, shape: Shape) -> list[dict[str, Any]]:
    """``baseline.validity``: length, samples, gaps, edges, clock, damage."""
    whole, total = requests.windows.whole, requests.total.all
    notes = [_note("length", round(whole.seconds) >= LEAST_SECONDS, f"{whole.seconds:,.1f} s recorded; {LEAST_SECONDS} s are the least")]
    low, high = rank_bounds(max(total.durations.n, 1), 0.99)
    notes.append(_note("sample size", low is not None and high is not None, f"{total.durations.n:,} durations; a two-sided 95 % interval needs 72 for p95, 368 for p99, 3,688 for p99.9"))
    thin = [r for r in requests.routes if 0 < r.all.durations.n < 72]
    notes.append(_note("sample size per route", not thin, f"{len(thin)} of {len(requests.routes)} routes have fewer than 72 requests: their p95 has no finite upper bound"))
    lost = sum(g.seconds for g in shape.gaps)
    where = "; ".join(str(g) for g in shape.gaps[:3])
    notes.append(_note("gaps", not shape.gaps, f"{len(shape.gaps)} stretches without any request, {lost:,.0f} s in all: {where}" if shape.gaps else "no stretch without requests that the arrival rate makes implausible"))
    notes.append(_edges(requests))
    notes.append(_clock(bundle))
    rejected = sum(sum(s["rejected"].values()) for s in bundle.sources)
    lines = sum(s["lines"] for s in bundle.sources)
    notes.append(_note("lines read", rejected <= 0.01 * lines, f"{rejected:,} of {lines:,} lines did not match their format"))
    damaged = [f"{s['name']}: {n}" for s in bundle.sources for n in s["notes"] if n.startswith("damaged")]
    if damaged:
        notes.append(_note("damage", False, "; ".join(damaged[:3])))
    unknown = total.count - total.durations.n
    if unknown:
        notes.append(_note("durations", unknown <= 0.01 * total.count, f"{unknown:,} of {total.count:,} requests were logged without a duration"))
    return notes


def _note(check: str, ok: bool, detail: str) -> dict[str, Any]:
    return {"check": check, "ok": bool(ok), "detail": detail}


def _edges(requests: Requests) -> dict[str, Any]:
    """A log holds requests when they end: near its end the slow ones are missing."""
    p99 = requests.total.all.quantile(0.99) or 0.0
    whole = requests.windows.whole
    share = p99 / 1e6 / max(whole.seconds, 1e-9)
    return _note("edges", share < 0.02, f"requests in flight when the recording ended are not in the log; p99 is {share:.1%} of its length")


def _clock(bundle: Bundle) -> dict[str, Any]:
    """Sources that never overlap the requests, but would after a shift of whole hours: a time zone."""
    spans = {t: [(s["first"], s["last"], s["name"]) for s in bundle.sources if t in s["tables"] and s["first"] is not None] for t in ("requests",)}
    if not spans["requests"]:
        return _note("clock", True, "no requests to compare other clocks with")
    edge_first, edge_last = min(a for a, _, _ in spans["requests"]), max(b for _, b, _ in spans["requests"])
    odd = []
    for source in bundle.sources:
        first, last = source["first"], source["last"]
        if first is None or "requests" in source["tables"] or "events" in source["tables"] or (first <= edge_last and last >= edge_first):
            continue
        hours = [h for h in ZONES if h and first + h * 3_600_000_000 <= edge_last and last + h * 3_600_000_000 >= edge_first]
        if hours:
            odd.append(f"{source['name']} never overlaps the requests, but would if its clock were {-hours[0]:+d} h off: a time zone? Say --timezone '{source['name']}=Area/City'")
        else:
            odd.append(f"{source['name']} does not overlap the requests in time")
    return _note("clock", not odd, "; ".join(odd[:3]) if odd else "the sources overlap in time")


