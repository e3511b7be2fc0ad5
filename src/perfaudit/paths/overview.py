"""``paths`` of the result: everything that traces say about where time goes, bounded in size (each list holds its top, and says how many there are)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from perfaudit.model import Measurement
from perfaudit.paths import attributes, by_flow, critical, examples, graph, hot, percentiles
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.attempts import attempts
from perfaudit.paths.blind_spots import blind_spots
from perfaudit.paths.traced import Labels, labels
from perfaudit.paths.tracing import AFFECTED, REFERENCE, Tracing

#: What a list holds at most.
FLOWS, CHAINS, OPERATIONS, EDGES, VALUES, PARTS = 12, 20, 25, 40, 12, 8
#: Characters of a name at most, and of a query: a longer one, from an endless name, is left out.
LONGEST, LONGEST_QUERY = 200, 1500
#: Flows whose slow traces are looked at: those with the most added time (else the most costly).
CLOSER = 3


def overview(account: TimeAccount, *, completion: bool = False) -> dict[str, Any]:
    """``paths``: only blind spots where there are no traces. ``completion``: also how long it takes until nothing of a request is left to do."""
    out: dict[str, Any] = {"blind_spots": [_said(spot) for spot in blind_spots(account)]}
    tracing = account.tracing
    if tracing is None or not tracing.count(AFFECTED):
        return out
    found = labels(tracing)
    rows, flows = by_flow.flows(tracing, found, FLOWS)
    chains, many = hot.chains(tracing, found, CHAINS)
    own, operations = hot.own_time(tracing, found, OPERATIONS)
    again = attempts(tracing).again
    out |= {
        "traces": {"affected": tracing.count(AFFECTED), "reference": tracing.count(REFERENCE), "spans": len(tracing.traces)},
        "quality": {name: n for name, n in sorted(tracing.traces.counts.items()) if n and "shift" not in name},
        "flows": [_flow(row) for row in rows],
        "hot": [_said(chain) for chain in chains],
        "own": [_said(row) for row in own],
        "graph": _said(graph.graph(tracing, again, EDGES)),
        "left_out": {"flows": max(0, flows - FLOWS), "hot": max(0, many - CHAINS), "own": max(0, operations - OPERATIONS)},
    }
    closer = rows[:CLOSER]
    out["percentiles"] = [_bands(tracing, found, row) for row in closer]
    out["attributes"] = [_compared(tracing, row) for row in closer]
    out["examples"] = [_said(example) | {"flow": by_flow.name(row.key)} for row in rows[:1] for example in examples.examples(tracing, found, row.number, again)]
    counts = tracing.traces.counts
    if "shifted" in counts:
        out["shifted"] = {"spans": counts["shifted"], "largest_us": counts["largest shift, µs"]}
    if tracing.biased:
        out["sampling"] = tracing.biased
    if completion:
        out["completion"] = _completion(tracing)
    return out


def _said(value: Any) -> Any:
    """Dataclasses, measurements and tuples as JSON; what is None is left out, a long text is cut."""
    if isinstance(value, Measurement):
        return {k: v for k, v in value.to_json().items() if k != "query" or len(v) <= LONGEST_QUERY}
    if isinstance(value, str):
        return value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…"
    if isinstance(value, list | tuple):
        return [_said(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _said(getattr(value, name)) for name in value.__dataclass_fields__ if getattr(value, name) is not None}
    return value


def _flow(row: by_flow.Flow) -> dict[str, Any]:
    out: dict[str, Any] = _said(row)
    del out["number"]
    return out | {"flow": by_flow.name(row.key), "key": {k: v for k, v in asdict(row.key).items() if v}}


def _bands(tracing: Tracing, found: Labels, row: by_flow.Flow) -> dict[str, Any]:
    bands, note = percentiles.bands(tracing, found, row.number)
    said = [_said(band) | {"parts": _said(band.parts[:PARTS]), "left_out": max(0, len(band.parts) - PARTS)} for band in bands]
    return {"flow": by_flow.name(row.key), "bands": said} | ({"note": note} if note else {})


def _compared(tracing: Tracing, row: by_flow.Flow) -> dict[str, Any]:
    compared = attributes.compare(tracing, row.number)
    out: dict[str, Any] = _said(compared) | {"flow": by_flow.name(row.key), "values": _said(compared.values[:VALUES]), "left_out": max(0, len(compared.values) - VALUES)}
    return {k: v for k, v in out.items() if k != "note" or v}


def _completion(tracing: Tracing) -> list[dict[str, Any]]:
    """Mean ms until the answer and until the end of everything that a request set off, with what that time is."""
    window = tracing.windows.affected
    answered = {(f.service, f.operation): f for f in critical.flows(tracing.traces, window)}
    out = []
    for flow in critical.flows(tracing.traces, window, completion=True)[:FLOWS]:
        before = answered[flow.service, flow.operation]
        out.append(
            {
                "service": flow.service, "operation": flow.operation, "traces": flow.traces, "response": before.seconds * 1e3 / flow.traces, "completion": flow.seconds * 1e3 / flow.traces,
                "components": [{"component": part.component, "share": _said(part.share)} for part in flow.components],
            }
        )  # fmt: skip
    return out
