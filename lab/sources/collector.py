"""Traces and metrics that applications push: a receiver process, and its files as sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab.sources import FileSource, Place, Source, script

if TYPE_CHECKING:
    from lab.processes import Component, Run


class Array(FileSource):
    """JSON values one a line; a cut is one array."""

    def cut(self, a: Place, b: Place, folder: Path) -> None:
        """Writes what came between two marks."""
        lines = self.read(a, b).decode().splitlines()
        (folder / self.name).write_text("[" + ",\n".join(lines) + "]\n")


class Collector:
    """The receiver and its files.

    ``collector = Collector(run); collector.start()``; `url` is what applications are told (OTEL_EXPORTER_OTLP_ENDPOINT; Zipkin: `zipkin_url`);
    :meth:`sources` gives what it recorded of the kinds that were asked for.
    """

    def __init__(self, run: Run, *, otlp: bool = True, zipkin: bool = False, name: str = "observer-collector") -> None:
        self.run, self.name, self.port = run, name, run.port()
        home = run.home(name)
        self.traces, self.metrics, self.spans = home / "traces.jsonl", home / "metrics.jsonl", home / "spans.jsonl"
        self.otlp, self.zipkin = otlp, zipkin

    @property
    def url(self) -> str:
        """The OTLP/HTTP endpoint (without ``/v1/traces``)."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def zipkin_url(self) -> str:
        """The Zipkin v2 endpoint."""
        return f"{self.url}/api/v2/spans"

    def start(self) -> Component:
        """Starts the process; it is ready when its port accepts."""
        files = ["--traces", self.traces, "--metrics", self.metrics] if self.otlp else []
        files += ["--zipkin", self.spans] if self.zipkin else []
        return self.run.start(self.name, [*script(self.run, self.name, Path(__file__).with_name("receiver.py")), "--port", self.port, *files], ready=self.port)

    def sources(self) -> list[Source]:
        """What it records."""
        found: list[Source] = []
        if self.otlp:
            found += [FileSource("otlp-traces.jsonl", "traces", self.traces), FileSource("otlp-metrics.jsonl", "metrics", self.metrics)]
        if self.zipkin:
            found.append(Array("zipkin-spans.json", "traces", self.spans))
        return found
