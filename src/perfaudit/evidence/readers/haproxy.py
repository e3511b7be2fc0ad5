"""HAProxy HTTP logs (``option httplog`` and ``httpslog``), with or without a syslog prefix.

Source: HAProxy Configuration Manual, 8.2.3 HTTP log format, 8.4 Timing events. The stamp is when the request began; timers are ms,
-1 where an event did not happen. The request is the last field and loses its closing quote where syslog cut the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perfaudit.evidence.readers import ReadOptions, Recognised, Sample, Sink
from perfaudit.evidence.readers._access_columns import filled, nullable
from perfaudit.evidence.readers._scan import best_program, scan_source
from perfaudit.kernels.program import ADD, CLF, CLIENT, NUMBER, REQUEST, SKIP, STATUS, SYMBOL, Field, Program

if TYPE_CHECKING:
    from perfaudit.evidence.source import Source

NAME = "HAProxy HTTP log"
VERSION = 1
TABLES = ("requests",)

_MS = 1_000
_FIELDS = (
    Field(CLIENT, "client_key", literal=b":"),
    Field(NUMBER, "end_time", 1, b" ["),  # the client's port; nothing keeps it
    Field(CLF, "time", literal=b"] "),
    Field(SYMBOL, "service", literal=b" "),
    Field(SKIP, literal=b" "),  # backend/server
    Field(NUMBER, "upstream_us", _MS, b"/"),  # TR and Tw: what was spent before a server was asked
    Field(ADD, "upstream_us", _MS, b"/"),
    Field(NUMBER, "upstream_connect_us", _MS, b"/"),
    Field(NUMBER, "upstream_header_us", _MS, b"/"),
    Field(NUMBER, "duration_us", _MS, b" "),
    Field(STATUS, "status", literal=b" "),
    Field(NUMBER, "response_bytes", 1, b" "),
    Field(SKIP, literal=b" "),
    Field(SKIP, literal=b" "),
    Field(SKIP, literal=b" "),
    Field(SKIP, literal=b"/"),
    Field(SKIP, literal=b"/"),
    Field(SKIP, literal=b"/"),
    Field(SKIP, literal=b"/"),
    Field(NUMBER, "tries", 1, b" "),  # retries
    Field(SKIP, literal=b' "'),  # queues, captures
    Field(REQUEST, "route"),
)
_TEXT = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
#: A syslog prefix is tried first: without one, its colons would pass for an address.
_PROGRAMS = tuple(Program(prefix + _FIELDS, text=_TEXT, product="HAProxy", zoneless=True) for prefix in ((Field(SKIP, literal=b"]: "),), (Field(SKIP, literal=b": "),), ()))


def sniff(sample: Sample) -> Recognised | None:
    """A log whose lines have HAProxy's five timers; other messages of the proxy may stand between them."""
    best = best_program(_PROGRAMS, sample.lines)
    if best is None:
        return None
    return Recognised(0.95 if best[1] >= 0.5 else 0.6, best[0], "HAProxy HTTP log", f"log-format {_TEXT!r}")


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row for each request; the frontend is the service unless a label says otherwise."""
    scan_source(source, sink, recognised.detail, options, _finish, lambda service: service.rstrip("~"))


def _finish(columns: dict[str, Any]) -> None:
    """Timers to columns: header from the beginning of the connection, the whole upstream, tries; nothing where no server was asked."""
    import numpy as np

    connect, connected = filled(columns["upstream_connect_us"])
    header, answered = filled(columns["upstream_header_us"])
    before, _ = filled(columns["upstream_us"])
    total, ended = filled(columns["duration_us"])
    retries, _ = filled(columns["tries"])
    columns["upstream_header_us"] = nullable(connect + header, ~(connected & answered))
    columns["upstream_us"] = nullable(np.maximum(total - before, 0), ~(connected & ended))
    columns["tries"] = np.where(connected | (retries > 0), retries + 1, 0)
