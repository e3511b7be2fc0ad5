"""``git log`` as events of kind ``commit``: default, medium, full and fuller form, with ``--name-only``, ``--stat`` or ``--numstat``.

Authors, committers and the body of messages are not kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from perfaudit import redact
from perfaudit.evidence.clock import Clock, epoch
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._rows import Rows

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "git log"
VERSION = 1
TABLES = ("events",)

#: Files of a commit that are kept by name.
FILES = 50
#: What is looked at of a line.
_LOOK = 2_000
_COMMIT = re.compile(r"commit ([0-9a-f]{7,64})(?: .*)?$")
_HEADER = re.compile(r"(Author|AuthorDate|Commit|CommitDate|Date|Merge):\s+(.*)")
_RAW = re.compile(r"(\d{9,11}) [+-]\d{4}$")
_STAT = re.compile(r" (\S.*?)\s+\|\s+(?:\d+|Bin)\b")
_SUMMARY = re.compile(r" \d+ files? changed")
_NUMSTAT = re.compile(r"(?:\d+|-)\t(?:\d+|-)\t(.+)")
_STATUS = re.compile(r"[ACDMRTUXB]\d{0,3}\t(.+)")


@dataclass(slots=True)
class _Commit:
    sha: str
    offset: int
    first: bytes
    lines: int = 0
    time: int | None = None
    subject: str = ""
    files: list[str] = field(default_factory=list)
    changed: int = 0


def sniff(sample: Sample) -> Recognised | None:
    """Sure when it begins with a commit line and its headers."""
    lines = [line.decode("utf-8", "replace") for line in sample.lines[:8]]
    if not lines or not _COMMIT.match(lines[0]):
        return None
    dated = any((match := _HEADER.match(line)) and "Date" in match[1] for line in lines[1:])
    return Recognised(0.95, hint="git log --name-only --date=iso-strict") if dated else None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row per commit, dated by its committer where both dates are there."""
    clock = Clock(options.zone)
    rows = Rows(sink, "events", ("time", "commit", "detail"), kind="commit", service=options.service if "service" in options.labelled else None)
    commit: _Commit | None = None
    for offset, raw in source.lines(sink.too_long):
        sink.lines()
        line = raw[:_LOOK].decode("utf-8", "replace")
        if match := _COMMIT.match(line):
            _finish(commit, rows, sink)
            commit = _Commit(match[1], offset, raw)
        if commit is None:
            if line.strip():
                sink.reject("before the first commit", example=raw, offset=offset)
            else:
                sink.parsed()
            continue
        commit.lines += 1
        _take(commit, line, clock)
    _finish(commit, rows, sink)
    rows.flush()
    if clock.note():
        sink.note(clock.note())


def _take(commit: _Commit, line: str, clock: Clock) -> None:
    if line.startswith("    "):
        commit.subject = commit.subject or line.strip()
    elif match := _HEADER.match(line):
        if "Date" in match[1] and (commit.time is None or match[1] == "CommitDate"):
            raw = _RAW.match(match[2])
            commit.time = epoch(raw[1]) if raw else clock.read(match[2])
    elif line.strip() and not line.startswith("commit ") and not _SUMMARY.match(line):
        found = _STAT.match(line) or _NUMSTAT.match(line) or _STATUS.match(line)
        commit.changed += 1
        if len(commit.files) < FILES:
            commit.files.append(redact.note(found[1] if found else line.strip())[:300])


def _finish(commit: _Commit | None, rows: Rows, sink: Sink) -> None:
    if commit is None:
        return
    if commit.time is None:
        sink.reject("commit without a date that can be read (use --date=iso-strict)", commit.lines, example=commit.first, offset=commit.offset)
        return
    sink.parsed(commit.lines)
    detail: dict[str, str | int | list[str]] = {"subject": redact.note(commit.subject)}
    if commit.files:
        detail["files"] = commit.files
    if commit.changed > len(commit.files):
        detail["files_changed"] = commit.changed
    rows.add(commit.time, commit.sha, msgspec.json.encode(detail).decode())
