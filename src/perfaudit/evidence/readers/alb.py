"""AWS Application Load Balancer access logs.

Source: Elastic Load Balancing, Application Load Balancers user guide, "Access log entries". Processing times are seconds, -1
where no target answered; ``request_creation_time`` is the arrival and ``time`` the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perfaudit.evidence.readers import ReadOptions, Recognised, Sample, Sink
from perfaudit.evidence.readers._access_columns import filled, nullable
from perfaudit.evidence.readers._scan import scan_source
from perfaudit.kernels.program import CLIENT, ISO, NUMBER, REQUEST, REST, SKIP, STATUS, SYMBOL, TEXT, Field, Program

if TYPE_CHECKING:
    from perfaudit.evidence.source import Source

NAME = "AWS ALB access log"
VERSION = 1
TABLES = ("requests",)

_S = 1_000_000
_PROGRAM = Program(
    (
        Field(SKIP, literal=b" "),  # type
        Field(ISO, "end_time", literal=b" "),
        Field(SYMBOL, "service", literal=b" "),
        Field(CLIENT, "client_key", literal=b" "),
        Field(SKIP, literal=b" "),  # target
        Field(NUMBER, "duration_us", _S, b" "),  # request_processing_time
        Field(NUMBER, "upstream_header_us", _S, b" "),  # target_processing_time
        Field(NUMBER, "upstream_us", _S, b" "),  # response_processing_time
        Field(STATUS, "status", literal=b" "),
        Field(SKIP, literal=b" "),  # the target's status
        Field(NUMBER, "request_bytes", 1, b" "),
        Field(NUMBER, "response_bytes", 1, b' "'),
        Field(REQUEST, "route", literal=b'" "'),
        Field(SKIP, literal=b'" '),  # user agent
        Field(SKIP, literal=b" "),  # cipher
        Field(SKIP, literal=b" "),  # protocol
        Field(SKIP, literal=b' "'),  # target group
        Field(TEXT, "trace_id", literal=b'" "'),
        Field(SKIP, literal=b'" "'),  # domain
        Field(SKIP, literal=b'" '),  # certificate
        Field(SKIP, literal=b" "),  # rule
        Field(ISO, "time"),
        Field(REST),
    ),
    text="Application Load Balancer access log entry",
    product="AWS ALB",
)


def sniff(sample: Sample) -> Recognised | None:
    """Lines that begin with ``http``, ``https``, ``h2``, ``grpcs``, ``ws`` or ``wss`` and have all fields."""
    lines = sample.lines
    if not any(line.startswith((b"http", b"h2 ", b"grpcs ", b"ws")) for line in lines[:20]):
        return None
    share = _PROGRAM.fit(lines)
    return Recognised(0.95 if share >= 0.5 else 0.6, _PROGRAM, "AWS ALB access log") if share else None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row for each entry; the balancer's name is the service unless a label says otherwise."""
    scan_source(source, sink, recognised.detail, options, _finish, _name)


def _name(balancer: str) -> str:
    """``app/my-balancer/50dc6c495c0c9188`` → ``my-balancer``."""
    parts = balancer.split("/")
    return parts[1] if len(parts) == 3 else balancer


def _finish(columns: dict[str, Any]) -> None:
    """The three processing times to duration and upstream; where a target was not reached the two instants give the duration."""
    import numpy as np

    request, sent = filled(columns["duration_us"])
    target, answered = filled(columns["upstream_header_us"])
    response, finished = filled(columns["upstream_us"])
    whole = sent & answered & finished
    elapsed = np.maximum(columns["end_time"] - columns["time"], 0)
    columns["duration_us"] = np.where(whole, request + target + response, elapsed)
    columns["upstream_us"] = nullable(target + response, ~(answered & finished))
    columns["tries"] = answered.astype(np.int64)
