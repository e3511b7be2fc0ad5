"""What bursts of arrivals do to one route, and what its requests queue for meanwhile."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.traced import labels
from perfaudit.paths.tracing import LEAST_TRACES, REFERENCE
from perfaudit.problems._load import Load
from perfaudit.stats.correlation import Association, spearman

#: How long a queue may remember a burst, in seconds (a queue that lasts longer is seen in bins).
SECONDS = (1, 2, 4, 8)
#: Requests that are looked at, the first of the window: ranks of more are no surer.
MOST = 200_000
#: What bursts queue for must own this share of what requests take longer in them.
MAIN = 0.5


def follows(evidence: Evidence, account: TimeAccount, method: str, route: str) -> Association | None:
    """How the duration of a route's requests goes with all arrivals in the seconds before each; ``p`` holds for having tried every memory. None where nothing is known."""
    found = evidence.columns(
        f"SELECT epoch_us(time) AS t, duration_us AS d, coalesce(method, '') = {quote(method)} AND route = {quote(route)} AS mine FROM requests"
        f" WHERE {account.tiers.condition} AND {within(account.windows.affected)} ORDER BY 1, 2 LIMIT {MOST}"
    )
    come, took = np.asarray(found["t"], np.int64), np.ma.filled(np.ma.asarray(found["d"], np.float64), np.nan)
    mine = np.ma.filled(np.ma.asarray(found["mine"]), False).astype(bool) & np.isfinite(took)
    if not mine.any():
        return None
    at = come[mine]
    links = [spearman(np.searchsorted(come, at) - np.searchsorted(come, at - seconds * 1_000_000), took[mine]) for seconds in SECONDS]
    best = max(links, key=lambda a: a.r)
    return best._replace(p=min(1.0, best.p * len(SECONDS)))


class Queued(NamedTuple):
    """A row of the account of time that grows with the arrival rate: its name, what it adds to a request (µs) in the busy third, and its share of what the request takes longer."""

    name: str
    added_us: float
    share: float


def queued_for(account: TimeAccount, picture: Load, route: str) -> Queued | None:
    """What requests (of ``route``, where traces tell it) spend more time in when many come; None without traces, or where nothing stands out."""
    tracing = account.tracing
    if tracing is None:
        return None
    roots = tracing.roots
    flows = [i for i, known in enumerate(tracing.routes) if known and known[1] == route] or [i for i, f in enumerate(tracing.flows) if route and f.route == route]
    at = np.flatnonzero((np.isin(tracing.flow[roots], flows) if flows else np.ones(len(roots), bool)) & (tracing.zone[roots] != REFERENCE))
    place = np.searchsorted(picture.when, tracing.traces.start[roots[at]], "right") - 1
    inside = place >= 0
    inside[inside] = tracing.traces.start[roots[at[inside]]] < picture.when[place[inside]] + 2 * picture.step * 1_000_000
    at, place = at[inside], place[inside]
    low, high = np.quantile(picture.lately, (1 / 3, 2 / 3))
    busy, quiet = picture.lately[place] >= high, picture.lately[place] <= low
    if min(np.count_nonzero(busy), np.count_nonzero(quiet)) < LEAST_TRACES:
        return None
    found = labels(tracing)
    gains: dict[str, float] = {}
    for code, name in enumerate(found.names):
        spent: Any = tracing.per_trace(tracing.on_path, found.codes == code)[at]
        gains[name] = float(spent[busy].mean() - spent[quiet].mean())
    whole = sum(gains.values())
    name = max(sorted(gains), key=lambda k: gains[k], default="")
    if not name or whole <= 0 or gains[name] < MAIN * whole:
        return None
    return Queued(name, gains[name], min(1.0, gains[name] / whole))


def services_of(account: TimeAccount, component: str) -> str | list[str]:
    """The outermost tiers, and the service that a row of the account names."""
    _, _, named = component.partition(": ")
    names = [*([named] if named and not component.startswith("database") else []), *(s for s in account.tiers.outermost if s != named)]
    return names[0] if len(names) == 1 else names


def one_instance(evidence: Evidence, account: TimeAccount) -> float | None:
    """The largest share of slow requests of one instance, over its share of requests; None with fewer than two."""
    rows = evidence.rows(
        f"SELECT instance, count(*) FILTER (duration_us > bar), count(*) FROM requests, (SELECT quantile_disc(duration_us, 0.95) AS bar FROM requests WHERE {account.tiers.condition} AND {within(account.windows.affected)})"
        f" WHERE {account.tiers.condition} AND {within(account.windows.affected)} AND instance IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    if len(rows) < 2:
        return None
    slow, count = sum(r[1] for r in rows), sum(r[2] for r in rows)
    return float(max((r[1] / max(1, slow)) / (r[2] / count) for r in rows))
