"""How Prometheus counts the events of an objective: PromQL for the error ratio and the number of bad events of any window.

Source: Prometheus documentation, "Query functions" and "Subqueries". OpenSLO's own queries are used where they are given: a selector is
counted with ``increase``, anything else is summed over the window, so that the ratio stays weighted by events.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from perfaudit.errors import UsageError
from perfaudit.slo import selector as selectors
from perfaudit.slo.model import Query, Slo, shorthand

#: What people mostly have: the names of the Prometheus client libraries' HTTP examples.
METRICS = {"requests": "http_requests_total", "errors": 'http_requests_total{status=~"5.."}', "durations": "http_request_duration_seconds", "route": "route"}
#: Systems that answer PromQL.
PROMQL = ("", "prometheus", "thanos", "mimir", "cortex", "victoriametrics")
#: Stands for the window in an expression; a private character, so that no query holds it by chance.
WINDOW = "\ue000"
#: Placeholders by which other tools mark the window in a query.
_PLACEHOLDER = re.compile(r"\{\{\s*\.window\s*\}\}|\$\{?(?:window|__range|__rate_interval|__interval)\}?")
#: Between the samples of a subquery: the usual interval between evaluations.
STEP, STEP_S = "1m", 60


@dataclass(frozen=True)
class Counted:
    """PromQL with :data:`WINDOW` in it: the error ratio, and the number of bad events ("" where nothing counts them)."""

    ratio: str
    bad: str = ""
    note: str = ""

    @staticmethod
    def over(expression: str, window_s: float) -> str:
        """``expression`` for a window in seconds."""
        return expression.replace(WINDOW, shorthand(window_s))


def metrics(given: Iterable[str]) -> dict[str, str]:
    """The names of metrics, from ``KEY=SELECTOR`` texts over :data:`METRICS`. Raises :class:`UsageError`."""
    out, said = dict(METRICS), set()
    for text in given:
        key, sep, value = (part.strip() for part in text.partition("="))
        found = selectors.parse(value)
        valid = re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", value) if key == "route" else found is not None and not found.counts
        if not sep or key not in METRICS or not valid:
            raise UsageError(f"cannot understand the metric “{text}”", where="--metric", todo="requests=NAME{…}, errors=NAME{…}, durations=NAME (without _bucket), route=LABEL")
        out[key] = value
        said.add(key)
    if "errors" in said and "requests" not in said and (found := selectors.parse(out["errors"])):
        out["requests"] = found.name
    if "requests" in said and "errors" not in said and (found := selectors.parse(out["requests"])):
        out["errors"] = selectors.Selector(found.name, (*found.matchers, ("status", "=~", "5.."))).text()
    return out


def counts(slo: Slo, names: Mapping[str, str]) -> Counted | str:
    """How Prometheus counts the events (not the slices) of an objective; a text says why it cannot."""
    i = slo.indicator
    if slo.not_evaluated:
        return slo.not_evaluated
    if i.kind == "metric":
        return "a bound on every sample has no budget, so no burn rate"
    if i.kind == "errors":
        return _combined(_none_is_zero(_increase_of(names["errors"], names, i.route)), _increase_of(names["requests"], names, i.route), bad=True)
    if i.kind == "latency":
        return _latency(names, i.route, i.bound)
    for query in (i.good, i.bad, i.total, i.value):
        if query is not None and query.system not in PROMQL:
            return f"a query of {query.system} is no PromQL"
        if query is not None and not selectors.regular(query.text):
            return f"the query holds what is no regular expression: {query.text[:80]}"
        if query is not None and not selectors.well_formed(_PLACEHOLDER.sub("1m", query.text)):
            return f"the query is not well formed: {query.text[:80] or '(none)'}"
    if i.kind == "threshold" and i.value:
        op = {"lt": ">=", "lte": ">", "gt": "<=", "gte": "<"}[i.op]
        lost = f"(({_flat(i.value.text)}) {op} bool {i.bound:.10g})"
        return Counted(f"avg(avg_over_time({lost}[{WINDOW}:{STEP}]))", f"sum(sum_over_time({lost}[{WINDOW}:{STEP}]))", f"good and bad are samples, one a {STEP}, not requests")
    side = i.bad or i.good
    if side is None:
        return "the objective has no query"
    if i.kind == "raw" or i.total is None:
        ratio = f"avg(avg_over_time(({_flat(side.text)})[{WINDOW}:{STEP}]))"
        note = "a ratio that was computed elsewhere is averaged over time, not weighted by requests, and no minimum of events can be asked for"
        return Counted(ratio if i.bad else f"1 - {ratio}", "", note)
    return _combined(_none_is_zero(_increase(side, i.counter)), _increase(i.total, i.counter), bad=i.bad is not None)


def sliced(slo: Slo, recorded: str) -> Counted:
    """The share and the number of bad time slices; ``recorded`` is the series that holds the error ratio of each slice."""
    lost = f"({recorded} > bool {1 - slo.slice_target:.10g})" if slo.method == "timeslices" else recorded
    step = shorthand(slo.slice_s)
    return Counted(f"avg_over_time({lost}[{WINDOW}:{step}])", f"sum_over_time({lost}[{WINDOW}:{step}])")


def _latency(names: Mapping[str, str], route: str, bound_us: float) -> Counted | str:
    whole = selectors.parse(names["durations"])
    if whole is None:
        return f"{names['durations'][:80]} is no metric name"
    whole = _on_route(whole, names, route)
    stem, seconds = re.sub(r"_(bucket|count|sum)$", "", whole.name), f"{bound_us / 1e6:.10g}"
    le = ("le", "=~", f"{seconds}|{seconds}[.]0") if re.fullmatch(r"\d+", seconds) else ("le", "=", seconds)
    good, total = selectors.Selector(f"{stem}_bucket", (*whole.matchers, le)), selectors.Selector(f"{stem}_count", whole.matchers)
    return _combined(*(f"sum(increase({s.text()}[{WINDOW}]))" for s in (good, total)), bad=False)


def _increase_of(text: str, names: Mapping[str, str], route: str) -> str:
    found = selectors.parse(text)
    assert found is not None  # metrics() let no other through
    return f"sum(increase({_on_route(found, names, route).text()}[{WINDOW}]))"


def _on_route(found: selectors.Selector, names: Mapping[str, str], route: str) -> selectors.Selector:
    """A selector narrowed to a route ``[METHOD:]/path`` by the label that is called so."""
    if not route:
        return found
    method, _, path = route.rpartition(":") if route.partition(":")[0].isupper() else ("", "", route)
    extra = ((names["route"], "=", path), *([("method", "=", method)] if method else []))
    return selectors.Selector(found.name, (*found.matchers, *extra))


def _combined(side: str, total: str, *, bad: bool) -> Counted:
    lost = side if bad else f"({total} - {side})"
    return Counted(f"{lost} / {total}", lost)


def _none_is_zero(counted: str) -> str:
    """No series is a count of 0: errors that have not happened yet, good events in a total outage."""
    return f"({counted} or vector(0))"


def _increase(query: Query, counter: bool) -> str:
    """How many events a query counts in the window, up to a factor that both sides of a ratio share."""
    found = selectors.parse(_PLACEHOLDER.sub("1m", query.text))
    if found and (found.counts or counter):
        return f"sum(increase({found.text()}[{WINDOW}]))"
    if _PLACEHOLDER.search(query.text):
        return f"sum({_flat(_PLACEHOLDER.sub(WINDOW, query.text))})"
    if counter and not re.search(r"\[[^\]]+\]", query.text):
        return f"sum(increase(({_flat(query.text)})[{WINDOW}:{STEP}]))"
    per_second = f"{STEP_S} * " if "rate(" in query.text else ""
    return f"({per_second}sum(sum_over_time(({_flat(query.text)})[{WINDOW}:{STEP}])))"


def _flat(text: str) -> str:
    return " ".join(text.split())
