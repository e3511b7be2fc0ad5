"""What others answer to the same series: popular tools with the settings that their documentation shows, and the naive methods.

A rival that is not installed answers nothing (None).
"""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import numpy as np

#: ruptures' documentation calls ``predict(pen=10)`` with its kernel models.
RUPTURES_PENALTY = 10
#: Above this length Pelt with a kernel takes seconds a series; KernelCPD finds the same optimum.
LONGEST_PELT = 500
#: Kayenta's judge (NetflixACAJudge): Mann-Whitney at 98 %, of which the interval must clear a quarter of the estimate.
KAYENTA_LEVEL, KAYENTA_TOLERANCE = 0.98, 0.25
REPLICATES = 200

INSTALLED = importlib.util.find_spec("ruptures") is not None


def pelt_rbf(x: Any) -> list[int] | None:
    """ruptures: ``Pelt(model="rbf").fit(x).predict(pen=10)``."""
    if not INSTALLED or len(x) > LONGEST_PELT:
        return None
    import ruptures

    return list(ruptures.Pelt(model="rbf").fit(x).predict(pen=RUPTURES_PENALTY)[:-1])


def kernel_rbf(x: Any) -> list[int] | None:
    """ruptures: ``KernelCPD(kernel="rbf").fit(x).predict(pen=10)``."""
    if not INSTALLED:
        return None
    import ruptures

    return list(ruptures.KernelCPD(kernel="rbf").fit(x).predict(pen=RUPTURES_PENALTY)[:-1])


def least_squares_bic(x: Any) -> list[int] | None:
    """ruptures: exact least squares with the penalty of BIC for white noise, 2 σ² ln n, σ from the differences."""
    if not INSTALLED:
        return None
    import ruptures

    sigma = np.median(np.abs(np.diff(x))) / 0.6745 / math.sqrt(2)
    return list(ruptures.KernelCPD(kernel="linear", min_size=2).fit(x).predict(pen=2 * sigma**2 * math.log(len(x)))[:-1])


DETECTORS = {"ruptures Pelt rbf": pelt_rbf, "ruptures KernelCPD rbf": kernel_rbf, "ruptures least squares, BIC": least_squares_bic}


def one_step(x: Any) -> int:
    """Where the step is, for somebody who knows that there is exactly one: least squares."""
    n = len(x)
    at = np.arange(1, n)
    total = np.cumsum(x)
    return int(at[((total[:-1] - at / n * total[-1]) ** 2 / (at * (n - at))).argmax()])


def kayenta(control: Any, experiment: Any) -> str:
    """``High``, ``Low`` or ``Pass``: SciPy's Mann-Whitney at 98 %, and the interval of the shift beyond a quarter of its estimate."""
    from scipy.stats import mannwhitneyu, norm

    a, b = np.asarray(control, float), np.asarray(experiment, float)
    if np.array_equal(np.sort(a), np.sort(b)):
        return "Pass"
    p = mannwhitneyu(b, a, alternative="two-sided").pvalue
    shifts = np.sort(np.subtract.outer(b, a).ravel())
    m, n = len(a), len(b)
    rank = round(m * n / 2 - norm.isf((1 - KAYENTA_LEVEL) / 2) * math.sqrt(m * n * (m + n + 1) / 12))
    rank = max(rank, 1)
    low, high = shifts[rank - 1], shifts[-rank]
    bound = KAYENTA_TOLERANCE * abs(np.median(shifts))
    if p >= 1 - KAYENTA_LEVEL:
        return "Pass"
    return "High" if low > bound else "Low" if high < -bound else "Pass"


def welch(a: Any, b: Any) -> bool:
    """Welch's t test at 5 %, as if values were independent."""
    from scipy.stats import ttest_ind

    return bool(ttest_ind(a, b, equal_var=False).pvalue < 0.05)


def bootstrap(rng: np.random.Generator, x: Any, q: float) -> tuple[float, float]:
    """Percentile interval of a quantile from resampled single values, 95 %."""
    drawn = np.quantile(x[rng.integers(0, len(x), (REPLICATES, len(x)))], q, axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def naive_lag(x: Any, y: Any, most: int = 10) -> tuple[float, int]:
    """Pearson's correlation at its strongest lag within ± ``most``, Bonferroni: p and lag."""
    from scipy.stats import pearsonr

    found = []
    for lag in range(-most, most + 1):
        a, b = (x[: len(x) - lag], y[lag:]) if lag >= 0 else (x[-lag:], y[:lag])
        found.append((float(pearsonr(a, b).pvalue) * (2 * most + 1), lag))
    return min(found)
