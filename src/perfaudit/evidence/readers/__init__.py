"""Readers: one format per module, discovered by folder, recognised by content.

A reader is a module in this package (not starting with ``_``) with:

``NAME``     the format's name as people know it, e.g. ``"nginx access log"``
``VERSION``  an integer, raised when the same bytes would give other rows
``TABLES``   the tables that it feeds
``sniff(sample: Sample) -> Recognised | None``  how sure it is that these bytes are its format; cheap, no side effects
``read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None``  one pass, bounded memory

A reader never raises for what a file contains. It counts every physical line (``sink.lines``), every line that became or
belongs to a row (``sink.parsed``) and rejects the rest with a reason (``sink.reject``): ``parsed + rejected = lines``.
It redacts: no literal of a statement, query string, cookie, credential or client address reaches the sink.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from perfaudit.evidence.source import Source


@dataclass(frozen=True, slots=True)
class NamedFormat:
    """A log format that somebody declared: ``kind`` is ``nginx``, ``apache`` or ``postgresql`` (log_line_prefix)."""

    kind: str
    name: str
    text: str
    origin: str


@dataclass(frozen=True)
class ReadOptions:
    """What the person, ``audit.toml`` and the files beside a source say about reading it.

    ``log_format`` is the person's own word (``--log-format``) and wins over ``formats`` (directives found in text files
    beside the source or in ``audit.toml``). ``service`` and ``instance`` come from labels or the file's name, and yield to
    a field of the log only where they were *not* given by a label. ``zone`` is an IANA name for logs without a zone.
    ``columns`` names the columns that are wanted of a table (absent: all). ``client_key`` is the 16-byte key of the
    bundle for hashing client addresses; ``keep_addresses`` is carried for the manifest.
    """

    log_format: str | None = None
    formats: tuple[NamedFormat, ...] = ()
    service: str = ""
    instance: str = ""
    labelled: frozenset[str] = frozenset()
    zone: str | None = None
    route_patterns: tuple[str, ...] = ()
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    client_key: bytes = b"\0" * 16
    keep_addresses: bool = False

    def wants(self, table: str, column: str) -> bool:
        """Whether ``column`` of ``table`` will be stored; a reader may skip the work for one that will not."""
        return table not in self.columns or column in self.columns[table]


@dataclass(frozen=True)
class Sample:
    """What a reader sees to recognise a format: the name, the first bytes, and the options that apply."""

    name: str
    head: bytes
    options: ReadOptions = field(default_factory=ReadOptions)

    @cached_property
    def lines(self) -> list[bytes]:
        """Up to 200 non-blank whole lines of the head (the last one only if the head ends with it), without line endings."""
        head = self.head
        whole = head if len(head) < 256 << 10 or head.endswith(b"\n") else head[: head.rfind(b"\n") + 1]
        return [line.rstrip(b"\r") for line in whole.split(b"\n") if line.strip()][:200]


@dataclass(frozen=True)
class Recognised:
    """A reader's claim: ``confidence`` 0–1, what ``detail`` it found (a compiled format), a ``note`` for people.

    Guide: 1.0 a declared format that fits; 0.9 unmistakable; 0.7 fits every line but others might; 0.5 plausible; 0.3 a guess.
    ``hint`` is used when nothing could be parsed: the exact ``log_format``, ``log_line_prefix`` or setting that would help.
    """

    confidence: float
    detail: Any = None
    note: str = ""
    hint: str = ""


class Sink(Protocol):
    """Where a reader puts rows and counts. The bundle implements it."""

    def write(self, table: str, columns: Mapping[str, Any], rows: int) -> None:
        """Append ``rows`` rows. A column is a NumPy array (instants as int64 µs), a list (None for null), a pyarrow array, a
        pyarrow ``DictionaryArray``, or one scalar for all rows. Missing columns are null. Unwanted columns are dropped."""

    def lines(self, n: int = 1) -> None:
        """Count physical lines."""

    def parsed(self, n: int = 1) -> None:
        """Count lines that became, or belong to, a row."""

    def reject(self, reason: str, n: int = 1, *, example: bytes = b"", offset: int = 0) -> None:
        """Count lines that did not; the first ``example`` of a reason is kept, redacted, with its byte ``offset``."""

    def too_long(self, offset: int, first: bytes) -> None:
        """Counts one line and rejects it as over-long: the callback for :meth:`Source.blocks`."""

    def note(self, text: str) -> None:
        """Something a person should know about this source (an assumption taken, how to say otherwise)."""


class Reader(Protocol):
    """The contract of a reader module; see the package docstring."""

    NAME: str
    VERSION: int
    TABLES: Sequence[str]

    def sniff(self, sample: Sample) -> Recognised | None:
        """How sure the reader is that these bytes are its format."""

    def read(self, source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
        """Read the whole source into the sink."""


@cache
def discover() -> dict[str, ModuleType]:
    """Every reader module by its module name, in alphabetical order."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}


def recognise(sample: Sample) -> tuple[str, Recognised] | None:
    """The most confident reader for ``sample`` as ``(module name, claim)``; ties go to the first name; None: nobody's."""
    best: tuple[str, Recognised] | None = None
    for name, reader in discover().items():
        claim = reader.sniff(sample)
        if claim is not None and claim.confidence > 0 and (best is None or claim.confidence > best[1].confidence):
            best = (name, claim)
    return best
