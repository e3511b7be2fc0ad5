"""The scalability law against published data, simulations with known truth, SciPy, and bad input."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.optimize import least_squares

from perfaudit.stats import usl

LOADS = [1, 18, 36, 72, 108, 144, 216]
SDM91 = [64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2]


def fitted(loads: object, throughput: object, **more: int) -> usl.Scalability:
    found = usl.fit(loads, throughput, **more)
    assert isinstance(found, usl.Scalability)
    return found


def refused(loads: object, throughput: object) -> str:
    found = usl.fit(loads, throughput)
    assert isinstance(found, usl.Refusal) and found.todo
    return found.reason


def test_spec_sdm91_to_four_digits() -> None:
    law = fitted(LOADS, SDM91)
    assert law.peak_load is not None and law.peak_throughput is not None
    assert (round(law.sigma.value, 5), round(law.kappa.value * 1e4, 3)) == (0.02773, 1.044)
    assert (round(law.peak_load.value, 2), round(law.peak_throughput.value)) == (96.52, 1884)
    assert law.contention and law.coherency and (law.loads, law.n) == (7, 7)
    assert law.sigma.low < 0.02773 < law.sigma.high and law.peak_load.low < 96.52  # type: ignore[operator]
    assert law.gain(216, 432).high < 1  # type: ignore[operator]


def test_the_same_data_give_the_same_bytes_in_any_order_of_replicates() -> None:
    assert np.array_equal(fitted(LOADS, SDM91).draws, fitted(LOADS, SDM91).draws)


def test_the_vectorised_fit_agrees_with_scipy() -> None:
    n = np.array(LOADS, np.float64)
    rng = np.random.default_rng(3)
    x = usl.law(n, np.array([[90.0, 0.02, 1e-4]]))[0] * (1 + rng.normal(0, 0.05, (20, len(n))))
    ours = usl._refit(n, x, np.array([90.0, 0.02, 1e-4]))
    for row, found in zip(x, ours, strict=True):
        theirs = least_squares(lambda p, row=row: usl.law(n, p[None])[0] - row, [90, 0.02, 1e-4], bounds=([0, 0, 0], [np.inf, 1, np.inf]), x_scale="jac", xtol=1e-14, ftol=1e-14, gtol=1e-14)
        assert np.sum((usl.law(n, found[None])[0] - row) ** 2) <= 2 * theirs.cost * (1 + 1e-6)


def test_exact_data_give_the_truth_back() -> None:
    loads = [1, 2, 4, 8, 16, 32, 64, 128]
    law = fitted(loads, usl.law(np.array(loads), np.array([[50.0, 0.04, 3e-4]]))[0])
    assert (law.gamma.value, law.sigma.value, law.kappa.value) == pytest.approx((50, 0.04, 3e-4), rel=1e-6)
    assert law.peak_load is not None and law.peak_load.value == pytest.approx(math.sqrt(0.96 / 3e-4), rel=1e-5)
    assert law.without(64, contention=True, coherency=True).value == pytest.approx(3200, rel=1e-6)


@pytest.mark.parametrize(("noise", "least"), [("even", 0.93), ("with X", 0.80)])
def test_intervals_cover(noise: str, least: float) -> None:
    """Nominal 95 %, nine loads: the docstring says what is reached; 60 series, so it is judged with its own error."""
    loads = np.array([1, 2, 4, 8, 16, 32, 48, 64, 96], np.float64)
    truth = np.array([[100.0, 0.03, 2e-4]])
    true = usl.law(loads, truth)[0]
    rng = np.random.default_rng(11)
    hits, series = np.zeros(4), 60
    for _ in range(series):
        error = rng.normal(0, 0.03, len(loads))
        law = fitted(loads, true * (1 + error) if noise == "with X" else true + error * 400, replicates=200)
        beyond = law.predict(150)
        for i, (found, value) in enumerate(((law.gamma, 100), (law.sigma, 0.03), (law.kappa, 2e-4), (beyond, usl.law(150.0, truth)[0]))):
            hits[i] += found.low <= value <= found.high  # type: ignore[operator]
    assert (hits / series >= least - 0.05).all(), hits / series


def test_kappa_that_is_not_there_is_not_identified() -> None:
    loads = np.array([1, 2, 4, 8, 16, 32, 64], np.float64)
    rng = np.random.default_rng(5)
    seen = sum(fitted(loads, usl.law(loads, np.array([[100.0, 0.05, 0.0]]))[0] * (1 + rng.normal(0, 0.02, 7)), replicates=200).coherency for _ in range(60))
    assert seen <= 0.15 * 60
    assert not fitted([1, 2, 3, 4, 6, 8], [10, 19.9, 30.2, 39.9, 60.1, 79.8]).contention


def test_nothing_is_said_beyond_twice_the_largest_load() -> None:
    law = fitted(LOADS, SDM91)
    assert law.reach == 432 and law.predict(432).value > 0
    for load in (432.5, 0, -1, math.nan):
        with pytest.raises(ValueError, match=r"load: .*432, twice the largest load"):
            law.predict(load)
    growing = fitted([1, 2, 4, 8, 16, 20], [10, 19.9, 39.5, 78, 150, 184])
    assert growing.peak_load is None or growing.peak_load.value <= growing.reach


@pytest.mark.parametrize(
    ("loads", "throughput", "reason"),
    [
        ([1, 2], [3, 4], "2 distinct loads"),
        ([1, 1, 1, 1, 1, 1, 1], [5] * 7, "1 distinct load "),
        (range(10, 17), [5] * 7, "span 1.6×"),
        ([1, 2, 4, 8, 16, 32], [10, 25, 60, 150, 400, 900], "faster than load"),
        ([1, 2, 4, 8, 16, 32], [10, 1200, 38, 70, 120, 180], "are units mixed"),
        ([], [], "0 distinct loads"),
        ([100, 101, 102, 103, 104, 105, 400], [1, 1, 1, 1, 1, 1, 3], "2 distinct loads|3 distinct"),
    ],
)
def test_loads_that_carry_no_law_are_refused(loads: list[float], throughput: list[float], reason: str) -> None:
    import re

    assert re.search(reason, refused(loads, throughput))


@pytest.mark.parametrize(
    ("loads", "throughput", "error"),
    [
        ([1, 2, 3, 4, 5, math.nan], [1] * 6, "loads: .*value 6 is nan"), ([1, 2, 3, 4, 5, 6], [1, 1, math.inf, 1, 1, 1], "throughput: .*value 3 is inf"), ([0, 1, 2, 3, 4, 5], [1] * 6, "loads: .*value 1 is 0"),
        ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, -6], "throughput: .*-6"), ([1, 2, 3], [1, 2], "2 values for 3 loads"), ([[1, 2]], [[1, 2]], "one dimension"), (["a"], [1], "loads: not numbers"),
    ],
)  # fmt: skip
def test_what_are_no_loads_names_the_argument(loads: list[float], throughput: list[float], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        usl.fit(loads, throughput)


def test_constant_throughput_and_duplicated_loads() -> None:
    flat = fitted(range(1, 10), [5] * 9)
    assert (flat.sigma.value, flat.kappa.value, flat.peak_load) == (1, 0, None)
    twice = fitted(LOADS * 2, [*SDM91, *(x * 1.01 for x in SDM91)])
    assert (twice.loads, twice.n) == (7, 14) and twice.sigma.value == pytest.approx(0.02773, rel=0.01)


def test_blocks_widen_intervals_where_neighbours_are_alike() -> None:
    rng = np.random.default_rng(8)
    loads = np.tile(np.geomspace(1, 60, 60), 4)
    noise = np.zeros(240)
    for i in range(1, 240):
        noise[i] = 0.9 * noise[i - 1] + rng.normal(0, 0.02)
    x = usl.law(loads, np.array([[10.0, 0.02, 1e-4]]))[0] * np.exp(noise)
    alone, together = fitted(loads, x), fitted(loads, x, block=12)
    assert together.predict(60).high - together.predict(60).low > 1.5 * (alone.predict(60).high - alone.predict(60).low)  # type: ignore[operator]


def test_a_fit_takes_well_under_a_second() -> None:
    fitted(LOADS, SDM91)
    began = time.process_time()
    fitted(np.tile(LOADS, 50), np.tile(SDM91, 50))
    assert time.process_time() - began < 2


def test_no_interval_is_nan_where_points_scatter() -> None:
    """Noise as large as the throughput: replicates without any throughput are left out, or the law is refused; never a NaN, never a warning."""
    rng = np.random.default_rng(11)
    loads = np.array([1.0, 2, 4, 8, 16, 32, 50])
    kinds = set()
    for spread in (0.1, 0.6, 1.2, 2.0):
        for _ in range(8):
            found = usl.fit(loads, usl.law(loads, np.array([[20, 0.05, 0.001]]))[0] * rng.lognormal(0, spread, len(loads)))
            kinds.add(type(found))
            if isinstance(found, usl.Refusal):
                continue
            for interval in (found.gamma, found.sigma, found.kappa, found.gain(50, 100), found.predict(100), found.without(100, contention=True), found.peak_load, found.peak_throughput):
                assert interval is None or all(v is None or np.isfinite(v) for v in interval)
    assert usl.Scalability in kinds
