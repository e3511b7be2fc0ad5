"""Settings of applications as ``key=value``: environment files and Java properties (Spring Boot, "Externalized Configuration"; docker, "env-file").

Claimed only where a key is known (a pool, workers, a timeout): any program may write ``KEY=value``. Values of unknown keys are kept
where they are numbers or switches, for a secret may be called anything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfaudit.evidence import settings
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._settings import Settings, spring, text

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "application settings"
VERSION = 1
TABLES = ("settings",)
_VARIABLE = re.compile(r"\s*(?:export\s+)?([A-Z][A-Z0-9_]*)=(.*)")
_PROPERTY = re.compile(r"\s*([A-Za-z][\w.\[\]-]*)\s*[=:]\s*(.*)")
_KNOWN = settings.names("environment") | {"GUNICORN_CMD_ARGS"}


def sniff(sample: Sample) -> Recognised | None:
    """When nearly all lines are of the form and a key is known."""
    lines = [line.decode("utf-8", "replace").strip() for line in sample.lines if line.lstrip()[:1] not in (b"#", b"!")]
    for pattern in (_VARIABLE, _PROPERTY):
        keys = [m[1] for line in lines if (m := pattern.fullmatch(line))]
        known = any(key in _KNOWN or spring(key)[0] for key in keys)
        if known and len(keys) >= 0.9 * len(lines):
            return Recognised(0.75, pattern is _VARIABLE)
    return None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row for each key."""
    found = Settings(source, sink, options, "environment" if recognised.detail else "spring")
    pattern = _VARIABLE if recognised.detail else _PROPERTY
    for number, line in enumerate(text(source, sink), 1):
        match = pattern.fullmatch(line.strip())
        if line.strip()[:1] in ("", "#", "!"):
            sink.parsed()
        elif match is None:
            sink.reject("no key=value", example=line.encode())
        else:
            sink.parsed()
            value = match[2].strip().strip("'\"")
            if recognised.detail:
                found.environment(match[1], value, number)
            else:
                component, name = spring(match[1])
                found.add(name or match[1], value, number, component=component, scope=match[1] if component else "")
    found.close()
