"""Queues: operational laws, service demand, bounds, exact mean value analysis, Erlang B and C, waiting times.

Sources: Denning & Buzen, *The operational analysis of queueing network models* (1978); Lazowska et al., *Quantitative System Performance*
(1984), ch. 3, 5 (bounds), 6 (MVA), 12 (service demand); Reiser & Lavenberg (1980); Erlang (1917); Allen, *Probability, Statistics and
Queueing Theory* (1990), §5.3 (Allen–Cunneen). Times are in one unit of the caller's choice, rates are per that unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats.percentile import Interval

Array = NDArray[np.float64]

#: Replicates of a regression: the ends of a 95 % interval move by under a tenth of its width.
REPLICATES = 500
LEVEL = 0.95
_SEED = 19_780_901


def in_flight(throughput: float, response: float) -> float:
    """Little's law: N = X·R."""
    return _positive("throughput", throughput) * _positive("response", response)


def utilisation(throughput: float, service: float, servers: int = 1) -> float:
    """The utilisation law: U = X·S/c, the share of the time that each of ``servers`` is busy."""
    return _positive("throughput", throughput) * _positive("service", service) / _servers(servers)


def forced_flow(throughput: float, visits: float) -> float:
    """The forced flow law: a station that each request visits ``visits`` times completes X·V."""
    return _positive("throughput", throughput) * _positive("visits", visits)


def response_time(population: float, throughput: float, think: float = 0.0) -> float:
    """The interactive response time law: R = N/X − Z."""
    if _positive("throughput", throughput) == 0:
        raise ValueError("throughput: must be positive")
    return _positive("population", population) / throughput - _positive("think", think)


# ------------------------------------------------------------------ demand


class Demand(NamedTuple):
    """Service demand of each class at a station, and what the station does when nothing arrives; ``explained``: R², 0–1."""

    classes: tuple[Interval, ...]
    idle: Interval
    explained: float


def service_demand(busy: Any, throughput: Any, *, block: int = 1, replicates: int = REPLICATES) -> Demand:
    """Service demand by regression: U = Σ X_c·D_c + idle, all ≥ 0 (non-negative least squares).

    ``busy``: busy servers per interval (1.5: one and a half cores), shape (n,). ``throughput``: completions per unit of time, shape
    (n, classes) or (n,). Demands come in that unit of time per completion. Intervals by moving blocks of ``block`` intervals. Raises
    ``ValueError`` that names the argument for anything that is not finite, negative, of another length, or too short (n < classes + 3).
    """
    from scipy.optimize import nnls

    u = _finite("busy", busy, 1)
    x = _finite("throughput", throughput, 2 if np.ndim(throughput) > 1 else 1)
    x = x if x.ndim == 2 else x[:, None]
    n, classes = x.shape
    if len(u) != n:
        raise ValueError(f"busy: {len(u)} values for {n} intervals of throughput")
    if n < classes + 3:
        raise ValueError(f"throughput: {n} intervals are too few for {classes} classes and what runs idle")
    design = np.column_stack([x, np.ones(n)])
    size = np.where((found := np.abs(design).max(axis=0)) > 0, found, 1.0)
    point = nnls(design / size, u)[0] / size
    rng = np.random.default_rng(_SEED)
    block = min(max(1, block), n)
    starts = rng.integers(0, n - block + 1, (replicates, -(-n // block)))
    picks = (starts[:, :, None] + np.arange(block)).reshape(replicates, -1)[:, :n]
    draws = np.array([nnls(design[i] / size, u[i])[0] / size for i in picks])
    low, high = np.quantile(draws, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
    total = float(np.sum((u - u.mean()) ** 2))
    explained = 1 - float(np.sum((u - design @ point) ** 2)) / total if total > 0 else 0.0
    found_ = [Interval(float(p), min(float(a), float(p)), max(float(b), float(p))) for p, a, b in zip(point, low, high, strict=True)]
    return Demand(tuple(found_[:-1]), found_[-1], max(0.0, explained))


# ------------------------------------------------------------------ closed networks


class Bounds(NamedTuple):
    """Throughput of a closed network lies between ``low`` and ``high``; the response time between the two others."""

    low: float
    high: float
    response_low: float
    response_high: float


def asymptotic_bounds(demands: Sequence[float], population: float, think: float = 0.0) -> Bounds:
    """N/(N·D + Z) ≤ X ≤ min(1/D_max, N/(D + Z)), and R by the response time law."""
    d = _demands(demands)
    total, most = float(d.sum()), float(d.max())
    n, z = _population(population), _positive("think", think)
    high = min(1 / most, n / (total + z)) if most > 0 else math.inf
    return Bounds(n / (n * total + z) if total + z > 0 else math.inf, high, max(total, n * most - z), n * total)


def balanced_job_bounds(demands: Sequence[float], population: float, think: float = 0.0) -> Bounds:
    """Tighter: as if all stations were as busy as the mean, or as the largest (Zahorjan et al. 1982; Lazowska et al., table 5.2)."""
    d = _demands(demands)
    n, z = _population(population), _positive("think", think)
    total, most, mean = float(d.sum()), float(d.max()), float(d.mean())
    if total <= 0:
        raise ValueError("demands: at least one must be positive")
    low = n / (total + z + (n - 1) * most / (1 + z / (n * total)))
    high = min(1 / most, n / (total + z + (n - 1) * mean / (1 + z / total)))
    return Bounds(low, high, max(n * most - z, n / high - z), n / low - z)


class Network(NamedTuple):
    """A closed network at every population 1 … N: ``throughput`` and ``response``, shape (N,); ``queue`` and ``utilisation`` per station at N."""

    throughput: Array
    response: Array
    queue: Array
    utilisation: Array


def mva(demands: Sequence[float], population: int, think: float = 0.0, *, delay: Sequence[bool] | None = None) -> Network:
    """Exact mean value analysis: one class, queueing stations with ``demands`` (where ``delay`` is true a station without a queue), think time.

    X(N) for every N up to ``population`` costs N·stations steps. Raises ``ValueError`` that names the argument.
    """
    d = _demands(demands)
    z = _positive("think", think)
    if isinstance(population, bool) or int(population) != population or population < 1:
        raise ValueError(f"population: a whole number from 1 is needed, not {population}")
    waits = np.ones(len(d)) if delay is None else 1.0 - np.asarray(delay, np.float64)
    if waits.shape != d.shape:
        raise ValueError(f"delay: {len(waits)} values for {len(d)} demands")
    if float(d.sum()) + z <= 0:
        raise ValueError("demands: at least one must be positive")
    throughput, response = np.empty(int(population)), np.empty(int(population))
    queue = np.zeros(len(d))
    for n in range(1, int(population) + 1):
        stay = d * (1 + waits * queue)
        response[n - 1] = stay.sum()
        throughput[n - 1] = x = n / (response[n - 1] + z)
        queue = x * stay
    return Network(throughput, response, queue, throughput[-1] * d * waits)


# ------------------------------------------------------------------ open queues


def erlang_b(servers: int, offered: float) -> float:
    """Probability that all ``servers`` are busy and an arrival is lost; ``offered`` = λ·S, in servers."""
    c, a = _servers(servers), _positive("offered", offered)
    if a == 0:
        return 0.0
    inverse = 1.0
    for k in range(1, c + 1):
        inverse = 1 + inverse * k / a
        if inverse > 1e300:
            return 0.0
    return 1 / inverse


def erlang_c(servers: int, offered: float) -> float:
    """Probability that an arrival waits (M/M/c, unlimited queue); 1 where ``offered`` ≥ ``servers``."""
    c, a = _servers(servers), _positive("offered", offered)
    if a >= c:
        return 1.0
    lost, rho = erlang_b(c, a), a / c
    return lost / (1 - rho + rho * lost)


class Wait(NamedTuple):
    """Waiting for a server: probability, mean, and 95th percentile of the wait of all arrivals. Infinite where the queue grows without end."""

    probability: float
    mean: float
    p95: float


def waiting(rate: float, service: float, servers: int = 1, *, arrival_cv2: float = 1.0, service_cv2: float = 1.0) -> Wait:
    """Waiting time of M/M/c, and for other variability (squared coefficients of variation) the Allen–Cunneen approximation of G/G/c.

    The percentile takes the wait of those who wait as exponential: exact for M/M/c.
    """
    offered = _positive("rate", rate) * _positive("service", service)
    c = _servers(servers)
    factor = (_positive("arrival_cv2", arrival_cv2) + _positive("service_cv2", service_cv2)) / 2
    if offered >= c:
        return Wait(1.0, math.inf, math.inf)
    probability = erlang_c(c, offered)
    if probability == 0 or service == 0:
        return Wait(0.0, 0.0, 0.0)
    mean = probability * service / (c - offered) * factor
    tail = mean / probability  # of those who wait
    return Wait(probability, mean, max(0.0, tail * math.log(probability / 0.05)) if tail > 0 else 0.0)


def servers_for(rate: float, service: float, *, probability: float = 1.0, mean: float = math.inf, p95: float = math.inf, most: int = 100_000, arrival_cv2: float = 1.0, service_cv2: float = 1.0) -> int | None:
    """The least number of servers at which the wait keeps all targets; None where more than ``most`` are needed."""
    offered = _positive("rate", rate) * _positive("service", service)
    low = math.floor(offered) + 1

    def kept(c: int) -> bool:
        wait = waiting(rate, service, c, arrival_cv2=arrival_cv2, service_cv2=service_cv2)
        return wait.probability <= probability and wait.mean <= mean and wait.p95 <= p95

    if low > most or not kept(most):
        return None
    high = most
    while low < high:  # waits fall with every server
        middle = (low + high) // 2
        low, high = (low, middle) if kept(middle) else (middle + 1, high)
    return low


# ------------------------------------------------------------------ arguments


def _positive(name: str, value: float) -> float:
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name}: a finite number ≥ 0 is needed, not {value}")
    return float(value)


def _servers(value: int) -> int:
    if isinstance(value, bool) or not math.isfinite(value) or int(value) != value or value < 1:
        raise ValueError(f"servers: a whole number from 1 is needed, not {value}")
    return int(value)


def _population(value: float) -> float:
    if _positive("population", value) < 1:
        raise ValueError(f"population: at least 1 is needed, not {value}")
    return float(value)


def _demands(values: Sequence[float]) -> Array:
    found = _finite("demands", values, 1)
    if not len(found):
        raise ValueError("demands: none was given")
    return found


def _finite(name: str, values: Any, dimensions: int) -> Array:
    try:
        found = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: not numbers") from None
    if found.ndim != dimensions:
        raise ValueError(f"{name}: shape {found.shape} where {dimensions} dimension{'s are' if dimensions > 1 else ' is'} needed")
    if not np.isfinite(found).all() or (found < 0).any():
        raise ValueError(f"{name}: every value must be finite and ≥ 0")
    return found
