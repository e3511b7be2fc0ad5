"""Load tests among the evidence: are they to be believed, and what did they measure? ``load_test`` of the result.

A test that cannot be trusted is not diagnosed from: its requests are left out, and where nothing else was recorded the answer is that the
evidence is not enough. What servers logged meanwhile stays evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from perfaudit.baseline.load_run import Run, runs
from perfaudit.baseline.load_validity import checks
from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.evidence.store import Evidence, quote
from perfaudit.model import Measurement, Verdict, Wanted, iso
from perfaudit.stats.arrivals import corrected
from perfaudit.stats.percentile import Distribution

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
#: Points of the series that a chart shows.
SHOWN = 240
#: Stages that are listed; more are intervals of a long test, and the chart shows those.
MOST_STAGES = 60
_AGAIN = {
    "k6": "k6 run --out json=result.json SCRIPT  # scenarios with executor: 'constant-arrival-rate' and preAllocatedVUs ≥ rate × the longest wait in seconds",
    "Locust": "vegeta attack -rate=RATE -duration=60s -targets=targets.txt | vegeta encode > result.json  # Locust's users wait for responses",
    "Vegeta": "vegeta attack -rate=RATE -duration=60s -targets=targets.txt | vegeta encode > result.json",
}
_ANY = "k6 run --out json=result.json SCRIPT  # an open model: executor: 'constant-arrival-rate'"


@dataclass(frozen=True)
class Judged:
    """A load test with its verdict: ``validity`` are the tests made, ``open`` those that lack data."""

    run: Run
    model: str
    validity: list[dict[str, Any]]
    open: list[dict[str, Any]]

    @property
    def trusted(self) -> bool:
        """Whether every test that could be made was passed."""
        return all(c["ok"] for c in self.validity)

    @property
    def why(self) -> str:
        """What speaks against it, the first with its numbers; "" where nothing does."""
        failed = [c for c in self.validity if not c["ok"]]
        also = f"; also {', '.join(c['check'] for c in failed[1:])}" if len(failed) > 1 else ""
        return f"{failed[0]['check']}: {failed[0]['detail']}{also}" if failed else ""


@dataclass(frozen=True)
class LoadTests:
    """All load tests of a bundle; ``main`` is shown: one that is not trusted first, else the one with the most requests."""

    all: tuple[Judged, ...]

    @property
    def main(self) -> Judged:
        """The test that the result speaks of."""
        return min(self.all, key=lambda j: (j.trusted, -j.run.requests, j.run.tests))

    @property
    def doubted(self) -> list[str]:
        """The result files of tests that are not trusted."""
        return [name for j in self.all if not j.trusted for name in j.run.tests]

    def notes(self) -> list[str]:
        """What an audit says about them among its assumptions."""
        return [f"load test {', '.join(j.run.tests)} is not trusted, and its percentiles are not used: {j.why}" for j in self.all if not j.trusted]

    def instead(self, verdict: Verdict) -> Verdict:
        """The verdict where no requests are left to judge: not the system but the test has to be seen to first."""
        if verdict.status != "insufficient-evidence":
            return verdict
        main = self.main
        if main.trusted:
            said = "A summary of a load test holds no single requests to diagnose from; give the raw output of the tool, or what the servers logged meanwhile"
        else:
            said = f"Repeat the load test: its result cannot be trusted, so nothing is concluded from it. {main.why[0].upper()}{main.why[1:]}"
        wanted = Wanted("a load test whose arrivals do not wait for responses, one record per request", _AGAIN.get(main.run.tool, _ANY), "percentiles that hold the waits of all who came")
        logs = Wanted("the servers' access log of the same time", "perfaudit analyze FOLDER  # with the load test's result and the access log in it", "findings that do not rest on the generator")
        return Verdict("insufficient-evidence", said, verdict.confidence, would_change=(wanted, logs, *verdict.would_change))

    def to_json(self) -> dict[str, Any]:
        """``load_test`` of the result."""
        out = _json(self.main)
        others = [{"sources": list(j.run.tests), "tool": j.run.tool, "model": j.model, "trusted": j.trusted, "requests": j.run.requests, "duration_ms": _durations(j.run)} | ({"why": j.why} if j.why else {}) for j in self.all if j is not self.main]
        return out | ({"others": others} if others else {})


def narrowed(where: str, tests: Sequence[LoadTests]) -> str:
    """The condition ``where`` on ``requests``, without those of tests that are not trusted."""
    doubted = sorted({name for found in tests for name in found.doubted})
    if not doubted:
        return where
    own = f"NOT (coalesce(service, '') = {quote(LOAD_GENERATOR)} AND coalesce(instance, '') IN ({', '.join(map(quote, doubted))}))"
    return f"({where}\n) AND {own}" if where else own


def find(bundle: Bundle) -> LoadTests | None:
    """The load tests of ``bundle`` with their verdicts; None where there are none. Costs nothing where no load result was read."""
    if not any({"load_stages", "load_points"} & set(s["tables"]) for s in bundle.sources):
        return None
    evidence = Evidence(bundle)
    judged = tuple(Judged(run, *checks(run, evidence)) for run in runs(bundle, evidence))
    return LoadTests(judged) if judged else None


def trusted(bundle: Bundle, where: str = "") -> tuple[Evidence, list[str]]:
    """The evidence of ``bundle`` without the requests of load tests that are not trusted, and what was left out, in words."""
    found = find(bundle)
    return Evidence(bundle, where=narrowed(where, [found] if found else [])), found.notes() if found else []


def _json(judged: Judged) -> dict[str, Any]:
    run = judged.run
    out: dict[str, Any] = {
        "tool": run.tool, "sources": list(run.tests), "model": judged.model, "trusted": judged.trusted,
        "validity": judged.validity, "not_tested": judged.open, "requests": run.requests, "duration_ms": _durations(run),
    }  # fmt: skip
    if judged.why:
        out["why"] = judged.why
    if run.window:
        out["window"] = {"start": iso(run.window.start), "end": iso(run.window.end)}
    if run.seconds:
        out["seconds"] = run.seconds
        out["achieved_per_s"] = run.rate
    if run.target:
        out["target_per_s"] = run.target
    if run.dropped is not None:
        out |= {"dropped": run.dropped, "achieved_share": run.arrivals / max(1, run.arrivals + run.dropped)}
    elif run.target and run.seconds:
        out["achieved_share"] = run.rate / run.target
    if len(run.starts):
        out["failed_ratio"] = float(np.mean((run.status == 0) | (run.status >= 400)))
        out["series"] = _series(run)
    elif run.requests and "failures" in run.totals:
        out["failed_ratio"] = min(1.0, run.totals["failures"] / run.requests)
    if run.stalls and len(run.known):
        whole = Distribution(*corrected(run.known, list(run.stalls)))
        method = "with the requests that stalls kept from being sent; a lower bound"
        out["with_omitted_ms"] = {q: Measurement(max(whole.percentile(p).value, run.distribution.percentile(p).value) / 1e3, "ms", n=whole.n, method=method).to_json() for q, p in QUANTILES.items() if q in ("p95", "p99")}
    if run.stalls:
        out["stalls"] = [{"start": iso(s.start), "end": iso(s.end), "due": s.due, "sent": s.came, "in_flight": s.in_flight} for s in run.stalls]
    if run.thresholds:
        out["thresholds"] = list(run.thresholds)
    if run.stages:
        out["stages"] = [_stage(run, s) for s in run.stages[:MOST_STAGES]]
    return out


def _durations(run: Run) -> dict[str, Any]:
    found = run.distribution
    if not found.n:
        told = {k.removeprefix("duration_us."): v for k, v in run.totals.items() if k.startswith("duration_us.")}
        return {q: Measurement(told[q] / 1e3, "ms", n=run.requests or None, method=f"as {run.tool} tells").to_json() for q in (*QUANTILES, "max") if q in told}
    names = ", ".join(map(quote, run.tests))
    out = {}
    for q, p in QUANTILES.items():
        value, low, high = found.percentile(p)
        query = f"SELECT quantile_disc(duration_us, {p}) / 1e3 AS ms FROM requests WHERE service = {quote(LOAD_GENERATOR)} AND instance IN ({names})" if len(run.known) else ""
        method = "order statistics" if len(run.known) else f"order statistics on {run.tool}'s histogram"
        out[q] = Measurement(value / 1e3, "ms", (None if low is None else low / 1e3, None if high is None else high / 1e3), n=found.n, method=method, query=query).to_json()
    out["max"] = Measurement(float(found.values[-1]) / 1e3, "ms", n=found.n, method="largest").to_json()
    return out


def _stage(run: Run, stage: dict[str, Any]) -> dict[str, Any]:
    out = {k: stage[k] for k in ("target_per_s", "achieved_per_s", "dropped", "virtual_users") if stage[k] is not None}
    if stage["duration_us"] is not None:
        out["seconds"] = stage["duration_us"] / 1e6
    if stage["time"] is None:
        return out
    out["start"] = iso(stage["time"])
    inside = (run.starts >= stage["time"]) & (run.starts < stage["time"] + (stage["duration_us"] or 0)) & (run.durations >= 0)
    if inside.any():
        out["duration_ms"] = {q: float(np.quantile(run.durations[inside], p, method="inverted_cdf")) / 1e3 for q, p in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}
    return out


def _series(run: Run) -> dict[str, Any]:
    """What was sent, and p95, by the interval: for the chart."""
    window = run.window
    assert window is not None
    width = max(100_000, -(-(window.end - window.start) // SHOWN) // 100_000 * 100_000)
    n = max(1, (int(run.starts[-1]) - window.start) // width)  # whole intervals only: the last one is cut short
    place = (run.starts - window.start) // width
    order = np.argsort(place, kind="stable")
    edges = np.searchsorted(place[order], np.arange(n + 1))
    p95: list[float | None] = []
    for a, b in pairwise(edges):
        held = run.durations[order[a:b]]
        held = held[held >= 0]
        p95.append(float(np.quantile(held, 0.95, method="inverted_cdf")) / 1e3 if len(held) else None)
    seconds = width / 1e6
    users: list[float | None] = [None] * int(n)
    for time, value in run.users:
        i = (time - window.start) // width
        if 0 <= i < n:
            users[i] = max(users[i] or 0.0, value)
    out: dict[str, Any] = {"start": iso(window.start), "interval_s": seconds, "sent_per_s": (np.diff(edges) / seconds).tolist(), "p95_ms": p95}
    return out | ({"virtual_users": users} if any(u is not None for u in users) else {})
