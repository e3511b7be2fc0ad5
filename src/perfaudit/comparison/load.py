"""Did both arms carry the same load? A slower arm under more load is not a like-for-like regression, and that is said."""

from __future__ import annotations

import math
from typing import Any

from perfaudit.comparison.arms import Arm
from perfaudit.model import Measurement

#: Arrival rates this many times apart are another load. At a utilisation of 0.8, 10 % more arrivals double the queue's share of an M/M/1 response
#: time; at 0.5 they add a tenth: below that, load explains no more than a small difference.
LIKE = 1.1


def compare(a: Arm, b: Arm) -> dict[str, Any]:
    """``load``: arrivals per second of both arms, their ratio with its interval, and whether that is like for like."""
    na, nb = (sum(p.requests for p in arm.parts.values()) for arm in (a, b))
    rates = [n / arm.window.seconds for n, arm in ((na, a), (nb, b))]
    if min(rates) <= 0:
        return {"like_for_like": False, "note": "one arm holds no request of a common route"}
    ratio = rates[1] / rates[0]
    half = 1.96 * math.sqrt(1 / na + 1 / nb)
    out: dict[str, Any] = {
        "a": Measurement(rates[0], "1/s", n=na, method="arrivals on common routes").to_json(),
        "b": Measurement(rates[1], "1/s", n=nb, method="arrivals on common routes").to_json(),
        "ratio": Measurement(ratio, "times A", (ratio * math.exp(-half), ratio * math.exp(half)), n=na + nb, method="ratio of Poisson counts").to_json(),
        "like_for_like": 1 / LIKE <= ratio <= LIKE,
    }
    if out["like_for_like"]:
        out["note"] = "both arms carried the same load"
    else:
        more, times = ("B", ratio) if ratio > 1 else ("A", 1 / ratio)
        out["note"] = f"not like for like: {more} carried {times:.2g} times the load"
    return out
