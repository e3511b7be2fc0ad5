"""What if a component took less, were gone, or its calls ran side by side? Asked by a person, answered by a replay of the affected window's traces."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfaudit.errors import UsageError
from perfaudit.model import Measurement
from perfaudit.paths import whatif
from perfaudit.paths.traced import labels
from perfaudit.paths.tracing import AFFECTED, Tracing

#: Fewer traces of a flow have no interval (Cochran 1977, §6.4).
LEAST = 30
_ASKED = re.compile(r"(.+?)\s*=\s*(gone|parallel|\d+(?:\.\d+)?\s*%?)")


@dataclass(frozen=True)
class Scenario:
    """A component of the account and what becomes of it: ``factor`` of its own time, or its calls ``parallel``."""

    component: str
    factor: float = 1.0
    parallel: bool = False

    def __str__(self) -> str:
        if self.parallel:
            return f"{self.component}: calls side by side"
        return f"{self.component}: gone" if self.factor == 0 else f"{self.component}: {self.factor:.0%} of its time"


def parse(text: str) -> Scenario:
    """``downstream: payments=0.5``, ``cache=20%``, ``database=gone`` or ``downstream: payments=parallel``; ``payments=0.5`` is all that is that service's. Raises :class:`UsageError`."""
    found = _ASKED.fullmatch(text.strip())
    if not found:
        raise UsageError(f"“{text}” is no what-if", todo="write COMPONENT=FACTOR with a row of the account of time, e.g. 'database=0.5', 'downstream: payments=gone' or '…=parallel'")
    component, value = found.groups()
    if value == "parallel":
        return Scenario(component, parallel=True)
    factor = 0.0 if value == "gone" else float(value.rstrip("% ")) / (100 if value.endswith("%") else 1)
    if factor > 1:
        raise UsageError(f"“{text}” would make it slower", todo="a factor from 0 to 1, or a share up to 100 %")
    return Scenario(component, factor)


def answer(tracing: Tracing, scenario: Scenario) -> dict[str, Any]:
    """``paths.what_if[]``: mean and p95 of each flow that changes, the request-seconds saved, what owns most then. Raises :class:`UsageError` for an unknown component."""
    found = labels(tracing)
    names = whatif.names_of((scenario.component,), found.names) | {name for name in found.names if name.endswith(f": {scenario.component}")}
    if not names:
        raise UsageError(f"no component is called “{scenario.component}”", todo=f"the traces have: {', '.join(sorted(found.names))}")
    chosen = np.isin(found.codes, [i for i, name in enumerate(found.names) if name in names])
    after = whatif.shrunk(tracing, chosen, scenario.factor, _together(tracing, chosen) if scenario.parallel else None)
    saved, flows = 0.0, []
    for number, key in enumerate(tracing.flows):
        at = after.flow == number
        if not at.any() or np.allclose(after.old[at], after.new[at]):
            continue
        old, new = after.old[at] / 1e3, after.new[at] / 1e3
        per_trace = float(tracing.weight[number, AFFECTED]) / 1e3
        saved += float((old - new).sum()) * per_trace
        row: dict[str, Any] = {"service": key.service, "operation": key.operation, "traces": len(old)}
        for name, of in (("mean_ms", np.mean), ("p95_ms", _p95)):
            row[name] = {"before": _measured(old, of).to_json(), "after": _measured(new, of).to_json()}
        flows.append((float((old - new).sum()) * per_trace, row))
    flows.sort(key=lambda flow: (-flow[0], flow[1]["operation"]))
    total = tracing.seconds(tracing.on_path, AFFECTED).seconds
    out: dict[str, Any] = {"scenario": str(scenario), "saved": Measurement(saved / total if total else 0.0, "share of request-seconds", n=len(after.old), method="replay of traces, queues behind the component worked out again").to_json(), "flows": [row for _, row in flows]}
    if after.left:
        out["capped_by"] = max(sorted(after.left), key=lambda name: after.left[name])
    return out


def _together(tracing: Tracing, chosen: Any) -> Any:
    """For each chosen call the first chosen sibling: they begin with it. Calls are the outermost chosen spans."""
    parent = tracing.traces.parent
    calls = np.flatnonzero((parent >= 0) & chosen & (~chosen[parent] | (tracing.dependency[0] >= 0)))
    order = calls[np.lexsort((tracing.traces.start[calls], parent[calls]))]
    out = np.full(len(parent), -1, np.int32)
    if len(order):
        first = np.concatenate([[True], parent[order][1:] != parent[order][:-1]])
        leader = order[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))]
        out[order[~first]] = leader[~first]
    return out


def _p95(values: Any) -> Any:
    return np.quantile(values, 0.95)


def _measured(values: Any, of: Any) -> Measurement:
    """A statistic of traces with its bootstrap interval (percentile method, fixed seed)."""
    interval = None
    if len(values) >= LEAST:
        rng = np.random.default_rng(2)
        drawn = [of(rng.choice(values, len(values))) for _ in range(whatif.RESAMPLES)]
        interval = float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))
    return Measurement(float(of(values)), "ms", interval, n=len(values), method="traces, bootstrap" if interval else "traces, too few for an interval")
