"""Percentiles against NumPy, intervals against simulation with known truth."""

import numpy as np
import pytest

from perfaudit.stats.percentile import Distribution, effective_size, percentile_interval, rank_bounds, wilson


def of(values):
    distinct, counts = np.unique(values, return_counts=True)
    return Distribution(distinct, counts)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.95, 0.99, 0.999, 1.0])
@pytest.mark.parametrize("n", [1, 2, 7, 100, 4001])
def test_percentile_is_numpys_inverted_cdf(q, n):
    values = np.random.default_rng(n).lognormal(8, 1, n).astype(np.int64)
    assert of(values).percentile(q).value == np.quantile(values, q, method="inverted_cdf")


def test_order_of_values_does_not_matter_and_merging_is_addition():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 500, 300), rng.integers(0, 500, 700)
    merged, together = of(a).plus(of(b)), of(np.concatenate([a, b]))
    for q in (0.1, 0.5, 0.95):
        assert merged.percentile(q) == together.percentile(q)
    assert merged.total == pytest.approx(float(a.sum() + b.sum()))


@pytest.mark.parametrize(("q", "n"), [(0.95, 72), (0.99, 368), (0.999, 3688)])
def test_least_samples_for_a_finite_two_sided_bound(q, n):
    assert rank_bounds(n, q)[1] is not None
    assert rank_bounds(n - 1, q)[1] is None


def test_known_interval_of_a_median():
    assert rank_bounds(10, 0.5) == (2, 9)  # Hahn & Meeker, table A.15a
    assert rank_bounds(100, 0.5) == (40, 61)


@pytest.mark.parametrize(("q", "n"), [(0.5, 60), (0.95, 400), (0.99, 3000)])
def test_interval_covers_at_least_its_level(q, n):
    rng, truth, hits, rounds = np.random.default_rng(7), -np.log(1 - q), 0, 600
    for _ in range(rounds):
        _, low, high = of(rng.exponential(1, n)).percentile(q)
        hits += low is not None and high is not None and low <= truth <= high
    assert hits / rounds >= 0.93  # nominal 0.95, simulation error 0.009


def test_large_samples_are_quick_and_symmetric():
    low, high = rank_bounds(30_000_000, 0.5)
    assert low + high == pytest.approx(30_000_001, abs=1)


def test_share_above_and_empty():
    assert of(np.arange(10)).share_above(7) == pytest.approx(0.2)
    empty = of(np.empty(0, np.int64))
    assert empty.n == 0
    assert empty.share_above(1) == 0
    with pytest.raises(ValueError, match="no values"):
        empty.percentile(0.5)


def test_wilson_matches_the_published_example():
    low, high = wilson(81, 263)  # Newcombe 1998, table I
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 20)[0] == 0.0


def ar(phi, n, rng):
    from scipy.signal import lfilter

    return lfilter([1], [1, -phi], rng.standard_normal(n + 100) * np.sqrt(1 - phi**2))[100:]


@pytest.mark.parametrize("phi", [0.0, 0.7])
@pytest.mark.parametrize("shape", [lambda x: x, np.exp])
def test_interval_of_p99_holds_for_autocorrelated_series(phi, shape):
    rng, truth, covered, rounds = np.random.default_rng(21), shape(2.3263479), 0, 120
    for _ in range(rounds):
        _, low, high = percentile_interval(shape(ar(phi, 3000, rng)), 0.99)
        covered += (low is None or low <= truth) and (high is None or truth <= high)
    assert covered / rounds >= 0.90  # 0.95 in benchmarks; simulation error 0.02; the plain interval covers 0.81 at φ = 0.7


def test_effective_size_is_near_the_closed_form():
    # Exceedances of the median of a Gaussian AR(1) correlate by (2/π) asin φ^k.
    k = np.arange(1, 200)
    truth = 1 + 2 * float((2 / np.pi * np.arcsin(0.7**k)).sum())
    rng = np.random.default_rng(4)
    sizes = [effective_size(ar(0.7, 4000, rng) > 0) for _ in range(40)]
    assert 0.7 < np.median(sizes) * truth / 4000 < 1.05  # the larger of two long-run variances: rather too small
    assert effective_size(np.zeros(50)) == 50
    assert effective_size([]) == 0


def test_not_enough_samples_is_said():
    rng = np.random.default_rng(3)
    assert percentile_interval(rng.normal(size=367), 0.99).high is None
    assert percentile_interval(rng.normal(size=3600), 0.999).high is None
    assert percentile_interval(rng.normal(size=6000), 0.99).high is not None
    assert percentile_interval(np.repeat(rng.normal(size=60), 10), 0.99).high is None  # 600 values, worth 60


def test_a_series_with_holes_and_hostile_ones():
    assert percentile_interval([1.0, float("nan"), 3.0], 0.5) == (1.0, None, None)
    assert percentile_interval(np.full(500, 7.0), 0.5) == (7.0, 7.0, 7.0)
    with pytest.raises(ValueError, match="no values"):
        percentile_interval([float("nan")], 0.5)
    with pytest.raises(ValueError, match="infinite"):
        percentile_interval([1.0, float("inf")], 0.5)
    with pytest.raises(ValueError, match="q must"):
        percentile_interval([1.0, 2.0], 1.0)
