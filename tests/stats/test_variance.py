"""Long-run variance, effective size and memory against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from perfaudit.stats.variance import autoregression, effective_size, long_run_variance, memory


def arma(rng, n, phi=(), theta=()):
    e = rng.standard_normal(n + 300)
    x = e.copy()
    for j, t in enumerate(theta, 1):
        x[j:] += t * e[:-j]
    for i in range(len(phi), n + 300):
        x[i] += sum(p * x[i - j] for j, p in enumerate(phi, 1))
    return x[300:]


@pytest.mark.parametrize(
    ("phi", "theta"), [((), ()), ((0.3,), ()), ((0.7,), ()), ((0.9,), ()), ((0.5, 0.3), ()), ((0.6,), (0.4,)), ((-0.5,), ())], ids=str
)
def test_closed_forms(phi, theta):
    truth = ((1 + sum(theta)) / (1 - sum(phi))) ** 2
    estimates = [long_run_variance(arma(np.random.default_rng([1, i]), 2000, phi, theta)) for i in range(25)]
    assert np.median(estimates) == pytest.approx(truth, rel=0.12)


def test_the_order_is_chosen_by_the_data():
    orders = [[autoregression(arma(np.random.default_rng([2, i]), 1000, phi)).order for i in range(20)] for phi in ((), (0.7,), (0.5, 0.3))]
    assert [int(np.median(o)) for o in orders] == [0, 1, 2]


def test_lost_parameters_raise_it():
    x = arma(np.random.default_rng(3), 100, (0.7,))
    assert long_run_variance(x, lost=5) > long_run_variance(x, lost=1) > 0


def test_effective_size():
    assert effective_size(np.random.default_rng(4).standard_normal(1000)) == pytest.approx(1000, rel=0.05)
    sizes = [effective_size(arma(np.random.default_rng([5, i]), 2000, (0.7,))) for i in range(15)]
    assert np.median(sizes) == pytest.approx(2000 * 0.3 / 1.7, rel=0.15)  # (1 − φ)/(1 + φ)


def test_long_memory_is_told_from_an_autoregression():
    k = np.arange(1, 4000)
    weights = np.r_[1, np.cumprod((k - 0.7) / k)]
    d = []
    for i in range(10):
        x = np.convolve(np.random.default_rng([6, i]).standard_normal(5000), weights)[4000:5000]
        d.append(memory(x)[0])
        assert memory(x)[1] < autoregression(x - x.mean()).criterion + 5
    assert np.mean(d) == pytest.approx(0.3, abs=0.06)
    for i in range(10):
        x = arma(np.random.default_rng([7, i]), 1000, (0.7,))
        assert memory(x)[1] > autoregression(x - x.mean()).criterion


@pytest.mark.parametrize("x", [[], [1.0], [1.0, 1.0, 1.0], np.ones(50)])
def test_nothing_varies(x):
    assert long_run_variance(x) == 0.0
    assert memory(x) == (0.0, -np.inf)
    assert effective_size(np.asarray(x)) == len(x)
