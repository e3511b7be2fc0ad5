"""How throughput grows with load: the Universal Scalability Law, X(N) = γN / (1 + σ(N−1) + κN(N−1)).

γ is the throughput of one, σ the share that is done in series (contention), κ what keeping everybody consistent costs (coherency).
Source: Gunther, *Guerrilla Capacity Planning* (2007), ch. 4–6, with γ as a third parameter (Gunther, Puglia, Tomasette, *Hadoop
superlinear scalability*, CACM 2015). Least squares in X with γ free: that choice, not a fit through the first point, gives the published
σ and κ of SPEC SDM91 (tests/stats/test_usl.py).

Intervals come from resampled residuals (Efron 1979; Wu 1986: each divided by √(1 − leverage)) whose size grows with √X, as counts do,
scaled by √(ν/χ²_ν) so that few points give wide intervals as Student's t does. Measured at a nominal 95 % (tests/stats/test_usl.py):
95–100 % where noise is the same at every load, 87–97 % where it grows with X, 77–92 % where it grows with X and κ is truly 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfaudit.stats.percentile import Interval

Array = NDArray[np.float64]

#: Three parameters need points to spare: the design's least number of distinct loads, and how far they must span.
LEAST_LOADS, LEAST_SPAN = 6, 3.0
#: Loads closer than this are one load: the noise of a minute's mean (400 requests: 5 %).
SAME_LOAD = 1.05
#: Nothing is said of loads beyond this multiple of the largest one seen.
REACH = 2.0
#: Between two loads N₁ < N₂ the law allows N₁/N₂ ≤ X₂/X₁ ≤ N₂/N₁. Noise does not break that by a factor of 20; the smallest mix of
#: units (minutes and seconds, 60) does.
MIXED_UNITS = 20.0
#: Efficiency X/N may grow by this power of N before it is called superlinear: a few per cent over a decade is noise of measurement.
SUPERLINEAR = 0.02
#: Replicates: the ends of a 95 % interval move by under a twentieth of its width.
REPLICATES = 1_000
LEVEL = 0.95
#: A replicate in which one of the load does (nearly) nothing is noise without a law; more of them than this would move the ends of an interval.
NOTHING, LOST = 1e-6, 0.05
#: Data are refused as superlinear at these odds: one honest series in a hundred at most.
SURE = 0.99
_SEED = 20_070_101
#: A step that fails raises the damping; after this many a row that does not move has arrived.
LEAST_ROUNDS = 12


@dataclass(frozen=True)
class Refusal:
    """Why there is no answer, and what measurement would give one."""

    reason: str
    todo: str


@dataclass(frozen=True)
class Scalability:
    """A fitted law. ``gamma``: throughput per unit of load; ``sigma``, ``kappa``: 1, ≥ 0; each an estimate with its interval.

    ``peak_load`` and ``peak_throughput`` are None where the law has no peak within reach. ``draws``: shape (replicates, 3).
    ``error``: root mean square residual over mean throughput. ``smallest``, ``largest``: loads seen; ``loads``: distinct ones; ``n``: points.
    """

    gamma: Interval
    sigma: Interval
    kappa: Interval
    peak_load: Interval | None
    peak_throughput: Interval | None
    smallest: float
    largest: float
    loads: int
    n: int
    error: float
    draws: Array

    @property
    def reach(self) -> float:
        """The largest load of which something may be said."""
        return REACH * self.largest

    @property
    def contention(self) -> bool:
        """σ is identified: its interval does not hold 0."""
        return bool(self.sigma.low)

    @property
    def coherency(self) -> bool:
        """κ is identified: its interval does not hold 0."""
        return bool(self.kappa.low)

    def predict(self, load: float) -> Interval:
        """Throughput at ``load``. Raises ``ValueError`` outside 0 < load ≤ :attr:`reach`."""
        return self._at(load, (1.0, 1.0))

    def predicted(self, loads: Array) -> Array:
        """Throughput at ``loads`` by the estimates, shape (n,)."""
        return np.asarray(law(loads, self._point)[0])

    def without(self, load: float, *, contention: bool = False, coherency: bool = False) -> Interval:
        """Throughput at ``load`` if contention (σ) or coherency (κ) were gone. Raises ``ValueError`` as :meth:`predict`."""
        return self._at(load, (0.0 if contention else 1.0, 0.0 if coherency else 1.0))

    def gain(self, start: float, end: float) -> Interval:
        """Throughput at ``end`` over that at ``start``. Raises ``ValueError`` as :meth:`predict`."""
        self._check(start)
        self._check(end)
        return _interval(float(_ratio(start, end, self._point)[0]), _ratio(start, end, self.draws))

    def _at(self, load: float, keep: tuple[float, float]) -> Interval:
        self._check(load)
        kept = np.array([1.0, *keep])
        return _interval(float(law(load, self._point * kept)[0]), law(load, self.draws * kept))

    def _check(self, load: float) -> None:
        if not 0 < load <= self.reach * (1 + 1e-9):
            raise ValueError(f"load: {load:g} lies outside 0 … {self.reach:g}, twice the largest load seen ({self.largest:g})")

    @property
    def _point(self) -> Array:
        return np.array([[self.gamma.value, self.sigma.value, self.kappa.value]])


def law(load: Any, parameters: Array) -> Array:
    """X(N) for every row (γ, σ, κ) of ``parameters``, shape (k, 3); ``load``: a number or shape (n,). Shape (k,) or (k, n)."""
    n = np.asarray(load, np.float64)
    gamma, sigma, kappa = (parameters[:, i] if n.ndim == 0 else parameters[:, i, None] for i in range(3))
    out: Array = gamma * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))
    return out


def _ratio(start: float, end: float, parameters: Array) -> Array:
    """X(end)/X(start) for every row of ``parameters``; γ cancels out."""
    alike = np.column_stack([np.ones(len(parameters)), parameters[:, 1:]])
    return np.asarray(law(end, alike) / law(start, alike))


def peak(sigma: float, kappa: float) -> float:
    """The load at which X is largest, √((1 − σ)/κ); infinite without coherency."""
    return math.sqrt((1 - sigma) / kappa) if kappa > 0 else math.inf


def fit(loads: Any, throughput: Any, *, block: int = 1, replicates: int = REPLICATES) -> Scalability | Refusal:
    """Fit the law. ``loads``: concurrency N > 0, ``throughput``: X > 0, shape (n,) each, any one unit; several points may share a load.

    ``block``: neighbours (in the order given) that are resampled together, for points that follow each other in time. Gives a
    :class:`Refusal` where the loads cannot carry three parameters. Raises ``ValueError`` that names the argument.
    """
    n, x = _checked(loads, throughput)
    refused = _refused(n, x)
    if refused:
        return refused
    point = _least_squares(n, x)
    fitted = law(n, point[None])[0]
    residual = x - fitted
    free = np.array([True, 0 < point[1] < 1, point[2] > 0])
    jacobian = _jacobian(n, point[None])[0][:, free]
    leverage = np.clip(np.einsum("ij,ji->i", jacobian, np.linalg.pinv(jacobian)), 0, 0.99)
    weight = np.sqrt(fitted / fitted.mean())
    spread = residual / np.sqrt(1 - leverage) / weight
    degrees = max(1, len(n) - 3)
    rng = np.random.default_rng(_SEED)
    scale = np.sqrt(degrees / rng.chisquare(degrees, (replicates, 1)))
    noise = (spread - spread.mean())[_blocks(rng, len(n), replicates, block)] * weight * scale
    draws = _refit(n, fitted + noise, point)
    draws = draws[draws[:, 0] > NOTHING * point[0]]
    if len(draws) < (1 - LOST) * replicates:
        return Refusal(f"throughput scatters by {np.sqrt(np.mean(residual**2)) / x.mean():.0%} around the scalability law: too much to say more than that", "measure longer at each load, or each load several times")
    found, reach = peak(point[1], point[2]), REACH * float(n.max())
    peaks = np.array([min(peak(s, k), 1e12) for _, s, k in draws])
    inside = 0 < found <= reach
    return Scalability(
        gamma=_interval(float(point[0]), draws[:, 0]),
        sigma=_interval(float(point[1]), draws[:, 1]),
        kappa=_interval(float(point[2]), draws[:, 2]),
        peak_load=_interval(found, peaks, most=1e11) if inside else None,
        peak_throughput=_interval(float(law(found, point[None])[0]), np.array([law(p, d[None])[0] for p, d in zip(np.clip(peaks, 1e-9, reach), draws, strict=True)])) if inside else None,
        smallest=float(n.min()), largest=float(n.max()), loads=distinct(n), n=len(n),
        error=float(np.sqrt(np.mean(residual**2)) / x.mean()), draws=draws,
    )  # fmt: skip


def distinct(loads: Any) -> int:
    """Loads that are at least :data:`SAME_LOAD` apart."""
    count, last = 0, 0.0
    for load in np.sort(np.asarray(loads, np.float64)):
        if load >= last * SAME_LOAD:
            count, last = count + 1, float(load)
    return count


def _checked(loads: Any, throughput: Any) -> tuple[Array, Array]:
    arrays = {}
    for name, given in (("loads", loads), ("throughput", throughput)):
        try:
            arrays[name] = np.asarray(given, np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{name}: not numbers") from None
        if arrays[name].ndim != 1:
            raise ValueError(f"{name}: one dimension is needed, {arrays[name].ndim} were given")
        bad = ~np.isfinite(arrays[name]) | (arrays[name] <= 0)
        if bad.any():
            raise ValueError(f"{name}: every value must be a positive number; value {int(bad.argmax()) + 1} is {arrays[name][bad.argmax()]:g}")
    if len(arrays["loads"]) != len(arrays["throughput"]):
        raise ValueError(f"throughput: {len(arrays['throughput'])} values for {len(arrays['loads'])} loads")
    return arrays["loads"], arrays["throughput"]


def _refused(n: Array, x: Array) -> Refusal | None:
    seen = distinct(n) if len(n) else 0
    span = float(n.max() / n.min()) if len(n) else 0.0
    if seen < LEAST_LOADS or span < LEAST_SPAN:
        what = f"{seen} distinct load{'s' if seen != 1 else ''}" + (f" from {n.min():g} to {n.max():g} (span {span:.2g}×)" if seen else "")
        return Refusal(f"{what}: the scalability law needs at least {LEAST_LOADS}, spanning {LEAST_SPAN:g}×", f"measure at {LEAST_LOADS} loads or more, the largest at least {LEAST_SPAN:g} times the smallest")
    levels = np.unique(n)
    means = np.array([np.median(x[n == level]) for level in levels])
    excess = np.abs(np.log(means[1:] / means[:-1])) - np.log(levels[1:] / levels[:-1])
    if excess.max() > math.log(MIXED_UNITS):
        i = int(excess.argmax())
        return Refusal(f"throughput goes from {means[i]:g} at load {levels[i]:g} to {means[i + 1]:g} at load {levels[i + 1]:g}: no system does; are units mixed?", "give all throughput in one unit")
    rising = n <= n[x.argmax()]
    slope, least = _slope(np.log(n[rising]), np.log(x[rising] / n[rising]))
    if least > SUPERLINEAR:
        return Refusal(f"throughput grows faster than load (by the power {1 + slope:.3g}): σ would be negative", "measure warm, at steady state, with the same resources at every load; a cold cache or growing resources look like this")
    return None


def _slope(x: Array, y: Array) -> tuple[float, float]:
    """Slope of a line and its lower bound at :data:`SURE` (Student's t); no bound below 4 points."""
    x, y = x - x.mean(), y - y.mean()
    mass = float(x @ x)
    if len(x) < 4 or mass <= 0:
        return 0.0, -math.inf
    from scipy.stats import t

    slope = float(x @ y) / mass
    error = math.sqrt(float(np.sum((y - slope * x) ** 2)) / (len(x) - 2) / mass)
    return slope, slope - float(t.ppf(SURE, len(x) - 2)) * error


def _least_squares(n: Array, x: Array) -> Array:
    from scipy.optimize import least_squares

    size = float(x.mean())

    def residual(p: Array) -> Array:
        return np.asarray((law(n, p[None])[0] - x) / size)

    def jacobian(p: Array) -> Array:
        return np.asarray(_jacobian(n, p[None])[0] / size)

    start = [float((x / n).max()), 0.05, 0.1 / float(n.max()) ** 2]
    box = ([0, 0, 0], [np.inf, 1, np.inf])
    found = least_squares(residual, start, jacobian, bounds=box, x_scale="jac", xtol=1e-14, ftol=1e-14, gtol=1e-14, max_nfev=2_000).x
    # A trust-region method stays inside its box; what is better on an edge, or as good, is put there.
    for edge in (found * [1, 1, 0], found * [1, 0, 1], found * [1, 0, 0], np.array([found[0], 1.0, 0.0])):
        if np.sum(residual(edge) ** 2) <= np.sum(residual(found) ** 2) * (1 + 1e-9) + len(n) * 1e-14:
            found = edge
    return np.asarray(_refit(n, x[None], np.asarray(found, np.float64))[0])


def _jacobian(n: Array, p: Array) -> Array:
    """∂X/∂(γ, σ, κ) at ``p``, shape (k, 3): shape (k, n, 3)."""
    g, s, k = (p[:, i, None] for i in range(3))
    below = 1 + s * (n - 1) + k * n * (n - 1)
    share = n / below
    slope = -g * share / below
    return np.stack([share, slope * (n - 1), slope * n * (n - 1)], axis=2)


def _refit(n: Array, x: Array, start: Array, rounds: int = 60) -> Array:
    """The law for each row of ``x``, shape (k, n): Levenberg–Marquardt within the bounds, all rows at once. Shape (k, 3)."""
    p = np.repeat(start[None], len(x), axis=0)
    low, high = np.zeros(3), np.array([np.inf, 1.0, np.inf])
    damping = np.full(len(x), 1e-3)
    loss = np.sum((law(n, p) - x) ** 2, axis=1)
    for turn in range(rounds):
        jacobian, residual = _jacobian(n, p), law(n, p) - x
        gradient = np.einsum("kni,kn->ki", jacobian, residual)
        square = np.einsum("kni,knj->kij", jacobian, jacobian)
        diagonal = np.einsum("kii->ki", square)
        held = ((p <= low) & (gradient > 0)) | ((p >= high) & (gradient < 0))
        size = np.sqrt(np.maximum(diagonal, 1e-300))
        scaled = square / size[:, :, None] / size[:, None, :]
        scaled[held[:, :, None] | held[:, None, :]] = 0
        scaled[:, range(3), range(3)] = 1 + damping[:, None]
        step = np.linalg.solve(scaled, (np.where(held, 0, gradient) / size)[:, :, None])[:, :, 0] / size
        tried = np.clip(p - step, low, high)
        reached = np.sum((law(n, tried) - x) ** 2, axis=1)
        better = reached <= loss
        p, damping = np.where(better[:, None], tried, p), np.where(better, damping / 5, damping * 4)
        settled = ~better | (loss - reached <= 1e-12 * loss)
        loss = np.where(better, reached, loss)
        damping = np.clip(damping, 1e-12, 1e9)
        if turn >= LEAST_ROUNDS and settled.all():
            break
    return p


def _blocks(rng: np.random.Generator, n: int, replicates: int, block: int) -> NDArray[np.int64]:
    """Indices of circular blocks (Politis & Romano 1992), shape (replicates, n)."""
    block = min(max(1, block), n)
    starts = rng.integers(0, n, (replicates, -(-n // block)))
    return ((starts[:, :, None] + np.arange(block)) % n).reshape(replicates, -1)[:, :n]


def _interval(value: float, draws: Array, most: float = math.inf) -> Interval:
    low, high = np.quantile(draws, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Interval(value, min(float(low), value), None if high >= most else max(float(high), value))
