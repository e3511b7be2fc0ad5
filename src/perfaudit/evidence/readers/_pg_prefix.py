"""PostgreSQL's stderr log: ``log_line_prefix`` compiled to a pattern, and the records that it delimits.

PostgreSQL manual, 20.8.2 "What To Log". A record is a line ``prefix LEVEL:  message``, continuation lines (which begin with a
tab), and lines with the same prefix for DETAIL, HINT, CONTEXT, QUERY, STATEMENT and LOCATION.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from perfaudit.evidence.clock import Clock, epoch
from perfaudit.evidence.readers._pg_record import Record, number

if TYPE_CHECKING:
    from perfaudit.evidence.readers import Sink
    from perfaudit.evidence.source import Source

#: Prefixes that packages, services and log analysers ask for, the most telling first (Debian, RDS, pgBadger's, RPM).
USUAL = (
    "%m [%p] %q%u@%d ", "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ", "%t [%p]: user=%u,db=%d,app=%a,client=%h ",
    "%t [%p]: [%l-1] user=%u,db=%d,client=%h ", "%t [%p]: [%l-1] user=%u,db=%d ", "%t [%p-%l] %q%u@%d ", "%t:%r:%u@%d:[%p]:",
    "%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:", "%m [%p] %q[user=%u,db=%d,app=%a] ", "%m [%p] %q%a ", "%t [%p]: ", "< %m >", "%m ",
)  # fmt: skip
HINT = "log_line_prefix = '%m [%p] %q%u@%d '"
#: A record keeps this many characters of a field; what follows is counted and dropped.
_FIELD = 1 << 20

_STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d{1,6})?(?: (?:[+-]\d\d(?::?\d\d)?|[A-Za-z][\w/+-]{1,30}))?"
_ESCAPES = {
    "a": r"(?P<app>.{0,64}?)", "u": r".{0,64}?", "d": r"(?P<db>.{0,64}?)", "r": r"[^\s]{0,300}?", "h": r"[^\s]{0,300}?", "L": r"[^\s]{0,300}?",
    "b": r".{0,64}?", "p": r"(?P<pid>\d+)", "P": r"\d*", "t": rf"(?P<time>{_STAMP})", "m": rf"(?P<time>{_STAMP})", "n": r"(?P<time>\d{9,11}\.\d{3})",
    "i": r".{0,64}?", "e": r"[0-9A-Z]{5}", "c": r"[0-9a-f]*\.?[0-9a-f]*", "l": r"\d+", "s": _STAMP, "v": r"[\d/-]*", "x": r"(?P<txid>\d+)",
    "Q": r"-?\d+", "%": "%",
}  # fmt: skip
_MAIN = frozenset({"DEBUG", "DEBUG1", "DEBUG2", "DEBUG3", "DEBUG4", "DEBUG5", "INFO", "NOTICE", "WARNING", "ERROR", "LOG", "FATAL", "PANIC"})
_FIELDS = {"DETAIL": "detail", "CONTEXT": "context", "STATEMENT": "statement", "HINT": "", "QUERY": "", "LOCATION": "", "BACKTRACE": ""}
_LEVEL = rf"(?P<level>{'|'.join(sorted(_MAIN | set(_FIELDS)))}):\s{{1,2}}(?P<text>.*)"
_ESCAPE = re.compile(r"%(-?\d+)?([A-Za-z%])")
#: An unknown prefix: a stamp somewhere, and what usually looks like a process, a database, an application.
_ANY = re.compile(rf"(?P<prefix>.{{0,300}}?){_LEVEL.replace(chr(92) + 's{1,2}', '  ')}", re.DOTALL)
_ANY_TIME = re.compile(_STAMP)
_ANY_PID = re.compile(r"\[(\d{1,9})(?:-\d+)?\]|(?i:\bpid[=: ]+)(\d{1,9})")
_ANY_DB = re.compile(r"\b(?:db|database)=([^,\s\]]*)|[^\s@:,\[]+@([^\s:,\]]+)")
_ANY_APP = re.compile(r"\bapp(?:lication)?=([^,\]]*?)(?=,|\]| \w+=|\s*$)")


class Head(NamedTuple):
    """What a line with a prefix says."""

    time: str
    level: str
    text: str
    pid: int | None
    database: str | None
    application: str | None
    txid: int


class Prefix:
    """A ``log_line_prefix``; ``None`` finds its way in any prefix that holds a time stamp."""

    def __init__(self, prefix: str | None) -> None:
        self.prefix = prefix
        self._pattern = compile_prefix(prefix) if prefix is not None else None

    def head(self, line: str) -> Head | None:
        """The parts of a line that begins with the prefix; None for any other."""
        if self._pattern is None:
            return _any_head(line)
        match = self._pattern.match(line)
        if match is None:
            return None
        found = match.groupdict()
        return Head(found["time"], found["level"], found["text"], number(found.get("pid")), _known(found.get("db")), _known(found.get("app")),
                    number(found.get("txid")) or 0)  # fmt: skip


def compile_prefix(prefix: str) -> re.Pattern[str] | None:
    """The pattern of lines with ``prefix``; None where the prefix holds no time (%m, %t or %n)."""
    if not any(kind in "mtn" for _, kind in _ESCAPE.findall(prefix)):
        return None
    out, end, optional = [], 0, False
    seen: set[str] = set()
    for match in _ESCAPE.finditer(prefix):
        out.append(re.escape(prefix[end : match.start()]))
        end = match.end()
        kind = match[2]
        if kind == "q" and not optional:
            optional = True
            out.append("(?:")
            continue
        part = _ESCAPES.get(kind, "")
        name = re.match(r"\(\?P<(\w+)>", part)
        if name and name[1] in seen:
            part = re.sub(r"\?P<\w+>", "?:", part)
        elif name:
            seen.add(name[1])
        out.append(rf"\ *{part}\ *" if match[1] else part)
    tail = prefix[end:]
    out.append(re.escape(tail.rstrip(" ")) + r"\ *")
    return re.compile("".join(out) + (")?" if optional else "") + _LEVEL, re.DOTALL)


def _known(text: str | None) -> str | None:
    return text if text and text != "[unknown]" else None


def _any_head(line: str) -> Head | None:
    match = _ANY.match(line)
    stamp = _ANY_TIME.search(match["prefix"]) if match else None
    if match is None or stamp is None:
        return None
    rest = match["prefix"][: stamp.start()] + match["prefix"][stamp.end() :]
    pid, database, application = _ANY_PID.search(rest), _ANY_DB.search(rest), _ANY_APP.search(rest)
    return Head(stamp[0], match["level"], match["text"], number(pid[1] or pid[2]) if pid else None,
                _known(database[1] or database[2]) if database else None, _known(application[1]) if application else None, 0)  # fmt: skip


def find(lines: Sequence[bytes], declared: Sequence[str]) -> tuple[float, Prefix] | None:
    """The prefix of a sample as ``(confidence, prefix)``: a declared one, a usual one, else whatever holds a stamp."""
    texts = [line.decode("utf-8", "replace") for line in lines]
    heads = [text for text in texts if not text[0].isspace()]
    for confidence, prefixes in ((1.0, declared), (0.9, USUAL), (0.8, (None,))):
        scored = []
        for prefix in prefixes:
            candidate = Prefix(prefix)
            if prefix is not None and candidate._pattern is None:
                continue
            scored.append((sum(candidate.head(text) is not None for text in heads), candidate))
        best = max(scored, key=lambda pair: pair[0], default=(0, Prefix(None)))
        if best[0] * 2 > len(heads):
            return confidence, best[1]
    return None


def stderr_records(source: Source, sink: Sink, clock: Clock, prefix: Prefix) -> Iterator[Record]:
    """Records of a stderr log. Every line is counted here; lines that neither fit the prefix nor continue a record are rejected."""
    record: Record | None = None
    field = ""
    for offset, raw in source.lines(sink.too_long):
        sink.lines()
        line = raw.decode("utf-8", "replace")
        head = prefix.head(line)
        if head is None:
            if record is not None and (not line or line[0].isspace()):
                _append(record, field, "\n" + line.removeprefix("\t"))
                sink.parsed()
            elif not line.strip():
                sink.parsed()
            else:
                sink.reject("does not begin with log_line_prefix", example=raw, offset=offset)
            continue
        if head.level in _FIELDS:
            field = _FIELDS[head.level] if record is not None and head.pid in (None, record.pid) else ""
            if record is not None:
                _append(record, field, head.text)
            sink.parsed()
            continue
        if record is not None:
            yield record
        time = clock.iso(head.time) or epoch(head.time)
        if time is None:
            record = None
            sink.reject("timestamp cannot be read", example=raw, offset=offset)
            continue
        sink.parsed()
        field = "message"
        record = Record(head.time, head.level, head.text, head.pid, head.database, head.application, head.txid, time=time)
    if record is not None:
        yield record


def _append(record: Record, field: str, text: str) -> None:
    if field:
        value = getattr(record, field) or ""
        if len(value) < _FIELD:
            setattr(record, field, value + text)
