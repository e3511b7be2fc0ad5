"""Good and bad events over time, out of the evidence: what every number of an objective is counted from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfaudit.config import Objective
from perfaudit.errors import QueryError
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Window, iso
from perfaudit.slo import selector as selectors
from perfaudit.slo.model import Indicator, Query, Slo

if TYPE_CHECKING:
    from perfaudit.slo.selector import Selector

#: Seconds per bin, by the longest recording that is cut so finely: a second tells when an alert would have fired, a year stays 1 M bins.
BINS = ((2 * 86_400, 1), (20 * 86_400, 10), (float("inf"), 30))
#: More bins than this are never made (three years at 30 s): a recording with a stray date gets wider ones.
MOST_BINS = 3_000_000
#: A server error, or no answer at all: load generators write 0 for a timeout or a refused connection, nginx 000 where nothing was sent.
FAILED = "status >= 500 OR status = 0"
#: The longest interval between samples that is usual: targets may be scraped at several.
USUAL = 0.9
COMPARE = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


@dataclass
class Events:
    """Events per bin: ``bad`` and ``total``, shape (n,), from ``start`` (µs) in bins of ``bin_s`` seconds.

    ``said`` tells a person what is counted, ``query`` counts it again with ``perfaudit query``, ``unit`` names an event.
    ``born``: how many of the bad and of all events are first values of series that appeared later, which may be older than that.
    """

    start: int
    bin_s: float
    bad: Any
    total: Any
    said: str
    query: str
    unit: str = "requests"
    born: tuple[float, float] = (0.0, 0.0)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reason:
    """Why the evidence cannot answer."""

    text: str


class Counter:
    """Counts events of objectives in the outermost tier's requests and in recorded metrics, within one window."""

    def __init__(self, evidence: Evidence, window: Window, condition: str = "true", services: tuple[str, ...] = ()) -> None:
        self.evidence, self.window, self.condition, self.services = evidence, window, condition, services
        fine = next(b for longest, b in BINS if window.seconds <= longest)
        self.bin_s = fine * math.ceil(max(1.0, window.seconds / fine / MOST_BINS))
        self.n = int((window.end - window.start) // (self.bin_s * 1_000_000)) + 1

    def events(self, slo: Slo) -> Events | Reason:
        """The events of an objective, or why there are none."""
        try:
            return self._events(slo.indicator)
        except QueryError as error:
            return Reason(f"the query does not run: {error.what[:160]}")

    def _events(self, indicator: Indicator) -> Events | Reason:
        if indicator.kind in ("errors", "latency"):
            return self._requests(indicator)
        if indicator.kind == "ratio":
            return self._ratio(indicator)
        if indicator.kind == "threshold" and indicator.value is not None:
            return self._samples(indicator.value, indicator)
        return Reason("a ratio that was computed elsewhere tells no events; give good (or bad) and total")

    def last(self, seconds: float) -> Counter:
        """Counts the same events in the last ``seconds`` of the window; itself where the window is no longer."""
        start = self.window.end - round(seconds * 1e6)
        return self if start <= self.window.start else Counter(self.evidence, Window(start, self.window.end), self.condition, self.services)

    def bounds(self) -> tuple[str, tuple[float, ...]]:
        """The recorded histogram of HTTP durations and its bounds in seconds; ``("", ())`` where there is none."""
        rows = self.evidence.rows("SELECT name, list(DISTINCT labels['le']) FROM metrics WHERE ends_with(name, '_bucket') AND contains(name, 'http') AND labels['le'] IS NOT NULL GROUP BY name ORDER BY count(*) DESC, name LIMIT 1")
        for name, texts in rows:
            return str(name).removesuffix("_bucket"), tuple(sorted(b / 1e6 for text in texts if (b := selectors.bound(str(text))) is not None and b > 0))
        return "", ()

    # ---------------------------------------------------------------- requests

    def _requests(self, indicator: Indicator) -> Events | Reason:
        if not self.evidence.has("requests"):
            return Reason("no requests were read: give an access log")
        method, _, route = indicator.route.rpartition(":") if indicator.route.partition(":")[0].isupper() else ("", "", indicator.route)
        where = [self.condition, within(self.window), *([f"route = {quote(route)}"] if route else []), *([f"method = {quote(method)}"] if method else [])]
        if indicator.kind == "latency":
            said, bad = f"requests{f' of {indicator.route}' if route else ''} answered in less than {indicator.bound / 1e3:g} ms", f"duration_us >= {indicator.bound:.12g}"
            where.append("duration_us IS NOT NULL")
        else:
            said, bad = f"requests{f' of {indicator.route}' if route else ''} answered with a status below 500", FAILED
        return self._count(" AND ".join(w for w in where if w != "true"), bad, said, f"no request{f' of {indicator.route}' if route else ''} {'with a duration ' if indicator.kind == 'latency' else ''}lies in the window")

    def _count(self, where: str, bad: str, said: str, none: str, notes: tuple[str, ...] = ()) -> Events | Reason:
        """Requests that satisfy ``where``, per bin, and those of them that are ``bad``."""
        width = int(self.bin_s * 1_000_000)
        found = self.evidence.columns(
            f"SELECT (epoch_us(time) - {self.window.start}) // {width} AS bin, count(*) AS n, count(*) FILTER ({bad}) AS bad FROM requests WHERE {where} GROUP BY 1"
        )
        events = self._binned(found["bin"], found["bad"], found["n"])
        if not events[1].sum():
            return Reason(none)
        query = f"SELECT 1 - count(*) FILTER ({bad}) / count(*) AS share_good, count(*) FILTER ({bad}) AS bad, count(*) AS total FROM requests WHERE {where}"
        return Events(self.window.start, self.bin_s, *events, said, query, notes=list(notes))

    def _binned(self, index: Any, bad: Any, total: Any) -> tuple[Any, Any]:
        import numpy as np

        at = np.asarray(index, np.int64)
        keep = (at >= 0) & (at < self.n)
        return tuple(np.bincount(at[keep], np.asarray(v, np.float64)[keep], self.n)[: self.n] for v in (bad, total))  # type: ignore[return-value]

    # ---------------------------------------------------------------- queries

    def _ratio(self, indicator: Indicator) -> Events | Reason:
        side = indicator.bad or indicator.good
        if side is None or indicator.total is None:
            return Reason("the ratio lacks a query")
        part, whole = self._selector(side), self._selector(indicator.total)
        if isinstance(part, Reason) or isinstance(whole, Reason):
            return part if isinstance(part, Reason) else whole  # type: ignore[return-value]
        word = "bad" if indicator.bad else "good"
        said = f"{whole.text()}, of which {word}: {part.text()}"
        if self._recorded(whole) and self._recorded(part):
            return self._counters(part, whole, said, word == "bad")
        if self._recorded(whole):
            return Reason(f"{part.name} is not in the evidence, though {whole.name} is")
        if not self.evidence.has("requests"):
            return Reason(f"{whole.name} is not in the evidence, and no access log was read")
        pair = [selectors.on_requests(s, self.services) for s in (part, whole)]
        if pair[0] is None or pair[1] is None:
            return Reason(f"{(part if pair[0] is None else whole).text()} is not in the evidence")
        left_out = sorted({*pair[0][1], *pair[1][1]})
        notes = [f"{whole.name} is not in the evidence: counted in the access log", *([f"left out, an access log has no such label: {', '.join(left_out)}"] if left_out else [])]
        condition = pair[0][0] if word == "bad" else f"NOT ({pair[0][0]})"
        where = " AND ".join(w for w in (self.condition, within(self.window), f"({pair[1][0]})" if pair[1][0] != "true" else "true") if w != "true")
        if "duration_us" in condition:
            where += " AND duration_us IS NOT NULL"
        return self._count(where, condition, said, "no request lies in the window", tuple(notes))

    def _selector(self, query: Query) -> Selector | Reason:
        if query.system not in ("", "prometheus", "thanos", "mimir", "cortex", "victoriametrics"):
            return Reason(f"a query of {query.system} cannot be evaluated from evidence: {query.text[:120]}")
        found = selectors.parse(query.text)
        return found or Reason(f"this query cannot be evaluated from evidence: {query.text[:160] or '(none)'}")

    def _recorded(self, selector: Selector) -> bool:
        return bool(self.evidence.one(f"SELECT count(*) FROM metrics WHERE name = {quote(selector.name)} AND {within(self.window)}")[0])

    def _increments(self, selector: Selector) -> tuple[Any, float, str]:
        """Increases of a counter per bin over all series that match, how much of them are first values, and the query.

        A fall is a reset, after which the value itself is the increase. So is the first value of a series that appears when others of its name
        have been there for a while: what it counts (mostly the first errors) happened since (``increase`` of Prometheus never sees it).
        """
        where = f"name = {quote(selector.name)} AND {selectors.condition(selector.matchers)}"
        steps = f"SELECT time, value, lag(value) OVER (PARTITION BY labels::VARCHAR ORDER BY time) AS before FROM metrics WHERE {where} AND NOT isnan(value)"
        new = f"before IS NULL AND epoch_us(time) >= {self._later(selector.name)}"
        added = "CASE WHEN value >= before THEN value - before ELSE value END"
        counted = f"({steps}) WHERE (before IS NOT NULL OR {new}) AND isfinite(value) AND {within(self.window)}"
        width = int(self.bin_s * 1_000_000)
        found = self.evidence.columns(f"SELECT (epoch_us(time) - {self.window.start}) // {width} AS bin, sum({added}) AS n, coalesce(sum(value) FILTER ({new}), 0) AS born FROM {counted} GROUP BY 1")
        total, born = self._binned(found["bin"], found["n"], found["born"])
        return total, float(born.sum()), f"SELECT sum({added}) FROM {counted}"

    def _later(self, name: str) -> int:
        """From when on (µs) the first sample of a series is that of a new one: an interval between samples after the metric's own first sample."""
        times = f"SELECT epoch_us(time) AS t, row_number() OVER (PARTITION BY labels::VARCHAR ORDER BY time) AS n, labels::VARCHAR AS l FROM metrics WHERE name = {quote(name)} AND NOT isnan(value)"
        spans = f"SELECT min(t) AS first, max(t) - min(t) AS span, count(*) AS n FROM ({times}) WHERE n <= 2 GROUP BY l"
        first, span = self.evidence.one(f"SELECT min(first), quantile_disc(span, {USUAL}) FILTER (n = 2) FROM ({spans})")
        return int(first) + int(span) if span else self.window.end

    def _counters(self, part: Selector, whole: Selector, said: str, bad: bool) -> Events | Reason:
        import numpy as np

        (some, some_born, some_query), (total, total_born, total_query) = self._increments(part), self._increments(whole)
        if not total.sum():
            return Reason(f"{whole.text()} does not increase in the window")
        lost = some if bad else np.maximum(total - some, 0.0)
        notes = []
        if (some > total + 1e-9).any():
            notes.append(f"{part.text()} counts more than {whole.text()} at times: the two were not sampled together")
        born = (some_born if bad else max(0.0, total_born - some_born), total_born)
        if some_born or total_born:
            notes.append(f"{max(some_born, total_born):,.0f} events are first values of series that appeared later than {whole.name} itself; they may have happened earlier, and increase() of Prometheus does not count them")
        share = f"({some_query}) / ({total_query})"
        return Events(self.window.start, self.bin_s, np.minimum(lost, total), total, said, f"SELECT {f'1 - {share}' if bad else share} AS share_good", "events", born, notes)

    def _samples(self, query: Query, indicator: Indicator) -> Events | Reason:
        """Samples of a recorded gauge as events: good while ``value op bound``."""
        found = self._selector(query)
        if isinstance(found, Reason):
            return found
        if found.counts:
            return Reason(f"a threshold on a rate cannot be evaluated from samples: {query.text[:120]}")
        where = f"name = {quote(found.name)} AND {selectors.condition(found.matchers)} AND {within(self.window)} AND NOT isnan(value)"
        bad = f"NOT (value {COMPARE[indicator.op]} {indicator.bound!r})"
        width = int(self.bin_s * 1_000_000)
        rows = self.evidence.columns(f"SELECT (epoch_us(time) - {self.window.start}) // {width} AS bin, count(*) AS n, count(*) FILTER ({bad}) AS bad FROM metrics WHERE {where} GROUP BY 1")
        lost, total = self._binned(rows["bin"], rows["bad"], rows["n"])
        if not total.sum():
            return Reason(f"{found.text()} is not in the evidence")
        said = f"samples of {found.text()} {COMPARE[indicator.op]} {indicator.bound:g}"
        return Events(self.window.start, self.bin_s, lost, total, said, f"SELECT 1 - count(*) FILTER ({bad}) / count(*) AS share_good FROM metrics WHERE {where}", "samples")


def largest(evidence: Evidence, objective: Objective, window: Window | None) -> tuple[float | None, int, str]:
    """The largest value of a metric objective's metric, how many samples there are, and the query."""
    name, _, labels = objective.metric.partition("{")
    pairs = tuple((k.strip(), "=", v.strip().strip('"')) for k, _, v in (p.partition("=") for p in labels.rstrip("}").split(",") if "=" in p))
    where = " AND ".join(w for w in (f"name = {quote(name)}", selectors.condition(pairs), within(window)) if w != "true")
    query = f"SELECT max(value) AS value, count(*) AS n FROM metrics WHERE {where}"
    value, n = evidence.one(query)
    return value, int(n or 0), query


def stamp(events: Events, edge: int) -> str:
    """RFC 3339 of the end of bin ``edge - 1``."""
    return iso(events.start + int(edge * events.bin_s * 1_000_000))
