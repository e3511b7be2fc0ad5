"""The mixture over persistence: level on short autocorrelated series, width on long ones, and the limit of a t."""

import numpy as np
import pytest
from scipy.signal import lfilter

from perfaudit.stats.lowfrequency import constant, mean_uncertainty


def ar(phi, n, rng):
    return lfilter([1], [1, -phi], rng.standard_normal(n + 200) * np.sqrt(1 - phi**2))[200:]


@pytest.mark.parametrize(("make", "bound"), [(lambda n, rng: ar(0.9, n, rng), 0.07), (lambda n, rng: lfilter([1], [1, -0.5, -0.3], rng.standard_normal(n + 200))[200:], 0.09), (lambda n, rng: rng.standard_t(3, n), 0.07)])
def test_a_true_difference_of_zero_is_rarely_excluded_at_sixty_values(make, bound):
    rng, excluded, rounds = np.random.default_rng(12), 0, 200
    for _ in range(rounds):
        a, b = make(60, rng), make(60, rng)
        excluded += abs(a.mean() - b.mean()) > mean_uncertainty(a, b).half(0.95)
    assert excluded / rounds <= bound  # .03, .04–.06, .01 with 400 rounds


@pytest.mark.parametrize("phi", [0.0, 0.7, 0.9])
def test_long_series_come_to_the_textbook_width(phi):
    rng = np.random.default_rng(2)
    wide = np.median([mean_uncertainty(ar(phi, 2000, rng)).half(0.95) for _ in range(20)])
    assert wide / (1.96 * np.sqrt((1 + phi) / (1 - phi) / 2000)) == pytest.approx(1.05, abs=0.12)


def test_scale_moves_the_interval_alone_and_tail_is_its_inverse():
    x = np.random.default_rng(5).normal(size=50)
    plain, large = mean_uncertainty(x), mean_uncertainty(1e9 * x)
    assert large.half(0.9) == pytest.approx(1e9 * plain.half(0.9), rel=1e-4)
    assert plain.tail(plain.half(0.9)) == pytest.approx(0.1, abs=1e-4)
    assert plain.longer(100).half(0.9) < plain.half(0.9) / 9
    assert plain.variance == pytest.approx(np.dot(plain.weights, plain.errors**2))


def test_constant_and_short():
    assert mean_uncertainty(np.ones(9)).half(0.95) == 0
    assert mean_uncertainty(np.ones(9)).tail(0.1) == 0
    assert constant([]) and constant([0.1 + 0.2, 0.3]) and not constant([1, 2])
    with pytest.raises(ValueError, match="fewer than 4"):
        mean_uncertainty([1.0, 2.0, 4.0])
