"""Is this window fit to conclude from? Every test with its number and its bound; what cannot be told is said so."""

from __future__ import annotations

from typing import Any

from perfaudit.baseline import cycles, independent, outliers, representative, signs, steadiness, trace_quality
from perfaudit.baseline.cube import REST, Cube
from perfaudit.baseline.levels import course, design_effect
from perfaudit.baseline.note import Note, stretch
from perfaudit.baseline.requests import Requests
from perfaudit.baseline.shape import Shape
from perfaudit.baseline.stream import Stream
from perfaudit.baseline.tiers import Tiers
from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.store import Evidence
from perfaudit.evidence.traces import Traces
from perfaudit.stats.percentile import rank_bounds

#: Shorter recordings hold no scheduled job and few bursts: a minute is the least that a person would call a baseline.
LEAST_SECONDS = 60
#: Whole hours that two clocks may be apart, as time zones go (UTC−12 … UTC+14).
ZONES = range(-14, 15)
#: Independent requests that give the p95 and the p99 a finite two-sided 95 % interval (order statistics).
LEAST_P95, LEAST_P99 = 72, 368


def check(evidence: Evidence, tiers: Tiers, requests: Requests, cube: Cube, stream: Stream, shape: Shape, traces: Traces | None = None) -> list[dict[str, Any]]:
    """``baseline.validity``; ``traces``: those of the evidence, where they were read already."""
    windows = requests.windows
    normal = windows.reference or windows.whole
    steady = steadiness.of(course(cube, normal))
    notes = [
        *_amount(requests, cube),
        _gaps(shape),
        _edges(requests),
        *steadiness.notes(steady),
        *cycles.notes(evidence, steady, normal),
        *representative.notes(requests),
        *outliers.notes(evidence, requests, cube),
        *signs.notes(stream, requests.total.all.quantile(0.5)),
        *independent.notes(evidence, tiers, windows.whole),
        _clock(evidence.bundle),
        *_read(evidence.bundle, requests),
        *trace_quality.notes(evidence, traces),
    ]
    return [note.to_json() for note in notes]


def _amount(requests: Requests, cube: Cube) -> list[Note]:
    whole, total = requests.windows.whole, requests.total.all
    low, high = rank_bounds(max(total.durations.n, 1), 0.99)
    needs = f"a two-sided 95 % interval needs {LEAST_P95} for p95, {LEAST_P99} for p99, 3,688 for p99.9"
    notes = [
        Note("length", round(whole.seconds) >= LEAST_SECONDS, f"{stretch(whole.seconds)} recorded; {LEAST_SECONDS} s are the least", round(whole.seconds), "s", LEAST_SECONDS),
        Note("sample size", low is not None and high is not None, f"{total.durations.n:,} durations; {needs}", total.durations.n, "requests", LEAST_P99),
    ]
    normal = requests.windows.reference or whole
    sizes = [(key, *design_effect(cube, k, normal, 0.95)) for k, key in enumerate(cube.keys) if key != REST]
    clumped = [(key, n / effect, n) for key, effect, n in sizes if n]
    thin = sorted((effective, n, f"{method} {route}") for (method, route), effective, n in clumped if effective < LEAST_P95)
    if not clumped:
        return notes
    least = min(effective for _, effective, _ in clumped)
    said = f"{len(thin)} of {len(clumped)} routes have fewer than {LEAST_P95} independent requests: their p95 has no finite upper bound" if thin else f"every route has {LEAST_P95} independent requests or more"
    hit = max(clumped, key=lambda c: c[2] / c[1])
    said += f"; slow requests come in clumps on {hit[0][0]} {hit[0][1]}: its {hit[2]:,} count as {hit[1]:,.0f}" if hit[2] > 1.5 * hit[1] else ""
    return [*notes, Note("sample size per route", not thin, said, least, "independent requests", LEAST_P95)]


def _gaps(shape: Shape) -> Note:
    lost = sum(g.seconds for g in shape.gaps)
    where = "; ".join(str(g) for g in shape.gaps[:3])
    said = f"{len(shape.gaps)} stretches without any request, {lost:,.0f} s in all: {where}" if shape.gaps else "no stretch without requests that the arrival rate makes implausible"
    return Note("gaps", not shape.gaps, said, lost, "s", most=0)


def _edges(requests: Requests) -> Note:
    """A log holds requests when they end: near its end the slow ones are missing."""
    p99 = requests.total.all.quantile(0.99) or 0.0
    share = p99 / 1e6 / max(requests.windows.whole.seconds, 1e-9)
    return Note("edges", share < 0.02, f"requests in flight when the recording ended are not in the log; p99 is {share:.1%} of its length", share, "share of length", most=0.02)


def _read(bundle: Bundle, requests: Requests) -> list[Note]:
    rejected = sum(sum(s["rejected"].values()) for s in bundle.sources)
    lines = sum(s["lines"] for s in bundle.sources)
    notes = [Note("lines read", rejected <= 0.01 * lines, f"{rejected:,} of {lines:,} lines did not match their format", rejected / max(1, lines), "share of lines", most=0.01)]
    if damaged := [f"{s['name']}: {n}" for s in bundle.sources for n in s["notes"] if n.startswith("damaged")]:
        notes.append(Note("damage", False, "; ".join(damaged[:3]), len(damaged), "sources", most=0))
    total = requests.total.all
    if unknown := total.count - total.durations.n:
        notes.append(Note("durations", unknown <= 0.01 * total.count, f"{unknown:,} of {total.count:,} requests were logged without a duration", unknown / total.count, "share of requests", most=0.01))
    return notes


def _clock(bundle: Bundle) -> Note:
    """Sources that never overlap the requests, but would after a shift of whole hours: a time zone."""
    served = [(s["first"], s["last"]) for s in bundle.sources if "requests" in s["tables"] and s["first"] is not None]
    if not served:
        return Note("clock", True, "no requests to compare other clocks with")
    edge_first, edge_last = min(a for a, _ in served), max(b for _, b in served)
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
    return Note("clock", not odd, "; ".join(odd[:3]) if odd else "the sources overlap in time", len(odd), "sources", most=0)
