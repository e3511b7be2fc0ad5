"""Stalls and arrival models by simulation: servers whose truth is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from perfaudit.stats import arrivals
from perfaudit.stats.percentile import Distribution

Service = Callable[[np.random.Generator], float]


def lognormal(middle: float, sigma: float) -> Service:
    return lambda rng: float(middle * rng.lognormal(0, sigma))


def open_(rng: np.random.Generator, rate: float, seconds: float, sigma: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    """Poisson arrivals; responses do not matter."""
    starts = np.sort(rng.uniform(0, seconds, rng.poisson(rate * seconds)))
    return starts, 0.05 * rng.lognormal(0, sigma, len(starts))


def closed(rng: np.random.Generator, users: int, seconds: float, think: float = 0.0, service: Service | None = None, stall: tuple[float, float] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Each user waits for the response, then thinks. A stall (from, length) holds whatever is in flight, and nothing moves."""
    service, starts, durations = service or lognormal(0.05, 0.3), [], []
    for _ in range(users):
        now = rng.uniform(0, think + 0.05)
        while now < seconds:
            took = service(rng)
            if stall and now < sum(stall) and now + took > stall[0]:
                took += sum(stall) - max(now, stall[0])
            starts.append(now)
            durations.append(took)
            now += took + (rng.exponential(think) if think else 0)
    return np.array(starts), np.array(durations)


def seen(made: tuple[np.ndarray, np.ndarray]) -> arrivals.Flow:
    return arrivals.flow(*(np.round(x * 1e6).astype(np.int64) for x in made))


@pytest.mark.parametrize(("rate", "series"), [(2, 60), (20, 40), (200, 5)])
def test_no_stall_in_arrivals_that_do_not_wait(rate: int, series: int) -> None:
    flows = [seen(open_(np.random.default_rng(i), rate, 300)) for i in range(series)]
    assert sum(bool(arrivals.stalls(f)) for f in flows) == 0
    assert {arrivals.model(f, [])[0] for f in flows} == {"unknown"}


def test_steps_ramps_and_ends_are_no_stalls() -> None:
    rng = np.random.default_rng(1)
    for rates in ((20, 100, 40, 200, 5), tuple(range(0, 100, 5)) + (100,) * 20 + tuple(range(100, 0, -5))):
        seconds = 100 / len(rates)
        starts = np.concatenate([k * seconds + np.sort(rng.uniform(0, seconds, rng.poisson(r * seconds))) for k, r in enumerate(rates)])
        assert arrivals.stalls(seen((starts, np.full(len(starts), 0.05)))) == []


def test_busy_users_without_a_stall() -> None:
    for i in range(10):
        flow = seen(closed(np.random.default_rng(i), 10, 60, service=lognormal(0.05, 1.0)))
        assert arrivals.stalls(flow) == [] and arrivals.model(flow, [])[0] == "closed"


@pytest.mark.parametrize(("users", "think", "length"), [(10, 0.0, 2.0), (10, 0.0, 8.0), (1, 0.0, 2.0), (1, 0.0, 5.0), (50, 1.0, 5.0)])
def test_a_standstill_is_found_with_its_place_and_size(users: int, think: float, length: float) -> None:
    for i in range(6):
        made = closed(np.random.default_rng(i), users, 40, think, stall=(15, length))
        found = arrivals.stalls(seen(made))
        assert len(found) == 1 and arrivals.model(seen(made), found)[0] == "closed"
        rate = np.count_nonzero((made[0] > 2) & (made[0] < 14)) / 12
        # users who think go on until they too wait for a response
        assert found[0].missing == pytest.approx(rate * (length - think), rel=0.35)
        assert abs(found[0].end / 1e6 - (15 + length)) < 1.0


def test_what_was_omitted_moves_the_percentile() -> None:
    """200/s and 2 s of standstill in 20 s: a tenth of those who would have come wait up to two seconds, so their p95 is near one second."""
    starts, durations = closed(np.random.default_rng(3), 10, 20, stall=(8, 2.0))
    micros = np.round(durations * 1e6).astype(np.int64)
    found = arrivals.stalls(seen((starts, durations)))
    assert Distribution(*np.unique(micros, return_counts=True)).percentile(0.95).value < 100_000
    assert Distribution(*arrivals.corrected(micros, found)).percentile(0.95).value == pytest.approx(1_050_000, rel=0.15)


def test_arrivals_that_go_on_while_nothing_is_answered_are_open() -> None:
    starts, durations = open_(np.random.default_rng(5), 100, 30, sigma=0.3)
    durations = np.where((starts < 12) & (starts + durations > 10), 12 - starts + durations, durations)
    flow = seen((starts, durations))
    assert arrivals.stalls(flow) == [] and arrivals.model(flow, [])[0] == "open"


def test_pauses_of_the_generator_are_no_stalls() -> None:
    starts, durations = open_(np.random.default_rng(7), 50, 60, sigma=0.2)
    kept = (starts < 20) | (starts > 25)
    assert arrivals.stalls(seen((starts[kept], durations[kept]))) == []


def test_few_and_odd() -> None:
    for starts, durations in (([0.0], [1.0]), ([0.0, 0.0], [0.0, 0.0]), ([5.0, 1.0, 3.0], [0.1, 9.0, 0.0]), ([0.0, 86_400.0], [1.0, 1.0])):
        flow = seen((np.array(starts), np.array(durations)))
        assert arrivals.stalls(flow) == [] and flow.arrivals.sum() == len(starts) and len(flow.arrivals) <= arrivals.MOST_BINS + 1
        assert arrivals.model(flow, [])[0] in ("unknown", "closed")
