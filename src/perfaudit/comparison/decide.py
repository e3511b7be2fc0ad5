"""What a comparison answers: every route and the total by several metrics, so that no difference at all is called one at most 5 % of the time.

Holm's procedure runs over all deciding metrics of all routes and of the total together, weighted (Benjamini & Hochberg 1997): a third of the
error rate goes to the total, the rest to the routes by what they own of the requests and of the time of both arms together, which does not
depend on which arm is which, so that power is where the time is. “Worse” and “better” need an adjusted p of at most
0.05 *and* a difference of at least the least practical size; “no practical difference” needs the whole interval inside it; anything else
is “inconclusive”, with what would decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from perfaudit.comparison.shift import BETTER, DECIDING, OPEN, SAME, WORSE, Shift

ALPHA = 0.05
K = TypeVar("K")


@dataclass(frozen=True)
class Answer:
    """The result for one route or the total: which metric decided, and the results of all metrics."""

    result: str
    metric: str
    results: Mapping[str, str]


def adjusted(p: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Adjusted p-values by Holm's step-down procedure with weights > 0: at most α where it rejects at α."""
    order = sorted(range(len(p)), key=lambda i: (p[i] / weights[i], i))
    left, worst = sum(weights), 0.0
    out = [1.0] * len(p)
    for i in order:
        worst = max(worst, min(1.0, p[i] / weights[i] * left))
        out[i] = worst
        left -= weights[i]
    return out


def result_of(shifts: Sequence[Shift], p: float) -> str:
    """The result of one metric, of one or several views of it (weights) that must agree."""
    if p <= ALPHA and all(s.practical for s in shifts) and len({s.effect > 0 for s in shifts}) == 1:
        return WORSE if shifts[0].effect > 0 else BETTER
    return SAME if all(s.same for s in shifts) else OPEN


def failed_more(errors: Shift | None, result: str) -> bool:
    """Whether more requests failed, told or not: what fails fast shortens durations, which is no improvement."""
    return errors is not None and result != SAME and errors.practical and errors.effect > 0


def together(results: Mapping[str, str], *, failed_more: bool = False) -> Answer:
    """One answer out of the results by metric: worse before better, nothing better where more failed, and no practical difference only
    where every metric that could be told says so."""
    for word in (WORSE,) if failed_more else (WORSE, BETTER):
        metric = next((m for m in DECIDING if results.get(m) == word), None)
        if metric:
            return Answer(word, metric, results)
    deciding = [results[m] for m in DECIDING if m in results]  # what could not be asked (too few requests for a p99) is absent
    return Answer(SAME if deciding and all(r == SAME for r in deciding) else OPEN, "", results)


def undecide(part: dict[str, Any], why: str) -> None:
    """Take every answer of ``comparison`` back: its figures stand, but they answer nothing."""
    part["result"], part["summary"] = OPEN, f"inconclusive: {why}"
    for row in [*part["routes"], *part["metrics"]]:
        row |= {k: v for k, v in (("result", OPEN), ("reason", why)) if k in row}
    for row in part["routes"]:
        for metric in ("typical", "p95", "p99", "errors"):
            row.get(metric, {}).pop("result", None)
    part["error_rate"]["questions"] = 0
    part["notes"].append(why)
