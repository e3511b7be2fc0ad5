"""The least rise that can be told: by simulation it is told in about four of five cases, and no rise in about one of twenty."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from perfaudit.baseline.limits import least_errors, least_rise
from perfaudit.stats.percentile import Distribution, rank_bounds


def distribution(rng: np.random.Generator, n: int, times: float = 1.0) -> Distribution:
    values, counts = np.unique((times * 20_000 * rng.lognormal(0, 0.5, n)).astype(np.int64), return_counts=True)
    return Distribution(values, counts)


def error(d: Distribution, q: float) -> float:
    low, high = rank_bounds(d.n, q)
    assert low and high
    return math.log(d.at_rank(high) / d.at_rank(low)) / (2 * NormalDist().inv_cdf(0.975))


@pytest.mark.parametrize(("q", "n"), [(0.5, 300), (0.95, 150), (0.95, 1000), (0.99, 4000)])
def test_a_rise_of_that_size_is_told_four_times_in_five(q: float, n: int) -> None:
    rng = np.random.default_rng(1)
    rise = float(np.median([least_rise(distribution(rng, n), q) or math.nan for _ in range(100)]))
    told = {}
    for times in (1.0, 1 + rise):
        found = 0
        for _ in range(400):
            a, b = distribution(rng, n), distribution(rng, n, times)
            z = math.log(b.percentile(q).value / a.percentile(q).value) / math.hypot(error(a, q), error(b, q))
            found += abs(z) > NormalDist().inv_cdf(0.975)
        told[times] = found / 400
    assert told[1.0] <= 0.08
    assert 0.70 <= told[1 + rise] <= 0.90


def test_clumped_requests_tell_less() -> None:
    d = distribution(np.random.default_rng(2), 2000)
    alone, clumped = least_rise(d, 0.95), least_rise(d, 0.95, 4.0)
    assert alone and clumped
    assert clumped == pytest.approx(2 * alone, rel=0.5)


def test_too_few_tell_nothing() -> None:
    rng = np.random.default_rng(3)
    assert least_rise(distribution(rng, 71), 0.95) is None
    assert least_rise(distribution(rng, 367), 0.99) is None
    assert least_rise(distribution(rng, 400), 0.95, 6.0) is None
    assert least_rise(Distribution(np.empty(0, np.int64), np.empty(0, np.int64)), 0.5) is None


def test_constant_durations_have_their_resolution() -> None:
    assert least_rise(Distribution(np.array([5000, 5001]), np.array([1000, 1])), 0.95) == pytest.approx(1 / 5000, rel=0.01)
    assert least_rise(Distribution(np.array([3000, 5000]), np.array([1000, 1])), 0.95) == pytest.approx(1 / 3, rel=0.01), "a log in milliseconds"


@pytest.mark.parametrize(("failed", "n"), [(0, 1000), (10, 1000), (300, 3000)])
def test_errors_of_that_size_are_told_four_times_in_five(failed: int, n: int) -> None:
    more = least_errors(failed, n)
    assert more
    rng = np.random.default_rng(4)
    p = failed / n
    a, b = rng.binomial(n, p, 4000) / n, rng.binomial(n, p + more, 4000) / n
    z = (2 * np.arcsin(np.sqrt(b)) - 2 * np.arcsin(np.sqrt(a))) / math.sqrt(2 / n)
    assert 0.7 <= float(np.mean(z > NormalDist().inv_cdf(0.975))) <= 0.92
    assert least_errors(0, 0) is None
