"""What work that grows with its size owns: by its spans, or by its route in the log."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from perfaudit.evidence.components import SELF
from perfaudit.paths.account import TimeAccount
from perfaudit.paths.repeats import entries
from perfaudit.paths.tracing import AFFECTED
from perfaudit.problems._traced import Claim, claim, compared
from perfaudit.problems.architecture._sizes import Sized, excess

#: With traces, the work's own time must carry this share of its route's time.
OWN = 0.5


class Claimed(NamedTuple):
    """Request-seconds and their share, share of the added time, and the claim on the traces (None: from the log)."""

    share: float = 0.0
    seconds: float = 0.0
    explains: float | None = None
    traces: Claim | None = None


def claim_of(account: TimeAccount, sized: Sized) -> Claimed:
    """What the work owns, by its spans or by its route in the log, whichever shows more: few traces of other sizes than before show little."""
    found = Claimed()
    tracing = account.tracing
    if sized.spans is not None and tracing is not None:
        values = tracing.on_path
        if not compared(account):
            more = np.zeros(len(values))
            more[sized.entry[sized.zone == AFFECTED]] = excess(sized)
            values = values * more[entries(tracing)]
        claimed = claim(account, sized.spans, values)
        found = Claimed(float(claimed.share.value or 0), max(0.0, claimed.added.seconds), claimed.explains, claimed)
    row = max((r for r in account.routes if r.route == sized.route), key=account.added, default=None)
    if row is None or account.seconds <= 0 or own_part(account, sized.route) < OWN:
        return found
    if account.windows.reference is not None and row.reference.count:
        seconds = account.added(row)
    elif sized.own:
        return found
    else:
        seconds = float(np.sum(excess(sized) * sized.cost) / max(float(sized.cost.sum()), 1.0)) * row.affected.seconds
    logged = Claimed(seconds / account.seconds, seconds, seconds / account.added_seconds if account.added_seconds else None)
    return max(found, logged, key=lambda c: c.share)


def own_part(account: TimeAccount, route: str) -> float:
    """Share of a route's time that its services' own work holds, by traces; 1 where no trace tells."""
    tracing = account.tracing
    if tracing is None:
        return 1.0
    flows = [i for i, known in enumerate(tracing.routes) if known and known[1] == route]
    at = np.isin(tracing.flow, flows) & (tracing.zone == AFFECTED)
    whole = float(tracing.on_path[at].sum())
    return float(tracing.on_path[at & (tracing.own == SELF)].sum()) / whole if whole else 1.0


def services_of(account: TimeAccount, route: str) -> list[str]:
    """Who serves a route: by its traces, else the outermost tiers."""
    tracing = account.tracing
    flows = zip(tracing.routes, tracing.flows, strict=False) if tracing is not None else ()
    found = sorted({flow.service for known, flow in flows if known and known[1] == route and flow.service})
    return found or [s for s in account.tiers.outermost if s]
