"""The series behind the figures have the truth that they claim, and the figures can be printed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import rivals, series

ROOT = Path(__file__).parents[2]


def autocovariance(make, lag, count=400, n=400):
    """Mean of x_t · x_{t+lag} for a series of mean 0."""
    made = np.array([make(series.seeded("truth", i), n) for i in range(count)])
    return float((made[:, lag:] * made[:, : n - lag]).mean())


@pytest.mark.parametrize(
    ("family", "first"),
    [("iid", 0.0), ("AR(1) .7", 0.7), ("AR(1) .9", 0.9), ("AR(2) (.5, .3)", 0.5 / 0.7), ("ARMA(.6, .4)", 0.6 + 0.4 / (1 + 0.8 * 0.6 + 0.16) * 0.64), ("long memory .3", 0.3 / 0.7)],
)
def test_variance_and_first_autocorrelation_in_closed_form(family, first):
    assert autocovariance(series.UNCHANGED[family], 0) == pytest.approx(1, abs=0.05)
    assert autocovariance(series.UNCHANGED[family], 1) == pytest.approx(first, abs=0.05)


def test_long_memory_falls_as_a_power():
    """ρ(k) = Π (j − 1 + d) / (j − d): 0.177 at lag 9 for d = 0.3."""
    assert autocovariance(lambda rng, n: series.fractional(rng, n, 0.3), 9) == pytest.approx(0.177, abs=0.04)


def test_long_run_variance_in_closed_form():
    assert series.ratio((0.7,)) == pytest.approx(1.7 / 0.3)
    assert series.ratio((0.5, 0.3)) == pytest.approx(25 / 2.24359, rel=1e-5)
    assert series.ratio((0.6,), (0.4,)) == pytest.approx((1.4 / 0.4) ** 2 / 2.5625)


def test_the_heavy_and_the_loud():
    made = [series.UNCHANGED["variance step ×3"](series.seeded(i), 400) for i in range(200)]
    assert np.std([x[:200] for x in made]) == pytest.approx(1, abs=0.02)
    assert np.std([x[200:] for x in made]) == pytest.approx(3, abs=0.05)
    assert np.mean([(series.spikes(series.seeded(i), 1000) > 6).mean() for i in range(100)]) == pytest.approx(0.01, abs=0.002)
    assert np.std(series.pareto(series.seeded(1), 1_000_000, 4.5)) == pytest.approx(1, abs=0.03)
    assert np.std([series.lognormal(series.seeded(i), 400, 0.7) for i in range(400)]) == pytest.approx(1, abs=0.05)


def test_changes_are_where_they_are_said_to_be():
    flat = series.UNCHANGED["iid"](series.seeded(1), 200)
    assert np.flatnonzero(np.diff(series.step(series.seeded(1), 200, 1.5) - flat) > 1).tolist() == [99]
    stairs = series.staircase(series.seeded(2)) - series.staircase(series.seeded(2), size=0.0)
    assert np.flatnonzero(np.diff(stairs) > 1).tolist() == [199, 399, 599, 799]
    assert np.argmax(series.spike(series.seeded(3), 200, 20)) == 100
    assert series.drift(series.seeded(4), 200, 4) - series.drift(series.seeded(4), 200, 0) == pytest.approx(4 * np.arange(200) / 200)


def test_a_key_gives_the_same_series_and_another_key_another():
    assert np.array_equal(series.seeded("a", 1).normal(size=3), series.seeded("a", 1).normal(size=3))
    assert not np.array_equal(series.seeded("a", 1).normal(size=3), series.seeded("a", 2).normal(size=3))


def test_rivals_find_what_is_plain():
    rng = np.random.default_rng(5)
    quiet, high = rng.normal(10, 1, 60), rng.normal(20, 1, 60)
    assert (rivals.kayenta(quiet, high), rivals.kayenta(high, quiet), rivals.kayenta(quiet, quiet)) == ("High", "Low", "Pass")
    assert rivals.one_step(np.r_[quiet, high]) == 60
    low, top = rivals.bootstrap(rng, quiet, 0.5)
    assert low < 10.5 and top > 9.5
    x = rng.normal(size=103)
    assert rivals.naive_lag(x[3:], x[:-3])[1] == 3


def test_the_figures_print_as_markdown():
    done = subprocess.run([sys.executable, "benchmarks/figures.py", "--series", "2", "--workers", "1", "--cells", "correlation"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("# Figures of the statistics: 2 series a cell")
    assert done.stdout.count("\n| 0.7 |") == 5
    wrong = subprocess.run([sys.executable, "benchmarks/figures.py", "--cells", "x"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "no such table: x" in wrong.stderr
