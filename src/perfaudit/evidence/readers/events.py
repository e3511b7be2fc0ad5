"""Events: deploys, changes of configuration, restarts, incidents, as JSON lines, CSV, or one JSON document (also Kubernetes')."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from perfaudit import redact
from perfaudit.evidence.clock import Clock, epoch
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._delimited import records, split
from perfaudit.evidence.readers._rows import Rows
from perfaudit.evidence.source import HEAD

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "events"
VERSION = 1
TABLES = ("events",)

HINT = 'each event needs a time and a kind: {"time": "2026-11-23T08:02:23Z", "kind": "deploy", "service": "shop", "version": "1.2.3"}'
_TIME = ("time", "timestamp", "ts", "@timestamp", "date", "datetime", "when", "at", "created_at", "start", "started_at",
         "lastTimestamp", "eventTime", "firstTimestamp", "deployed_at")  # fmt: skip
_KIND = ("kind", "type", "event", "event_type", "category", "action")
_SERVICE = ("service", "app", "application", "component", "service_name", "service.name")
_NAME = ("name", "title")
_VERSION = ("version", "release", "tag", "image", "build")
_COMMIT = ("commit", "sha", "revision", "git_sha", "commit_sha", "git_commit")
_DETAIL = ("note", "message", "description", "detail", "msg", "summary", "text", "comment")
#: People who did it are not evidence.
_PEOPLE = frozenset({"author", "user", "username", "actor", "email", "by", "deployed_by", "committer", "who", "owner"})
#: Keys that speak of a log line, a request, a span, a metric or a session, not of an event.
_FOREIGN = frozenset({
    "level", "severity", "lvl", "levelname", "log.level", "loglevel", "error_severity", "status", "status_code", "duration", "duration_ms",
    "path", "uri", "request", "request_uri", "traceId", "trace_id", "spanId", "span_id", "parentId", "pid", "value", "metric", "metric_name", "elapsed",
    "requests/s", "user count",
})  # fmt: skip
_ALIASES = {"deployment": "deploy", "deployed": "deploy", "release": "deploy", "rollout": "deploy", "configuration": "config", "config_change": "config",
            "config-change": "config", "feature_flag": "flag", "feature-flag": "flag", "restarted": "restart"}  # fmt: skip
_KNOWN = frozenset({"deploy", "config", "flag", "restart", "commit", "campaign", "incident", "rollback", "migration", "scale", "scaling", "failover",
                    "maintenance", "change", "outage", "alert", "experiment", "cron", "backup", "start", "stop", *_ALIASES})  # fmt: skip
#: Reasons of Kubernetes events that are a kind of ours.
_REASONS = {"ScalingReplicaSet": "deploy", "Killing": "restart", "BackOff": "restart", "OOMKilling": "restart", "Rebooted": "restart"}
_REPLICA = re.compile(r"-[a-f0-9]{6,10}(?:-[a-z0-9]{5})?$")
_FILE_NAME = re.compile(r"(?i)deploy|event|release|change|annotation|marker|incident")
_BEGINS = re.compile(rb'"?\d{4}-\d\d-\d\d[ T]\d\d:\d\d')
#: A document is read as a whole; a longer one is no list of events.
_DOCUMENT = 32 << 20


def sniff(sample: Sample) -> Recognised | None:
    """By its keys: a time, and a kind or a version; never a log, a request, a span. Known kinds and the file's name add weight."""
    lines = sample.lines
    if not lines:
        return None
    first = lines[0].decode("utf-8", "replace").lstrip("\ufeff")
    if first.lstrip()[:1] in ("{", "["):
        records_, form = [r for line in lines if (r := _object(line)) is not None], "json"
        if len(records_) * 2 <= len(lines):
            records_, form = _document(sample.head), "document"
            if not records_ and b'"involvedObject"' in sample.head:  # cut: `kubectl get events -o json` of a large cluster
                return Recognised(0.9, form, hint=HINT)
    else:
        delimiter = max(",;\t", key=first.count)
        names = [name.strip().lower() for name in split(first, delimiter)]
        rows = [split(line.decode("utf-8", "replace"), delimiter) for line in lines[1:]]
        records_, form = [dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names)], delimiter
        if not rows and len(names) > 1:
            records_ = [dict.fromkeys(names, "2026-01-01")]
    confidence = _confidence(records_, bool(_FILE_NAME.search(sample.name)), whole=len(sample.head) < HEAD)
    return Recognised(confidence, form, hint=HINT) if confidence else None


def _confidence(found: list[dict[str, Any]], named: bool, whole: bool) -> float:
    fitting = [r for r in found if _has(r, _TIME) and (_has(r, _KIND) or _has(r, _VERSION) or _has(r, _COMMIT))]
    if not fitting or len(fitting) * 2 < len(found):
        return 0.0
    if "involvedObject" in fitting[0]:
        return 0.9
    if sum(bool(_FOREIGN & r.keys()) for r in fitting) * 2 > len(fitting):
        return 0.0
    known = sum(str(_first(r, _KIND) or "deploy").lower() in _KNOWN for r in fitting) * 2 >= len(fitting)
    return (0.9 if known else 0.6 if named else 0.5) - (0.0 if whole else 0.2)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) and "items" not in value else None


def _document(data: bytes) -> list[dict[str, Any]]:
    """The objects of a JSON document: a list, ``{"items": […]}``, ``{"events": […]}`` or one object. Empty where it is none."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    if isinstance(value, dict):
        value = value.get("items", value.get("events", [value]))
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _has(record: Mapping[str, Any], names: Iterable[str]) -> bool:
    return any(record.get(name) not in (None, "") for name in names)


def _first(record: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((record[name] for name in names if record.get(name) not in (None, "")), None)


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row per event; what its columns do not hold is kept in ``detail`` as JSON."""
    clock = Clock(options.zone)
    rows = Rows(sink, "events", ("time", "kind", "service", "name", "version", "commit", "detail"))
    service = options.service if "service" in options.labelled else None

    def take(record: dict[str, Any]) -> bool:
        row = _row(record, clock, service)
        if row:
            rows.add(*row)
        return row is not None

    if recognised.detail == "json":
        _read_lines(source, sink, take)
    elif recognised.detail == "document":
        _read_document(source, sink, take)
    else:
        _read_table(source, sink, take, recognised.detail)
    rows.flush()
    if clock.note():
        sink.note(clock.note())


def _read_lines(source: Source, sink: Sink, take: Any) -> None:
    for offset, line in source.lines(sink.too_long):
        sink.lines()
        record = _object(line.removeprefix(b"\xef\xbb\xbf"))
        if record is None and line.strip():
            sink.reject("not a JSON object", example=line, offset=offset)
        elif record is not None and not take(record):
            sink.reject("no time that can be read", example=line, offset=offset)
        else:
            sink.parsed()


def _read_document(source: Source, sink: Sink, take: Any) -> None:
    data = bytearray()
    n = 0
    for _, line in source.lines(sink.too_long):
        sink.lines()
        n += 1
        if len(data) < _DOCUMENT:
            data += line + b"\n"
    found = _document(bytes(data))
    lost = len(found) - sum(take(record) for record in found)
    if not found or lost == len(found):
        sink.reject("not a JSON document of events", n, example=bytes(data[:200]))
        return
    sink.parsed(n)
    if lost:
        sink.note(f"{lost:,} of {len(found):,} events have no time that can be read")


def _read_table(source: Source, sink: Sink, take: Any, delimiter: str) -> None:
    names: list[str] = []
    for n, offset, raw in records(source, sink, lambda line: _BEGINS.match(line) is not None):
        cells = split(raw.decode("utf-8", "replace").lstrip("\ufeff"), delimiter)
        if not raw.strip() or not names or [cell.lower() for cell in cells] == names:
            names = names or [name.strip().lower() for name in cells]
            sink.parsed(n)
        elif len(cells) != len(names):
            sink.reject(f"{len(cells)} columns where the header has {len(names)}", n, example=raw, offset=offset)
        elif take(dict(zip(names, cells, strict=True))):
            sink.parsed(n)
        else:
            sink.reject("no time that can be read", n, example=raw, offset=offset)


def _row(record: dict[str, Any], clock: Clock, service: str | None) -> tuple[Any, ...] | None:
    stamp = _first(record, _TIME)
    time = clock.read(stamp) if isinstance(stamp, str) else epoch(stamp) if isinstance(stamp, (int, float)) else None
    if time is None:
        return None
    if isinstance(record.get("involvedObject"), dict):
        return _kubernetes(record, time, service)
    used = {name for names in (_TIME, _KIND, _SERVICE, _NAME, _VERSION, _COMMIT, _DETAIL)
            if (name := next((n for n in names if record.get(n) not in (None, "")), None))}  # fmt: skip
    kind = _text(record, _KIND) or "deploy"
    rest = {key: value for key, value in record.items() if key not in used and key.lower() not in _PEOPLE and value not in (None, "")}
    return (
        time, _ALIASES.get(kind.lower(), kind), service or _text(record, _SERVICE), _text(record, _NAME), _text(record, _VERSION),
        _text(record, _COMMIT), _detail(_text(record, _DETAIL), rest),
    )  # fmt: skip


def _kubernetes(record: dict[str, Any], time: int, service: str | None) -> tuple[Any, ...]:
    about = record["involvedObject"]
    name = redact.note(str(about.get("name", "")))
    reason = redact.note(str(record.get("reason", "event")))
    rest = {"object": str(about.get("kind", "")), "reason": reason, "count": record.get("count")}
    return (time, _REASONS.get(reason, reason), service or _REPLICA.sub("", name) or None, name or None, None, None,
            _detail(_text(record, ("message",)), {key: value for key, value in rest.items() if value}))  # fmt: skip


def _text(record: Mapping[str, Any], names: Iterable[str]) -> str | None:
    value = _first(record, names)
    if value is None:
        return None
    return redact.note(value if isinstance(value, str) else msgspec.json.encode(_safe("", value, 0)).decode())


def _detail(text: str | None, rest: dict[str, Any]) -> str | None:
    if not rest:
        return text
    told = {"note": text} if text else {}
    kept = msgspec.json.encode(told | {redact.note(key): _safe(key, value, 0) for key, value in rest.items()}, order="sorted")
    return kept.decode("utf-8", "replace")[: redact.NOTE_LENGTH * 2]


def _safe(key: str, value: Any, depth: int) -> Any:
    if depth > 8:
        return "…"
    if isinstance(value, dict):
        return {redact.note(str(k)): _safe(str(k), v, depth + 1) for k, v in value.items() if str(k).lower() not in _PEOPLE}
    if isinstance(value, list):
        return [_safe(key, v, depth + 1) for v in value[:50]]
    if isinstance(value, bool) or value is None:
        return value
    text = redact.note(redact.value(key, str(value)))
    return value if isinstance(value, (int, float)) and text == str(value) else text
