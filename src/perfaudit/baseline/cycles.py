"""Is the recording longer than the slowest cycle? Cycles that stand out in it, jobs that are known to repeat, the day and the week."""

from __future__ import annotations

from typing import Any

import numpy as np

from perfaudit.baseline.note import Note, stretch
from perfaudit.baseline.steadiness import Steadiness
from perfaudit.evidence.store import Evidence
from perfaudit.model import Window
from perfaudit.stats.season import LEAST_PERIOD

#: Once shows the shape of a cycle, twice that it returns.
PERIODS = 2
DAY, WEEK = 86_400, 604_800
#: Jobs repeat when their intervals differ by less than a fifth (coefficient of variation), seen three times at least.
REGULAR, SEEN = 0.2, 3


def notes(evidence: Evidence, found: Steadiness, normal: Window) -> list[Note]:
    """``found``: what changed in ``normal``, the stretch that counts as normal."""
    return [_found(found), *_scheduled(evidence, normal), *_calendar(normal, found.run.seconds)]


def _found(found: Steadiness) -> Note:
    """The slowest cycle that the level or the load shows. What fits less than twice is not told from a change."""
    run, slowest = found.run, (0.0, "")
    for name, seen in (("level of durations", found.level), ("arrival rate", found.load)):
        if seen is not None and seen.season:
            slowest = max(slowest, (seen.season, name))
    period, name = slowest
    if not period:
        return Note("cycles", True, f"no cycle between {stretch(LEAST_PERIOD * run.seconds)} and {stretch(len(run) * run.seconds / PERIODS)} stands out", unit="periods", least=PERIODS)
    held = len(run) / period
    return Note("cycles", round(held, 1) >= PERIODS, f"the {name} repeats every {stretch(period * run.seconds)}, seen {held:.1f} times", held, "periods", PERIODS)


def _scheduled(evidence: Evidence, normal: Window) -> list[Note]:
    """Jobs and checkpoints that repeat: the slowest one must fit in twice."""
    asked = []
    if evidence.has("events"):
        asked.append("SELECT kind || ' ' || coalesce(name, ''), epoch_us(time) FROM events WHERE kind NOT IN ('deploy', 'commit', 'incident')")
    if evidence.has("lock_events"):
        asked.append("SELECT 'checkpoint', epoch_us(time) FROM lock_events WHERE kind = 'checkpoint'")
    times: dict[str, list[int]] = {}
    for name, time in evidence.rows(" UNION ALL ".join(asked) + " ORDER BY 2 LIMIT 10000") if asked else ():
        times.setdefault(str(name).strip(), []).append(int(time))
    slowest = max(((_interval(at), name) for name, at in times.items() if len(at) >= SEEN), default=(0.0, ""))
    if not slowest[0]:
        return []
    interval, name = slowest
    held = normal.seconds / interval
    return [Note("scheduled work", held >= PERIODS, f"{name} repeats every {stretch(interval)}; this stretch holds {held:.1f} of that", held, "periods", PERIODS)]


def _interval(at: list[int]) -> float:
    """Seconds between occurrences where they are regular, else 0."""
    gaps: Any = np.diff(np.unique(at)) / 1e6
    return float(gaps.mean()) if len(gaps) >= SEEN - 1 and gaps.std() <= REGULAR * gaps.mean() else 0.0


def _calendar(normal: Window, step: float) -> list[Note]:
    """The slowest cycles that traffic is known to have; ``step``: seconds of a point of the series that were searched for cycles."""
    held = normal.seconds / DAY
    if held < PERIODS:
        return [Note("daily cycle", None, f"holds {held:.2g} of a day: it is normal for this hour of this weekday, and says nothing on others", held, "days", PERIODS)]
    inside = LEAST_PERIOD * step > DAY
    found = [Note("daily cycle", True, f"holds {held:.3g} days" + (f"; a point of {stretch(step)} holds the shape of the day inside, so it was not looked at" if inside else ""), held, "days", PERIODS)]
    weeks = normal.seconds / WEEK
    if weeks < PERIODS:
        found.append(Note("weekly cycle", None, f"holds {weeks:.2g} of a week: it says nothing on other weekdays", weeks, "weeks", PERIODS))
    return found
