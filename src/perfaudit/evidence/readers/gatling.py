"""Gatling's text ``simulation.log`` (versions 2 to 3.10). Since 3.11 it is binary, which is told by name and refused.

Source: the log writers of Gatling 2.3, 3.0 and 3.4 as their logs show. Tab-separated records begin with their kind; before the outcome (``OK``,
``KO``) stand start and end in ms, before them the name, whatever else a version writes in front.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfaudit.evidence.clock import epoch
from perfaudit.evidence.naming import LOAD_GENERATOR, shown
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._load import Load

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "Gatling simulation.log"
VERSION = 1
TABLES = ("requests", "load_stages", "load_points")
TOOL = "Gatling"
TIER = LOAD_GENERATOR

_RUN = re.compile(rb"RUN\t[^\n]*\t(?:\d{13})\t[^\n]*")
_RECORD = re.compile(rb"(?:RUN|USER|REQUEST|GROUP|ASSERTION|ERROR)\t")
#: The binary log begins with a zero (the kind of its first record), then the version as a text with its length in four bytes.
_BINARY = re.compile(rb"\0\0\0\0[\x03-\x20](\d+\.\d+[\w.+-]*)")
_CODE = re.compile(r"found (\d{3})\b")
_KINDS = frozenset({"RUN", "ASSERTION", "GROUP", "ERROR"})
_TODO = "give the servers' access log of the same time, or record again with a Gatling whose simulation.log is text (3.10 and older)"


def sniff(sample: Sample) -> Recognised | None:
    """By its first record: text, or the binary form of newer versions."""
    if binary := _BINARY.match(sample.head):
        return Recognised(0.97, f"binary {binary[1].decode('ascii', 'replace')}", hint=_TODO)
    lines = sample.lines[:20]
    fitting = sum(_RECORD.match(line) is not None or line.split(b"\t")[2:3] in ([b"REQUEST"], [b"RUN"], [b"USER"]) for line in lines)
    if lines and fitting > 0.7 * len(lines) and any(_RUN.match(line) or b"\tOK" in line or b"\tKO" in line for line in lines):
        return Recognised(0.95, "text", hint=_TODO)
    return None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One request per ``REQUEST``; users running at once, by the second. A binary log is refused with what to do instead."""
    if recognised.detail != "text":
        return _refuse(source, sink, recognised.detail.removeprefix("binary "))
    load = Load(sink, options, source.name)
    users = _Users(load)
    for offset, raw in source.lines(sink.too_long):
        sink.lines()
        fields = raw.decode("utf-8", "replace").split("\t")
        if "REQUEST" in fields[:3:2]:
            reason = _request(load, fields)
        elif "USER" in fields[:3:2]:
            reason = users.take(fields)
        else:
            reason = "" if not raw.strip() or fields[0] in _KINDS or "RUN" in fields[2:3] else "not a record of Gatling"
        if reason:
            sink.reject(reason, example=raw, offset=offset)
        else:
            sink.parsed()
    load.finish()
    return None


def _refuse(source: Source, sink: Sink, version: str) -> None:
    n = sum(1 for _ in source.lines(sink.too_long))
    sink.lines(n)
    sink.reject("binary", n)
    source.damage.append(f"this is the binary simulation.log of Gatling {shown(version)}, which only that version's own report generator reads: {_TODO}")


def _request(load: Load, fields: list[str]) -> str:
    """``… name start end OK|KO [message]``; Gatling 2.0 and 2.1 write four times instead of two."""
    place = next((i for i, field in enumerate(fields) if i > 3 and field in ("OK", "KO") and fields[i - 1].isdigit()), None)
    if place is None:
        return "no outcome behind two times"
    first = place
    while first > 2 and fields[first - 1].isascii() and fields[first - 1].isdigit() and len(fields[first - 1]) >= 12:
        first -= 1
    start, end = epoch(fields[first]) if first < place else None, epoch(fields[place - 1])
    if start is None or end is None or place - first < 2:
        return "times cannot be read"
    code = _CODE.search("\t".join(fields[place + 1 :])[:2000])
    status = (int(code[1]) if code else 0) if fields[place] == "KO" else None
    return load.request(start, end - start, status, fields[first - 1])


class _Users:
    """Users that run at once, from their starts and ends."""

    def __init__(self, load: Load) -> None:
        self.load, self.running = load, 0

    def take(self, fields: list[str]) -> str:
        """``USER scenario [id] START|END time…``: a start has its time first, an end last."""
        place = next((i for i, field in enumerate(fields) if field in ("START", "END")), None)
        times = [t for field in fields[(place or 0) + 1 :] if len(field) <= 20 and (t := epoch(field)) is not None]
        if place is None or not times:
            return "neither a start nor an end with a time"
        starts = fields[place] == "START"
        self.running = max(0, self.running + (1 if starts else -1))
        time = times[0] if starts else times[-1]
        self.load.users(time, self.running)
        if starts:
            self.load.iteration(time)
        return ""
