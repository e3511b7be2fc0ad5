"""Pools of workers or connections: how often a request waits for one, and how many would be enough (Erlang C)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from perfaudit.errors import UsageError
from perfaudit.model import Measurement
from perfaudit.stats import queueing

#: Where no target is given: 19 of 20 requests find a free member.
USUAL_PROBABILITY = 0.05
_UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0}
_TIME = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(us|µs|ms|s|min|m)")
_RATE = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(?:/?\s*(s|min|h))?")
_PER = {None: 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}
EXAMPLE = "--pool size=20,hold=45ms,rate=300/s,wait=5ms,name=database; size is needed, hold and rate default to what the evidence shows"


@dataclass(frozen=True)
class Pool:
    """A pool of ``size`` members, each held ``hold`` seconds by ``rate`` requests per second (0: unknown). ``wait``: the target for the 95th
    percentile of the wait in seconds (None: 19 of 20 do not wait). ``arrival_cv2``, ``hold_cv2``: squared coefficients of variation.
    ``served``: ``hold`` is the duration of requests that were all served, so it is an upper bound."""

    size: int
    hold: float = 0.0
    rate: float = 0.0
    wait: float | None = None
    name: str = ""
    arrival_cv2: float = 1.0
    hold_cv2: float = 1.0
    source: str = "given"
    served: bool = False


def parse(text: str) -> Pool:
    """``size=20,hold=45ms,rate=300/s,wait=5ms,name=database``. Raises :class:`UsageError`."""
    pool, seen = Pool(0), set()
    for part in re.split(r"[,\s]+(?=\w+=)", text.strip()):
        key, _, value = (piece.strip() for piece in part.partition("="))
        seen.add(key)
        if key == "size" and value.isdigit() and 0 < int(value) <= 1_000_000:
            pool = replace(pool, size=int(value))
        elif key in ("hold", "wait") and (match := _TIME.fullmatch(value)):
            seconds = float(match[1]) * _UNITS[match[2]]
            pool = replace(pool, hold=seconds) if key == "hold" else replace(pool, wait=seconds)
        elif key == "rate" and (match := _RATE.fullmatch(value)):
            pool = replace(pool, rate=float(match[1]) / _PER[match[2]])
        elif key == "name" and value:
            pool = replace(pool, name=value)
        else:
            raise UsageError(f"cannot understand “{part}” of the pool “{text}”", todo=EXAMPLE)
    if "size" not in seen:
        raise UsageError(f"the pool “{text}” has no size", todo=EXAMPLE)
    return pool


def judge(pool: Pool) -> dict[str, Any]:
    """The row of ``capacity.pools``: offered load, utilisation, probability and length of a wait, and the size that keeps the target."""
    row: dict[str, Any] = {"name": pool.name or "pool", "size": pool.size, "source": pool.source}
    if pool.rate <= 0 or pool.hold <= 0:
        missing = "arrival rate" if pool.rate <= 0 else "hold time"
        return row | {"answer": "cannot tell", "reason": f"the {missing} is not known: give it with --pool {'rate=300/s' if pool.rate <= 0 else 'hold=45ms'}"}
    plain = pool.arrival_cv2 == pool.hold_cv2 == 1.0
    method = "Erlang C (M/M/c)" if plain else "Erlang C, Allen–Cunneen"
    offered = pool.rate * pool.hold
    wait = queueing.waiting(pool.rate, pool.hold, pool.size, arrival_cv2=pool.arrival_cv2, service_cv2=pool.hold_cv2)
    probability, p95 = (USUAL_PROBABILITY, math.inf) if pool.wait is None else (1.0, pool.wait)
    needed = queueing.servers_for(pool.rate, pool.hold, probability=probability, p95=p95, arrival_cv2=pool.arrival_cv2, service_cv2=pool.hold_cv2)
    said = "19 of 20 requests find a free one" if pool.wait is None else f"95 of 100 wait at most {pool.wait * 1e3:g} ms"
    row |= {
        "rate": Measurement(pool.rate, "1/s").to_json(),
        "hold": Measurement(pool.hold * 1e3, "ms").to_json(),
        "offered": Measurement(offered, "busy members", method="λ·S").to_json(),
        "utilisation": Measurement(offered / pool.size, "share", method="λ·S/c").to_json(),
        "wait_probability": Measurement(wait.probability, "share", method=method).to_json(),
        "target": said,
    }
    if wait.mean < float("inf"):
        row |= {"wait_mean": Measurement(wait.mean * 1e3, "ms", method=method).to_json(), "wait_p95": Measurement(wait.p95 * 1e3, "ms", method=method).to_json()}
    if needed is None:
        return row | {"answer": "grow", "reason": f"no size up to 100,000 keeps the target ({said})"}
    row["size_needed"] = Measurement(needed, "members", method=method).to_json()
    if offered >= pool.size and pool.served:
        return row | {"answer": "cannot tell", "reason": f"by their duration {offered:.3g} members would be busy on average and there are {pool.size}, yet all requests were served: a duration includes waiting, or time without a member, and is an upper bound. Give how long one is held with hold=45ms"}
    if offered >= pool.size:
        return row | {"answer": "grow", "reason": f"{offered:.3g} members are busy on average and there are {pool.size}: the queue grows without end; {needed} keep the target ({said})"}
    if needed > pool.size:
        return row | {"answer": "grow", "reason": f"{wait.probability:.1%} of requests wait; {needed} members instead of {pool.size} keep the target ({said})"}
    return row | {"answer": "enough", "reason": f"{wait.probability:.1%} of requests wait; {needed} of the {pool.size} members would do ({said})"}
