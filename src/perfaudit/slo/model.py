"""What an objective is, whoever wrote it: a share of good events that is promised over a period."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from perfaudit.config import Objective
from perfaudit.errors import UsageError

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
#: The period where nothing is said: what the workbook's table of alerts is made for.
PERIOD = 30 * DAY
#: OpenSLO's duration shorthand in seconds; a month is 30 days, a quarter 91, a year 365 (the specification leaves that open).
UNITS = {"s": 1.0, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY, "M": 30 * DAY, "Q": 91 * DAY, "Y": 365 * DAY}


@dataclass(frozen=True)
class Query:
    """A query of someone's monitoring system: its text and the system's type in lower case ("" where it is not said)."""

    text: str
    system: str = ""


@dataclass(frozen=True)
class Indicator:
    """What makes an event good.

    ``kind``: ``errors`` (status below 500), ``latency`` (shorter than ``bound`` µs), ``ratio`` (queries ``good`` or ``bad``, and ``total``),
    ``raw`` (query ``good`` or ``bad`` that gives the ratio itself), ``threshold`` (query ``value``, good while ``value op bound``) or ``metric``
    (a recorded metric below ``bound`` at every sample). ``route``: only requests of one route.
    """

    kind: str
    bound: float = 0.0
    op: str = "lt"
    route: str = ""
    metric: str = ""
    good: Query | None = None
    bad: Query | None = None
    total: Query | None = None
    value: Query | None = None
    counter: bool = True


@dataclass(frozen=True)
class Alert:
    """An alert that an OpenSLO AlertPolicy asks for; durations in seconds."""

    name: str
    severity: str
    factor: float
    lookback_s: float
    after_s: float


@dataclass(frozen=True)
class Slo:
    """One objective. ``text`` is how it is shown, ``name`` how it is called; ``target`` is a share in (0, 1), or 1 for a bound without a budget.

    ``method``: ``occurrences``, ``timeslices`` (a slice of ``slice_s`` seconds is good when ``slice_target`` of its events are) or
    ``ratio-timeslices``. ``calendar``: the period is a calendar's, not the last days. ``origin``: where it was defined.
    ``not_evaluated``: why it is listed and not judged; "" where it is.
    """

    name: str
    text: str
    indicator: Indicator
    target: float
    period_s: float = PERIOD
    method: str = "occurrences"
    slice_s: float = 0.0
    slice_target: float = 0.0
    service: str = ""
    description: str = ""
    calendar: str = ""
    origin: str = ""
    alerts: tuple[Alert, ...] = ()
    not_evaluated: str = ""
    notes: tuple[str, ...] = field(default=())


def duration(text: str) -> float:
    """Seconds of a duration in OpenSLO's shorthand (``5m``, ``30d``, ``1M``, ``1Q``). Raises ``ValueError``."""
    match = re.fullmatch(r"(\d{1,6})([smhdwMQY])", text.strip())
    if not match or int(match[1]) == 0:
        raise ValueError(f"{text!r} is no duration")
    return int(match[1]) * UNITS[match[2]]


def shorthand(seconds: float) -> str:
    """``5m``, ``6h``, ``30d``: a duration as Prometheus and OpenSLO write it."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (1.0, "s")):
        if seconds >= unit and math.isclose(seconds % unit, 0, abs_tol=1e-9):
            return f"{round(seconds / unit)}{name}"
    return f"{max(1, round(seconds))}s"


def period(text: str) -> float:
    """Seconds of a period that a person gave: a minute to ten years. Raises :class:`UsageError`."""
    try:
        seconds = duration(text)
    except ValueError:
        seconds = 0.0
    if not MINUTE <= seconds <= 10 * UNITS["Y"]:
        raise UsageError(f"cannot understand the period “{text}”", todo="examples: 30d, 4w, 1M, 1Q")
    return seconds


def of_objective(objective: Objective, period_s: float = PERIOD, origin: str = "") -> Slo:
    """The same promise as a share of good events: ``p95<800ms`` is 95 % of requests under 800 ms. Raises :class:`UsageError` where no budget is left."""
    if objective.kind == "metric":
        return Slo(objective.text, objective.text, Indicator("metric", objective.bound, metric=objective.metric), 1.0, period_s, origin=origin)
    latency = objective.kind == "latency"
    target = objective.quantile if latency else 1 - objective.bound
    if not 0 < target < 1:
        raise UsageError(
            f"the objective “{objective.text}” leaves {'no budget for errors' if target >= 1 else 'nothing to promise'}", todo="give a share between 0 and 100 %, such as errors<0.1%"
        )  # fmt: skip
    indicator = Indicator("latency", objective.bound, route=objective.route) if latency else Indicator("errors", route=objective.route)
    return Slo(objective.text, objective.text, indicator, round(target, 12), period_s, origin=origin)
