"""The part of the account that traces split: what happens behind the edge, exclusively, on the critical path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.evidence.components import CACHE, CONNECT, DATABASE, DOWNSTREAM, POOL, QUEUE, SELF, WAIT, WORKER
from perfaudit.paths.attempts import attempts, below
from perfaudit.paths.tracing import AFFECTED, Sum, Tracing

_NAMES = {DATABASE: "database", CACHE: "cache", QUEUE: "messages", POOL: "pool wait", CONNECT: "connection set-up", WAIT: "application lock or wait", WORKER: "queue for a worker"}
#: Waits that belong to a service: that of the root is not named.
_INNER = (POOL, WAIT, WORKER)
RETRIES = "retries"
METHOD = "traces: critical path"


@dataclass(frozen=True)
class Labels:
    """What each span's own time is called in the account: codes by span (int32) and the names."""

    codes: Any
    names: list[str]


def labels(tracing: Tracing) -> Labels:
    """:func:`_labels`, made once for an audit and kept with its traces."""
    if tracing.labelled is None:
        tracing.labelled = _labels(tracing)
    found: Labels = tracing.labelled
    return found


def _labels(tracing: Tracing) -> Labels:
    """``self: SERVICE``, ``downstream: SERVICE``, ``database``, ``cache``, ``pool wait`` (of another service: ``pool wait: SERVICE``), … and ``retries`` for all that happens in a repeated attempt."""
    names: dict[str, int] = {}
    codes = np.zeros(len(tracing.traces), np.int32)
    service, services = tracing.symbol("service")
    away = service != service[tracing.root]
    for component, name in _NAMES.items():
        at = np.flatnonzero(tracing.own == component)
        codes[at] = names.setdefault(name, len(names))
        for code in np.unique(service[at[away[at]]]).tolist() if component in _INNER else ():
            codes[at[away[at] & (service[at] == code)]] = names.setdefault(f"{name}: {services[code]}" if code >= 0 else name, len(names))
    whom, called = tracing.dependency
    kinds = (("self", SELF, service, services), ("downstream", DOWNSTREAM, np.where(tracing.is_("kind", "client"), whom, service), called))
    for word, component, column, texts in kinds:
        at = np.flatnonzero(tracing.own == component)
        table = np.array([*(names.setdefault(f"{word}: {text}" if text else word, len(names)) for text in texts), names.setdefault(word, len(names))], np.int32)
        codes[at] = table[column[at]]
    tries = attempts(tracing)
    if tries.again.any():
        codes[below(tracing, tries.again)] = names.setdefault(RETRIES, len(names))
    used = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    place = np.zeros(len(names), np.int32)
    place[used] = np.arange(len(used))
    texts = list(names)
    return Labels(place[codes], [texts[code] for code in used.tolist()])


def split(tracing: Tracing, zone: int = AFFECTED) -> dict[str, Sum]:
    """Request-seconds of each label in a zone, what owns none left out."""
    found = labels(tracing)
    sums = [tracing.sum_of(row, zone) for row in tracing.by_code(tracing.on_path, found.codes, len(found.names))]
    return {name: owned for name, owned in zip(found.names, sums, strict=True) if owned.seconds > 0}


def gained(tracing: Tracing) -> dict[str, Sum]:
    """Request-seconds of each label that the reference did not have, the most first; those that fell are negative."""
    found = labels(tracing)
    sums = [tracing.added_of(row) for row in tracing.by_code(tracing.on_path, found.codes, len(found.names))]
    return dict(sorted(zip(found.names, sums, strict=True), key=lambda item: (-item[1].seconds, item[0])))
