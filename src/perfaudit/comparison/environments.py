"""Fine in staging, slow in production: the difference of two environments split into what can be told apart, and the rest.

A path of counterfactuals by reweighting (Kitagawa 1955, Oaxaca 1973, Blinder 1973; for percentiles DiNardo, Fortin & Lemieux 1996): A as it is;
A's requests at B's traffic mix; B's requests at A's concurrency and A's cache hits; B at A's concurrency; B as it is. Each step is one component,
so the components are exclusive and sum to the difference. Concurrency is the load of the seconds before where both arms saw the same, which a slow
environment does not bring upon itself; else the requests in flight. What is left between A at B's mix and B at A's concurrency and cache is the
difference at what could be held equal: data volume takes the part that shared statements own where the data grew, the rest could not be attributed;
where other components moved, what they do to each other (a slower mix makes longer queues) is in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.baseline.stream import Key
from perfaudit.comparison.arms import Source
from perfaudit.comparison.volume import Volume
from perfaudit.model import Measurement

#: Classes of load, of requests in flight at arrival or of arrivals in the :data:`RECENT` seconds before: each number to 8, half octaves above.
CLASSES, EACH = 40, 8
RECENT = 10
#: B has seen a class of load when it holds this many of its requests of the route.
LEAST_CLASS = 5
#: With more than this share of A's requests at a concurrency that B never saw, the component cannot be told.
UNSEEN = 0.1
#: A component below this share of the difference is left out of the sentence; the table has it.
SAID = 0.05
#: Up to this many requests of an environment are read; whole minutes are left out evenly beyond.
MOST = 300_000
#: Blocks of time and how often they are drawn again for the intervals (block bootstrap, Carlstein 1986; Efron & Tibshirani 1993 for the number of draws).
BLOCKS, DRAWS = 20, 200
REST = "not attributed"
ORDER = ("traffic mix", "concurrency", "cache warmth", "data volume", "configuration", REST)
METHOD = "counterfactual reweighting in the order mix, concurrency, cache; block bootstrap"
COLLECT = {
    "traffic mix": "the same service's access log in both environments",
    "concurrency": "access logs with request times in both, and hours of B in which it ran at A's load",
    "cache warmth": "the cache status per request in both access logs (nginx: $upstream_cache_status)",
    "data volume": "pg_stat_statements and pg_stat_user_tables of both databases (\\copy (select now(), * from pg_stat_statements) to statements.csv csv header)",
    "configuration": "versions and settings of both as events of kind config; then change one at a time: a difference of configuration has no time of its own in a recording",
}


@dataclass(frozen=True)
class Requests:
    """One environment, by request: route number, class of requests in flight and of recent arrivals, cache hit (−1: not known), block of time, duration in µs."""

    route: Any
    flying: Any
    arriving: Any
    hit: Any
    block: Any
    value: Any

    @property
    def n(self) -> int:
        """How many."""
        return len(self.value)


def read(one: Source, keys: Sequence[Key]) -> Requests:
    """The requests of ``keys`` with a duration. Beyond :data:`MOST` whole minutes are left out evenly, so that concurrency stays right."""
    every = max(1, math.ceil(one.requests / MOST))
    thin = f" AND (epoch_us(time) // 60000000) % {every} = 0" if every > 1 else ""
    data = one.evidence.columns(
        "SELECT epoch_us(time) AS time, duration_us AS duration, coalesce(method, '') AS method, coalesce(route, '') AS route,"
        " CASE WHEN cache_status IS NULL THEN -1 WHEN upper(cache_status) IN ('HIT', 'STALE', 'REVALIDATED', 'UPDATING') OR upper(cache_status) LIKE '%_HIT' THEN 1 ELSE 0 END AS hit"
        f" FROM requests WHERE {one.where() or 'true'} AND duration_us >= 0{thin} ORDER BY 1, 2, 3, 4"
    )
    time, duration = np.asarray(data["time"], np.int64), np.asarray(data["duration"], np.int64)
    numbers = {k: i for i, k in enumerate(keys)}
    route = np.array([numbers.get(k, -1) for k in zip(data["method"], data["route"], strict=True)], np.int64)
    flying = np.maximum(np.arange(len(time)) - np.searchsorted(np.sort(time + duration), time, side="right"), 0)
    since = np.clip((time - one.window.start) / 1e6, 1.0, RECENT)
    arriving = (np.arange(len(time)) - np.searchsorted(time, time - RECENT * 1_000_000)) / since * RECENT
    block = np.minimum((time - one.window.start) * BLOCKS // max(1, one.window.end - one.window.start), BLOCKS - 1)
    keep = route >= 0
    classes = [np.minimum(np.where(x <= EACH, np.round(x), EACH + np.ceil(2 * np.log2(np.maximum(x, EACH) / EACH))), CLASSES - 1).astype(np.int64) for x in (flying, arriving)]
    return Requests(route[keep], classes[0][keep], classes[1][keep], np.asarray(data["hit"], np.int64)[keep], block[keep], duration[keep])


class Split:
    """Both environments, ready to be reweighted. ``value`` is the mean or a quantile of durations (µs)."""

    def __init__(self, a: Requests, b: Requests, routes: int) -> None:
        self.routes = routes
        self.caches = min(a.n, b.n) > 0 and float(np.mean(a.hit >= 0)) > 0.9 and float(np.mean(b.hit >= 0)) > 0.9
        cells = [(x.route * CLASSES + x.arriving, x.route * CLASSES + x.flying) for x in (a, b)]
        self.by_arrivals = self._seen(cells[0][0], cells[1][0]) >= 1 - UNSEEN
        use = 0 if self.by_arrivals else 1
        self.unseen = 1 - self._seen(cells[0][use], cells[1][use])
        self.seen = np.bincount(cells[1][use], minlength=routes * CLASSES).reshape(routes, CLASSES) >= LEAST_CLASS
        self.arms = [_Arm(x, (x.arriving, x.flying)[use], self.caches, routes) for x in (a, b)]

    def _seen(self, a: Any, b: Any) -> float:
        """The share of A's requests in cells (route and class of load) that B has seen."""
        return float(np.mean(np.bincount(b, minlength=self.routes * CLASSES)[a] >= LEAST_CLASS)) if len(a) else 1.0

    @property
    def concurrency(self) -> bool:
        """Whether the concurrency of A is seen in B."""
        return self.unseen <= UNSEEN

    @property
    def equal(self) -> list[str]:
        """What is the same on both sides of what is left."""
        return ["route", *(["load"] if self.concurrency else []), *(["cache hits"] if self.caches else [])]

    def blind(self, q: float | None) -> float:
        """How far A's figure moves when the load that B never saw is left out, µs: as much may be missing from B's at A's load."""
        if not self.concurrency or self.unseen == 0:
            return 0.0
        even, (a, _) = np.ones(BLOCKS), self.arms
        n = a.counted(even)
        kept = np.ones_like(n) * _ratio(_within(n.sum(axis=2) * self.seen), _within(n.sum(axis=2)))[:, :, None]
        found = abs(a.figure(even, np.ones_like(n), q) - a.figure(even, kept, q))
        return found if math.isfinite(found) else 0.0

    def path(self, draw: tuple[Any, Any], q: float | None) -> list[float]:
        """The figure of A; of A at B's mix; of B at A's concurrency and cache; of B at A's concurrency; of B. ``draw``: how often each block counts."""
        a, b = self.arms
        na, nb = (x.counted(draw[i]) for i, x in enumerate(self.arms))
        every = np.ones_like(na)
        to_mix = every * _ratio(_share(nb.sum(axis=(1, 2))), _share(na.sum(axis=(1, 2))))[:, None, None]
        busy = every * _ratio(_within(na.sum(axis=2) * self.seen), _within(nb.sum(axis=2) * self.seen))[:, :, None] if self.concurrency else every
        cached = busy * _ratio(_within(na), _within(nb)) if self.caches else busy
        return [a.figure(draw[0], every, q), a.figure(draw[0], to_mix, q), b.figure(draw[1], cached, q), b.figure(draw[1], busy, q), b.figure(draw[1], every, q)]


class _Arm:
    """The requests of one environment by value, and by block and cell: route, class of load, cache hit."""

    def __init__(self, x: Requests, busy: Any, caches: bool, routes: int) -> None:
        order = np.argsort(x.value, kind="stable")
        self.shape = (routes, CLASSES, 2)
        self.value, self.block = x.value[order].astype(np.float64), x.block[order]
        warm = np.maximum(x.hit, 0) if caches else np.zeros(x.n, np.int64)
        self.cell = ((x.route * CLASSES + busy) * 2 + warm)[order]
        size = math.prod(self.shape)
        self.count, self.sum = (np.bincount(self.block * size + self.cell, w, BLOCKS * size).reshape(BLOCKS, size) for w in (None, self.value))

    def counted(self, draw: Any) -> Any:
        """Requests per cell, each block as often as it was drawn."""
        return (draw[:, None] * self.count).sum(axis=0).reshape(self.shape)

    def figure(self, draw: Any, weight: Any, q: float | None) -> float:
        """The mean or the ``q``-quantile with a weight for each cell."""
        weight = weight.ravel()
        if q is None:
            n = float(((draw[:, None] * self.count).sum(axis=0) * weight).sum())
            return float(((draw[:, None] * self.sum).sum(axis=0) * weight).sum()) / n if n > 0 else math.nan
        share = np.cumsum(draw[self.block] * weight[self.cell])
        return float(self.value[min(int(np.searchsorted(share, q * share[-1])), len(self.value) - 1)]) if share[-1] > 0 else math.nan


def _share(n: Any) -> Any:
    return n / max(float(n.sum()), 1e-12)


def _within(n: Any) -> Any:
    """Shares along the last axis."""
    return n / np.maximum(n.sum(axis=-1, keepdims=True), 1e-12)


def _ratio(x: Any, y: Any) -> Any:
    return np.divide(x, y, out=np.zeros_like(x), where=y > 0)


class Figure:
    """The mean (``q`` None) or a percentile of both environments along the path, as it is and in :data:`DRAWS` draws; milliseconds."""

    def __init__(self, split: Split, volume: Volume | None, q: float | None = None) -> None:
        rng = np.random.default_rng(4)
        even = np.full(BLOCKS, 1 / BLOCKS)
        draws = [(np.ones(BLOCKS), np.ones(BLOCKS)), *((rng.multinomial(BLOCKS, even).astype(np.float64), rng.multinomial(BLOCKS, even).astype(np.float64)) for _ in range(DRAWS))]
        paths = np.array([split.path(d, q) for d in draws]) / 1e3
        self.a, at_mix, cold, calm, self.b = paths[np.isfinite(paths).all(axis=1)].T
        self.blind = split.blind(q) / 1e3
        left = cold - at_mix
        self.split, self.volume, self.q = split, volume if q is None else None, q
        grown = _grown(left, self.volume) if self.volume else np.zeros(len(left))
        self.steps = {"traffic mix": at_mix - self.a, "concurrency": self.b - calm, "cache warmth": calm - cold, "data volume": grown, REST: left - grown}
        self.known = {"traffic mix", REST} | ({"concurrency"} if split.concurrency else set()) | ({"cache warmth"} if split.caches else set()) | ({"data volume"} if self.volume else set())

    def whole(self) -> dict[str, Any]:
        """The figure in A, in B, and the difference."""
        return {"a": _measured(self.a), "b": _measured(self.b), "difference": _measured(self.b - self.a)}

    @property
    def moved(self) -> list[str]:
        """The components, but for the rest, that own at least :data:`SAID` of the difference."""
        whole = abs(float(self.b[0] - self.a[0]))
        return [name for name in ORDER if name in self.known and name != REST and whole and abs(float(self.steps[name][0])) >= SAID * whole]

    def components(self, settings: Sequence[str]) -> list[dict[str, Any]]:
        """The components in :data:`ORDER`: those that have a value sum to the difference. ``settings``: what is configured otherwise."""
        difference = float(self.b[0] - self.a[0])
        out: list[dict[str, Any]] = []
        for name in ORDER:
            if name in self.known:
                step = self.steps[name]
                share = Measurement(float(step[0]) / difference if difference else 0.0, "share of the difference", method=METHOD)
                basis = _rest(self.split, self.moved) if name == REST else _basis(name, self.split, self.volume)
                out.append({"component": name, "difference": _measured(step, self.blind if name in ("concurrency", REST) else 0.0), "share": share.to_json(), "basis": basis})
            else:
                out.append({"component": name, "cannot_be_told": _missing(name, self.split, settings, self.q), "collect": COLLECT[name]})
        return out


def _grown(left: Any, volume: Volume) -> Any:
    """The part of what is left that shared statements over larger data own: never more than is left, nor of another sign."""
    wanted = volume.milliseconds if volume.grew else 0.0
    return np.where(left > 0, np.clip(wanted, 0.0, left), np.clip(wanted, left, 0.0))


def _measured(draws: Any, blind: float = 0.0) -> dict[str, Any]:
    low, high = np.quantile(draws[1:], [0.025, 0.975]) if len(draws) > 1 else (draws[0], draws[0])
    return Measurement(float(draws[0]), "ms", (float(min(low, draws[0])) - blind, float(max(high, draws[0])) + blind), method=METHOD).to_json()


def _basis(name: str, split: Split, volume: Volume | None) -> str:
    if name == "traffic mix":
        return "A's own durations per route, at B's shares of requests"
    if name == "concurrency":
        seen = f"({split.unseen * 100:.0f} % of A's requests at one that B never saw)"
        if split.by_arrivals:
            return f"B's own durations per route by the arrivals of the {RECENT} s before, at A's load {seen}"
        return f"B's own durations per route by requests in flight at arrival, at A's concurrency {seen}; B never had A's arrival rate. Where slow requests fill the queue, their slowness is in it"
    if name == "cache warmth":
        return "B's own durations of hits and misses, at A's hit ratio per route and concurrency"
    if name == "data volume" and volume is not None:
        return volume.said
    raise AssertionError(name)


def _rest(split: Split, moved: Sequence[str]) -> str:
    """What is left: at the same what, and what may be in it."""
    equal = split.equal
    missing = [word for word in ("load", "cache hits") if word not in equal]
    said = f"at the same {', '.join(equal[:-1]) + ' and ' + equal[-1] if len(equal) > 1 else equal[0]}, and still different: "
    said += f"{' and '.join(missing)}, which could not be held equal; " if missing else ""
    said += f"what {', '.join(moved)} brought along (interaction: busier servers, longer queues); " if moved else ""
    return said + "code, hardware, configuration, neighbours"


def _missing(name: str, split: Split, settings: Sequence[str], q: float | None) -> str:
    if name == "concurrency":
        return f"B never ran at A's concurrency for {split.unseen * 100:.0f} % of A's requests"
    if name == "configuration":
        return "differs: " + "; ".join(settings) if settings else "no configuration is recorded"
    if name == "data volume" and q is not None:
        return "statements hold sums, not percentiles: told for the mean only"
    return {"cache warmth": "no cache status per request in both logs", "data volume": "no statement counters of both databases"}[name]


def settings_of(a: Source, b: Source) -> list[str]:
    """What the events of both say of configuration: the last version or setting of each service and name, where they differ."""
    query = "SELECT kind, coalesce(service, ''), coalesce(name, ''), arg_max(coalesce(version, commit, detail, ''), time) FROM events WHERE kind <> 'commit' AND time IS NOT NULL GROUP BY ALL ORDER BY ALL"
    last = [{tuple(r[:3]): str(r[3]) for r in s.evidence.rows(query)} for s in (a, b)]
    known = sorted(set(last[0]) | set(last[1]))
    said = (f"{' '.join(filter(None, k))}: {last[0].get(k) or 'none'} / {last[1].get(k) or 'none'}" for k in known if last[0].get(k) != last[1].get(k))
    return [s[:120] for s in said][:10]


def part(a: Source, b: Source, keys: Sequence[Key]) -> dict[str, Any]:
    """What environments add to ``comparison``: ``difference`` (mean and p95) and ``components`` of each; {} without durations."""
    from perfaudit.comparison import volume

    arms = read(a, keys), read(b, keys)
    if min(x.n for x in arms) == 0:
        return {}
    split, data, settings = Split(*arms, len(keys)), volume.compare(a, b), settings_of(a, b)
    mean, p95 = Figure(split, data), Figure(split, data, 0.95)
    return {"difference": {"mean": mean.whole(), "p95": p95.whole()}, "components": mean.components(settings), "components_p95": p95.components(settings)}


def named(component: str, components: Sequence[Mapping[str, Any]]) -> str:
    """What people call a component: the rest is more than other causes where components moved that act on each other."""
    if component != REST:
        return component
    moved = any(c["component"] != REST and abs(c["share"]["value"]) >= SAID for c in components if "share" in c)
    return "interaction or other" if moved else REST


def sentence(added: dict[str, Any], names: tuple[str, str]) -> str:
    """``mean 50 ms in staging, 120 ms in production: concurrency +40 ms, …``."""
    mean = added["difference"]["mean"]
    parts = sorted((c for c in added["components"] if "difference" in c), key=lambda c: -abs(c["difference"]["value"]))
    said = ", ".join(f"{named(c['component'], parts)} {'−' if c['difference']['value'] < 0 else '+'}{abs(c['difference']['value']):.3g} ms" for c in parts if abs(c["difference"]["value"]) >= SAID * abs(mean["difference"]["value"]))
    return f"a request takes {mean['a']['value']:.3g} ms on average in {names[0]}, {mean['b']['value']:.3g} ms in {names[1]}: {said or 'no difference to split'}"
