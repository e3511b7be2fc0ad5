"""The first line of an event in text application logs, format by format: time, level, message."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from perfaudit.evidence.clock import Clock, fraction
from perfaudit.evidence.readers._levels import SYSLOG, level
from perfaudit.evidence.readers._text_events import Event

_LEVEL = re.compile(
    r"(?<![\w./-])(TRACE|DEBUG|INFO|INFORMATION|NOTICE|NOTE|WARN|WARNING|ERR|ERROR|SEVERE|CRIT|CRITICAL|FATAL|ALERT|PANIC|EMERG|EMERGENCY|"
    r"(?<=[\[<(])(?:trace|debug|info|notice|warn|warning|err|error|crit|critical|fatal|alert|panic|emerg|Debug|Info|Warning|Error|Fatal|[DIWEF])(?=[\]>)])|"
    r"(?:debug|info|warn|warning|error|fatal)(?=:| - ))(?![\w./-])"
)
#: A level stands in front: behind thread, process and logger at most.
_LEVEL_WITHIN = 120
_ISO = re.compile(r"(?:[DIWEFA], )?[\[(<]?(\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d|UTC|GMT|CES?T|[ECMP][SD]T)\b)?)(?: #\d+)?[\])>]?(?:[\s|:-]+)(.*)", re.DOTALL)
_CLF = re.compile(r"\[(\d\d/[A-Z][a-z]{2}/\d{4}[: ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})? ?(?:[+-]\d{4})?)\]\s+(.*)", re.DOTALL)
_LOGFMT = re.compile(r"(?:.*?\s)?(?:time|ts|timestamp|t|@timestamp)=(?:\"([^\"]{8,40})\"|(\S{8,40}))(?=\s|$)")
_LOGFMT_LEVEL = re.compile(r"(?:^|\s)(?:level|lvl|severity)=\"?(\w+)")
_LOGFMT_MESSAGE = re.compile(r"(?:^|\s)(?:msg|message|event)=(?:\"((?:[^\"\\]|\\.)*)\"|(\S+))")
_RFC5424 = re.compile(r"<(\d{1,3})>\d (\S+) (\S+) (\S+) \S+ \S+ (?:-|(?:\[(?:[^\]\\]|\\.)*\])+) ?(?:\ufeff)?(.*)", re.DOTALL)
_RFC3164 = re.compile(r"(?:<(\d{1,3})>)?([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))? (\S+) ([^\s:\[]+)(?:\[\d+\])?: ?(.*)", re.DOTALL)
_JOURNAL = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)) (\S+) ([^\s:\[]+)(?:\[\d+\])?: (.*)", re.DOTALL)
_KLOG = re.compile(r"([IWEF])(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{1,6})\s+\d+ ([\w.-]+:\d+)\] (.*)", re.DOTALL)
_MONTHS = {m: i for i, m in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)}
_LEADING = " \t-|:]>)"


class Reference:
    """The year for formats without one: that of the file's last change, so that the same file gives the same times."""

    def __init__(self, path: Path | None) -> None:
        self.assumed = False
        try:
            changed = path.stat().st_mtime if path else None
        except OSError:
            changed = None
        self.moment = datetime.fromtimestamp(changed, UTC) if changed else datetime.now(UTC)
        self.year = self.moment.year

    def instant(self, clock: Clock, month: int, day: int, hour: int, minute: int, second: int) -> int | None:
        """The latest such instant that is not more than a day after the file's last change."""
        self.assumed = True
        time = clock.instant((self.year, month, day, hour, minute, second), None)
        if time is not None and time > (self.moment.timestamp() + 86_400) * 1e6:
            time = clock.instant((self.year - 1, month, day, hour, minute, second), None)
        return time


def level_in(text: str) -> str | None:
    """The level word in front of a message, if there is one."""
    match = _LEVEL.search(text, 0, _LEVEL_WITHIN)
    return level(match[1]) if match else None


def _split(text: str) -> tuple[str | None, str]:
    match = _LEVEL.search(text, 0, _LEVEL_WITHIN)
    return (level(match[1]), text[match.end() :].lstrip(_LEADING)) if match else (None, text)


def _iso(line: str, clock: Clock, _: Reference) -> Event | None:
    match = _ISO.match(line) or _CLF.match(line)
    time = clock.read(match[1]) if match else None
    return Event(time, *_split(match[2])) if match and time is not None else None


def _logfmt(line: str, clock: Clock, _: Reference) -> Event | None:
    match = _LOGFMT.match(line)
    time = clock.read(match[1] or match[2]) if match else None
    if time is None:
        return None
    found, message = _LOGFMT_LEVEL.search(line), _LOGFMT_MESSAGE.search(line)
    return Event(time, level(found[1]) if found else None, (message[1] or message[2] or "") if message else "")


def _syslog5424(line: str, clock: Clock, _: Reference) -> Event | None:
    match = _RFC5424.match(line)
    time = clock.iso(match[2]) if match else None
    if match is None or time is None:
        return None
    return Event(time, SYSLOG[int(match[1]) % 8], match[5], _known(match[4]), _known(match[3]))


def _syslog3164(line: str, clock: Clock, reference: Reference) -> Event | None:
    match = _RFC3164.match(line)
    if match is None or match[2] not in _MONTHS:
        return None
    time = reference.instant(clock, _MONTHS[match[2]], int(match[3]), int(match[4]), int(match[5]), int(match[6]))
    if time is None:
        return None
    found, message = (SYSLOG[int(match[1]) % 8], match[10]) if match[1] else _split(match[10])
    return Event(time + fraction(match[7]), found, message, _known(match[9]), _known(match[8]))


def _journal(line: str, clock: Clock, _: Reference) -> Event | None:
    match = _JOURNAL.match(line)
    time = clock.iso(match[1]) if match else None
    return Event(time, *_split(match[4]), _known(match[3]), _known(match[2])) if match and time is not None else None


def _klog(line: str, clock: Clock, reference: Reference) -> Event | None:
    match = _KLOG.match(line)
    time = reference.instant(clock, *(int(match[i]) for i in range(2, 7))) if match else None
    return Event(time + fraction(match[7]), level(match[1]), match[9]) if match and time is not None else None


def _known(text: str) -> str | None:
    return text[:100] if text != "-" else None


#: The most telling first: a line that fits two is taken as the first.
FORMATS: dict[str, Callable[[str, Clock, Reference], Event | None]] = {
    "syslog (RFC 5424)": _syslog5424, "syslog (RFC 3164)": _syslog3164, "journal": _journal, "klog": _klog, "iso": _iso, "logfmt": _logfmt,
}  # fmt: skip
