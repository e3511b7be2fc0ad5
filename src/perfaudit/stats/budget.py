"""Error budgets, burn rates, and alerts on them: what they need to fire, and how often they fire for nothing.

Source: Google, The Site Reliability Workbook (2018), chapter 5, "Alerting on SLOs": burn rate, share of the budget spent, several
windows at several rates. Counts are requests (or time slices); a ratio is always the sum of the bad over the sum of all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats.variance import long_run_variance

Counts = NDArray[Any]

HOUR, DAY = 3600.0, 86_400.0
#: (severity, share of the period's budget, long window, short window): the workbook's table 5-8. The short window, a twelfth of the
#: long one, lets the alert end soon after the errors do.
STANDARD = (("page", 0.02, HOUR, HOUR / 12), ("page", 0.05, 6 * HOUR, HOUR / 2), ("ticket", 0.10, DAY, 2 * HOUR), ("ticket", 0.10, 3 * DAY, 6 * HOUR))
#: A service that runs exactly on its objective is alerted on for nothing at most this often a year, at the traffic that is worst for it.
FALSE_A_YEAR = 1.0
#: An alert below this burn rate fires on a service that runs on its objective whatever the minimum is, by definition of the rate. Its
#: minimum is the one that is seldom reached at half that rate.
NEAR_ONE = 1.5
#: More bad events than this are never asked for: a year of a service at a burn of 0.5 needs 25 for a factor of 1.
MOST_EVENTS = 200
#: Errors that amount to fewer independent events than this come in one burst (coverage by simulation: see :func:`error_ratio`).
LEAST_BURST = 1.0
#: Stretches into which a series is cut to see how its errors cluster: enough for a long-run variance, and cheap.
STRETCHES = 200


@dataclass(frozen=True)
class BurnAlert:
    """Fires while the burn rate exceeds ``factor`` in the last ``long_s`` and the last ``short_s`` seconds (0: no second window).

    ``after_s``: the condition must hold this long first. ``severity``: page or ticket.
    """

    severity: str
    factor: float
    long_s: float
    short_s: float = 0.0
    after_s: float = 0.0

    def threshold(self, target: float) -> float:
        """The error ratio that must be exceeded. An alert whose threshold is 1 or more can never fire."""
        return round(self.factor * (1 - target), 12)

    def share(self, period_s: float) -> float:
        """The share of the period's budget that is gone when the alert fires after a full long window."""
        return self.factor * self.long_s / period_s


def factor(share: float, window_s: float, period_s: float) -> float:
    """The burn rate that spends ``share`` of a period's budget in a window: F = E · P / W."""
    return share * period_s / window_s


def standard(period_s: float) -> tuple[BurnAlert, ...]:
    """The workbook's alerts for a period in seconds: 14.4, 6, 3 and 1 for 30 days.

    Windows as long as the period are left out; a factor is never below 1, which would alert on an objective that is kept, and near 1 nobody is woken.
    """
    out = []
    for severity, share, long, short in STANDARD:
        rate = max(1.0, round(factor(share, long, period_s), 9))
        if long < period_s:
            out.append(BurnAlert(severity if rate >= NEAR_ONE else "ticket", rate, long, short))
    return tuple(out)


def burn_rate(bad: float, total: float, target: float) -> float:
    """How many times faster than allowed the budget goes: error ratio / (1 − target). NaN without events. Raises ``ValueError`` for a target outside (0, 1)."""
    _check(target)
    return math.nan if total <= 0 else bad / total / (1 - target)


def detection_s(alert: BurnAlert, target: float, ratio: float = 1.0) -> float:
    """Seconds from the start of a steady error ratio (1: a total outage) to the alert, after a clean past at the same load; ``inf`` for never.

    W · F · (1 − T) / ratio: 51.84 s for a total outage at 99.9 % with factor 14.4 over 1 h.
    """
    _check(target)
    threshold = alert.threshold(target)
    if ratio <= threshold:
        return math.inf
    return max(alert.long_s, alert.short_s) * threshold / ratio + alert.after_s


def reset_s(alert: BurnAlert, target: float, ratio: float = 1.0) -> float:
    """Seconds from the end of a long steady error ratio to the end of the alert, at the same load; 0 where it cannot fire."""
    _check(target)
    threshold = alert.threshold(target)
    shorter = alert.short_s or alert.long_s
    return 0.0 if ratio <= threshold else shorter * (1 - threshold / ratio)


def false_alerts(minimum: int, expected: float, windows: float) -> float:
    """How often a sliding window sees ``minimum`` events by chance, when ``expected`` come in each and there are ``windows`` of them end to end.

    Clumps of a Poisson scan statistic (Alm 1983; Glaz, Naus & Wallenstein 2001, §5.4).
    """
    if expected <= 0 or minimum < 1:
        return 0.0
    log_p = (minimum - 1) * math.log(expected) - expected - math.lgamma(minimum)
    return windows * expected * max(0.0, 1 - expected / minimum) * math.exp(log_p)


@lru_cache(maxsize=1024)
def minimum_bad(factor: float, window_s: float) -> int:
    """Bad events that the long window must hold before the alert may fire, so that it fires for nothing at most :data:`FALSE_A_YEAR`.

    The worst traffic is the one at which that many events just exceed the factor: ``minimum / factor`` expected. One alone never
    suffices. A number of *bad* events, not of requests: a total outage at low traffic still fires.
    """
    running_at = 1.0 if factor >= NEAR_ONE else factor / 2
    for k in range(2, MOST_EVENTS):
        if false_alerts(k, k * running_at / factor, 365 * DAY / window_s) <= FALSE_A_YEAR:
            return k
    return MOST_EVENTS


class Episode(NamedTuple):
    """An alert that fired at bin edge ``first`` and ended at ``last`` (None: it still fires at the end); ``peak`` is the largest burn of its long window."""

    first: int
    last: int | None
    peak: float


def sums(values: Counts, bins: int, before: float = 0.0) -> Counts:
    """Sliding sums over the last ``bins`` bins, shape (n,); ``before`` stands in each bin before the first."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    ends = np.arange(1, len(total))
    starts = ends - bins
    inside: Counts = total[1:] - total[np.maximum(starts, 0)]
    return inside + before * np.maximum(-starts, 0)


def burn_series(bad: Counts, total: Counts, bin_s: float, target: float, window_s: float, before: float = 0.0) -> Counts:
    """Burn rate of the last ``window_s`` at each bin's end, shape (n,); NaN where the window holds no event. ``before``: good events per bin assumed earlier."""
    bins = max(1, round(window_s / bin_s))
    events = sums(total, bins, before)
    out = np.full(len(events), np.nan)
    np.divide(np.maximum(sums(bad, bins), 0.0), events * (1 - target), out=out, where=events > 1e-9)
    return out


def episodes(alert: BurnAlert, bad: Counts, total: Counts, bin_s: float, target: float, *, minimum: int | None = None, before: float = 0.0) -> list[Episode]:
    """When the alert would have fired and ended. ``bad``, ``total``: events per bin, shape (n,); ``before``: good events per bin assumed earlier.

    ``minimum``: bad events in the long window (None: :func:`minimum_bad`, 0: none asked for). Raises ``ValueError`` for a target outside (0, 1).
    """
    _check(target)
    if alert.threshold(target) >= 1 or len(total) == 0:
        return []
    long = burn_series(bad, total, bin_s, target, alert.long_s, before)
    over = np.nan_to_num(long) > alert.factor
    if alert.short_s:
        over &= np.nan_to_num(burn_series(bad, total, bin_s, target, alert.short_s, before)) > alert.factor
    least = minimum_bad(alert.factor, alert.long_s) if minimum is None else minimum
    over &= sums(bad, max(1, round(alert.long_s / bin_s))) >= least - 1e-9
    edges = np.flatnonzero(np.diff(np.concatenate([[False], over, [False]]).astype(np.int8)))
    wait = math.ceil(alert.after_s / bin_s)
    return [
        Episode(int(start) + 1 + wait, int(end) + 1 if end < len(over) else None, float(np.nanmax(long[start:end])))
        for start, end in edges.reshape(-1, 2)
        if end - start > wait
    ]  # fmt: skip


def slices(bad: Counts, total: Counts, bins: int, slice_target: float | None) -> tuple[Counts, Counts]:
    """Time slices as events: ``(bad, total)`` per slice of ``bins`` bins. A slice is bad when its share of good events is below ``slice_target``;

    with None its error ratio itself counts (mean of ratios: RatioTimeslices). A slice without events is none: total 0.
    """
    count = math.ceil(len(total) / bins)
    padded = [np.concatenate([np.asarray(v, np.float64), np.zeros(count * bins - len(v))]).reshape(count, bins).sum(axis=1) for v in (bad, total)]
    seen = padded[1] > 0
    ratio = np.divide(padded[0], padded[1], out=np.zeros(count), where=seen)
    lost = ratio if slice_target is None else (1 - ratio < slice_target - 1e-12).astype(np.float64)
    return np.where(seen, lost, 0.0), seen.astype(np.float64)


class Ratio(NamedTuple):
    """Bad over all, its interval (None where there is none), and the effective number of events: fewer than counted where errors come in bursts."""

    value: float
    low: float | None
    high: float | None
    effective: float


def error_ratio(bad: Counts, total: Counts, level: float = 0.95) -> Ratio:
    """Request-weighted error ratio of a series in time order with its interval. ``bad``, ``total``: events per bin, shape (n,).

    Clopper & Pearson's interval on the effective number of events (Korn & Graubard 1998), which comes from the long-run variance of the
    ratio estimator's residuals. No interval where the errors amount to less than :data:`LEAST_BURST` event: one burst tells nothing of the next. Nominal 95 %
    covers 95 % with twenty bursts in the series, 94 % with seven, 90 % with four or fewer (plain intervals 36, 22 and 14 %). ``(NaN, 0, 1, 0)`` without events.
    """
    events, lost = float(np.sum(total)), float(np.sum(bad))
    if events <= 0:
        return Ratio(math.nan, 0.0, 1.0, 0.0)
    p = min(1.0, lost / events)
    effective = events
    if 0 < p < 1:
        residual = _stretched(bad) - p * _stretched(total)
        spread = len(residual) * long_run_variance(residual) if len(residual) >= 8 else 0.0
        effective = events / max(1.0, spread / (events * p * (1 - p)))
    if 0 < p * effective < LEAST_BURST and effective < events / 2:
        return Ratio(p, None, None, effective)
    return Ratio(p, *interval(p, effective, level), effective)


def load(total: Counts, level: float = 0.95) -> tuple[float, float, float]:
    """Mean events per bin of a series in time order, shape (n,), with its interval from the long-run variance; the low end is at least 0."""
    from statistics import NormalDist

    mean, parts = float(np.mean(total)), _stretched(total)
    half = 0.0
    if len(parts) >= 8:
        half = NormalDist().inv_cdf(0.5 + level / 2) * math.sqrt(len(parts) * long_run_variance(parts)) / len(total)
    return mean, max(0.0, mean - half), mean + half


def interval(p: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Clopper & Pearson's interval (1934) of a share ``p`` of ``n`` events; ``n`` need not be whole. ``(0, 1)`` for none."""
    from scipy.special import betaincinv

    x, tail = p * n, (1 - level) / 2
    low = 0.0 if x <= 0 else float(betaincinv(x, n - x + 1, tail))
    high = 1.0 if n <= 0 or p >= 1 else float(betaincinv(x + 1, n - x, 1 - tail))
    return low, high


def _stretched(values: Counts) -> Counts:
    """Sums over at most :data:`STRETCHES` stretches of equal length; what is left over belongs to the last."""
    width = max(1, len(values) // STRETCHES)
    return np.add.reduceat(np.asarray(values, np.float64), np.arange(0, max(1, len(values) - width + 1), width))


def _check(target: float) -> None:
    if not 0 < target < 1:
        raise ValueError(f"target must lie between 0 and 1, not {target}")
