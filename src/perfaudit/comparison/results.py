"""Arms that are stored results: only summaries and a few series are left, so less can be told, and that is said.

The total and the routes with a series are tested by that series, whose autocorrelation counts. Other routes show their figures with the
intervals of the result, which take requests as independent: too narrow to call a change from, so they stay inconclusive.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perfaudit.comparison.compare import signed
from perfaudit.comparison.decide import ALPHA, adjusted, undecide
from perfaudit.comparison.load import LIKE
from perfaudit.comparison.shift import BETTER, OPEN, SAME, WORSE, Least
from perfaudit.errors import InsufficientEvidence, UsageError
from perfaudit.model import Measurement
from perfaudit.stats.compare import Comparison, two_sample

if TYPE_CHECKING:
    from perfaudit.comparison.run import Asked

#: A stored result shows itself within so many bytes: its keys are sorted and ``audit`` is the first.
HEAD = 4096
#: The total cannot be standardised from summaries: with more than this share of the requests elsewhere, it is not judged.
MIX = 0.05
PERCENTILES = ("p50", "p95", "p99")


def load(path: str) -> dict[str, Any] | None:
    """The result that a file holds; None when it is something else. Raises :class:`UsageError` for a result that is damaged."""
    if path == "-" or not path.endswith(".json") or not Path(path).is_file():
        return None
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if not head.lstrip().startswith(b"{") or not any(key in head for key in (b'"audit"', b'"schema_version"')):
        return None
    try:
        found = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError):
        return None  # lines of JSON: a log
    if not isinstance(found, dict) or "schema_version" not in found or "audit" not in found:
        return None
    base = found.get("baseline")
    if not isinstance(base, dict) or not isinstance(base.get("routes"), list) or not isinstance(base.get("requests"), dict):
        raise UsageError("this result holds no figures of requests", where=path, todo="compare the evidence itself, or a result.json of analyze or diagnose with an access log")
    return found


def window(both: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """``window`` of the result."""
    return {"start": min(r["window"]["start"] for r in both), "end": max(r["window"]["end"] for r in both)}


def part(both: Sequence[Mapping[str, Any]], names: Sequence[str], asked: Asked) -> dict[str, Any]:
    """``comparison`` of two results. Raises :class:`UsageError` for a kind that summaries cannot answer."""
    if asked.kind in ("canary", "environments", "deploys"):
        raise UsageError(f"results hold too little for --as {asked.kind}", todo="give the evidence folders or bundles of both arms")
    if asked.span is not None:
        raise UsageError("a result cannot be narrowed in time", where="--since, --until", todo="give the evidence instead of the result")
    if any("baseline" not in r for r in both):
        raise InsufficientEvidence("an arm holds no request", where=" and ".join(names), todo="give an access log with request times")
    a, b = (r["baseline"] for r in both)
    rows_a, rows_b = ({(r["method"], r["route"]): r for r in x["routes"]} for x in (a, b))
    shared = [k for k in rows_a if k in rows_b and k != ("*", "other")]
    if not shared:
        raise InsufficientEvidence("the arms have no route in common", where=" and ".join(names), todo="compare recordings of the same service")
    mix = _mix(rows_a, rows_b)
    tests = _tests(a, b, both, asked.least, mix)
    results = _judged(tests, asked.least, a, b, rows_a, rows_b)
    routes = [_route(k, rows_a[k], rows_b[k], a, b, tests, results) for k in shared]
    total = [results[k] for k in results if k[0] is None]
    words = list(results.values())
    result = WORSE if WORSE in words else BETTER if BETTER in words else SAME if total and all(r == SAME for r in total) else OPEN
    notes = ["a result holds summaries: routes without a stored series are shown, not tested; give the evidence for a full comparison"]
    if mix["distance"]["value"] > MIX:
        notes.append("the mix differs and summaries cannot be standardised: the total is not judged")
    load = _load(a, b)
    out = {
        "as": asked.kind or "before-after", "result": result, "summary": "", "least": {"share": asked.least.share, "duration_ms": asked.least.micros / 1e3, "errors": asked.least.errors},
        "arms": [{"arm": arm, "name": n, "window": r["window"], "requests": x["requests"]["count"], "rate": Measurement(x["requests"]["rate_per_s"], "1/s", n=x["requests"]["count"], method="as stored").to_json()} for arm, n, r, x in zip("AB", names, both, (a, b), strict=True)],
        "metrics": [_metric(m, tests, results, a, b) for m in (*PERCENTILES, "errors")], "routes": routes, "mix": mix, "load": load,
        "only_in": {arm: [{"method": m, "route": r} for m, r in sorted(set(x) - set(y))] for arm, x, y in (("a", rows_a, rows_b), ("b", rows_b, rows_a))},
        "error_rate": {"alpha": ALPHA, "questions": len(results), "method": "Holm over all series that both results hold"},
        "notes": notes,
    }  # fmt: skip
    out["summary"] = _summary(out, names)
    if both[0]["baseline"] == both[1]["baseline"]:
        undecide(out, "both arms are the same recording: that says nothing")
    return out


def _mix(rows_a: Mapping[Any, Any], rows_b: Mapping[Any, Any]) -> dict[str, Any]:
    keys = sorted(set(rows_a) | set(rows_b))
    counts = [[r[k]["count"] if k in r else 0 for k in keys] for r in (rows_a, rows_b)]
    shares = [np.array(c) / max(1, sum(c)) for c in counts]
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    return {"distance": Measurement(distance, "share of requests", n=sum(counts[0]), method="half the sum of differences of route shares").to_json(), "paradox": []}


Name = tuple[tuple[str, str] | None, str]


def _tests(a: Mapping[str, Any], b: Mapping[str, Any], both: Sequence[Mapping[str, Any]], least: Least, mix: Mapping[str, Any]) -> dict[Name, Comparison]:
    """Every series that both results hold, compared; the total only where the mix is the same."""
    out: dict[Name, Comparison] = {}
    spans = [(r["window"]["start"], r["window"]["end"]) for r in both]
    if mix["distance"]["value"] <= MIX:
        for name, key in (("p50", "p50_ms"), ("p95", "p95_ms")):
            x, y = (_inside(s["series"], s["series"].get(key), span) for s, span in zip((a, b), spans, strict=True))
            if len(x) >= 8 and len(y) >= 8:
                out[None, name] = two_sample(x, y, least=least.share, scale="ratio")
        if any(s["requests"]["error_ratio"] for s in (a, b)):
            x, y = (_inside(s["series"], s["series"].get("error_ratio"), span) for s, span in zip((a, b), spans, strict=True))
            if len(x) >= 8 and len(y) >= 8:
                out[None, "errors"] = two_sample(x, y, least=least.errors)
    known = {(r["method"], r["route"]): r for r in b.get("route_series", [])}
    for row in a.get("route_series", []):
        other = known.get((row["method"], row["route"]))
        if other is None:
            continue
        x, y = (_inside(s["series"], r.get("p95_ms"), span) for s, r, span in zip((a, b), (row, other), spans, strict=True))
        if len(x) >= 8 and len(y) >= 8:
            out[(row["method"], row["route"]), "p95"] = two_sample(x, y, least=least.share, scale="ratio")
    return out


def _inside(grid: Mapping[str, Any], values: Sequence[float | None] | None, span: tuple[str, str]) -> Any:
    """The values of a series whose interval lies within the result's window, without the empty ones."""
    from datetime import datetime

    if not values or not grid.get("start"):
        return np.empty(0)
    start, first, last = (datetime.fromisoformat(t).timestamp() for t in (grid["start"], *span))
    at = start + np.arange(len(values)) * grid["interval_s"]
    keep = (at + grid["interval_s"] > first) & (at < last)
    return np.array([max(v, 1e-9) for v, k in zip(values, keep, strict=True) if k and v is not None])


def _judged(tests: Mapping[Name, Comparison], least: Least, a: Mapping[str, Any], b: Mapping[str, Any], rows_a: Mapping[Any, Any], rows_b: Mapping[Any, Any]) -> dict[Name, str]:
    names = list(tests)
    p = adjusted([1.0 if (x := tests[n].p) is None else x for n in names], [1.0] * len(names))
    out = {}
    for name, q in zip(names, p, strict=True):
        test, (key, metric) = tests[name], name
        one, two = (a["requests"], b["requests"]) if key is None else (rows_a[key], rows_b[key])
        big = _practical(one, two, metric, least)
        if test.effect is not None and q <= ALPHA and big * test.effect > 0:
            out[name] = WORSE if test.effect > 0 else BETTER
        else:
            out[name] = SAME if test.result == SAME and not big else OPEN
    return out


def _practical(one: Mapping[str, Any], two: Mapping[str, Any], metric: str, least: Least) -> int:
    """1 or −1 where the stored figures differ by at least the least practical size, else 0."""
    x, y = (r["error_ratio"] if metric == "errors" else (r["duration_ms"].get(metric) or {}).get("value") or 0.0 for r in (one, two))
    sign = 1 if y > x else -1
    if metric == "errors":
        return sign if abs(y - x) >= least.errors else 0
    low, high = sorted((x, y))
    return sign if low > 0 and high / low >= least.factor(low * 1e3) else 0


def _figures(one: Mapping[str, Any], two: Mapping[str, Any], metric: str) -> dict[str, Any]:
    if metric == "errors":
        pair = [Measurement(r["error_ratio"], "share", n=r["count"], method="as stored").to_json() for r in (one, two)]
        shift = Measurement(two["error_ratio"] - one["error_ratio"], "share of requests", n=min(one["count"], two["count"]), method="difference of stored ratios").to_json()
        return {"a": pair[0], "b": pair[1], "shift": shift}
    x, y = (r["duration_ms"].get(metric) for r in (one, two))
    if not x or not y or not x["value"]:
        return {}
    ends = [x.get("ci") or [None, None], y.get("ci") or [None, None]]
    ratio = [None if p is None or q is None or q <= 0 else p / q - 1 for p, q in ((ends[1][0], ends[0][1]), (ends[1][1], ends[0][0]))]
    return {"a": x, "b": y, "shift": Measurement(y["value"] / x["value"] - 1, "share of A", (ratio[0], ratio[1]), n=min(x.get("n", 0), y.get("n", 0)), method="ratio of stored percentiles; outer ends of their intervals").to_json()}


def _metric(metric: str, tests: Mapping[Name, Comparison], results: Mapping[Name, str], a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {"metric": metric, "name": "error ratio" if metric == "errors" else metric}
    if (None, metric) in results:
        p = tests[None, metric].p
        out |= {"result": results[None, metric]} | ({} if p is None else {"p": min(1.0, p)})
    pooled = _figures(a["requests"], b["requests"], metric)
    return out | ({"pooled": pooled} if pooled else {})


def _route(key: tuple[str, str], one: Mapping[str, Any], two: Mapping[str, Any], a: Mapping[str, Any], b: Mapping[str, Any], tests: Mapping[Name, Comparison], results: Mapping[Name, str]) -> dict[str, Any]:
    counts = a["requests"]["count"], b["requests"]["count"]
    result, test = results.get((key, "p95"), OPEN), tests.get((key, "p95"))
    reason = "the result keeps no series of this route: shown, not tested" if test is None else "p95 per interval" + (f": {test.reason}" if test.reason else "")
    if result in (WORSE, BETTER):
        x, y = (r["duration_ms"]["p95"]["value"] for r in (one, two))
        reason = f"p95 {x:,.3g} ms → {y:,.3g} ms ({signed(y / x - 1)})"
    out: dict[str, Any] = {
        "method": key[0], "route": key[1], "result": result, "reason": reason, "requests": {"a": one["count"], "b": two["count"]},
        "weights": {"a": one["count"] / max(1, counts[0]), "b": two["count"] / max(1, counts[1])},
    }  # fmt: skip
    return out | {m: f for m in (*PERCENTILES, "errors") if (f := _figures(one, two, m))}


def _load(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    x, y = (s["requests"] for s in (a, b))
    if not x["rate_per_s"] or not y["rate_per_s"]:
        return {"like_for_like": False, "note": "one arm holds no request"}
    ratio = y["rate_per_s"] / x["rate_per_s"]
    half = 1.96 * math.sqrt(1 / max(1, x["count"]) + 1 / max(1, y["count"]))
    like = 1 / LIKE <= ratio <= LIKE
    more, times = ("B", ratio) if ratio > 1 else ("A", 1 / ratio)
    return {
        "a": Measurement(x["rate_per_s"], "1/s", n=x["count"], method="as stored").to_json(), "b": Measurement(y["rate_per_s"], "1/s", n=y["count"], method="as stored").to_json(),
        "ratio": Measurement(ratio, "times A", (ratio * math.exp(-half), ratio * math.exp(half)), n=x["count"] + y["count"], method="ratio of Poisson counts").to_json(),
        "like_for_like": like, "note": "both arms carried the same load" if like else f"not like for like: {more} carried {times:.2g} times the load",
    }  # fmt: skip


def _summary(out: Mapping[str, Any], names: Sequence[str]) -> str:
    unlike = "" if out["load"]["like_for_like"] else f"; {out['load']['note']}"
    result = out["result"]
    if result in (WORSE, BETTER):
        said = [f"{r['method']} {r['route']}: {r['reason']}" for r in out["routes"] if r["result"] == result][:3] or [f"all routes together: {m['metric']}" for m in out["metrics"] if m.get("result") == result]
        return f"{names[1]} is {result} than {names[0]}: {'; '.join(said)}{unlike} (from stored results)"
    if result == SAME:
        return f"no practical difference between {names[0]} and {names[1]} over all routes{unlike} (from stored results)"
    return f"inconclusive: stored results hold too little to tell {names[0]} and {names[1]} apart; compare the evidence{unlike}"
