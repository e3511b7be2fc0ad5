"""Two arms compared on series of interval values in time order: one after the other, together, or judged on location and tail.

The words of the answer and the rule behind them are those of :mod:`perfaudit.stats.decision`; intervals hold for autocorrelated series
(:mod:`perfaudit.stats.lowfrequency`). Quantiles of requests are compared in :mod:`perfaudit.stats.quantiles`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats.decision import Comparison, Question, Scale, Worse, decide, least_times, missing, practical, too_little, values_of
from perfaudit.stats.lowfrequency import constant, mean_uncertainty
from perfaudit.stats.quantiles import histogram_shift, quantile_shift

__all__ = ["Comparison", "histogram_shift", "judge", "paired", "quantile_shift", "two_sample"]

Floats = NDArray[np.float64]

METHOD = "difference of means, low-frequency t mixture"
PAIRED = "mean of paired differences, low-frequency t mixture"


def two_sample(a: Any, b: Any, *, least: float, level: float = 0.95, worse: Worse = "higher", scale: Scale = "difference") -> Comparison:
    """Compare the means of two arms that did not run together: series in time order, shapes (n_a,) and (n_b,), any lengths.

    ``scale="ratio"`` compares geometric means (positive values; ``least`` 0.05 is ± 5 %), "difference" the means as they are (or of logs).
    Missing values (NaN) are left out and told. Raises ``ValueError`` naming the argument for infinities and, in a ratio, negative values.
    """
    least = practical(least, scale)
    (x, lost_a), (y, lost_b) = values_of(a, "a", scale), values_of(b, "b", scale)
    asked = Question(least, level, worse, scale, METHOD, (len(x), len(y)), missing(lost_a + lost_b))
    refused = too_little(x, y, scale)
    if refused:
        return asked.refuse(refused)
    if constant(x) and constant(y):
        return asked.refuse("neither arm varies: nothing to measure a difference against", float(y.mean() - x.mean()))
    return asked.answer(float(y.mean() - x.mean()), mean_uncertainty(x, y))


def paired(a: Any, b: Any, *, least: float, level: float = 0.95, worse: Worse = "higher", scale: Scale = "ratio") -> Comparison:
    """Compare arms that ran together: ``a[i]`` and ``b[i]`` are of the same interval, shapes (n,); what both share cancels.

    Pairs with a missing value are left out. Raises ``ValueError`` as :func:`two_sample` does, and for arms of different lengths.
    """
    least = practical(least, scale)
    x, y = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    if len(x) != len(y):
        raise ValueError(f"a and b: {len(x)} and {len(y)} values cannot be paired")
    kept = ~(np.isnan(x) | np.isnan(y))
    (u, _), (v, _) = values_of(x[kept], "a", scale), values_of(y[kept], "b", scale)
    asked = Question(least, level, worse, scale, PAIRED, (len(u), len(v)), missing(len(x) - int(kept.sum())))
    if len(x) and not len(u):
        return asked.refuse("the arms have no interval in common")
    refused = too_little(u, v, scale)
    if refused:
        return asked.refuse(refused)
    difference = v - u
    if constant(difference) or float(np.ptp(difference)) <= 1e-9 * float(np.abs(u).max() + np.abs(v).max()):
        return asked.refuse("the arms differ by a constant: nothing to measure it against", float(difference.mean()))
    return asked.answer(float(difference.mean()), mean_uncertainty(difference))


#: A spread that grows is worse only if this quantile grows too. Higher ones rest on fewer than six values in an hour of minutes.
TAIL = 0.9
#: Below this many values per arm the spread is not compared.
LEAST_TAIL = 8
#: Counts shorter than this have no measurable autocorrelation: intervals are taken as independent, which the reason says.
LEAST_PERSISTENCE = 8
#: The whole distribution moved if its lower quartile moved by this part of the mean's shift; a pure shift moves it by 1, a tail by 0.
SHARED = 1 / 3
#: Counts as even as Poisson ones come from a steady rate, which cannot be persistent: only from half a standard error of the dispersion
#: above 1 on is persistence measured. Measured always, n 10, .8 → 2.4 events is found in 17 % (so: 51 %); alike at .8: 2 % called.
SUSPECT = 0.5
COUNTS = "difference of rates, Poisson (Garwood) limits combined by MOVER, widened by dispersion"
EXCEEDANCE = "share of values beyond all of a constant arm's, exact binomial limits combined by MOVER"
SPREAD = "log ratio of mean absolute deviations from the median (Brown & Forsythe 1974), low-frequency t mixture"
#: Deviations forget twice as fast as values (their autocorrelation is about φ²), so shorter times suffice than for a mean.
LONGEST_SPREAD = 0.5
#: Below this p value of the spread an undecided answer tells how many values would decide on it.
HINT = 0.2


def judge(control: Any, experiment: Any, *, least: float, kind: Literal["latency", "count"] = "latency", level: float = 0.95, worse: Worse = "higher") -> Comparison:
    """Did the experiment do worse than the control, in location or in the tail? Series of interval values in time order, NaN where missing.

    ``latency``: any positive size; ``least`` is a relative change (0.05 is 5 %; of the control's mean where zeros forbid a ratio).
    ``count``: events per interval, ``least`` in the same unit. Two questions are asked at once, Holm (1979) keeps both together at
    ``level``: an answer from the first step shows its interval at (1 + level)/2, and says so. Harm goes before gain. ``why`` says "location"
    when the lower quartile took part in the change, else "tail". ``no practical difference`` needs a location interval within ± ``least``
    and ``LEAST_TAIL`` values per arm whose spread is not called different. Arms of which one never varies are compared by exact limits
    for independent intervals, which the reason says. Raises ``ValueError`` naming the argument for negative or infinite values.
    """
    if kind not in ("latency", "count"):
        raise ValueError('kind: must be "latency" or "count"')
    x, y, scale, size = _working(control, experiment, least, kind)
    lost = missing(int(np.isnan(np.asarray(control, np.float64)).sum() + np.isnan(np.asarray(experiment, np.float64)).sum()))
    sign = 1.0 if worse == "higher" else -1.0

    def location(at: float) -> Comparison:
        if kind == "count":
            return _rates(x, y, size, at, worse)
        return _location(x, y, size, at, worse, scale)

    def tail(at: float) -> Comparison | None:
        return _tail(sign * x, sign * y, size, at)

    strict = (1 + level) / 2
    place, upper = location(strict), tail(strict)
    if _called(place) or _called(upper):
        place, upper = (place, tail(level)) if _called(place) else (location(level), upper)
    else:
        place = location(level)
    called = [answer for answer in (place, upper) if answer is not None and _called(answer)]
    if called:
        answer = min(called, key=lambda one: one.result == "better")
        return replace(answer, why=_why(place, answer, sign * x, sign * y), reason="; ".join(filter(None, (answer.reason, lost))))
    if place.result == "no practical difference" and upper is None:
        alike = f"the means are alike, but the tail needs {LEAST_TAIL} values per arm"
        place = replace(place, result="inconclusive", reason=alike, needed=LEAST_TAIL)
    hint = ""
    if place.result == "inconclusive" and upper is not None and upper.p is not None and upper.p < HINT and upper.needed and upper.effect is not None:
        hint = f"the spread may have changed ({upper.effect:+.0%}): {upper.needed} values per arm would decide"
        place = replace(place, needed=min(upper.needed, place.needed or upper.needed))
    return replace(place, reason="; ".join(filter(None, (place.reason, hint, lost))))


def _working(control: Any, experiment: Any, least: float, kind: str) -> tuple[Floats, Floats, Scale, float]:
    """Both arms on the working scale, the scale, and the least practical size on it."""
    arms = []
    for name, values in (("control", control), ("experiment", experiment)):
        kept, _ = values_of(values, name, "difference")
        if len(kept) and kept.min() < 0:
            raise ValueError(f"{name}: holds a negative value")
        arms.append(kept)
    x, y = arms
    positive = kind == "latency" and all(len(arm) and arm.min() > 0 for arm in arms)
    if positive:
        return np.log(x), np.log(y), "ratio", practical(least, "ratio")
    size = practical(least, "difference")
    return x, y, "difference", size * float(np.mean(x)) if kind == "latency" and len(x) else size


def _called(answer: Comparison | None) -> bool:
    return answer is not None and answer.result in ("better", "worse")


def _why(place: Comparison, answer: Comparison, x: Floats, y: Floats) -> str:
    """Where the change is, values oriented so that higher is worse: did the lower quartile take part in the change of the mean?"""
    if not (_called(place) or answer.method == EXCEEDANCE):
        return "tail"
    shift, low = float(y.mean() - x.mean()), float(np.quantile(y, 0.25, method="inverted_cdf") - np.quantile(x, 0.25, method="inverted_cdf"))
    return "location" if (shift > 0) == (answer.result == "worse") and low / shift >= SHARED else "tail"


def _location(x: Floats, y: Floats, size: float, level: float, worse: Worse, scale: Scale) -> Comparison:
    asked = Question(size, level, worse, scale, METHOD, (len(x), len(y)), "")
    refused = too_little(x, y, "difference")
    if refused:
        return asked.refuse(refused)
    effect = float(y.mean() - x.mean())
    if constant(x) and constant(y):
        return asked.refuse("neither arm varies: nothing to measure a difference against", effect)
    return asked.answer(effect, mean_uncertainty(x, y))


def _tail(x: Floats, y: Floats, size: float, level: float) -> Comparison | None:
    """Did the spread and with it the upper tail grow (values oriented so that higher is worse)? None where it cannot be asked."""
    if not len(x) or not len(y):
        return None
    if constant(x) or constant(y):
        return _beyond(x, y, size, level) if constant(x) else _mirrored(_beyond(y, x, size, level))
    if min(len(x), len(y)) < LEAST_TAIL:
        return None
    away = [np.abs(values - np.median(values)) for values in (x, y)]
    if not all(float(part.mean()) > 0 for part in away):
        return None
    effect = math.log(float(away[1].mean()) / float(away[0].mean()))
    upper = [float(np.quantile(values, TAIL, method="inverted_cdf")) for values in (x, y)]
    moved = (upper[1] - upper[0]) * math.copysign(1.0, effect) >= size
    error = mean_uncertainty(*(part / part.mean() for part in away), longest=LONGEST_SPREAD)
    asked = Question(0.0 if moved else math.inf, level, "higher", "ratio", SPREAD, (len(x), len(y)), "")
    return replace(asked.answer(effect, error), unit="relative change of the spread")


def _beyond(x: Floats, y: Floats, size: float, level: float) -> Comparison:
    """The share of ``y`` above a constant ``x`` by more than ``size``, against none of ``x``."""
    beyond = int((y > x.max() + max(size, 1e-12 * abs(float(x.max())))).sum())
    share, (none, most), (low, high) = beyond / len(y), _binomial(0, len(x), level), _binomial(beyond, len(y), level)
    bottom, top = share - math.hypot(share - low, most - none), share + (high - share)
    result, reason = decide(share, bottom, top, 0.0)
    reason, unit = reason or "intervals taken as independent", "share of values beyond the other arm"
    return Comparison(result, share, bottom, top, level, len(x), len(y), method=EXCEEDANCE, reason=reason, unit=unit)


def _mirrored(answer: Comparison) -> Comparison:
    """The same with the arms changed round."""
    words = {"better": "worse", "worse": "better"}
    ends = [None if end is None else -end for end in (answer.effect, answer.high, answer.low)]
    return replace(answer, result=words.get(answer.result, answer.result), effect=ends[0], low=ends[1], high=ends[2], n_a=answer.n_b, n_b=answer.n_a)  # type: ignore[arg-type]


def _binomial(k: int, n: int, level: float) -> tuple[float, float]:
    """Limits of a proportion (Clopper & Pearson 1934)."""
    from scipy.special import betaincinv

    rest = (1 - level) / 2
    return (float(betaincinv(k, n - k + 1, rest)) if k else 0.0), (float(betaincinv(k + 1, n - k, 1 - rest)) if k < n else 1.0)


def _rates(x: Floats, y: Floats, least: float, level: float, worse: Worse) -> Comparison:
    """Mean events per interval, b − a. Limits of each rate by Garwood (1936), of their difference by MOVER (Zou & Donner 2008)."""
    n = (len(x), len(y))
    if not all(n):
        return Question(least, level, worse, "difference", COUNTS, n, "").refuse(f"arm {'b' if n[0] else 'a'} is empty")
    rates, spread = (float(x.mean()), float(y.mean())), _dispersion(x, y)
    effect = rates[1] - rates[0]
    low, high = _rate_limits(rates, n, spread, level)
    note, suspect = "intervals taken as independent", spread > 1 + SUSPECT * math.sqrt(2 / max(1, sum(n) - 2))
    if suspect and min(n) >= LEAST_PERSISTENCE and not (constant(x) and constant(y)):
        half, note = mean_uncertainty(x, y).half(level), ""
        low, high = min(low, effect - half), max(high, effect + half)
    result, reason = decide(effect, low, high, least, worse)
    mean, error = sum(rates) / 2, math.sqrt(spread * sum(rate / size for rate, size in zip(rates, n, strict=True)))
    mde = max(high - effect, effect - low, least) + 0.84 * error

    def alike(times: float) -> bool:
        margin = 1.28 * math.sqrt(2 * spread * mean / (min(n) * times))
        return _rate_limits((mean, mean), (n[0] * times, n[1] * times), spread, level)[1] + margin <= least

    def found(times: float) -> bool:
        limits = _rate_limits(rates, (n[0] * times, n[1] * times), spread, level)
        margin = 0.84 * error / math.sqrt(times)
        return abs(effect) - margin >= least and (limits[0] > margin or limits[1] < -margin)

    times = min(least_times(alike), least_times(found)) if result == "inconclusive" else math.inf
    needed = math.ceil(min(n) * times) if math.isfinite(times) else None
    reason = "; ".join(filter(None, (reason, note)))
    return Comparison(result, effect, low, high, level, *n, mde=mde, needed=needed, method=COUNTS, reason=reason, unit="events per interval")


def _dispersion(x: Floats, y: Floats) -> float:
    """Variance over mean within the arms, pooled, at least 1 (quasi-Poisson)."""
    arms = [arm for arm in (x, y) if arm.sum() > 0 and len(arm) > 1]
    freedom = sum(len(arm) - 1 for arm in arms)
    return max(1.0, sum(float(((arm - arm.mean()) ** 2).sum() / arm.mean()) for arm in arms) / freedom) if freedom else 1.0


def _rate_limits(rates: tuple[float, float], n: tuple[float, float], spread: float, level: float) -> tuple[float, float]:
    """Limits of rate b − rate a."""
    from scipy.special import gammaincinv

    rest = (1 - level) / 2
    sides = []
    for rate, size in zip(rates, n, strict=True):
        events = rate * size / spread
        bottom = float(gammaincinv(events, rest)) if events > 0 else 0.0
        sides.append((rate - bottom * spread / size, float(gammaincinv(events + 1, 1 - rest)) * spread / size - rate))
    effect = rates[1] - rates[0]
    return effect - math.hypot(sides[1][0], sides[0][1]), effect + math.hypot(sides[1][1], sides[0][0])
