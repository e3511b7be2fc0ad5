"""Shares with Wilson intervals, and whether a confidence can be believed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

LEVEL = 0.95
BINS = 5


def rate(flags: Iterable[bool | None]) -> dict[str, Any] | None:
    """``k`` of ``n`` with the 95 % Wilson interval; None is not counted, and nothing to count is no rate."""
    from scipy.stats import binomtest

    known = [f for f in flags if f is not None]
    if not known:
        return None
    k, n = sum(known), len(known)
    interval = binomtest(k, n).proportion_ci(LEVEL, method="wilson")
    return {"k": k, "n": n, "value": k / n, "low": float(interval.low), "high": float(interval.high)}


def calibration(claims: Sequence[tuple[float, bool]]) -> dict[str, Any] | None:
    """Reliability in equal bins of confidence, Brier score, and the expected calibration error over those bins."""
    if not claims:
        return None
    bins: list[dict[str, Any]] = []
    for i in range(BINS):
        inside = [(c, ok) for c, ok in claims if min(int(c * BINS), BINS - 1) == i]
        row: dict[str, Any] = {"from": i / BINS, "to": (i + 1) / BINS, "n": len(inside)}
        if inside:
            row |= {"confidence": sum(c for c, _ in inside) / len(inside), "right": rate(ok for _, ok in inside)}
        bins.append(row)
    gaps = [abs(b["confidence"] - b["right"]["value"]) * b["n"] for b in bins if b["n"]]
    return {
        "n": len(claims),
        "mean_confidence": sum(c for c, _ in claims) / len(claims),
        "right": rate(ok for _, ok in claims),
        "brier": sum((c - ok) ** 2 for c, ok in claims) / len(claims),
        "ece": sum(gaps) / len(claims),
        "bins": bins,
    }


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Number, median, quartiles and extremes; of an even number the middle is between two."""
    if not values:
        return None
    from statistics import median, quantiles

    ordered = sorted(values)
    low, _, high = quantiles(ordered, n=4, method="inclusive") if len(ordered) > 1 else (ordered[0],) * 3
    return {"n": len(ordered), "median": median(ordered), "q1": low, "q3": high, "least": ordered[0], "most": ordered[-1]}
