"""Closed forms against textbook values and against simulation: an effect of the stated size is found in about 80 %."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from perfaudit.stats.power import mean_effect, mean_size, percentile_effect, percentile_size, quantiles_needed, series_effect


def ar(phi, n, rng):
    return lfilter([1], [1, -phi], rng.standard_normal(n + 200) * np.sqrt(1 - phi**2))[200:]


def test_textbook_values():
    assert quantiles_needed() == pytest.approx(2.8016, abs=1e-4)
    assert quantiles_needed(freedom=10) == pytest.approx(2.2281 + 0.8791, abs=1e-3)
    assert mean_size(1, 0.5) == 63  # Cohen 1988, table 2.4.1: 64 with the t, 63 with the normal
    assert mean_effect(1, 63, 63) == pytest.approx(0.5, abs=0.002)
    assert percentile_size(0.95, 0.10) == pytest.approx(435, abs=2)  # 5 % against 10 %: Fleiss 1981, without continuity correction


@pytest.mark.parametrize("phi", [0.0, 0.7])
def test_an_effect_of_that_size_is_found_in_eighty_percent(phi):
    rng, rounds, n = np.random.default_rng(61), 1500, 200
    variance = (1 + phi) / (1 - phi)  # of an AR(1) with marginal variance 1
    effect = mean_effect(variance, n, n)
    noise = lfilter([1], [1, -phi], rng.standard_normal((rounds, 2, n + 100)) * np.sqrt(1 - phi**2), axis=-1)[:, :, 100:].mean(axis=-1)
    z = (noise[:, 1] + effect - noise[:, 0]) / np.sqrt(2 * variance / n)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.04)


def test_series_effect_is_near_the_closed_form_on_long_series_and_honest_on_short_ones():
    rng = np.random.default_rng(62)
    for phi in (0.0, 0.7):
        found = np.median([series_effect(ar(phi, 1000, rng)).effect for _ in range(20)])
        assert found / mean_effect((1 + phi) / (1 - phi), 1000, 1000) == pytest.approx(1.08, abs=0.15)
    x = ar(0.7, 60, rng)
    assert series_effect(x).effect > mean_effect(float(x.var()), 60, 60)
    assert series_effect(x, n=600).effect < series_effect(x).effect / 3
    assert series_effect(x).effective < 60


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_percentile_effect_against_simulation(q):
    rng, n, rounds = np.random.default_rng(63), 2000, 400
    stated = np.median([percentile_effect(rng.exponential(1, n), q).effect for _ in range(40)])
    error = math.sqrt(2 * q / (1 - q) / n)  # of a difference of two exponential quantiles: √(q(1−q)) / f(quantile), f = 1 − q
    a = np.quantile(rng.exponential(1, (rounds, n)), q, axis=1)
    b = np.quantile(rng.exponential(1, (rounds, n)) + stated, q, axis=1)
    assert np.mean((b - a) / error > 1.96) == pytest.approx(0.8, abs=0.1)
    assert stated / (2.8 * error) == pytest.approx(1.0, abs=0.12)


def test_too_little_is_none_and_nonsense_is_refused():
    assert series_effect([1.0, 2.0]) is None
    assert series_effect([3.0] * 50) is None
    assert percentile_effect(np.arange(100.0), 0.99) is None
    assert percentile_effect([1.0], 0.5) is None
    for broken in (lambda: mean_effect(-1, 5, 5), lambda: mean_size(1, 0), lambda: percentile_size(0.95, 0.01), lambda: percentile_effect([1.0] * 9, 1.0), lambda: series_effect([1.0, math.inf] * 5), lambda: quantiles_needed(2)):
        with pytest.raises(ValueError, match=r"must|infinite"):
            broken()
