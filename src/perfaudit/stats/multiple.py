"""Several questions at once: p-values adjusted so that their errors stay bounded together.

Holm (1979) bounds the chance of *any* false answer, under every dependence. Benjamini & Hochberg (1995) bound the *share* of false
answers among those given, for independent or positively dependent questions; Benjamini & Yekutieli (2001) under every dependence.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def holm(p: Any) -> Any:
    """Adjusted p-values, shape (n,), in the order given: at most α where Holm's step-down procedure rejects at α.

    ``p``: shape (n,), each 0–1, otherwise ``ValueError``.
    """
    p, order = _sorted(p)
    n = len(p)
    return _back(np.maximum.accumulate(p * (n - np.arange(n))), order)


def false_discovery(p: Any, *, dependent: bool = False) -> Any:
    """Adjusted p-values, shape (n,), in the order given: at most α where the step-up procedure rejects at a false discovery rate α.

    ``p``: shape (n,), each 0–1, otherwise ``ValueError``. ``dependent``: hold under every dependence (Benjamini & Yekutieli), which
    costs a factor Σ 1/i.
    """
    p, order = _sorted(p)
    n = len(p)
    rank = np.arange(1, n + 1)
    factor = float((1 / rank).sum()) if dependent else 1.0
    return _back(np.minimum.accumulate((p * n * factor / rank)[::-1])[::-1], order)


def _sorted(p: Any) -> tuple[Any, Any]:
    p = np.asarray(p, np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise ValueError("p: a flat array of numbers from 0 to 1 is needed")
    order = np.argsort(p, kind="stable")
    return p[order], order


def _back(adjusted: Any, order: Any) -> Any:
    out = np.empty_like(adjusted)
    out[order] = np.minimum(adjusted, 1.0)
    return out
