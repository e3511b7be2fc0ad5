"""Error logs of nginx, Apache httpd (2.2 and 2.4), MySQL and MariaDB."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfaudit.evidence.clock import Clock
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._levels import level
from perfaudit.evidence.readers._rows import LogCounts
from perfaudit.evidence.readers._text_events import Event, Format, read_events

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "error log (nginx, Apache, MySQL, MariaDB)"
VERSION = 1
TABLES = ("logs",)

_NGINX = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(\w+)\] \d+#\d+: (?:\*\d+ )?(.*)", re.DOTALL)
_NGINX_TAIL = re.compile(r", (?:client|server|request|upstream|host|referrer|subrequest|login): .*", re.DOTALL)
_APACHE = re.compile(r"\[((?:[A-Z][a-z]{2} ){2} ?\d{1,2} \d\d:\d\d:\d\d(?:\.\d{1,6})? \d{4})\] \[(?:[\w-]*:)?(\w+)\] (.*)", re.DOTALL)
_APACHE_HEAD = re.compile(r"\[(?:pid|client|remote|tid)\b[^\]]*\] ?")
_APACHE_CODE = re.compile(r"\bAH\d{5}\b")
_APACHE_TAIL = re.compile(r", referer: .*")
_MYSQL = re.compile(
    r"(\d{4}-\d\d-\d\d[T ] ?\d{1,2}:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)?|\d{6} {1,2}\d{1,2}:\d\d:\d\d)(?: \d+)? "
    r"\[(Note|Warning|ERROR|System)\] (?:\[(MY-\d{6})\] )?(?:\[(\w+)\] )?(.*)",
    re.DOTALL,
)
_SHORT_DATE = re.compile(r"(\d\d)(\d\d)(\d\d) {1,2}(\d{1,2}):(.*)")
_PADDED = re.compile(r"(\d{4}-\d\d-\d\d)[T ] ?(\d{1,2}):")


def _nginx(line: str, clock: Clock) -> Event | None:
    match = _NGINX.match(line)
    time = clock.iso(match[1]) if match else None
    return Event(time, level(match[2]), _NGINX_TAIL.sub("", match[3])) if match and time is not None else None


def _apache(line: str, clock: Clock) -> Event | None:
    match = _APACHE.match(line)
    time = clock.read(match[1]) if match else None
    if match is None or time is None:
        return None
    text = _APACHE_TAIL.sub("", _APACHE_HEAD.sub("", match[3]))
    code = _APACHE_CODE.search(text)
    return Event(time, level(match[2]), text, code=code[0] if code else "")


def _mysql(line: str, clock: Clock) -> Event | None:
    match = _MYSQL.match(line)
    if match is None:
        return None
    stamp = _SHORT_DATE.sub(lambda m: f"20{m[1]}-{m[2]}-{m[3]} {m[4]:0>2}:{m[5]}", match[1])
    time = clock.iso(_PADDED.sub(lambda m: f"{m[1]} {m[2]:0>2}:", stamp))
    return Event(time, level(match[2]), match[5], code=match[3] or "") if time is not None else None


_FORMATS = {"nginx": _nginx, "apache": _apache, "mysql": _mysql}


def sniff(sample: Sample) -> Recognised | None:
    """Sure when most lines begin like one of the formats (MySQL: any line, for its records run over many)."""
    clock = Clock()
    lines = [line.decode("utf-8", "replace") for line in sample.lines[:50]]
    for name, parse in _FORMATS.items():
        fitting = sum(parse(line, clock) is not None for line in lines)
        if fitting * 2 >= len(lines) > 0 or (fitting and name == "mysql"):
            return Recognised(0.9, name)
    return None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row per second, level and template."""
    parse: Format = _FORMATS[recognised.detail]
    service = options.service or recognised.detail
    read_events(source, sink, Clock(options.zone), parse, LogCounts(sink, service, options.instance))
