"""What a request costs, period by period: does cost grow with traffic, or without it?

Charges are spread over the periods that they cover; credits and refunds are told apart, for they say nothing of what was used. A day of the
week that is always dearer (cost is fixed, traffic is not) is taken out before a change of level is looked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfaudit.baseline import tiers as tiering
from perfaudit.capacity.ledger import DAY, Ledger, Several, ledger
from perfaudit.evidence.store import Evidence, quote, within
from perfaudit.model import Measurement, Window, iso
from perfaudit.stats.changepoint import changes
from perfaudit.stats.variance import long_run_variance

Array = NDArray[np.float64]

#: A change of unit cost below this is none in practice: prices, rounding of instances and months of unequal length move it as much.
LEAST_CHANGE = 0.05
#: Periods from which on a change of level is looked for, and fewest that give an interval of a mean.
LEAST_SERIES, LEAST_MEAN = 12, 6
#: One step that explains this share of all variation is one: neither independent noise, nor a random walk, nor a trend reaches it (12, 30 and 60
#: periods, 1,000 series each). Each side holds at least three periods.
EVIDENT, LEAST_SIDE = 0.95, 3
#: Periods that make a week of days, and how many weeks show what is usual on a weekday.
WEEK, WEEKS = 7, 3
#: Services with a row of their own, events beside a change, periods of a series that are kept.
MOST_SERVICES, MOST_EVENTS, MOST_PERIODS = 12, 12, 400
PER = 1_000
LEVEL = 0.95
#: Two-sided 95 % of a normal distribution.
Z = 1.96


def judge(evidence: Evidence, charges: Evidence, *, per_hour: float = 0.0, currency: str = "") -> dict[str, Any]:
    """``capacity.unit_cost``: from the charges, else from a cost per hour that was configured; empty where neither is there."""
    if charges.has("costs"):
        try:
            book = ledger(evidence, charges)
        except Several as found:
            reason = f"charges are in several currencies ({found}): without rates it cannot be told which is the most, nor can they be added up; give the charges of one currency"
            return {"answer": "cannot tell", "reason": reason, "currency": "", "notes": []}
        return of_ledger(book, evidence)
    if per_hour > 0:
        return _configured(evidence, per_hour, currency)
    return {}


# ------------------------------------------------------------------ the judgement


def of_ledger(book: Ledger, evidence: Evidence | None = None) -> dict[str, Any]:
    """Unit cost, its change, the services behind it, and what else happened then."""
    unit = f"{book.currency or 'charge'} per {PER:,} requests"
    known = np.isfinite(book.requests) & (book.requests > 0)
    out: dict[str, Any] = {
        "currency": book.currency,
        "cost": Measurement(float(book.cost.sum()), book.currency or "charge", n=len(book.cost), method="charges without credits", query=book.query).to_json(),
        "credits": Measurement(float(book.credits.sum()), book.currency or "charge", n=len(book.cost)).to_json(),
        "period": {"start": iso(int(book.edges[0])), "end": iso(int(book.edges[-1])), "periods": len(book.cost), "known": int(known.sum())},
        "notes": list(book.notes),
    }
    if book.source:
        out["requests_from"] = book.source
    if not known.any():
        return out | {"answer": "cannot tell", "reason": next((n for n in reversed(book.notes) if "no requests" in n), "no period has both charges and requests"), "services": _services(book, None, known)}
    cost, requests, starts = book.cost[known], book.requests[known], book.edges[:-1][known]
    value = float(cost.sum() / requests.sum()) * PER
    out["per_request"] = Measurement(value, unit, _around(cost, requests, value), n=int(known.sum()), method="sum of charges over sum of requests; long-run variance of the periods").to_json()
    shown = slice(max(0, len(starts) - MOST_PERIODS), None)
    out["series"] = {"start": [iso(int(s)) for s in starts[shown]], "per_request": [float(v) for v in (cost / requests * PER)[shown]], "cost": [float(v) for v in cost[shown]], "requests": [float(v) for v in requests[shown]]}
    at = _split(cost / requests, starts)
    change = _change(cost, requests, starts, at)
    if at is not None and at.found:
        out["since"] = iso(int(starts[at.index]))
        if evidence is not None:
            out["events"] = _events(evidence, int(starts[at.index]), int(np.median(np.diff(book.edges))))
    out |= change
    out["services"] = _services(book, None if at is None else int(starts[at.index]), known)
    return out


@dataclass(frozen=True)
class Split:
    """Where the series is divided: at a change that was ``found``, else in the middle."""

    index: int
    found: bool


def _split(unit: Array, starts: NDArray[np.int64]) -> Split | None:
    n = len(unit)
    if n < LEAST_MEAN:
        return None
    if n >= LEAST_SERIES:
        series = _deseasoned(np.log(np.maximum(unit, 1e-300)), starts)
        found = changes(series, least=math.log1p(LEAST_CHANGE)).starts
        if len(found) == 1:
            found += _evident(series)
        if len(found) > 1:
            return Split(max(found[1:], key=lambda k: (abs(math.log(_mean(unit[k:]) / _mean(unit[:k]))), -k)), True)
    return Split(n // 2, False)


def _evident(series: Array) -> list[int]:
    """Where one step explains nearly everything: a bill without noise, too short for a test that allows for autocorrelation."""
    n, whole = len(series), float(np.sum((series - series.mean()) ** 2))
    places = range(LEAST_SIDE, n - LEAST_SIDE + 1)
    left = [float(np.sum((series[:k] - series[:k].mean()) ** 2) + np.sum((series[k:] - series[k:].mean()) ** 2)) for k in places]
    best = int(np.argmin(left))
    return [places[best]] if whole > n * math.log1p(LEAST_CHANGE) ** 2 / 4 and left[best] < (1 - EVIDENT) * whole else []


def _mean(x: Array) -> float:
    return max(float(x.mean()), 1e-300)


def _deseasoned(series: Array, starts: NDArray[np.int64]) -> Array:
    """Without what is usual on each weekday, where there are three weeks of days."""
    n = len(series)
    if n < WEEKS * WEEK or np.median(np.diff(starts)) != DAY:
        return series
    half = WEEK // 2
    level = np.array([np.median(series[max(0, i - half) : i + half + 1]) for i in range(n)])
    weekday = (starts // DAY) % WEEK
    usual = np.array([np.median((series - level)[weekday == d]) if (weekday == d).any() else 0.0 for d in range(WEEK)])
    out: Array = series - usual[weekday]
    return out


def _around(cost: Array, requests: Array, value: float) -> tuple[float, float] | None:
    """Interval of a ratio of sums (linearised), with the long-run variance of its residuals; None below :data:`LEAST_MEAN` periods."""
    n = len(cost)
    if n < LEAST_MEAN:
        return None
    residual = (cost * PER - value * requests) / requests.mean()
    half = Z * math.sqrt(long_run_variance(residual) / n)
    return max(0.0, value - half), value + half


def _change(cost: Array, requests: Array, starts: NDArray[np.int64], at: Split | None) -> dict[str, Any]:
    if at is None:
        return {"answer": "cannot tell", "reason": f"{len(cost)} periods with cost and requests: at least {LEAST_MEAN} are needed to see a change"}
    k, n = at.index, len(cost)
    logs = {"unit": np.log(np.maximum(cost / requests, 1e-300)), "cost": np.log(np.maximum(cost, 1e-300)), "requests": np.log(requests)}
    rows = {name: _ratio(_deseasoned(x, starts), k, n) for name, x in logs.items()}
    out: dict[str, Any] = {
        "change": {
            name: Measurement(math.exp(r[0]), "times", (math.exp(r[1]), math.exp(r[2])), n=n, method="later over earlier periods, geometric means; long-run variance").to_json()
            for name, r in rows.items()
        }
    }
    unit, low, high = rows["unit"]
    spent, asked = math.exp(rows["cost"][0]), math.exp(rows["requests"][0])
    when = f"since {iso(int(starts[k]))[:10]}" if at.found else "from the first to the second half"
    said = f"{when} the cost of a request is {math.exp(unit):.2f} times as high ({math.exp(low):.2f}–{math.exp(high):.2f}): charges {spent:.2f} times, requests {asked:.2f} times"
    bar = math.log1p(LEAST_CHANGE)
    if low > 0 and unit > bar:
        answer = _dearer(spent, asked)
    elif high < 0 and unit < -bar:
        answer = "cost per request fell"
    elif -bar <= low and high <= bar:
        answer = "cost follows traffic" if abs(math.log(spent)) > bar else "cost is steady"
    else:
        answer = "inconclusive"
    return out | {"answer": answer, "reason": said}


def _dearer(spent: float, asked: float) -> str:
    """What made a request dearer: both ratios are of later over earlier periods."""
    if asked > 1 + LEAST_CHANGE:
        return "cost grows faster than traffic"
    if spent > 1 + LEAST_CHANGE:
        return "cost grows without traffic"
    return "cost fell less than traffic" if spent < 1 / (1 + LEAST_CHANGE) else "traffic fell, cost did not"


def _ratio(x: Array, k: int, n: int) -> tuple[float, float, float]:
    """Difference of the means after and before ``k``, with its interval."""
    level = np.where(np.arange(n) < k, x[:k].mean(), x[k:].mean())
    noise = long_run_variance(x - level, lost=2)
    gap = float(x[k:].mean() - x[:k].mean())
    half = Z * math.sqrt(noise / k + noise / (n - k))
    return gap, gap - half, gap + half


def _services(book: Ledger, at: int | None, known: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Each service's cost, and with a division its part of the change of unit cost, the largest first."""
    early = known & (book.edges[:-1] < at) if at is not None else known
    late = known & (book.edges[:-1] >= at) if at is not None else known
    unit = f"{book.currency or 'charge'} per {PER:,} requests"
    rows = []
    for name in sorted(book.services):
        cost = book.services[name]
        row: dict[str, Any] = {"service": name, "cost": float(cost.sum())}
        if at is not None and early.any() and late.any():
            before, after = (float(cost[m].sum() / book.requests[m].sum()) * PER for m in (early, late))
            row |= {"before": Measurement(before, unit, n=int(early.sum())).to_json(), "after": Measurement(after, unit, n=int(late.sum())).to_json(), "difference": after - before}
        rows.append(row)
    rows.sort(key=lambda r: (-abs(r.get("difference", r["cost"])), r["service"]))
    rest = rows[MOST_SERVICES:]
    if rest:
        other: dict[str, Any] = {"service": f"{len(rest)} others", "cost": sum(r["cost"] for r in rest)}
        rows = [*rows[:MOST_SERVICES], other | ({"difference": sum(r["difference"] for r in rest)} if "difference" in rest[0] else {})]
    return rows


def _events(evidence: Evidence, at: int, step: int) -> list[dict[str, Any]]:
    """What happened between two periods before the change and one after, the nearest first."""
    if not evidence.has("events"):
        return []
    near = Window(at - 2 * step, at + step)
    rows = evidence.rows(f"SELECT epoch_us(time) AS t, kind, service, name, version, commit, detail FROM events WHERE {within(near)} AND kind <> {quote('commit')} ORDER BY abs(t - {at}), 1, 2, 3, 4, 5, 6, 7 LIMIT {MOST_EVENTS}")
    names = ("kind", "service", "name", "version", "commit", "detail")
    return [{"time": iso(t)} | {k: str(v) for k, v in zip(names, rest, strict=True) if v} for t, *rest in rows]


def _configured(evidence: Evidence, per_hour: float, currency: str) -> dict[str, Any]:
    condition = tiering.find(evidence).condition if evidence.has("requests") else "false"
    n, first, last = evidence.one(f"SELECT count(*), epoch_us(min(time)), epoch_us(max(time)) FROM requests WHERE {condition}")
    if not n or last <= first:
        return {}
    value = per_hour / 3.6e9 * (last - first) / n * PER
    unit = f"{currency or 'charge'} per {PER:,} requests"
    return {
        "answer": "cannot tell", "reason": "one cost per hour says what a request costs now, not how that changed", "currency": currency,
        "per_request": Measurement(value, unit, n=int(n), method="costs.per_hour of the configuration over the arrivals per hour").to_json(), "notes": [],
    }  # fmt: skip
