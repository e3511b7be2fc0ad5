"""Does the reference stand for the affected window? Load and mix of the two, route by route."""

from __future__ import annotations

import math

from perfaudit.baseline.note import Note
from perfaudit.baseline.requests import Requests, RouteRow

#: A load within a quarter of the other's: below it, queueing at a utilisation of one half moves a mean wait by less than two thirds
#: (M/M/1: ρ/(1 − ρ) at .5 and .625). Beyond it the two windows are different working points.
LOAD = 1.25
#: A tenth of the requests on other routes: a shift of percentiles by the mix alone is then no longer small. A choice.
MIX = 0.1


def notes(requests: Requests) -> list[Note]:
    """Load and mix of the affected window against the reference; unknown without a reference."""
    windows, total = requests.windows, requests.total
    if windows.reference is None or not total.reference.count or not total.affected.count:
        return [Note("representative", None, "there is no reference to compare load and mix with: give one with --baseline, or name the affected window with --since and --until")]
    rates = [part.count / max(w.seconds, 1e-9) for part, w in ((total.affected, windows.affected), (total.reference, windows.reference))]
    ratio = rates[0] / rates[1]
    load = Note(
        "representative load", 1 / LOAD <= ratio <= LOAD,
        f"{rates[0]:,.2f} requests/s in the affected window, {rates[1]:,.2f} in the reference: {ratio:.2f} times", ratio, "ratio", 1 / LOAD, LOAD,
    )  # fmt: skip
    distance, chance = mix_distance(requests.routes)
    moved = max(requests.routes, key=lambda r: abs(_share(r, requests, "affected") - _share(r, requests, "reference")))
    most = MIX + chance
    where = f"{moved.method} {moved.route}: {_share(moved, requests, 'reference'):.1%} of the requests, then {_share(moved, requests, 'affected'):.1%}".strip()
    said = f"{distance:.1%} of the requests go to other routes than in the reference (total variation distance; {chance:.1%} by chance alone)"
    return [load, Note("representative mix", distance <= most, f"{said}; most on {where}", distance, "share of requests", most=most)]


def mix_distance(routes: list[RouteRow]) -> tuple[float, float]:
    """Total variation distance of the routes' shares between affected window and reference, and what equal mixes give by chance.

    By chance: half the sum of mean absolute differences of two binomial shares, normal approximation.
    """
    here, there = sum(r.affected.count for r in routes), sum(r.reference.count for r in routes)
    distance = chance = 0.0
    for row in routes:
        a, b = row.affected.count / here, row.reference.count / there
        pooled = (row.affected.count + row.reference.count) / (here + there)
        distance += abs(a - b) / 2
        chance += math.sqrt(2 / math.pi * pooled * (1 - pooled) * (1 / here + 1 / there)) / 2
    return distance, chance


def _share(row: RouteRow, requests: Requests, zone: str) -> float:
    here, whole = (getattr(x, zone) for x in (row, requests.total))
    return float(here.count) / max(1, int(whole.count))
