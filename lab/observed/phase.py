"""One part of a recording, and every reading of it that a signature may want."""

from __future__ import annotations

import csv
import fnmatch
import json
import re
import statistics
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.load import Request
from lab.observed import metrics, spans, stores
from lab.observed.clients import SPAN, Times, quantile, read_clients
from lab.observed.spans import Span
from lab.observed.stores import Block, Counters, GroupUse, Sessions, Statement

csv.field_size_limit(1 << 27)


class Phase:
    """The cut of all sources in a folder. `begin` and `end` are epoch seconds, durations are in ms unless they say otherwise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        about = json.loads((folder / SPAN).read_text()) if (folder / SPAN).is_file() else {"begin": 0.0, "end": 0.0}
        self.begin, self.end = float(about["begin"]), float(about["end"])

    @property
    def seconds(self) -> float:
        """How long the part was."""
        return self.end - self.begin

    # what clients saw

    @cached_property
    def requests(self) -> list[Request]:
        """Every request that began in this part, as its client saw it."""
        return read_clients(self.folder)

    @cached_property
    def routes(self) -> dict[str, Times]:
        """By the name of the route."""
        found: dict[str, list[Request]] = defaultdict(list)
        for request in self.requests:
            found[request.route].append(request)
        return {name: Times.of(list_, self.seconds) for name, list_ in sorted(found.items())}

    @cached_property
    def everything(self) -> Times:
        """All routes together."""
        return Times.of(self.requests, self.seconds)

    def route(self, name: str) -> Times:
        """One route; zeros where nobody asked for it."""
        return self.routes.get(name) or Times.of([], self.seconds)

    # raw files

    def text(self, source: str) -> str:
        """A source's cut as text, "" where there is none."""
        path = self.folder / source
        return path.read_text(errors="replace") if path.is_file() else ""

    def lines(self, source: str) -> list[str]:
        """Its lines."""
        return self.text(source).splitlines()

    def rows(self, source: str) -> list[dict[str, str]]:
        """Its rows, where it is CSV with a header."""
        path = self.folder / source
        if not path.is_file():
            return []
        with path.open(newline="", errors="replace") as lines:
            return list(csv.DictReader(lines))

    def json(self, source: str) -> Any:
        """Its value, where it is one JSON document; a list of values, where it is JSON lines; None where there is none."""
        text = self.text(source)
        if not text:
            return None
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return [json.loads(line) for line in text.splitlines() if line.strip()]

    def blocks(self, source: str, name: str = "*") -> list[Block]:
        """Its ``# time`` blocks with a name like this (shell pattern)."""
        return [b for b in stores.blocks(self.text(source)) if fnmatch.fnmatchcase(b.name, name)]

    def log_matches(self, source: str, pattern: str) -> list[re.Match[str]]:
        """Where a regular expression is found in its text (``^`` and ``$`` are of lines)."""
        return list(re.finditer(pattern, self.text(source), re.M))

    # traces

    @cached_property
    def all_spans(self) -> list[Span]:
        """Every span that was recorded, of all services."""
        return spans.read(self.folder)

    def spans(self, service: str | None = None, name: str | None = None, kind: str | None = None, **where: str) -> list[Span]:
        """Spans of a service and kind whose name and attributes match regular expressions (``db__statement="(?i)update"``)."""
        return spans.choose(self.all_spans, service, name, kind, **where)

    def per_request(self, name: str, within: str | None = None, **where: str) -> float:
        """Mean number of spans with such a name (and attributes) in a trace; `within`: only traces that hold a span with a name like this."""
        inside = None if within is None else self.spans(name=within)
        return spans.per_trace(self.all_spans, self.spans(name=name, **where), inside)

    def self_ms(self, service: str, name: str | None = None) -> float:
        """Median own time of a service's server spans (those with such a name): what no call and no innermost step below them explains."""
        own = spans.own_ms(self.all_spans, self.spans(service, name, "server"))
        return statistics.median(own) if own else 0.0

    def span_ms(self, name: str, q: float = 0.5, service: str | None = None, **where: str) -> float:
        """A quantile of the durations of spans with such a name."""
        return quantile(sorted(s.ms for s in self.spans(service, name, **where)), q)

    # databases

    def statements(self, contains: str = "") -> dict[str, Statement]:
        """Normalised statements that were called in this part and match a regular expression, the costliest first."""
        found = stores.statements(self.rows("pg_stat_statements.csv"), self.rows("events_statements_summary_by_digest.csv"))
        return {text: s for text, s in found.items() if re.search(contains, text, re.I)}

    def statement(self, contains: str) -> Statement:
        """The costliest of those statements; zeros where none was called."""
        return next(iter(self.statements(contains).values()), Statement(0, 0.0, 0.0, 0.0, 0.0))

    def sessions(self) -> Sessions:
        """Samples of the database's sessions."""
        if rows := self.rows("pg_stat_activity.csv"):
            return stores.postgres_sessions(rows)
        return stores.mariadb_sessions(self.rows("processlist.csv"), self.rows("innodb_trx.csv"), self.rows("innodb_lock_waits.csv"))

    def growth(self, source: str, key: str, column: str) -> dict[str, float]:
        """How much a column of a view's snapshots grew, by another column: ``growth("pg_stat_user_tables.csv", "relname", "seq_scan")``."""
        return {one[0]: grown for one, grown in stores.growth(self.rows(source), (key,), column).items()}

    # servers, metrics, hosts

    def redis(self) -> Counters:
        """INFO of Redis (``cmdstat_get:calls`` is written ``cmdstat_get.calls``)."""
        found = [Block(b.time, b.name, re.sub(r"^(\w+):(\w+=.*)$", _flat, b.text, flags=re.M)) for b in self.blocks("redis-info.txt")]
        return Counters.of(found, r"^([\w.]+):([\d.]+)\s*$")

    def memcached(self, command: str = "stats") -> Counters:
        """``stats`` of memcached (or ``stats slabs``, ``stats items``)."""
        return Counters.of(self.blocks(f"memcached-{command.replace(' ', '-')}.txt"), r"^STAT (\S+) ([\d.]+)\s*$")

    def status(self) -> Counters:
        """SHOW GLOBAL STATUS of MariaDB."""
        return Counters.of(self.blocks("global_status.txt"), r"^(\w+)\t([\d.]+)$")

    def group(self, component: str) -> GroupUse:
        """What a component's control group used."""
        return stores.group_use(self.blocks("cgroups.txt", f"{component}/*"))

    def groups(self, pattern: str = "*") -> dict[str, GroupUse]:
        """What each component's control group used, by component (shell pattern)."""
        found: dict[str, list[Block]] = defaultdict(list)
        for b in self.blocks("cgroups.txt", f"{pattern}/*"):
            found[b.name.partition("/")[0]].append(b)
        return {name: stores.group_use(list_) for name, list_ in found.items()}

    @cached_property
    def all_metrics(self) -> dict[str, dict[metrics.Labels, metrics.Points]]:
        """Every series, by name and labels."""
        return metrics.read(self.folder)

    @cached_property
    def _first_seen(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for family in self.all_metrics.values():
            for labels, points in family.items():
                one = metrics.instance(labels)
                found[one] = min(found.get(one, points[0][0]), points[0][0])
        return found

    def series(self, name: str, **labels: str) -> dict[metrics.Labels, metrics.Points]:
        """Series of a metric with these labels (dots in keys are written ``__``)."""
        wanted = {(key.replace("__", "."), value) for key, value in labels.items()}
        return {have: sorted(points) for have, points in self.all_metrics.get(name, {}).items() if wanted <= set(have)}

    def metric(self, name: str, **labels: str) -> list[tuple[float, float]]:
        """Points (epoch seconds, value) of all its series with these labels, in order of time."""
        return sorted(point for points in self.series(name, **labels).values() for point in points)

    def counted(self, name: str, **labels: str) -> float:
        """How much a counter grew in this part, summed over its series; a reset or a series that appeared in this part counts from 0."""
        return sum(metrics.grown(points, self._first_seen[metrics.instance(have)]) for have, points in self.series(name, **labels).items())

    def mean(self, name: str, **labels: str) -> float:
        """Mean of what a histogram saw in this part, in its own unit."""
        count = self.counted(f"{name}_count", **labels)
        return self.counted(f"{name}_sum", **labels) / count if count else 0.0

    def most(self, name: str, **labels: str) -> float:
        """The largest value of a gauge in this part; 0 where it was not recorded."""
        return max((v for _, v in self.metric(name, **labels)), default=0.0)


def _flat(found: re.Match[str]) -> str:
    return "\n".join(f"{found[1]}.{key}:{value}" for key, value in re.findall(r"(\w+)=([\d.]+)", found[2]))
