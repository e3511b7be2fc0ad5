"""Was each objective kept, what did it cost of the budget, and which alert would have told whom when?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from perfaudit.model import Measurement, iso
from perfaudit.slo import events as counting
from perfaudit.slo import feasibility
from perfaudit.slo.model import DAY, Slo, shorthand
from perfaudit.stats import budget
from perfaudit.stats.budget import BurnAlert

#: Points of a burn series that a chart gets; the largest of each group is kept.
MOST_POINTS = 240
#: Firings of one alert that are listed; the rest is counted.
MOST_FIRINGS = 20
#: Silence this many seconds long, and this many times longer than the median one, is a hole in the recording: e^−20 by chance.
LONG_SILENCE, SILENT_TIMES = 60.0, 30.0
#: An earlier period that burned this many times more than the last one is told: less is its own end, a few bins before.
WORSE = 1.05


def alerts_of(slo: Slo) -> list[BurnAlert]:
    """The alerts of an objective: its own policy's, else the standard ones for its period."""
    if slo.alerts:
        return [BurnAlert(a.severity, a.factor, a.lookback_s, 0.0, a.after_s) for a in slo.alerts]
    return list(budget.standard(slo.period_s))


def judge(slo: Slo, counter: counting.Counter | None) -> dict[str, Any]:
    """The row of an objective in ``result["slo"]["objectives"]``. ``counter`` is None where there is no evidence: only what can be said without."""
    row: dict[str, Any] = {
        "objective": slo.text, "name": slo.name, "state": "unknown", "target": slo.target, "period": {"seconds": slo.period_s} | ({"calendar": slo.calendar} if slo.calendar else {}),
        "method": slo.method, "indicator": {"kind": slo.indicator.kind, "said": described(slo)}, "notes": list(slo.notes),
    }  # fmt: skip
    row |= {key: value for key, value in (("service", slo.service), ("description", slo.description), ("origin", slo.origin)) if value}
    if slo.method != "occurrences":
        row["slice"] = {"seconds": slo.slice_s} | ({"target": slo.slice_target} if slo.slice_target else {})
    if slo.not_evaluated:
        return row | {"reason": f"not evaluated: {slo.not_evaluated}", "alerts": []}
    if slo.indicator.kind == "metric":
        return row | (_largest(slo, counter) if counter else {"reason": "no evidence was given"})
    found = counter.events(slo) if counter else counting.Reason("no evidence was given")
    if isinstance(found, counting.Reason):
        alerts = [feasibility.alert(a, slo, None) for a in alerts_of(slo)]
        return row | {"reason": found.text, "alerts": alerts, "feasibility": feasibility.objective(slo, None, alerts)}
    recording, recent = found, counter.last(slo.period_s) if counter else None
    if recent is not None and recent is not counter:
        found = recent.events(slo)
        if isinstance(found, counting.Reason):
            return row | {"reason": f"the last {shorthand(slo.period_s)} of the recording: {found.text}"}
        found.notes.append(_longer(slo, recording, recent.window.start))
    row["indicator"] |= {"said": found.said, "query": found.query}
    return row | _counted(slo, found, recording, counter.bounds() if counter and slo.indicator.kind == "latency" else ("", ()))


def described(slo: Slo) -> str:
    """The indicator in words, before anything was counted."""
    i = slo.indicator
    of = f" of {i.route}" if i.route else ""
    side = i.bad or i.good
    words = {
        "errors": f"requests{of} answered with a status below 500",
        "latency": f"requests{of} answered in less than {i.bound / 1e3:g} ms",
        "metric": f"{i.metric} below {i.bound:g}",
        "threshold": f"{i.value.text if i.value else 'value'} {counting.COMPARE.get(i.op, i.op)} {i.bound:g}",
    }
    return words.get(i.kind) or f"{'bad' if i.bad else 'good'}: {side.text if side else '?'}" + (f", of {i.total.text}" if i.total else "")


def _largest(slo: Slo, counter: counting.Counter) -> dict[str, Any]:
    from perfaudit.config import objective

    value, n, query = counting.largest(counter.evidence, objective(slo.text), counter.window)
    if value is None or not n:
        return {"reason": f"{slo.indicator.metric} is not in the evidence"}
    measured = Measurement(float(value), "", n=n, method="largest", query=query).to_json()
    return {"state": "kept" if value < slo.indicator.bound else "broken", "measured": measured, "notes": [*slo.notes, "a bound on every sample has no budget"]}


def _longer(slo: Slo, recording: counting.Events, start: int) -> str:
    """What is said where a recording is longer than the period: what is judged, and the worst period before."""
    period = shorthand(slo.period_s)
    said = f"the recording is longer than the period of {period}: judged is its last {period}, from {iso(start)} on; alerts are told over all of it"
    bad, total, bin_s = _events(slo, recording)
    burn = budget.burn_series(bad, total, bin_s, slo.target, slo.period_s)[max(0, round(slo.period_s / bin_s) - 1) :]
    worst = float(np.fmax.reduce(burn, initial=0.0))
    return said + (f"; the worst {period} before burned {worst:.3g} times the budget" if worst > max(1.0, WORSE * np.nan_to_num(burn[-1])) else "")


def _events(slo: Slo, found: counting.Events) -> tuple[Any, Any, float]:
    """What the method counts: bad and all events, or time slices, per bin, and seconds per bin."""
    if slo.method == "occurrences":
        return found.bad, found.total, found.bin_s
    bins = max(1, round(slo.slice_s / found.bin_s))
    return *budget.slices(found.bad, found.total, bins, slo.slice_target if slo.method == "timeslices" else None), bins * found.bin_s


def _counted(slo: Slo, found: counting.Events, recording: counting.Events, histogram: tuple[str, Sequence[float]]) -> dict[str, Any]:
    """``found``: events of the last period, for the budget; ``recording``: those of all of it, for the alerts."""
    covered = _covered(found.total, found.bin_s)
    recorded_s = float(covered.sum()) * found.bin_s
    rate, slow, fast = (v / found.bin_s for v in budget.load(found.total[covered]))
    silent_s = len(found.total) * found.bin_s - recorded_s
    notes = [f"{shorthand(silent_s)} without any of the {found.unit} are taken for a hole in the recording, not for an outage"] if silent_s else []
    bad, total, bin_s = _events(slo, found)
    unit, counted = found.unit, f"{found.unit}, bad over all"
    if slo.method != "occurrences":
        unit, counted = "time slices", f"time slices of {shorthand(bin_s)}" + ("" if slo.method == "timeslices" else ", mean of their ratios")
    n, lost = float(total.sum()), float(bad.sum())
    ratio = budget.error_ratio(bad, total)
    allowed = round(1 - slo.target, 12)
    bounded = ratio.low is not None
    method = f"{counted}; " + (f"Clopper-Pearson on {ratio.effective:,.0f} effective {unit}" if bounded else "no interval: the errors come in one burst, which does not tell when the next one comes")
    query = found.query if slo.method == "occurrences" else ""

    def scaled(value: float, what: str, by: Callable[[float], float | None]) -> dict[str, Any]:
        ends = sorted(v for end in (ratio.low, ratio.high) if end is not None and (v := by(end)) is not None)
        between = (ends[0], ends[-1] if len(ends) > 1 else None) if ends else None
        return Measurement(value, what, between, n=round(n), method=method, query=query).to_json()

    attained = scaled(1 - ratio.value, f"share of {unit}", lambda v: 1 - v)
    kept = 1 - ratio.value >= slo.target - 1e-12
    out: dict[str, Any] = {"state": "kept" if kept else "broken", "measured": attained, "attained": attained, "bad": _plain(lost), "total": _plain(n), "unit": unit}
    if kept and n < 1 / allowed - 1e-9:
        out |= {"state": "unknown", "reason": f"{n:,.0f} {unit} are too few: a share of {slo.target:.6g} can be told kept from {math.ceil(1 / allowed - 1e-9):,} on"}
    out["sure"] = bool(ratio.high is not None and 1 - ratio.high >= slo.target if kept else budget.interval(ratio.value, n)[0] > allowed)
    out["sure"] &= _without(found.born, lost, n, slo, kept)
    out["budget"] = {"allowed": allowed, "burn": scaled(ratio.value / allowed, "×", lambda v: v / allowed)}
    if recorded_s >= slo.period_s:
        spent = Measurement(lost / (n * allowed), "share", n=round(n), method=f"{counted}; counted over one period of {shorthand(slo.period_s)}", query=query)
    else:
        expected = n / recorded_s * slo.period_s * allowed
        traffic = (lost / expected * rate / fast, lost / expected * rate / slow if slow else None) if slo.method == "occurrences" else None
        how = f"{counted}; extrapolated: the period of {shorthand(slo.period_s)} is taken to have the load of this recording" + (", whose uncertainty is the interval" if traffic else "")
        spent = Measurement(lost / expected, "share", traffic, n=round(n), method=how, query=query)
    out["budget"]["spent"] = spent.to_json()
    if lost:
        out["budget"]["lasts"] = scaled(slo.period_s * allowed / ratio.value / DAY, "days", lambda v: slo.period_s * allowed / v / DAY if v else None)
    return out | {"notes": [*slo.notes, *found.notes, *notes]} | _alerts(slo, recording, rate, recorded_s, histogram)


def _alerts(slo: Slo, recording: counting.Events, rate: float, recorded_s: float, histogram: tuple[str, Sequence[float]]) -> dict[str, Any]:
    """The alerts over all of the recording; ``rate``: events/s and ``recorded_s``: seconds of what is judged."""
    bad, total, bin_s = _events(slo, recording)
    seen = float(total.sum()) / (float(_covered(recording.total, recording.bin_s).sum()) * recording.bin_s)
    rows = [_alert(slo, a, bad, total, bin_s, seen, recording) for a in alerts_of(slo)]
    return {
        "alerts": rows,
        "feasibility": feasibility.objective(slo, rate if slo.method == "occurrences" else 1 / slo.slice_s, rows, histogram),
        "recorded": {"seconds": recorded_s, "rate_per_s": rate},
        "series": _series(slo, rows, bad, total, bin_s, seen * bin_s, recording.start),
    }


def _without(born: tuple[float, float], lost: float, n: float, slo: Slo, kept: bool) -> bool:
    """Whether an objective is kept or broken also without what series counted before their first sample."""
    if slo.method != "occurrences" or not any(born):
        return not any(born)
    bad, total = max(0.0, lost - born[0]), n - born[1]
    return total > 0 and (bad / total <= 1 - slo.target + 1e-12) == kept


def _covered(total: Any, bin_s: float) -> Any:
    """Bins that were recorded, shape (n,): not those of a silence too long to be chance."""
    busy = np.flatnonzero(total)
    steps = np.diff(busy)
    out = np.ones(len(total), bool)
    if len(steps):
        for i in np.flatnonzero(steps > max(LONG_SILENCE / bin_s, SILENT_TIMES * float(np.median(steps)))):
            out[busy[i] + 1 : busy[i + 1]] = False
    return out


def _plain(count: float) -> int | float:
    return round(count) if math.isclose(count, round(count), abs_tol=1e-6) else count


def _alert(slo: Slo, alert: BurnAlert, bad: Any, total: Any, bin_s: float, rate: float, found: counting.Events) -> dict[str, Any]:
    """An alert over the recording: feasible or not, when it would have fired, and the burn in its windows at the end."""
    row = feasibility.alert(alert, slo, rate)
    before = rate * bin_s
    now = {}
    for name, window in (("long", alert.long_s), ("short", alert.short_s)):
        if not window:
            continue
        burn = float(budget.burn_series(bad, total, bin_s, slo.target, window, before)[-1])
        inside = round(float(budget.sums(total, max(1, round(window / bin_s)))[-1]))
        method = f"last {shorthand(window)} of the recording" + ("; before it, the same load without errors is assumed" if window > len(total) * bin_s else "")
        now[name] = Measurement(None if math.isnan(burn) else burn, "×", n=inside, method=method).to_json()
    row["burn_now"] = now
    if not row["feasible"]:
        return row | {"fired": []}
    fired = budget.episodes(alert, bad, total, bin_s, slo.target, minimum=row["minimum_bad"], before=before)
    row["fired"] = [_fired(e, found.start, bin_s) for e in fired[:MOST_FIRINGS]]
    if len(fired) > MOST_FIRINGS:
        row["fired_more"] = len(fired) - MOST_FIRINGS
    return row


def _fired(episode: budget.Episode, start: int, bin_s: float) -> dict[str, Any]:
    def stamp(edge: int) -> str:
        return iso(start + int(edge * bin_s * 1_000_000))

    return {"at": stamp(episode.first), "peak": episode.peak} | ({"until": stamp(episode.last)} if episode.last is not None else {})


def _series(slo: Slo, rows: Sequence[dict[str, Any]], bad: Any, total: Any, bin_s: float, before: float, start: int) -> dict[str, Any]:
    """Burn in the long window of each alert, for a chart: the largest of each group of bins."""
    group = max(1, math.ceil(len(total) / MOST_POINTS))
    lines = []
    for long_s in sorted({row["long_s"] for row in rows}):
        burn = budget.burn_series(bad, total, bin_s, slo.target, long_s, before)
        peaks = np.fmax.reduceat(burn, np.arange(0, len(burn), group))
        lines.append({"window_s": long_s, "burn": [None if math.isnan(v) else float(f"{v:.6g}") for v in peaks]})
    return {"start": iso(start), "interval_s": bin_s * group, "lines": lines}
