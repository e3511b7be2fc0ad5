"""What a load generator recorded, on its way to ``requests``, ``load_stages`` and ``load_points``.

A generator's requests are requests of the tier :data:`LOAD_GENERATOR`: its times contain those of every server that it asked, so it is the
outermost tier. Whether they may be believed is judged later (:mod:`perfaudit.baseline.load_test`). Of other metrics only one value a
second is kept, so that memory and disk do not grow with the number of requests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from perfaudit import redact
from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.evidence.readers._rows import Rows
from perfaudit.evidence.routes import OTHER, RouteTable, overflow_note

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sink
    from perfaudit.evidence.source import Source

#: Intervals of ``load_stages`` are a tenth of the test, between a second and ten: short stages stay apart, a day stays small.
LEAST_INTERVAL, MOST_INTERVAL = 1, 10
#: More intervals than a day has at ten seconds are not written: times further apart are no test.
MOST_INTERVALS = 10_000
#: Seconds of a test that are counted, a week; and values that are held before they are handed over.
MOST_SECONDS, HELD = 604_800, 100_000
#: Names of requests that are no path: more are data, and count as one.
MOST_NAMES = 5_000
#: Longer than any timeout of a load generator; a longer duration is a wrong unit.
LONGEST_US = 24 * 3600 * 1_000_000
#: Names of requests that are remembered.
_REMEMBERED = 50_000
#: A name that is no path is kept to this length, in characters.
_NAME_LENGTH = 120
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"})
_SECOND = 1_000_000
#: A summary is read as a whole; a longer one is none.
_DOCUMENT = 16 << 20
_STAGE = ("time", "duration_us", "target_per_s", "achieved_per_s", "dropped", "virtual_users")
_COLUMNS = ("time", "duration_us", "status", "method", "route", "response_bytes", "request_bytes")

Labels = tuple[tuple[str, str], ...]


def part(test: str, tag: str) -> str:
    """The name of a test that is a part of a file: what one tag of a histogram log recorded."""
    return f"{test} [{tag}]" if tag else test


def part_of(test: str) -> tuple[str, str]:
    """The file and the tag of a test's name; the tag is "" where it is a whole file."""
    file, sep, tag = test.rpartition(" [")
    return (file, tag[:-1]) if sep and tag.endswith("]") else (test, "")


class Load:
    """One source of a load generator; ``test`` is how people know it. Durations are µs, instants µs since the epoch."""

    UNNAMED = OTHER

    def __init__(self, sink: Sink, options: ReadOptions, test: str) -> None:
        self._sink, self._test = sink, test
        self._rows = Rows(sink, "requests", _COLUMNS, service=LOAD_GENERATOR, instance=test)
        self._stages = Rows(sink, "load_stages", _STAGE, test=test)
        self._routes = RouteTable(options.route_patterns)
        self._names: dict[tuple[str, str], tuple[str | None, str]] = {}
        self._origin: int | None = None
        self._last = 0
        self._started: dict[int, int] = {}
        self._iterations: dict[int, int] = {}
        self._dropped: dict[int, float] = {}
        self._users: dict[int, int] = {}
        self._labels: set[str] = set()
        self._points: dict[tuple[int | None, str, Labels], list[float]] = {}

    def request(
        self, start: int, duration: float, status: int | None, name: str, method: str = "", response_bytes: int | None = None, request_bytes: int | None = None
    ) -> str:
        """One request by its start; ``name`` is a URL, a path or any label. "" or the reason why it is no row."""
        if not 0 <= duration <= LONGEST_US:  # also NaN
            return "duration is negative, not a number, or longer than a day"
        found = self._names.get((method, name))
        if found is None:
            if len(self._names) >= _REMEMBERED:
                self._names.clear()
            found = self._names[method, name] = self.named(name, method)
        self._rows.add(start, int(duration), status, *found, response_bytes, request_bytes)
        _count(self._started, self._second(start), 1)
        return ""

    def _second(self, time: int) -> int:
        """The second of the test: counted from the first instant that is told, so that no second but the last is cut."""
        if self._origin is None:
            self._origin = time
        self._last = max(self._last, time)
        return (time - self._origin) // _SECOND

    def named(self, name: str, method: str = "") -> tuple[str | None, str]:
        """``(method, route)`` of a request's name: a URL or path becomes a route, any other label stays, without what is secret."""
        head, _, rest = name.partition(" ")
        if not method and head in _METHODS and rest:
            method, name = head, rest
        method = method.upper() if method.upper() in _METHODS else ""
        if name.startswith("/") or "://" in name[:12]:
            return method or None, self._routes.values[self._routes.code(name)]
        label = redact.note(redact.value("name", name))[:_NAME_LENGTH].strip() or OTHER
        if label not in self._labels and len(self._labels) >= MOST_NAMES:
            return method or None, OTHER
        self._labels.add(label)
        return method or None, label

    def iteration(self, start: int) -> None:
        """A run of the script began: what arrives, where a script makes several requests."""
        self.arrived(start, 1)

    def arrived(self, time: int, n: float) -> None:
        """``n`` arrivals in the second from ``time`` on."""
        _count(self._iterations, self._second(time), int(n))
        self.point(time, "arrivals", n)

    def dropped(self, time: int, n: float) -> None:
        """Iterations that were due and not started."""
        _count(self._dropped, self._second(time), n)

    def users(self, time: int, n: float) -> None:
        """Virtual users at an instant; the most of each second is kept."""
        second = self._second(time)
        _count(self._users, second, max(0, int(n) - self._users.get(second, 0)))
        self.point(time, "virtual_users", n, most=True)

    def point(self, time: int | None, name: str, value: float, labels: Labels = (), *, most: bool = False, mean: bool = False) -> None:
        """A value of a metric; those of a second are summed, or their largest or mean is kept. ``time`` is None for a whole test."""
        if not math.isfinite(value):
            return
        key = (None if time is None else time // _SECOND, name, labels)
        if len(self._points) >= HELD:
            self._write_points()
        held = self._points.setdefault(key, [0.0, 0.0, float(mean)])
        held[0] = max(held[0], value) if most and held[1] else held[0] + value
        held[1] += 1

    def total(self, name: str, value: float, **labels: str) -> None:
        """A value of the whole test."""
        self.point(None, name, value, tuple(labels.items()))

    def stage(self, time: int | None, seconds: float | None, *, target: float | None = None, achieved: float | None = None, dropped: int | None = None, users: int | None = None) -> None:
        """One row of ``load_stages``, where the tool tells stages itself."""
        self._stages.add(time, None if seconds is None else round(seconds * 1e6), target, achieved, dropped, users)

    def finish(self) -> None:
        """Hand over what is gathered."""
        self._rows.flush()
        if self._routes.overflowed:
            self._sink.note(overflow_note())
        if len(self._labels) >= MOST_NAMES:
            self._sink.note(f"more than {MOST_NAMES:,} distinct names of requests: the later ones are counted as '{OTHER}'")
        self._write_stages()
        self._stages.flush()
        self._write_points()

    def _write_points(self) -> None:
        rows = Rows(self._sink, "load_points", ("time", "name", "labels", "value"), test=self._test)
        for (second, name, labels), (total, n, mean) in self._points.items():
            rows.add(None if second is None else second * _SECOND, name, dict(labels), total / n if mean else total)
        rows.flush()
        self._points = {}

    def _write_stages(self) -> None:
        arrivals = self._iterations or self._started
        if not arrivals or self._origin is None:
            return
        if arrivals.get(-1, 0) < arrivals.get(0, 0) and min(arrivals) == -1:  # the first to end was not quite the first to begin
            arrivals[0] += arrivals.pop(-1)
        first, end = min(arrivals), max(arrivals) + 1
        step = max(min(MOST_INTERVAL, max(LEAST_INTERVAL, (end - first) // 10)), -(-(end - first) // MOST_INTERVALS))
        began, lost = _by(arrivals, first, step, sum), _by(self._dropped, first, step, sum)
        users = _by(self._users, first, step, max)
        for i in range(-(-(end - first) // step)):
            start = self._origin + (first + i * step) * _SECOND
            stop = min(start + step * _SECOND, max(self._last, start + 1))
            seconds, n, gone = (stop - start) / 1e6, began.get(i, 0), round(lost.get(i, 0))
            if seconds < step / 2 and i:  # the last moment of a test is no stage
                continue
            self._stages.add(start, stop - start, (n + gone) / seconds if self._dropped else None, n / seconds, gone if self._dropped else None, users.get(i))


def number(value: object) -> float | None:
    """A finite number of a JSON or CSV field, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def document(source: Source, sink: Sink, fits: Callable[[dict[str, Any]], bool], reason: str) -> dict[str, Any] | None:
    """A whole file as one JSON object, its lines counted; None (all rejected for ``reason``) where it is none or does not fit."""
    import msgspec

    data, lines = bytearray(), 0
    for _, line in source.lines(sink.too_long):
        sink.lines()
        lines += 1
        if len(data) < _DOCUMENT:
            data += line + b"\n"
    try:
        value = msgspec.json.decode(bytes(data).removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    if isinstance(value, dict) and fits(value):
        sink.parsed(lines)
        return value
    sink.reject(reason, lines, example=bytes(data[:200]))
    return None


def _count(held: dict[int, Any], second: int, n: float) -> None:
    if second in held or len(held) < MOST_SECONDS:
        held[second] = held.get(second, 0) + n


def _by(held: Mapping[int, float], first: int, step: int, how: Callable[[list[float]], float]) -> dict[int, int]:
    """What was counted by the second, by the step."""
    groups: dict[int, list[float]] = {}
    for second, value in held.items():
        groups.setdefault((second - first) // step, []).append(value)
    return {i: int(how(values)) for i, values in groups.items()}
