"""Access logs of nginx and Apache in any text format: declared by a person, found beside the log, or inferred from its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfaudit.evidence.readers import ReadOptions, Recognised, Sample, Sink
from perfaudit.evidence.readers._formats import from_options, from_text
from perfaudit.evidence.readers._infer import infer
from perfaudit.evidence.readers._scan import best_program, scan_source
from perfaudit.kernels.program import Program

if TYPE_CHECKING:
    from perfaudit.evidence.source import Source

NAME = "nginx or Apache access log"
VERSION = 1
TABLES = ("requests",)


def sniff(sample: Sample) -> Recognised | None:
    """The person's format first, then declared ones that fit best, then what the lines themselves tell."""
    lines = sample.lines
    if not lines:
        return None
    options = sample.options
    own = from_options(options.log_format) if options.log_format else None
    if own and own.readable and (share := own.fit(lines)) > 0:
        return Recognised(1.0 if share >= 0.05 else 0.6, (own, ""), f"{own.product} access log, --log-format")
    declared = [program for text in options.formats if (program := from_text(text)) is not None]
    best = best_program(declared, lines)
    found = infer(lines)
    if best and best[1] >= 0.5 and not (found and found.program.fit(lines) > best[1] + 0.2):
        return Recognised(1.0 if best[1] >= 0.9 else 0.9, (best[0], ""), f"{best[0].product} access log, declared format")
    if found:
        share = found.program.fit(lines)
        return Recognised(0.9 if share >= 0.5 else 0.5, (found.program, found.note), f"{found.program.product} access log", found.program.text)
    return None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row for each line that matches the format."""
    program, note = recognised.detail
    assert isinstance(program, Program)
    if note:
        sink.note(note)
    scan_source(source, sink, program, options)
