"""W3C extended logs: IIS, and Amazon CloudFront, whose ``#Fields:`` header says what follows and may change within a file.

Sources: W3C Working Draft WD-logfile; IIS, "W3C Logging" (date and time are UTC, time-taken is ms); CloudFront standard logs
(tabs, time-taken in seconds). Both write the line when the response has ended.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from perfaudit.evidence.readers import ReadOptions, Recognised, Sample, Sink
from perfaudit.evidence.readers._scan import ScannedRows
from perfaudit.evidence.source import Block
from perfaudit.kernels.program import CLIENT, CLOCK, DATE, METHOD, NUMBER, SKIP, STATUS, SYMBOL, TARGET, TEXT, Field, Program

if TYPE_CHECKING:
    from perfaudit.evidence.source import Source

NAME = "IIS W3C log"
VERSION = 1
TABLES = ("requests",)

_FIELDS = {
    "date": Field(DATE),
    "time": Field(CLOCK),
    "cs-method": Field(METHOD, "method"),
    "cs-uri-stem": Field(TARGET, "route"),
    "sc-status": Field(STATUS, "status"),
    "sc-bytes": Field(NUMBER, "response_bytes", 1),
    "cs-bytes": Field(NUMBER, "request_bytes", 1),
    "time-taken": Field(NUMBER, "duration_us", 1_000),
    "c-ip": Field(CLIENT, "client_key", 1),
    "x-forwarded-for": Field(CLIENT, "client_key"),
    "s-computername": Field(SYMBOL, "instance"),
    "x-edge-location": Field(SYMBOL, "instance"),
    "x-edge-result-type": Field(SYMBOL, "cache_status"),
    "x-edge-request-id": Field(TEXT, "request_id"),
}
_HEADER = re.compile(rb"(?:^|(?<=\n))#[^\n]*(?:\n|$)")


def sniff(sample: Sample) -> Recognised | None:
    """A ``#Fields:`` header that has what a request needs."""
    header = next((line for line in sample.lines if line.startswith(b"#Fields:")), None)
    program = _program(header) if header else None
    if program is None:
        return None
    lines = [line for line in sample.lines if not line.startswith(b"#")]
    return Recognised(0.95 if not lines or program.fit(lines) > 0 else 0.5, program, f"{program.product} log")


def _program(header: bytes) -> Program | None:
    """The program of a ``#Fields:`` line; None where instant, status or target lack."""
    names = header[8:].decode("latin-1").split()
    if not {"date", "time", "sc-status", "cs-uri-stem"} <= set(names) or names.index("time") < names.index("date"):
        return None
    cloudfront = "x-edge-location" in names
    separator = b"\t" if cloudfront else b" "
    fields = [_FIELDS.get(re.sub(r"^(?:cs|c|s)\((.*)\)$", r"\1", name.lower()), Field(SKIP)) for name in names]
    if cloudfront:
        fields = [Field(NUMBER, "duration_us", 1_000_000) if f.column == "duration_us" else f for f in fields]
    return Program(tuple(_with_literals(fields, separator)), text=header.decode("latin-1").strip(), product="CloudFront" if cloudfront else "IIS", ends=True)


def _with_literals(fields: Sequence[Field], separator: bytes) -> list[Field]:
    last = len(fields) - 1
    return [Field(f.kind, f.column, f.argument, b"" if i == last else separator) for i, f in enumerate(fields)]


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row for each entry; header lines count as parsed, and a new ``#Fields:`` changes what follows."""
    rows = ScannedRows(recognised.detail, sink, options)
    for block in source.blocks(sink.too_long):
        position = 0
        for match in _HEADER.finditer(block.data):
            _part(rows, block, position, match.start())
            position = match.end()
            sink.lines()
            sink.parsed()
            line = match[0].rstrip(b"\r\n")
            if line.startswith(b"#Fields:"):
                program = _program(line)
                if program is None:
                    sink.note(f"fields that lack date, time, status or path: what follows is rejected ({line[:100].decode('latin-1')})")
                rows.use(program or Program((Field(DATE, literal=b"\0"),)))
        _part(rows, block, position, len(block.data))
    rows.end()


def _part(rows: ScannedRows, block: Block, start: int, end: int) -> None:
    if end > start:
        rows.read(Block(block.data[start:end], block.offset + start))
