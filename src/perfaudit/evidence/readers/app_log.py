"""Application logs: JSON lines, and text that begins with a time (Python logging, log4j, Go, Rails, logfmt, syslog, journald)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from perfaudit.evidence.clock import Clock, epoch
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._app_text import FORMATS, Reference, level_in
from perfaudit.evidence.readers._levels import level
from perfaudit.evidence.readers._rows import LogCounts
from perfaudit.evidence.readers._text_events import read_events

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "application log"
VERSION = 1
TABLES = ("logs",)

HINT = "each event needs a time and a level in its first line, such as 2026-11-23T08:02:23Z ERROR message"
_TIME = ("time", "timestamp", "ts", "@timestamp", "t", "datetime", "date", "asctime", "eventTime", "event_time", "__REALTIME_TIMESTAMP", "@t")
_LEVEL = ("level", "severity", "lvl", "levelname", "log.level", "loglevel", "log_level", "level_name", "severity_text", "PRIORITY", "@l")
_MESSAGE = ("msg", "message", "event", "text", "log", "body", "short_message", "MESSAGE", "@mt", "@m")
_SERVICE = ("service", "service.name", "service_name", "app", "application", "appname", "_SYSTEMD_UNIT", "container_name")
_INSTANCE = ("instance", "host", "hostname", "pod", "_HOSTNAME")
_STATUS = frozenset({"status", "status_code", "statusCode", "http_status", "response_code", "DownstreamStatus"})
_PATH = frozenset({"path", "uri", "url", "request", "request_uri", "RequestPath", "target", "http_path", "route"})


def sniff(sample: Sample) -> Recognised | None:
    """Plausible for JSON lines with a time and a level or message, unless they are requests; for text by the share of lines."""
    lines = sample.lines[:100]
    if not lines:
        return None
    if sum(line.lstrip().startswith(b"{") for line in lines) * 2 > len(lines):
        return _sniff_json(lines)
    clock, reference = Clock(), Reference(None)
    texts = [line.decode("utf-8", "replace") for line in lines]
    best, fitting, levelled = "", 0, 0
    for name, parse in FORMATS.items():
        events = [event for text in texts if (event := parse(text, clock, reference)) and event.message]
        if len(events) > fitting:
            best, fitting, levelled = name, len(events), sum(event.level is not None for event in events)
    if not fitting or (fitting * 2 < len(lines) and not levelled):
        return None
    confidence = 0.6 if levelled * 2 >= fitting else 0.4 if fitting * 2 >= len(lines) and best != "iso" else 0.3
    return Recognised(confidence if fitting * 10 >= len(lines) else 0.25, best, hint=HINT)


def _sniff_json(lines: list[bytes]) -> Recognised | None:
    records = [record for line in lines if (record := _object(line)) is not None]
    requests = sum(bool(_STATUS & record.keys()) and bool(_PATH & record.keys()) for record in records)
    levelled = sum(_first(record, _LEVEL) is not None and _first(record, _TIME) is not None for record in records)
    spoken = sum(_first(record, _MESSAGE) is not None and _first(record, _TIME) is not None for record in records)
    if requests * 2 > len(records) or max(levelled, spoken) * 2 <= len(lines):
        return None
    return Recognised(0.75 if levelled and spoken else 0.5, "json", hint="each line needs the keys time, level and message")


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _first(record: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((record[name] for name in names if record.get(name) not in (None, "")), None)


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row per second, service, instance, level and template."""
    clock = Clock(options.zone)
    logs = LogCounts(sink, options.service, options.instance, options.labelled)
    if recognised.detail != "json":
        reference, parse = Reference(source.path), FORMATS[recognised.detail]
        read_events(source, sink, clock, lambda line, clock: parse(line, clock, reference), logs)
        if reference.assumed:
            sink.note(f"its times have no year: the latest one before {reference.year + 1} was taken")
        return
    for offset, line in source.lines(sink.too_long):
        sink.lines()
        record = _object(line)
        time = _time(_first(record, _TIME), clock) if record else None
        if record is None or time is None:
            if line.strip():
                sink.reject("not a JSON object" if record is None else "no time that can be read", example=line, offset=offset)
            else:
                sink.parsed()
            continue
        sink.parsed()
        message = str(_first(record, _MESSAGE) or "")
        found = level(_first(record, _LEVEL)) or level_in(message)
        logs.add(time, found, message, service=_text(record, _SERVICE), instance=_text(record, _INSTANCE))
    logs.flush()
    if clock.note():
        sink.note(clock.note())


def _time(value: Any, clock: Clock) -> int | None:
    if isinstance(value, str):
        return clock.read(value)
    return epoch(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _text(record: dict[str, Any], names: tuple[str, ...]) -> str | None:
    value = _first(record, names)
    if isinstance(value, dict):
        value = value.get("name")
    return value[:100] if isinstance(value, str) else None
