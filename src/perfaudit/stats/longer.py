"""Is one sample longer than another? For weighted samples: durations with their counts."""

from __future__ import annotations

import math

import numpy as np

from perfaudit.stats.percentile import Distribution


def longer(a: Distribution, b: Distribution) -> float:
    """How many standard errors ``a`` lies above ``b``: the larger of Welch's z (sees a tail) and the rank sum's (sees a body, whatever the tail).

    Welch 1947, "The generalization of Student's problem"; Mann & Whitney 1947 with the variance for ties (Lehmann 1975, "Nonparametrics", §1.4). 0 with fewer
    than two values in either.
    """
    if min(a.n, b.n) < 2:
        return 0.0
    return max(_welch(a, b), _ranks(a, b))


def _welch(a: Distribution, b: Distribution) -> float:
    (m, v), (k, w) = ((d.total / d.n, float(np.dot((d.values - d.total / d.n) ** 2.0, d.counts)) / (d.n - 1) / d.n) for d in (a, b))
    return (m - k) / math.sqrt(v + w) if v + w > 0 else math.copysign(math.inf, m - k) if m != k else 0.0


def _ranks(a: Distribution, b: Distribution) -> float:
    values, place = np.unique(np.concatenate([a.values, b.values]), return_inverse=True)
    x = np.bincount(place[: len(a.values)], a.counts, len(values))
    y = np.bincount(place[len(a.values) :], b.counts, len(values))
    n, m = float(a.n), float(b.n)
    wins = float(np.dot(x, np.cumsum(y) - y / 2))
    ties = float(np.sum((x + y) ** 3 - (x + y)))
    variance = n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1)))
    return (wins - n * m / 2) / math.sqrt(variance) if variance > 0 else 0.0
