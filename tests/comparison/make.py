"""Arms with known truth, without files: requests per time bin whose level wanders as production's does."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from perfaudit.baseline.stream import Key, Total
from perfaudit.comparison.arms import Arm, Part, Source
from perfaudit.evidence.store import Evidence
from perfaudit.model import Window

START = 1_795_420_800_000_000
STEP = 60


def ar1(rng: np.random.Generator, n: int, phi: float, sd: float = 1.0) -> Any:
    """A stationary AR(1) series, shape (n,), with marginal standard deviation ``sd``."""
    out = np.empty(n)
    out[0] = rng.normal()
    for i, e in enumerate(rng.normal(size=n - 1) * np.sqrt(1 - phi**2)):
        out[i + 1] = phi * out[i] + e
    return out * sd


def requests(rng: np.random.Generator, level: Any, per_bin: float = 40, median_ms: float = 50.0, sd: float = 0.5) -> tuple[Any, Any]:
    """Time bins and durations (µs) of Poisson arrivals with lognormal durations; ``level``: shape (bins,), is added to the log."""
    at = np.repeat(np.arange(len(level)), rng.poisson(per_bin, len(level)))
    return at, (median_ms * 1e3 * np.exp(level[at] + rng.normal(0, sd, len(at)))).astype(np.int64)


def part(at: Any, value: Any, bins: int, failed: Any = None) -> Part:
    """One route of an arm from its requests."""
    order = np.argsort(value, kind="stable")
    errors = np.zeros(bins, np.int64) if failed is None else np.bincount(at[failed], minlength=bins)
    return Part(np.bincount(at, minlength=bins), errors, at[order], value[order], np.ones(len(at), np.int64))


def arm(name: str, routes: dict[str, Part], step: int = STEP, start: int = START) -> Arm:
    """An arm out of its routes (all GET)."""
    bins = len(next(iter(routes.values())).count)
    parts: dict[Key, Part] = {("GET", r): p for r, p in routes.items()}
    totals = {k: Total("web", *k, p.requests, int(p.seconds * 1e6), int(p.errors.sum())) for k, p in parts.items()}
    source = Source(name, cast(Evidence, None), "true", Window(start, start + bins * step * 1_000_000), totals)
    return Arm(source, start, step, bins, parts)
