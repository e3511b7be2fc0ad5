"""Line logs whose events may run over several lines: what does not begin an event continues the one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from perfaudit.evidence.clock import Clock
from perfaudit.evidence.readers._rows import LogCounts

if TYPE_CHECKING:
    from perfaudit.evidence.readers import Sink
    from perfaudit.evidence.source import Source

#: Lines that one event may run over: the deepest stack traces have some hundreds.
_CONTINUED = 2_000
#: What is looked at of a line.
_LOOK = 8_000


class Event(NamedTuple):
    """The first line of an event. ``code`` is a message number that belongs into the template."""

    time: int
    level: str | None
    message: str
    service: str | None = None
    instance: str | None = None
    code: str = ""


Format = Callable[[str, Clock], "Event | None"]


def read_events(source: Source, sink: Sink, clock: Clock, parse: Format, logs: LogCounts) -> None:
    """Read ``source`` by ``parse``. Lines before the first event, binary ones and endless continuations are rejected."""
    left = 0
    for offset, raw in source.lines(sink.too_long):
        sink.lines()
        line = raw[:_LOOK].decode("utf-8", "replace")
        event = parse(line, clock)
        if event is not None:
            logs.add(event.time, event.level, event.message, service=event.service, instance=event.instance, code=event.code)
            left = _CONTINUED
        elif line.strip():
            if left == 0 or "\0" in line or "\ufffd" in line:
                sink.reject("does not begin with a time, nor continue an event", example=raw, offset=offset)
                continue
            left -= 1
        sink.parsed()
    logs.flush()
    if clock.note():
        sink.note(clock.note())
