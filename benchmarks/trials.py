"""One series, one pair, one arm: what ours and others answer. Every trial returns named numbers; the tables show their means.

None leaves the trial out of that mean. What is not built yet answers nothing.
"""

from __future__ import annotations

import importlib
import math
import time
from functools import cache
from typing import Any

import numpy as np

from benchmarks import rivals, series

Answer = dict[str, float | None]


@cache
def built(module: str, name: str) -> Any:
    """A function of ``perfaudit.stats``, or None while it does not exist."""
    try:
        return getattr(importlib.import_module(f"perfaudit.stats.{module}"), name, None)
    except ImportError:
        return None


def detect(x: Any) -> tuple[Any, dict[str, list[int]]]:
    """Our result, or None, and the change points of every detector by name."""
    ours = built("changepoint", "changes")
    result = ours(x) if ours else None
    points = {} if result is None else {"perfaudit": [p.at for p in result.points]}
    return result, points | {name: found for name, detector in rivals.DETECTORS.items() if (found := detector(x)) is not None}


def no_change(rng: np.random.Generator, family: str, n: int) -> Answer:
    """Does a detector call a change where no level changes?"""
    result, points = detect(series.UNCHANGED[family](rng, n))
    answer: Answer = {name: float(bool(found)) for name, found in points.items()}
    if result is not None:
        answer["cannot tell"] = float(not result.can_tell)
    return answer


def one_step(rng: np.random.Generator, family: str, n: int, size: float) -> Answer:
    """Is the step found, where, and nothing beside it?"""
    x = series.step(rng, n, size, family)
    result, points = detect(x)
    points["who knows that there is one"] = [rivals.one_step(x)]
    answer: Answer = {}
    for name, found in points.items():
        answer[f"{name}: found"] = float(bool(found))
        answer[f"{name}: near"] = float(min(abs(p - n // 2) for p in found) <= 10) if found else None
        answer[f"{name}: more"] = float(max(0, len(found) - 1))
    if result is not None and result.points:
        nearest = min(result.points, key=lambda p: abs(p.at - n // 2))
        answer["perfaudit: inside"] = float(nearest.low <= n // 2 <= nearest.high)
    return answer


def staircase(rng: np.random.Generator) -> Answer:
    """How many of four steps have a point within a quarter of a stair, and how many points belong to none?"""
    _, points = detect(series.staircase(rng))
    answer: Answer = {}
    for name, found in points.items():
        hit = sum(any(abs(p - at) <= 50 for p in found) for at in (200, 400, 600, 800))
        answer[f"{name}: found"], answer[f"{name}: spurious"] = float(hit), float(len(found) - hit)
    return answer


def shapes(rng: np.random.Generator, shape: str, n: int) -> Answer:
    """Is a drift, or a spike, told from steps?"""
    x = series.drift(rng, n, 4.0, 0.3) if shape == "drift" else series.spike(rng, n, 10.0, 1, 0.3)
    result, points = detect(x)
    if result is None:
        return {}
    seen = result.drift is not None if shape == "drift" else n // 2 in result.spikes
    return {"called as it is": float(seen), "steps called": float(len(points["perfaudit"]))}


def cpu(rng: np.random.Generator, family: str, n: int) -> Answer:
    """CPU seconds of one call, all threads, the second time (kernels are loaded)."""
    x = series.staircase(rng, n, 1.6, n // 5) if family == "staircase" else series.UNCHANGED[family](rng, n)
    ours = built("changepoint", "changes")
    if not ours:
        return {}
    ours(x[:1500])
    start = time.process_time()
    ours(x)
    return {"seconds": time.process_time() - start}


def percentile(rng: np.random.Generator, phi: float, lognormal: bool, n: int, q: float) -> Answer:
    """Does a nominal 95 % interval of a percentile hold the true one?"""
    from scipy.special import ndtri

    z = series.arma(rng, n, (phi,))
    x, truth = (np.exp(z), math.exp(ndtri(q))) if lognormal else (z, float(ndtri(q)))
    intervals = {"bootstrap": rivals.bootstrap(rng, x, q)}
    low, high = built("percentile", "rank_bounds")(n, q)
    ordered = np.sort(x)
    if low is not None and high is not None:
        intervals["order statistics"] = (float(ordered[low - 1]), float(ordered[high - 1]))
    answer: Answer = {}
    ours = built("percentile", "percentile_interval")
    if ours:
        _, low, high = ours(x, q)[:3]
        answer["not enough"] = float(low is None or high is None)
        if low is not None and high is not None:
            intervals["perfaudit"] = (low, high)
    for name, (a, b) in intervals.items():
        answer[name], answer[f"{name}: width"] = float(a <= truth <= b), b - a
    return answer


def alike(rng: np.random.Generator, phi: float, n: int) -> Answer:
    """Two arms of ``n`` minutes with the same truth: logs with standard deviation 0.1, least practical size 1 %."""
    a, b = 0.1 * series.arma(rng, n, (phi,)), 0.1 * series.arma(rng, n, (phi,))
    answer: Answer = {"Kayenta": float(rivals.kayenta(np.exp(a), np.exp(b)) != "Pass"), "Welch": float(rivals.welch(a, b))}
    for name, options in (("two_sample", {"scale": "ratio"}), ("judge", {}), ("paired", {"scale": "ratio"})):
        function = built("compare", name)
        if function:
            answer[name] = float(function(np.exp(a), np.exp(b), least=0.01, **options).result in ("better", "worse"))
    return answer


def together(rng: np.random.Generator, shift: float, n: int) -> Answer:
    """Arms that run together and share the load's noise: common sd 0.05 (AR .7), own sd 0.02, ``shift`` more in the second."""
    common = 0.05 * series.arma(rng, n, (0.7,))
    a, b = (np.exp(common + 0.02 * rng.normal(size=n)) for _ in range(2))
    b = b * (1 + shift)
    wanted = {"worse"} if shift else {"better", "worse"}
    answer: Answer = {"Kayenta": float(rivals.kayenta(a, b) != "Pass"), "Welch": float(rivals.welch(np.log(a), np.log(b)))}
    for name in ("paired", "two_sample"):
        function = built("compare", name)
        if function:
            answer[name] = float(function(a, b, least=0.01, scale="ratio").result in wanted)
    return answer


def peeking(rng: np.random.Generator, phi: float, shift: float, n: int = 500) -> Answer:
    """Looking every 10 points, with ``shift`` sd as the truth: is 0 ever excluded, and after how many points does the monitor decide?"""
    x = series.arma(rng, n, (phi,)) + shift
    naive = any(abs(x[:k].mean()) > 1.96 * x[:k].std(ddof=1) / math.sqrt(k) for k in range(20, n + 1, 10))
    answer: Answer = {"t test at every look": float(naive)}
    monitor = built("sequential", "Monitor")
    if monitor:
        watching, excluded, at = monitor(least=0.1), False, None
        for k in range(10, n + 1, 10):
            watching.add(x[k - 10 : k])
            interval = watching.interval
            excluded |= interval.low is not None and (interval.low > 0 or interval.high < 0)
            at = k if at is None and watching.decided in ("better", "worse") else at
        answer |= {"0 excluded": float(excluded), "better or worse": float(at is not None), "points until told": None if at is None else float(at)}
    return answer


def independent(rng: np.random.Generator, family: str, n: int) -> Answer:
    """Two independent series: is any lag within ± 10 called an association at 5 %?"""
    made = (lambda: series.arma(rng, n, (float(family),))) if family[0] in "0." else (lambda: series.UNCHANGED[family](rng, n))
    x, y = made(), made()
    answer: Answer = {"naive lag search": float(rivals.naive_lag(x, y)[0] <= 0.05)}
    lagged = built("correlation", "lagged")
    return answer | ({"perfaudit": float(lagged(x, y).p <= 0.05)} if lagged else {})


def linked(rng: np.random.Generator, phi: float, coefficient: float, n: int) -> Answer:
    """y_t = c·x_{t−3} + e_t, x and e AR(1) with sd 1: found, and at lag 3?"""
    x, e = series.arma(rng, n + 3, (phi,)), series.arma(rng, n, (phi,))
    lagged = built("correlation", "lagged")
    if not lagged:
        return {}
    found = lagged(x[3:], e + coefficient * x[:-3])
    return {"found": float(found.p <= 0.05), "right lag": float(found.lag == 3) if found.p <= 0.05 else None}


def quiet_service(rng: np.random.Generator) -> Answer:
    """30 days of one request a minute of which one in a thousand fails: how often does the alert of the 1 h window fire?"""
    standard, episodes = built("budget", "standard"), built("budget", "episodes")
    if not (standard and episodes):
        return {}
    bad, total = (rng.random(30 * 1440) < 0.001).astype(np.int64), np.ones(30 * 1440, np.int64)
    alert = standard(30 * 86_400)[0]
    longer = type(alert)(alert.severity, alert.factor, alert.long_s)  # without its short window, as the known figure is
    return {"without": float(len(episodes(longer, bad, total, 60, 0.999, minimum=1))), "perfaudit": float(len(episodes(alert, bad, total, 60, 0.999)))}
