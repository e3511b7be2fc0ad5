"""What slow requests wait for that the usual ones do not."""

from __future__ import annotations

import numpy as np
import pytest

from perfaudit.paths import percentiles
from perfaudit.paths.traced import labels
from tests.paths.made import seconds, trace, tracing


def shop(n: int, seed: int = 3) -> list[dict[str, object]]:
    """Every tenth request waits long for a lock; the query varies a little and has nothing to do with it."""
    rng = np.random.default_rng(seed)
    rows = []
    for i, at in enumerate(seconds("affected", n)):
        query, lock = int(rng.uniform(2000, 3000)), int(rng.uniform(80_000, 120_000)) if i % 10 == 7 else int(rng.uniform(100, 200))
        rows += trace(i, at, f"a shop/POST_/orders server 0-{2000 + query + lock}", f"b<a shop/SELECT client 1000-{1000 + query} system=mysql", f"c<a shop/lock.acquire internal {1000 + query}-{1000 + query + lock}")
    return rows


def test_the_parts_add_up_and_the_wait_is_the_lock() -> None:
    found = tracing(shop(400))
    bands, note = percentiles.bands(found, labels(found), 0)
    assert note == "400 traces are too few for p99: 1,000 are needed"
    (band,) = bands
    assert (band.percentile, band.traces) == ("p95", 20)
    assert sum(p.difference.value or 0 for p in band.parts) == pytest.approx(band.difference.value)
    lock, *rest = band.parts
    assert lock.component == "application lock or wait"
    assert lock.middle < 0.3 and 95 < lock.slow < 120
    for part in (lock, band):
        low, high = part.difference.interval or (None, None)
        assert low is not None and high is not None and low < (part.difference.value or 0) < high
    for part in rest:  # nothing else departs
        low, high = part.difference.interval or (None, None)
        assert low is not None and high is not None and low < 0.25 and high > -0.25
    assert 80 < band.threshold < 120


def test_the_point_estimate_is_the_plain_difference_of_two_bands() -> None:
    found = tracing(shop(400))
    bands, _ = percentiles.bands(found, labels(found), 0)
    whole = np.sort(found.whole) / 1e3
    assert bands[0].difference.value == pytest.approx(whole[380:].mean() - whole[160:240].mean())


def test_a_band_takes_a_part_of_the_rows_at_its_ends() -> None:
    matrix = np.arange(10.0).reshape(-1, 1)
    assert percentiles._means(np.ones(10), matrix, 0.95, 1.0)[0] == pytest.approx(9)
    assert percentiles._means(np.ones(10), matrix, 0.4, 0.6)[0] == pytest.approx(4.5)
    assert percentiles._means(np.ones(10), matrix, 0.85, 1.0)[0] == pytest.approx((0.5 * 8 + 9) / 1.5)
    twice = np.zeros(10)
    twice[[2, 5]] = 5
    assert percentiles._means(twice, matrix, 0.4, 0.6)[0] == pytest.approx(3.5)


def test_the_interval_covers_the_truth_about_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The share of p95 intervals that hold the difference of the whole population, over 60 samples of 300."""
    monkeypatch.setattr(percentiles, "RESAMPLES", 150)
    rng = np.random.default_rng(11)
    grid = (np.arange(200_000) + 0.5) / 200_000
    truth = -np.log(1 - grid[190_000:]).mean() - -np.log(1 - grid[80_000:120_000]).mean()
    held = 0
    for _ in range(60):
        whole = np.sort(rng.exponential(1.0, 300))
        band = percentiles._band("p95", 0.95, whole, whole.reshape(-1, 1), ["self"])
        low, high = band.difference.interval or (0, 0)
        held += (low or 0) <= truth <= (high or 0)
    assert held >= 0.8 * 60


def test_too_few_traces_are_told_and_the_same_traces_give_the_same_numbers() -> None:
    few = tracing(shop(150))
    bands, note = percentiles.bands(few, labels(few), 0)
    assert [band.percentile for band in bands] == ["p75"] and note == "150 traces are too few for p95 and p99: 200 are needed"
    fewer = tracing(shop(39))
    assert percentiles.bands(fewer, labels(fewer), 0)[0] == []
    found = tracing(shop(250))
    assert percentiles.bands(found, labels(found), 0) == percentiles.bands(found, labels(found), 0)


def test_many_traces_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(percentiles, "MOST_TRACES", 250)
    found = tracing(shop(1000))
    bands, _ = percentiles.bands(found, labels(found), 0)
    assert bands[0].difference.n == 250
