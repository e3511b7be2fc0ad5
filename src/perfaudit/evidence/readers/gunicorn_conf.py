"""``gunicorn.conf.py``: literal assignments, read as text and never run (Gunicorn, "Settings").

``workers = multiprocessing.cpu_count() * 2 + 1`` has a value that only the machine knows: it is kept as unknown, and named.
"""

from __future__ import annotations

import ast
import re
import warnings
from typing import TYPE_CHECKING

from perfaudit.evidence import settings
from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._settings import Settings, text

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "gunicorn.conf.py"
VERSION = 1
TABLES = ("settings",)
_KNOWN = settings.names("gunicorn")
_ASSIGNED = re.compile(rb"(?m)^(bind|worker_class|workers|threads|timeout|keepalive|graceful_timeout|max_requests|preload_app|accesslog|errorlog|wsgi_app) = ")
_FOREIGN = re.compile(rb"(?m)^[ \t]*+\[[\w.-]++\][ \t]*+\r?$|;[ \t]*+\r?$")


def sniff(sample: Sample) -> Recognised | None:
    """By its name, or by two of Gunicorn's own names, assigned as Python does; no sections, no semicolons."""
    found = set(_ASSIGNED.findall(sample.head))
    if not found or _FOREIGN.search(sample.head):
        return None
    named = "gunicorn" in sample.name.lower()
    return Recognised(0.85) if named or (len(found) > 1 and found & {b"worker_class", b"bind", b"workers", b"preload_app"}) else None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row for each setting with a role that is assigned at the top level."""
    lines = text(source, sink)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse("\n".join(lines)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        sink.reject("this is no Python that can be read", len(lines))
        return
    found = Settings(source, sink, options, "gunicorn")
    for statement in body:
        if not isinstance(statement, ast.Assign):
            continue
        for target in statement.targets:
            if isinstance(target, ast.Name) and target.id in _KNOWN:
                literal = statement.value.value if isinstance(statement.value, ast.Constant) else None
                known = isinstance(literal, (int, float, str)) and not isinstance(literal, bool)
                found.add(target.id, str(literal) if known else "", statement.lineno)
                if not known:
                    sink.note(f"{target.id} is worked out when Gunicorn starts: unknown")
    found.close()
    sink.parsed(len(lines))
