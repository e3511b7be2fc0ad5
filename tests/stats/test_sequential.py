"""Peeking: false alarms over all looks, power, and answers that stay."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from perfaudit.stats.sequential import Monitor, batch_size, confidence_sequence, radius


def ar(phi, n, rng):
    return lfilter([1], [1, -phi], rng.standard_normal(n + 200) * np.sqrt(1 - phi**2))[200:]


def alarm(x):
    """First look, every 10 points, whose interval leaves out 0."""
    for n in range(10, len(x) + 1, 10):
        at = confidence_sequence(x[:n])
        if at.low is not None and not at.low <= 0 <= at.high:
            return n
    return None


@pytest.mark.parametrize("phi", [0.0, 0.7, 0.9])
def test_peeking_fifty_times_keeps_the_level(phi):
    rng = np.random.default_rng(51)
    alarms = [alarm(ar(phi, 500, rng)) is not None for _ in range(40)]
    assert sum(alarms) <= 5  # .02, .05, .04 with 400 series; a binomial with .05 exceeds 5 in 1 % of seeds


def test_a_plain_interval_looked_at_as_often_errs():
    rng, false = np.random.default_rng(52), 0
    for _ in range(100):
        x = ar(0.7, 500, rng)
        n = np.arange(10, 501, 10)
        false += bool((np.abs(np.cumsum(x)[n - 1]) > 1.96 * np.sqrt(n)).any())
    assert false >= 70


@pytest.mark.parametrize(("phi", "within"), [(0.0, 150), (0.7, 400)])
def test_a_shift_of_one_sd_is_seen(phi, within):
    rng = np.random.default_rng(53)
    seen = [alarm(ar(phi, within, rng) + 1) is not None for _ in range(20)]
    assert np.mean(seen) >= 0.9


def test_the_radius_holds_for_independent_values_at_all_times():
    rng = np.random.default_rng(54)
    x = rng.normal(size=(2000, 100))
    n = np.arange(2, 101)
    sums, squares = np.cumsum(x, axis=1)[:, 1:], np.cumsum(x**2, axis=1)[:, 1:]
    deviation = np.sqrt((squares - sums**2 / n) / (n - 1))
    outside = np.abs(sums / n) > deviation * np.array([radius(int(k), 0.05) for k in n])
    assert 0.01 < outside.any(axis=1).mean() <= 0.055
    assert math.isinf(radius(2, 0.05))


def test_a_monitor_decides_once_and_says_not_yet_before():
    rng = np.random.default_rng(55)
    monitor = Monitor(least=0.3)
    assert monitor.decided == "not yet"
    assert monitor.add(0.1) == "not yet" and monitor.interval.low is None
    for _ in range(30):
        monitor.add(1 + rng.normal(size=10))
    assert monitor.decided == "worse" and monitor.n == 301
    monitor.add(np.full(500, -9.0) + rng.normal(size=500))
    assert monitor.decided == "worse"  # the first decision stays
    assert monitor.add(math.nan) == "worse" and monitor.missing == 1


def test_alike_and_better_and_another_target():
    rng = np.random.default_rng(56)
    assert Monitor(least=0.5).add(rng.normal(size=500)) == "no practical difference"
    assert Monitor(least=0.2, target=10).add(9 + rng.normal(size=300)) == "better"
    assert Monitor(least=0.2, target=10, worse="lower").add(9 + rng.normal(size=300)) == "worse"


def test_batches_grow_with_persistence():
    rng = np.random.default_rng(57)
    sizes = [np.median([batch_size(ar(phi, 500, rng)) for _ in range(9)]) for phi in (0.0, 0.7, 0.9)]
    assert sizes[0] <= 8 < sizes[1] < sizes[2] <= 125


def test_broken_input():
    assert confidence_sequence([5.0] * 40).low is None
    assert confidence_sequence([]).batches == 0
    assert Monitor(least=0.1).add([]) == "not yet"
    with pytest.raises(ValueError, match="infinite"):
        Monitor(least=0.1).add([1.0, math.inf])
    with pytest.raises(ValueError, match="least"):
        Monitor(least=-1)
    with pytest.raises(ValueError, match="level"):
        Monitor(least=1, level=1.0)
