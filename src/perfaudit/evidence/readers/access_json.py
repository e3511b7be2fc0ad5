"""JSON access logs, one object a line: nginx ``escape=json``, Caddy, Traefik, Envoy, ECS and common application loggers.

The mapping from keys to columns comes from a sample (:mod:`._json_fields`) or from an nginx directive. Instants called start…
are arrivals; all others (nginx ``$msec``, loggers that write after the response) are ends, and the duration is taken off.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfaudit.evidence.readers import ReadOptions, Recognised, Sample, Sink
from perfaudit.evidence.readers._json_fields import map_fields
from perfaudit.evidence.readers._json_rows import JsonRows, decode_object

if TYPE_CHECKING:
    from perfaudit.evidence.source import Source

NAME = "JSON access log"
VERSION = 1
TABLES = ("requests",)

#: A key of a JSON log_format and the nginx variable that fills it.
_PAIR = re.compile(r'"([^"]+)"\s*:\s*"?\$\{?(\w+)')


def sniff(sample: Sample) -> Recognised | None:
    """A log of JSON objects with a status, a target and an instant; 0.9 when most lines are requests."""
    lines = sample.lines
    if not lines or sum(line.lstrip()[:1] == b"{" for line in lines) * 2 < len(lines):
        return None
    records = [record for line in lines if (record := decode_object(line)) is not None]
    mapping = map_fields(records, _declared(sample.options))
    if mapping is None:
        return None
    rows = JsonRows(mapping, sample.options)
    share = sum(rows.is_request(line) for line in lines) / len(lines)
    if not share:
        return None
    return Recognised(0.9 if share >= 0.5 else 0.6 if share >= 0.2 else 0.3, mapping, mapping.product)


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row for each line that is a request; the others are rejected (``not a request``, ``not JSON``, ``bad time``)."""
    rows = JsonRows(recognised.detail, options)
    for block in source.blocks(sink.too_long):
        rows.read(block, sink)
    for note in rows.notes():
        sink.note(note)


def _declared(options: ReadOptions) -> dict[str, str]:
    """Keys of the ``escape=json`` directives → nginx variables."""
    texts = [f.text for f in options.formats if f.kind == "nginx"] + ([options.log_format] if options.log_format else [])
    joined = (re.sub(r"'\s*'", "", text) for text in texts)
    return {key: name for text in joined for key, name in _PAIR.findall(text)}
