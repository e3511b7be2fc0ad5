"""Rows on their way to a sink: gathered as tuples, handed over as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perfaudit.redact import template

if TYPE_CHECKING:
    from perfaudit.evidence.readers import Sink

#: Rows of a batch; some megabytes at most.
BATCH = 20_000
_SECOND = 1_000_000


class Rows:
    """Rows of one table. ``constant`` holds columns that are the same in all of them."""

    def __init__(self, sink: Sink, table: str, columns: tuple[str, ...], **constant: Any) -> None:
        self.sink, self.table, self.columns, self.constant = sink, table, columns, constant
        self.rows: list[tuple[Any, ...]] = []

    def add(self, *row: Any) -> None:
        """One row, its values in the order of ``columns``."""
        self.rows.append(row)
        if len(self.rows) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Hand over what is gathered."""
        if self.rows:
            values = dict(zip(self.columns, map(list, zip(*self.rows, strict=True)), strict=True))
            self.sink.write(self.table, values | self.constant, len(self.rows))
            self.rows = []


class LogCounts:
    """The ``logs`` table: how often each template occurred in each second. Empty ``service`` or ``instance`` are null.

    What ``labelled`` names was given by a label, and an event's own word does not override it.
    """

    def __init__(self, sink: Sink, service: str | None, instance: str | None = None, labelled: frozenset[str] = frozenset()) -> None:
        self.rows = Rows(sink, "logs", ("time", "service", "instance", "level", "template", "trace_id", "count"))
        self.service, self.instance = service or None, instance or None
        self.fixed_service, self.fixed_instance = "service" in labelled, "instance" in labelled
        self.counts: dict[tuple[int, str | None, str | None, str | None, str, None], int] = {}

    def add(
        self, time: int, level: str | None, message: str, *, service: str | None = None, instance: str | None = None, code: str = ""
    ) -> None:
        """One event: ``message`` is raw and becomes a template here; ``code`` (a message number) stays as it is."""
        text = f"{code} {template(message.replace(code, ''))}" if code else template(message)
        service = self.service if self.fixed_service or not service else service
        instance = self.instance if self.fixed_instance or not instance else instance
        key = (time // _SECOND * _SECOND, service, instance, level, text, None)
        self.counts[key] = self.counts.get(key, 0) + 1
        if len(self.counts) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Hand over what is counted."""
        for key, n in self.counts.items():
            self.rows.add(*key, n)
        self.counts = {}
        self.rows.flush()
