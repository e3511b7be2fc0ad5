"""May the percentiles of a load test be believed? Each test with its number; a test without data is listed, not passed.

The generator comes first: what it did not send, sent late, or sent only after an answer is missing from every percentile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from perfaudit.baseline.load_run import Run
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.stats.arrivals import corrected
from perfaudit.stats.arrivals import model as told_by_arrivals
from perfaudit.stats.percentile import Distribution
from perfaudit.stats.steady import BATCH, LEAST, truncation

#: Of what was due, this share must have been sent: a missing hundredth can hold the whole p99.
ACHIEVED = 0.99
#: A percentile that moves by more than this when something is left out or put back is not the system's: the bar of a practical difference.
MATERIAL = 0.10
#: In totals only the longest wait is told: where it took more than this share of a closed test, a standstill would move p95.
HIDES = 0.05
#: wrk2 calibrates for ten seconds and calls shorter runs useless (its README); pools and caches need as long to fill.
LEAST_SECONDS = 10
#: A two-sided 95 % interval of p95 needs 72 requests (order statistics).
LEAST_REQUESTS = 72
#: Above this share of requests that were refused (4xx) or never answered, the percentiles speak of failures. 5xx are the system's and stay.
FAILED = 0.05
#: k6's manual ("Running large tests") wants a fifth of the generator's CPU idle.
BUSY = 0.80
#: Stretches in which nothing was sent and nothing was in flight may take this share of a test.
SILENT, SILENT_SECONDS = 0.05, 5.0
#: Points of the series that is searched for a warm-up: MSER-5 wants 100 at least, and 200 place the cut to half a percent.
POINTS = 200
#: The beginning must be slower than the middle of the test by this factor to be a warm-up at all.
SLOW_START = 1.25
#: Fewer busy users than this share of those that were made ready: they were kept in reserve, as planned arrivals want it.
SPARE = 0.9
#: Virtual users that change direction this often (share of changes) follow the load, not a plan.
TURNS, LEAST_TURNS = 0.25, 5
_GENERATOR = "load.?gen|k6|locust|jmeter|gatling|vegeta|wrk"

Check = dict[str, Any]


def checks(run: Run, evidence: Evidence) -> tuple[str, list[Check], list[Check]]:
    """The arrival model (open, closed, unknown), the tests that were made, and those that could not be (with what they want)."""
    kind, why = arrival_model(run)
    made = [
        _dropped(run),
        _cpu(run, evidence),
        _achieved(run),
        {"check": "arrival model", "ok": True, "detail": f"{kind}: {why}"},
        _omission(run, kind),
        _warm_up(run),
        _length(run),
        {"check": "sample size", "ok": run.requests >= LEAST_REQUESTS, "detail": f"{run.requests:,} requests; a two-sided 95 % interval needs 72 for p95, 368 for p99, 3,688 for p99.9"},
        _errors(run),
        _coverage(run),
    ]
    return kind, [c for c in made if "wanted" not in c], [c for c in made if "wanted" in c]


def _check(check: str, ok: bool, detail: str) -> Check:
    return {"check": check, "ok": bool(ok), "detail": detail}


def _open(check: str, detail: str, wanted: str) -> Check:
    return {"check": check, "detail": detail, "wanted": wanted}


def arrival_model(run: Run) -> tuple[str, str]:
    """``open``, ``closed`` or ``unknown``, and why: what the tool is, its virtual users, else the arrivals."""
    if run.told:
        return run.told, f"{run.tool} works so"
    if run.dropped:
        return "open", f"arrivals are planned: {run.dropped:,} were dropped for want of a free virtual user"
    busy, most = run.totals.get("vus.max"), run.totals.get("vus_max")
    if not run.users and busy is not None and most:
        if run.totals.get("vus.min") == busy == most:
            return "closed", f"{most:.0f} virtual users all the time, each waiting for its response"
        if busy < SPARE * most and run.totals.get("vus.min") != busy:
            return "open", f"at most {busy:.0f} of {most:.0f} virtual users were busy at once: arrivals are planned"
    kind, why = told_by_arrivals(run.flow, list(run.stalls)) if run.flow is not None else ("unknown", "no single requests are told")
    values = np.array([v for _, v in run.users])
    if kind == "unknown" or (run.tool == "k6" and not run.stalls):
        steps = np.sign(np.diff(values[1:-1] if len(values) > 4 else values))
        steps = steps[steps != 0]
        turns = int(np.count_nonzero(np.diff(steps)))
        if len(values) > 1 and values.min() == values.max() == run.most_users:
            return "closed", f"{run.most_users:.0f} virtual users all the time, each waiting for its response"
        if turns >= LEAST_TURNS and turns >= TURNS * len(steps):
            return "open", f"busy virtual users rise and fall with the responses ({values.min():.0f} to {values.max():.0f}): arrivals are planned"
    return kind, why


def _dropped(run: Run) -> Check:
    if run.dropped is None:
        if run.tool == "k6":
            return _check("dropped iterations", True, "k6 reports none")
        return _open("dropped iterations", f"{run.tool} does not report them", "an arrival-rate executor (k6), Vegeta or wrk2 tells what it could not send")
    due = run.arrivals + run.dropped
    share = run.dropped / max(1, due)
    return _check("dropped iterations", share <= 1 - ACHIEVED, f"{run.dropped:,} of {due:,} were due and never started ({share:.1%}): too few virtual users, or too slow a system; their wait is in no percentile" if run.dropped else "none")


def _cpu(run: Run, evidence: Evidence) -> Check:
    window = run.window
    where = f"name = 'node_cpu_seconds_total' AND {within(window)} AND regexp_matches(lower(array_to_string(map_values(labels), ' ')), {quote(_GENERATOR)})"
    rows = evidence.rows(f"SELECT labels['cpu'], labels['mode'], max(value) - min(value), (epoch_us(max(time)) - epoch_us(min(time))) / 1e6 FROM metrics WHERE {where} GROUP BY ALL ORDER BY ALL") if window else []
    spent, idle = sum(float(d) for _, _, d, _ in rows), sum(float(d) for _, mode, d, _ in rows if mode == "idle")
    if not spent:
        return _open("generator CPU", "not measured", "node_exporter on the generator's host, with a label that names it (job=\"load-generator\")")
    busy = 1 - idle / spent
    return _check("generator CPU", busy <= BUSY, f"{busy:.0%} busy; above {BUSY:.0%} a generator measures itself")


def _achieved(run: Run) -> Check:
    target = run.target
    if not target:
        return _open("achieved load", "the planned rate is not told", "an arrival-rate test tells what was planned")
    share = run.arrivals / max(1.0, run.arrivals + (run.dropped or 0)) if run.dropped is not None else run.rate / target
    return _check("achieved load", share >= ACHIEVED, f"{share:.1%} of the planned {target:,.1f}/s; {ACHIEVED:.0%} are the least")


def _omission(run: Run, kind: str) -> Check:
    if run.flow is None:
        if kind == "closed":
            longest, timeouts = run.totals.get("duration_us.max", 0.0) / 1e6, run.totals.get("timeouts", 0.0)
            if timeouts:
                return _check("coordinated omission", False, f"{timeouts:,.0f} requests timed out: they are in no percentile, and a closed test sent nothing in their place")
            if run.seconds and longest > HIDES * run.seconds:
                return _check(
                    "coordinated omission", False, f"a closed test whose longest wait took {longest:,.1f} of its {run.seconds:,.0f} s: if the system stood still, {longest / run.seconds:.0%} of the requests were never sent, more than p95 speaks of"
                )  # fmt: skip
            return _open("coordinated omission", "a closed test, and no single requests are told: whether stalls hide cannot be seen", "the tool's raw output, one line per request")
        return _check("coordinated omission", True, "arrivals were planned") if kind == "open" else _open("coordinated omission", "no single requests are told", "the tool's raw output, one line per request")
    if not run.stalls:
        return _check("coordinated omission", True, f"arrivals never fell away while requests waited (bins of {run.flow.width / 1e6:.3g} s)")
    missing, longest = sum(s.missing for s in run.stalls), max((s.end - s.start) / 1e6 for s in run.stalls)
    stalls = "a stall" if len(run.stalls) == 1 else f"{len(run.stalls)} stalls"
    if not len(run.known):
        share = missing / max(1, missing + run.arrivals)
        return _check("coordinated omission", share <= 1 - ACHIEVED, f"{stalls} of up to {longest:.1f} s kept {missing:,} requests from being sent ({share:.1%} of all): their wait is in no percentile")
    measured, whole = run.distribution, Distribution(*corrected(run.known, list(run.stalls)))
    told: dict[str, tuple[float, float]] = {}
    for q, p in (("p95", 0.95), ("p99", 0.99)):
        seen = measured.percentile(p).value / 1e3
        told[q] = (seen, max(seen, whole.percentile(p).value / 1e3))
    hidden = any(b > (1 + MATERIAL) * a for a, b in told.values())
    numbers = ", ".join(f"{q} {a:,.0f} ms as measured, at least {b:,.0f} ms with them" for q, (a, b) in told.items())
    return _check("coordinated omission", not hidden, f"{stalls} of up to {longest:.1f} s kept {missing:,} requests from being sent: {numbers}")


def _warm_up(run: Run) -> Check:
    if len(run.known) < LEAST_REQUESTS or run.flow is None:
        return _open("warm-up", "too few single requests", "the tool's raw output, one line per request")
    times = run.starts[run.durations >= 0]
    place = ((times - times[0]) * POINTS // max(1, int(times[-1] - times[0]) + 1)).astype(np.int64)
    count = np.bincount(place, minlength=POINTS)
    mean = np.bincount(place, weights=run.known, minlength=POINTS)[count > 0] / count[count > 0]
    if len(mean) < BATCH * LEAST:
        return _open("warm-up", f"{len(mean)} points in time, {BATCH * LEAST} are needed", "a longer test")
    first, middle = float(mean[:5].mean()), float(np.median(mean))
    if first < SLOW_START * middle:
        return _check("warm-up", True, f"none: the first requests took {first / 1e3:,.0f} ms, the middle of the test {middle / 1e3:,.0f} ms")
    cut = truncation(mean)
    if cut.index is None:
        return _check("warm-up", False, f"the first requests took {first / 1e3:,.0f} ms against {middle / 1e3:,.0f} ms later, and no steady state can be told ({cut.reason})")
    start = int(times[0]) + int(np.flatnonzero(count > 0)[cut.index]) * int(times[-1] - times[0]) // POINTS
    whole, steady = (Distribution(*np.unique(d, return_counts=True)).percentile(0.95).value / 1e3 for d in (run.known, run.known[times >= start]))
    return _check("warm-up", abs(whole - steady) <= MATERIAL * steady, f"the first {(start - int(times[0])) / 1e6:,.1f} s (MSER-5): p95 {whole:,.0f} ms with them, {steady:,.0f} ms without")


def _length(run: Run) -> Check:
    if not run.seconds:
        return _open("length", "the tool does not tell", "the tool's raw output")
    return _check("length", run.seconds >= LEAST_SECONDS, f"{run.seconds:,.1f} s; {LEAST_SECONDS} s are the least")


def _errors(run: Run) -> Check:
    checked = _checked(run)
    if len(run.starts):
        unanswered, refused, broken = (int(np.count_nonzero(mask)) for mask in (run.status == 0, (run.status >= 400) & (run.status < 500), run.status >= 500))
        share = (unanswered + refused) / len(run.starts)
        return _check("errors", share <= FAILED, f"{unanswered:,} without a good answer, {refused:,} refused (4xx), {broken:,} failed (5xx) of {len(run.starts):,}; more than {FAILED:.0%} of the first two, and it is another test{checked}")
    failed = run.totals.get("failures")
    if failed is None or not run.requests:
        return _open("errors", f"the tool does not tell{checked}", "the tool's raw output")
    return _check("errors", failed / run.requests <= FAILED, f"{failed:,.0f} of {run.requests:,} requests failed ({failed / run.requests:.1%}); {FAILED:.0%} are the most{checked}")


def _checked(run: Run) -> str:
    """Checks of the script that failed, in words. They do not make a test invalid by themselves: many ask only whether a response was fast."""
    failed, passed = (run.totals.get(f"checks_{k}", 0.0) for k in ("failed", "passed"))
    return f"; {failed:,.0f} of {failed + passed:,.0f} checks of the script failed ({failed / (failed + passed):.1%})" if failed else ""


def _coverage(run: Run) -> Check:
    if not len(run.starts):
        return _open("coverage", "no single requests are told", "the tool's raw output")
    ends = np.maximum.accumulate(run.starts + np.maximum(run.durations, 0))
    gaps = (run.starts[1:] - ends[:-1]) / 1e6
    silent = float(gaps[gaps >= SILENT_SECONDS].sum())
    return _check("coverage", silent <= SILENT * max(run.seconds, 1e-9), f"{silent:,.0f} of {run.seconds:,.0f} s held neither a start nor a request in flight")
