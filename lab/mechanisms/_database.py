"""What the signatures of the database's cases have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lab.mechanism import Sign

if TYPE_CHECKING:
    from lab.observed import Observed, Phase


def slower(seen: Observed, route: str, by: float, *, q: str = "p95", after: float = 0.5) -> Sign:
    """A route's quantile (``p50``, ``p95``, ``p99``; ms) under the fault, against the other parts.

    At least `by` times the quieter one (a harmless deploy may have been in the other), half as much again as the healthy one, and
    after the fix at most `after` of what it was.
    """
    healthy, fault, fixed = (getattr(phase.route(route), q) for phase in (seen.healthy, seen.fault, seen.fixed))
    ok = fault >= by * min(healthy, fixed) > 0 and fault >= 1.5 * healthy and fixed <= after * fault
    return Sign(f"{q} of {route}", healthy, fault, fixed, "ms", f"≥ {by:g} × the quieter part and 1.5 × healthy, ≤ {after:g} of it when fixed", ok)


def more(seen: Observed, what: str, reading: Callable[[Phase], float], unit: str, *, least: float, by: float = 3.0) -> Sign:
    """A value that is at least `least` under the fault, and `by` times what it is in both other parts."""
    healthy, fault, fixed = (float(reading(phase)) for phase in (seen.healthy, seen.fault, seen.fixed))
    ok = fault >= least and fault >= by * max(healthy, fixed)
    return Sign(what, healthy, fault, fixed, unit, f"≥ {least:g} and ≥ {by:g} × the other parts", ok)


def failed(phase: Phase) -> float:
    """Failed requests of all routes in per cent."""
    return 100 * phase.everything.errors / max(1, phase.everything.count)


def forms(words: Mapping[str, str], text: str) -> list[str]:
    """A piece of a statement with an installation's names (words in braces), as the application writes it and as MariaDB's digests do."""
    return [text.format_map(words), text.replace("{", "`{").replace("}", "}`").format_map(words)]
