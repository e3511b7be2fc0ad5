"""Objectives over one recording: which requests count, in which window, and the ``slo`` part of a result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from perfaudit.baseline import tiers
from perfaudit.config import Objective
from perfaudit.errors import InsufficientEvidence, UsageError
from perfaudit.evidence.store import Evidence
from perfaudit.model import Window, iso
from perfaudit.slo.events import Counter
from perfaudit.slo.judge import judge
from perfaudit.slo.model import Slo, of_objective


def gather(objectives: Iterable[Objective], defined: Iterable[Slo], period_s: float) -> list[Slo]:
    """All objectives, each once. Raises :class:`UsageError` where there is none, or two differ under one name."""
    found: dict[str, Slo] = {}
    for slo in [*(of_objective(o, period_s) for o in objectives), *defined]:
        if slo.name in found and found[slo.name] != slo:
            raise UsageError(f"two objectives are called {slo.name[:80]}", where=", ".join(filter(None, (found[slo.name].origin, slo.origin))), todo="give each its own name")
        found[slo.name] = slo
    if not found:
        raise UsageError("no objective is given", todo="say --objective 'p95<800ms' or --openslo slo.yaml, or write objectives into audit.toml")
    return list(found.values())


def counter(evidence: Evidence, since: int | None = None, until: int | None = None) -> Counter:
    """Counts events in the outermost tier's requests and the metrics. Raises :class:`InsufficientEvidence` where neither was read."""
    outer = tiers.find(evidence) if evidence.has("requests") else tiers.Tiers(())
    sources = [f"requests WHERE {outer.condition}"] if evidence.has("requests") else ["metrics"]
    first, last = evidence.one(f"SELECT epoch_us(min(time)), epoch_us(max(time)) FROM {sources[0]}")
    if first is None:
        raise InsufficientEvidence("neither requests nor metrics were read, so no objective can be judged", todo="give an access log, or Prometheus text with timestamps")
    own = Window(int(first), int(last) + 1)
    window = Window(own.start if since is None else since, own.end if until is None else until)
    if since is not None and until is not None and until <= since:
        raise UsageError("--until is not after --since", where=str(window), todo="swap them; times without a zone are UTC")
    if window.end <= window.start or not window.overlap(own):
        raise UsageError("the window holds no evidence", where=f"asked for {window}; recorded {own}", todo="say --since and --until within the recording; times without a zone are UTC")
    return Counter(evidence, Window(max(window.start, own.start), min(window.end, own.end)), outer.condition, tuple(t.service for t in outer.all))


def part(slos: Sequence[Slo], counting: Counter | None, notes: Sequence[str] = ()) -> dict[str, Any]:
    """``slo``: a row for each objective, in their order. ``counting`` is None without evidence."""
    out: dict[str, Any] = {"objectives": [judge(slo, counting) for slo in slos]}
    if counting is not None:
        out["window"] = {"start": iso(counting.window.start), "end": iso(counting.window.end)}
    return out | ({"notes": list(notes)} if notes else {})


def state(rows: Sequence[dict[str, Any]]) -> str:
    """``broken`` when any objective is, ``kept`` when some are and none is broken, else ``unknown``."""
    states = {row["state"] for row in rows}
    return "broken" if "broken" in states else "kept" if "kept" in states else "unknown"
