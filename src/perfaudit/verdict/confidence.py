"""How sure is the verdict? A stated function of tests passed and rivals left open, in one place because it will be calibrated.

``log-odds = START + PASSED·(share of decisive tests passed) − FAILED·(failed tests) − UNDECIDED·(tests that could not be made) − OPEN·(rivals not ruled out) − LOST·(rivals that failed)
+ EXPLAINS·(share of the added time explained)``, then the logistic function, kept within 0.05–0.98.

The weights are a start, not a measurement: they will be fitted on recorded cases with known truth (issue "the calibrated verdict"); until
then a confidence is an ordering, and the documentation says so.
"""

from __future__ import annotations

import math

from perfaudit.model import Finding

START, PASSED, FAILED, UNDECIDED, OPEN, LOST, EXPLAINS = 0.3, 1.6, 0.8, 0.3, 0.25, 1.2, 1.4
LEAST, MOST = 0.05, 0.98


def of(finding: Finding, explained: float | None) -> float:
    """The confidence of a finding; ``explained`` is the share of the window's added time that it owns (None: no reference)."""
    passed = [t.passed for t in finding.tests]
    share = sum(p is True for p in passed) / len(passed) if passed else 0.0
    failed = sum(p is False for p in passed)
    undecided = sum(p is None for p in passed)
    open_rivals = sum(t.passed is None for t in finding.rejected)
    lost = sum(t.passed is False for t in finding.rejected)
    part = 0.5 if explained is None else min(1.0, max(0.0, explained))
    return squash(START + PASSED * share - FAILED * failed - UNDECIDED * undecided - OPEN * open_rivals - LOST * lost + EXPLAINS * part)


def healthy(requests: int, examined: int, unknown: int) -> float:
    """The confidence of "healthy": grows with the sample, falls with the classes that could not be examined."""
    sample = min(1.0, math.log10(max(1, requests)) / 4)
    return squash(0.2 + 2.0 * sample - 0.25 * unknown + 0.1 * examined)


def squash(log_odds: float) -> float:
    """The logistic function, limited and rounded to two digits (more would pretend)."""
    return round(min(MOST, max(LEAST, 1 / (1 + math.exp(-log_odds)))), 2)
