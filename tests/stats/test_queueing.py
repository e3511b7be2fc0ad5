"""Queues against closed forms, published figures and simulation."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from perfaudit.stats import queueing as q

DEMANDS = [0.040, 0.025, 0.010]


def test_mva_to_six_digits() -> None:
    found = q.mva(DEMANDS, 60, 1.0)
    assert [round(float(found.throughput[n - 1]), 6) for n in (1, 10, 60)] == [0.930233, 9.088013, 24.999978]
    assert found.utilisation[0] == pytest.approx(0.99999914, rel=1e-6)
    assert float(found.queue.sum()) + found.throughput[-1] * 1.0 == pytest.approx(60)  # Little: who does not queue thinks
    assert q.response_time(60, float(found.throughput[-1]), 1.0) == pytest.approx(float(found.response[-1]))


def test_mva_lies_within_its_bounds() -> None:
    for n in (1, 2, 5, 10, 30, 100):
        x = float(q.mva(DEMANDS, n, 1.0).throughput[-1])
        wide, tight = q.asymptotic_bounds(DEMANDS, n, 1.0), q.balanced_job_bounds(DEMANDS, n, 1.0)
        assert wide.low - 1e-12 <= tight.low <= x + 1e-12 and x - 1e-12 <= tight.high <= wide.high + 1e-12
        assert wide.response_low - 1e-12 <= n / x - 1 <= wide.response_high + 1e-12


def test_a_balanced_network_and_delays_have_closed_forms() -> None:
    assert q.mva([0.1] * 4, 7).throughput[-1] == pytest.approx(7 / (0.1 * (7 + 3)))
    assert q.mva([0.1, 0.5], 9, delay=[True, True]).throughput[-1] == pytest.approx(9 / 0.6)
    assert np.allclose(q.mva([0.1, 0.5], 9, delay=[False, True]).throughput, q.mva([0.1], 9, 0.5).throughput)


def test_mva_of_many_stations_and_ten_thousand_customers_is_fast() -> None:
    began = time.process_time()
    found = q.mva([0.01 * (1 + i % 3) for i in range(300)], 10_000, 2.0)
    assert time.process_time() - began < 1
    assert found.throughput[-1] == pytest.approx(10_000 / 10_099 / 0.03, rel=1e-3)  # 100 equal bottlenecks


def test_erlang() -> None:
    assert round(q.erlang_c(4, 3.2), 6) == 0.596432
    assert q.erlang_b(2, 1.0) == pytest.approx(0.2)  # a²/2 / (1 + a + a²/2)
    for c, a in ((1, 0.7), (7, 5.5), (40, 35.0), (300, 280.0)):
        direct = math.fsum(math.exp(k * math.log(a) - math.lgamma(k + 1)) for k in range(c + 1))
        assert q.erlang_b(c, a) == pytest.approx(math.exp(c * math.log(a) - math.lgamma(c + 1)) / direct, rel=1e-9)
    assert q.erlang_c(1, 0.7) == pytest.approx(0.7)  # M/M/1 waits with probability ρ
    assert (q.erlang_c(4, 4), q.erlang_c(4, 0), q.erlang_b(100_000, 1.0)) == (1, 0, 0)


def test_waiting_of_one_server() -> None:
    wait = q.waiting(0.8, 1.0)
    assert (wait.probability, wait.mean) == (pytest.approx(0.8), pytest.approx(4.0))
    assert wait.p95 == pytest.approx(math.log(0.8 / 0.05) / 0.2)
    assert q.waiting(0.8, 1.0, service_cv2=0).mean == pytest.approx(2.0)  # M/D/1 waits half as long
    assert q.waiting(3.2, 1.0, 4).mean == pytest.approx(0.5964324717876 / (4 - 3.2))
    assert q.waiting(2.0, 1.0, 2) == (1.0, math.inf, math.inf) and q.waiting(0, 1.0) == (0, 0, 0)
    assert q.waiting(0.1, 1.0, 3).p95 == 0  # fewer than 5 of 100 wait at all


def test_waiting_in_a_simulated_queue() -> None:
    """M/M/3 by Kiefer and Wolfowitz' recursion, 40,000 arrivals at ρ = 0.8."""
    rng = np.random.default_rng(2)
    gaps, service = rng.exponential(1 / 2.4, 40_000), rng.exponential(1.0, 40_000)
    free, waits = [0.0, 0.0, 0.0], []
    for gap, busy in zip(gaps, service, strict=True):
        free = sorted(max(0.0, f - gap) for f in free)
        waits.append(free[0])
        free[0] += busy
    found = q.waiting(2.4, 1.0, 3)
    assert np.mean(np.array(waits) > 0) == pytest.approx(found.probability, rel=0.08)
    assert np.mean(waits) == pytest.approx(found.mean, rel=0.15)
    assert np.quantile(waits, 0.95) == pytest.approx(found.p95, rel=0.15)


def test_the_least_number_of_servers() -> None:
    needed = q.servers_for(3.2, 1.0, probability=0.05)
    assert needed == 8 and q.erlang_c(8, 3.2) <= 0.05 < q.erlang_c(7, 3.2)
    assert q.servers_for(100, 1.0, p95=0.0) == next(c for c in range(101, 200) if q.waiting(100, 1.0, c).p95 == 0)
    assert q.servers_for(1e9, 1.0, probability=0.5) is None
    assert q.servers_for(10, 1.0, mean=0.01, service_cv2=9) > q.servers_for(10, 1.0, mean=0.01)  # type: ignore[operator]


def test_service_demand_comes_back() -> None:
    rng = np.random.default_rng(6)
    x = rng.uniform(20, 200, (120, 2))
    busy = x @ [0.004, 0.011] + 0.3 + rng.normal(0, 0.03, 120)
    found = q.service_demand(busy, x, block=4)
    assert [c.value for c in found.classes] == pytest.approx([0.004, 0.011], rel=0.05) and found.idle.value == pytest.approx(0.3, abs=0.05)
    assert all(c.low <= t <= c.high for c, t in zip(found.classes, (0.004, 0.011), strict=True)) and found.explained > 0.98  # type: ignore[operator]
    assert found == q.service_demand(busy, x, block=4)


def test_intervals_of_demand_cover() -> None:
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(60):
        x = rng.uniform(20, 200, 80)
        noise = np.zeros(80)
        for i in range(1, 80):
            noise[i] = 0.6 * noise[i - 1] + rng.normal(0, 0.05)
        found = q.service_demand(0.01 * x + 0.2 + noise, x, block=8, replicates=200)
        hits += found.classes[0].low <= 0.01 <= found.classes[0].high  # type: ignore[operator]
    assert hits >= 0.85 * 60


def test_demands_are_never_negative() -> None:
    found = q.service_demand([1.0, 0.8, 0.7, 0.5, 0.3, 0.2], [1, 2, 3, 4, 5, 6])
    assert found.classes[0].value == 0 and found.idle.value > 0
    assert q.service_demand([0.5] * 8, [3.0] * 8).explained == 0


def test_laws() -> None:
    assert q.in_flight(40, 0.25) == 10 and q.utilisation(40, 0.1, 8) == 0.5 and q.forced_flow(40, 3) == 120


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: q.mva([], 3), "demands"), (lambda: q.mva([0.1, math.nan], 3), "demands"), (lambda: q.mva([-1.0], 3), "demands"), (lambda: q.mva([0.0], 3), "demands"), (lambda: q.mva([1.0], 0), "population"),
        (lambda: q.mva([1.0], 2.5), "population"), (lambda: q.mva([1.0], 2, -1), "think"), (lambda: q.mva([1.0, 2.0], 2, delay=[True]), "delay"), (lambda: q.erlang_c(0, 1), "servers"), (lambda: q.erlang_b(2, -1), "offered"),
        (lambda: q.waiting(math.inf, 1), "rate"), (lambda: q.waiting(1, math.nan), "service"), (lambda: q.response_time(3, 0), "throughput"), (lambda: q.asymptotic_bounds([1.0], 0.5), "population"),
        (lambda: q.service_demand([1, 2], [1, 2, 3]), "busy"), (lambda: q.service_demand([1, 2, 3], [1, 2, 3]), "throughput"), (lambda: q.service_demand([1.0] * 9, [math.nan] * 9), "throughput"), (lambda: q.balanced_job_bounds([0.0], 3), "demands"),
        (lambda: q.service_demand("ab", [1, 2]), "busy"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(call, argument: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=f"^{argument}: "):
        call()
