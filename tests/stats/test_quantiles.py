"""Quantile shift by moving blocks: level under dependence, power, requests and histograms alike, broken input."""

import numpy as np
import pytest
from scipy.signal import lfilter

from perfaudit.stats.quantiles import block_length, histogram_shift, quantile_shift


def ar(phi, n, rng):
    return lfilter([1], [1, -phi], rng.standard_normal(n + 200) * np.sqrt(1 - phi**2))[200:]


@pytest.mark.parametrize(("phi", "q"), [(0.0, 0.95), (0.7, 0.5), (0.7, 0.95)])
def test_level_and_power(phi, q):
    rng, called, found, rounds = np.random.default_rng(71), 0, 0, 20
    for _ in range(rounds):
        a, b = (np.exp(0.5 * ar(phi, 2000, rng)) for _ in range(2))
        called += quantile_shift(a, b, [q], least=0)[0].result in ("better", "worse")
        found += quantile_shift(a, 1.3 * b, [q], least=0.05)[0].result == "worse"
    assert called <= 3  # .04–.07 with 150 rounds
    assert found >= 0.9 * rounds


def test_histograms_say_what_requests_say():
    rng = np.random.default_rng(72)
    a, b = rng.integers(10, 60, 6000), rng.integers(12, 66, 6000)
    places = np.arange(10, 66)
    tables = [np.stack([np.bincount(part - 10, minlength=56) for part in arm.reshape(100, 60)]) for arm in (a, b)]
    plain, binned = quantile_shift(a, b, [0.9], least=0.02)[0], histogram_shift(places, *tables, [0.9], least=0.02)[0]
    assert plain.effect == pytest.approx(binned.effect)
    assert (plain.n_a, plain.n_b) == (binned.n_a, binned.n_b)
    assert binned.low == pytest.approx(plain.low, abs=0.03)
    assert plain.result == binned.result == "worse"


def test_only_the_tail_moved():
    rng = np.random.default_rng(73)
    a, b = rng.lognormal(3, 0.4, 8000), rng.lognormal(3, 0.4, 8000)
    b[rng.random(8000) < 0.03] *= 5
    median, tail = quantile_shift(a, b, [0.5, 0.99], least=0.1)
    assert median.result == "no practical difference"
    assert tail.result == "worse" and tail.low > 0.5


def test_same_input_same_answer_and_block_length_follows_dependence():
    rng = np.random.default_rng(74)
    a, b = rng.lognormal(size=500), rng.lognormal(size=500)
    assert quantile_shift(a, b, [0.5], least=0.1) == quantile_shift(a, b, [0.5], least=0.1)
    lengths = [np.median([block_length(ar(phi, 500, rng)) for _ in range(15)]) for phi in (0.0, 0.5, 0.9)]
    assert lengths[0] <= 3 < lengths[1] < lengths[2]
    assert block_length(np.ones(50)) == 1


def test_too_little_is_said_and_broken_input_refused():
    fine = np.arange(1.0, 101.0)
    for x, y, word in (([], fine, "empty"), (fine, np.r_[0.0, fine], "zeros"), (fine, fine[:9], "fewer than 5 values"), (np.ones(99), np.ones(99), "varies")):
        answer = quantile_shift(x, y, [0.5], least=0.1)[0]
        assert answer.result == "inconclusive" and word in answer.reason
    assert quantile_shift(fine, fine, [0.99], least=0.1)[0].reason.endswith("it needs 500")
    assert "1 missing" in quantile_shift(np.r_[np.nan, fine], fine, [0.5], least=0.001)[0].reason
    with pytest.raises(ValueError, match="y: holds a negative"):
        quantile_shift(fine, -fine, [0.5], least=0.1)
    with pytest.raises(ValueError, match="qs"):
        quantile_shift(fine, fine, [1.5], least=0.1)
    with pytest.raises(ValueError, match="x: counts"):
        histogram_shift([1.0, 2.0], np.ones((5, 3)), np.ones((5, 2)), [0.5], least=0.1)
