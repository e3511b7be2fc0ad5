"""What a comparison leaves out: the share of each arm's requests and request-seconds on routes that could not be compared.

A route that only one arm holds (new, renamed, removed), or that has too few requests in one, is not in any figure; how much that is
says how far the answer reaches.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from perfaudit.baseline.stream import Key
from perfaudit.comparison.arms import Source

#: From this share of the requests or of the time of either arm on, what was left out may hold the difference: the bar of relevance of a route.
TOO_MUCH = 0.01
#: Routes that are listed.
LISTED = 20


def uncompared(a: Source, b: Source, compared: Collection[Key]) -> dict[str, Any]:
    """``uncompared``: the shares of ``requests`` and ``seconds`` of both arms outside ``compared``, and the largest routes of those."""
    arms = {"a": a, "b": b}
    count = {n: max(1, s.requests) for n, s in arms.items()}
    micros = {n: max(1, sum(t.micros for t in s.totals.values())) for n, s in arms.items()}
    left = {k for s in arms.values() for k in s.totals if k not in compared}

    def shares(key: Key) -> tuple[dict[str, float], dict[str, float]]:
        found = {n: s.totals.get(key) for n, s in arms.items()}
        return {n: t.count / count[n] if t else 0.0 for n, t in found.items()}, {n: t.micros / micros[n] if t else 0.0 for n, t in found.items()}

    known = {k: shares(k) for k in left}
    order = sorted(left, key=lambda k: (-max(*known[k][0].values(), *known[k][1].values()), k))
    return {
        "requests": {n: sum(known[k][0][n] for k in order) for n in arms},
        "seconds": {n: sum(known[k][1][n] for k in order) for n in arms},
        "routes": [{"method": m or "-", "route": r or "(unreadable)", "requests": known[(m, r)][0], "seconds": known[(m, r)][1]} for m, r in order[:LISTED]],
    }  # fmt: skip


def too_much(part: Mapping[str, Any]) -> bool:
    """Whether what was left out may hold the difference."""
    return any(share >= TOO_MUCH for kind in ("requests", "seconds") for share in part[kind].values())


def said(part: Mapping[str, Any], names: tuple[str, str]) -> str:
    """``not compared: 50 % of the requests (91 % of the time) of A, 50 % (99 %) of B``; "" where it is too little to matter."""
    if not too_much(part):
        return ""
    sizes = [f"{100 * part['requests'][n]:.0f} % of the requests and {100 * part['seconds'][n]:.0f} % of the time of {name}" for n, name in zip("ab", names, strict=True)]
    return f"not compared: {', '.join(sizes)}, on routes without enough requests in both"
