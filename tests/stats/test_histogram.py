"""The mergeable histogram against NumPy: error, merging, edges of buckets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfaudit.kernels import histogram as kernel
from perfaudit.stats.histogram import PRECISION, Histogram


def of(values, precision=PRECISION):
    made = Histogram(precision)
    made.add(np.asarray(values, np.int64))
    return made


@pytest.mark.parametrize("q", [0.001, 0.5, 0.9, 0.99, 0.999, 1.0])
@pytest.mark.parametrize("name", ["lognormal", "pareto", "exponential", "two humps"])
def test_error_is_at_most_two_permille_of_numpys(name, q):
    rng = np.random.default_rng(3)
    values = {
        "lognormal": rng.lognormal(10, 2, 20_000),
        "pareto": 1000 * rng.pareto(1.2, 20_000),
        "exponential": rng.exponential(50_000, 20_000),
        "two humps": np.r_[rng.normal(2_000, 50, 10_000), rng.normal(3_000_000, 9_000, 10_000)],
    }[name]
    values = np.minimum(values, 2.0**35).astype(np.int64)
    exact = int(np.quantile(values, q, method="inverted_cdf"))
    assert abs(of(values).quantile(q) - exact) <= 0.002 * exact


@settings(max_examples=200)
@given(st.integers(0, 2**36 - 1), st.integers(3, 12))
def test_no_value_is_further_from_its_bucket_than_half_of_its_width(value, precision):
    assert abs(of([value], precision).quantile(1.0) - value) <= value * 2.0 ** -(precision + 1)


def test_small_values_are_exact():
    assert [of([v]).quantile(0.5) for v in range(512)] == list(range(512))


def test_merging_is_addition_in_any_order():
    values = np.random.default_rng(4).lognormal(9, 3, 9_000).astype(np.int64)
    whole, (a, b, c) = of(values), map(of, np.split(values, [100, 5000]))
    assert np.array_equal(a.plus(b).plus(c).counts, whole.counts)
    assert np.array_equal(c.plus(a.plus(b)).counts, whole.counts)
    assert whole.n == 9_000
    assert a.plus(Histogram()).quantile(0.9) == a.quantile(0.9)


def test_adding_in_pieces_and_every_integer_type():
    for kind in (np.uint8, np.int16, np.uint32, np.int64, np.uint64):
        made = Histogram()
        made.add(np.array([1, 2], kind))
        made.add([3, 200])
        made.add([])
        assert made.distribution().values.tolist() == [1, 2, 3, 200]


def test_the_huge_share_the_last_bucket():
    made = Histogram()
    made.add(np.array([2**36, 2**63, 2**64 - 1], np.uint64))
    assert made.n == 3
    assert 0.99 * 2**36 < made.quantile(0.5) < 2**36


@pytest.mark.parametrize("bad", [[-1], [1.5], [float("nan")], [[1, 2]], ["x"]])
def test_what_is_no_count_is_refused(bad):
    with pytest.raises(ValueError, match="values: "):
        Histogram().add(np.array(bad))


def test_unlike_histograms_and_empty_ones():
    with pytest.raises(ValueError, match="precision"):
        Histogram(7).plus(Histogram(8))
    with pytest.raises(ValueError, match="precision"):
        Histogram(2)
    with pytest.raises(ValueError, match="no values"):
        Histogram().quantile(0.5)


def test_buckets_are_those_of_the_kernels():
    middles = kernel.middles(PRECISION + 1)
    assert len(middles) == len(Histogram().counts)
    assert [kernel.bucket(int(m), PRECISION + 1) for m in middles[::97]] == list(range(0, len(middles), 97))


def test_the_interval_comes_with_it():
    value, low, high = of(np.random.default_rng(5).exponential(10_000, 3000)).distribution().percentile(0.99)
    assert low < value < high
