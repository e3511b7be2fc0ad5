"""Change points by simulation: no change stays no change, steps are found where they are."""

import numpy as np
import pytest

from perfaudit.stats.changepoint import normal_scores, segment, trend
from perfaudit.stats.variance import long_run_variance


def ar(rng, n, phi):
    noise = rng.normal(size=n + 100)
    x = np.zeros(n + 100)
    for i in range(1, n + 100):
        x[i] = phi * x[i - 1] + noise[i]
    return x[100:] * np.sqrt(1 - phi**2)


@pytest.mark.parametrize(("n", "phi", "most"), [(60, 0.0, 0.04), (60, 0.3, 0.09), (60, 0.7, 0.09), (180, 0.0, 0.03), (180, 0.5, 0.05), (180, 0.7, 0.06)])
def test_false_alarms_on_series_without_a_change(n, phi, most):
    rng = np.random.default_rng(n + int(10 * phi))
    rounds = 150
    false = sum(len(segment(normal_scores(ar(rng, n, phi)))) > 1 for _ in range(rounds)) / rounds
    assert false <= most


@pytest.mark.parametrize("tail", [lambda r, n: r.pareto(2.5, n), lambda r, n: r.lognormal(0, 1.5, n), lambda r, n: r.standard_t(3, n)])
def test_heavy_tails_raise_no_alarm(tail):
    rng = np.random.default_rng(3)
    assert sum(len(segment(normal_scores(tail(rng, 100)))) > 1 for _ in range(100)) <= 5


@pytest.mark.parametrize(("phi", "least"), [(0.0, 0.98), (0.5, 0.9)])
def test_a_step_of_two_standard_deviations_is_found_where_it_is(phi, least):
    rng = np.random.default_rng(5)
    found = near = 0
    for _ in range(60):
        starts = segment(normal_scores(ar(rng, 180, phi) + 2 * (np.arange(180) >= 60)))
        found += len(starts) > 1
        near += any(abs(s - 60) <= 8 for s in starts)
    assert found / 60 >= least
    assert near / 60 >= least - 0.15


def test_a_stretch_that_comes_and_goes_has_two_ends():
    rng = np.random.default_rng(6)
    x = rng.normal(size=120) + 3 * ((np.arange(120) >= 40) & (np.arange(120) < 80))
    assert [abs(a - b) <= 2 for a, b in zip(segment(x), [0, 40, 80], strict=True)] == [True] * 3


@pytest.mark.parametrize("x", [[], [1.0], [1.0, 2.0], [5.0] * 50])
def test_degenerate_series_are_one_segment(x):
    assert segment(np.array(x)) == [0]


def test_weights_discount_poor_bins():
    rng = np.random.default_rng(8)
    x = rng.normal(scale=0.5, size=63)
    x[50:] += 6
    trusted, poor = np.ones(63), np.ones(63)
    poor[50:] = 1e-4
    assert len(segment(x, trusted)) == 2
    assert len(segment(x, poor)) == 1


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_long_run_variance_of_ar1_in_closed_form(phi):
    rng = np.random.default_rng(9)
    estimates = [long_run_variance(ar(rng, 2000, phi)) for _ in range(30)]
    truth = (1 + phi) / (1 - phi)  # marginal variance 1
    assert np.median(estimates) == pytest.approx(truth, rel=0.12)


def test_long_run_variance_of_nothing():
    assert long_run_variance(np.empty(0)) == 0.0
    assert long_run_variance(np.ones(20)) == 0.0


def test_normal_scores_share_ties_and_keep_order():
    scores = normal_scores([3.0, 1.0, 3.0, 2.0])
    assert scores[0] == scores[2] > scores[3] > scores[1]


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_wandering_is_no_trend(phi):
    rng = np.random.default_rng(11)
    assert sum(trend(ar(rng, 120, phi)) >= 4 for _ in range(300)) <= 3


def test_a_ramp_is_a_trend_in_its_direction():
    rng = np.random.default_rng(12)
    ramp = np.arange(120) / 30
    assert trend(ramp + rng.normal(size=120)) >= 4
    assert trend(rng.normal(size=120) - ramp) <= -4
    assert trend(np.ones(120)) == trend([1.0, 2.0]) == 0.0
