"""Did both arms carry the same load? A slower arm under more load is not a like-for-like regression, and that is said."""

from __future__ import annotations

import math
from typing import Any

from perfaudit.comparison.arms import Arm
from perfaudit.model import Measurement

#: Arrival rates this many times apart are another load. At a utilisation of 0.8, 10 % more arrivals double the queue's share of an M/M/1 response
#: time; at 0.5 they add a tenth: below that, load explains no more than a small difference.
LIKE = 1.1


def compare(a: Arm, b: Arm, *, canary: bool = False) -> dict[str, Any]:
    """``load``: arrivals per second of both arms on all routes, their ratio with its interval, and whether that is like for like.

    ``canary``: the arms share one traffic, of which a canary takes a small part by design.
    """
    na, nb = a.source.requests, b.source.requests
    rates = [n / arm.window.seconds for n, arm in ((na, a), (nb, b))]
    ratio = rates[1] / rates[0]
    half = 1.96 * math.sqrt(1 / na + 1 / nb)
    out: dict[str, Any] = {
        "a": Measurement(rates[0], "1/s", n=na, method="arrivals").to_json(),
        "b": Measurement(rates[1], "1/s", n=nb, method="arrivals").to_json(),
        "ratio": Measurement(ratio, "times A", (ratio * math.exp(-half), ratio * math.exp(half)), n=na + nb, method="ratio of Poisson counts").to_json(),
        "like_for_like": 1 / LIKE <= ratio <= LIKE,
    }
    if out["like_for_like"]:
        out["note"] = "both arms carried the same load"
    elif canary:
        out["note"] = f"B took {100 * ratio / (1 + ratio):.2g} % of the requests of both"
    else:
        more, times = ("B", ratio) if ratio > 1 else ("A", 1 / ratio)
        out["note"] = f"not like for like: {more} carried {times:.2g} times the load"
    return out
