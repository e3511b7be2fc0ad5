"""HAProxy configuration: timeouts, retries, limits and servers by section (HAProxy, Configuration Manual 2.1, 4.2, 5.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._settings import Settings, text

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "HAProxy configuration"
VERSION = 1
TABLES = ("settings",)
_SECTION = re.compile(r"(global|defaults|frontend|backend|listen)\b\s*(\S*)")
_TELLING = re.compile(rb"(?m)^[ \t]++(?:timeout (?:server|client|connect|queue|http-request)|balance|option httplog|mode (?:http|tcp))\b")


def sniff(sample: Sample) -> Recognised | None:
    """By a section and what only HAProxy writes below one."""
    sections = re.search(rb"(?m)^(?:global|defaults|(?:frontend|backend|listen)\s+\S+)\s*$", sample.head)
    return Recognised(0.9) if sections and _TELLING.search(sample.head) else None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row for each directive that a rule has a use for."""
    found, scope = Settings(source, sink, options, "haproxy"), ""
    for number, raw in enumerate(text(source, sink), 1):
        sink.parsed()
        line = re.sub(r"(?<!\\)#.*", "", raw).strip()
        words = line.split()
        if match := _SECTION.match(line):
            scope = " ".join(filter(None, match.groups()))
        elif len(words) > 2 and words[0] == "timeout":
            found.add(f"timeout {words[1]}", words[2], number, scope=scope)
        elif len(words) > 1 and words[0] in ("retries", "maxconn", "nbthread"):
            found.add(words[0], words[1], number, scope=scope)
        elif len(words) > 2 and words[0] == "server" and not {"backup", "disabled"} & set(words[3:]):
            found.add("server", words[2], number, scope=scope)
    found.close()
