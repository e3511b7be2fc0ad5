"""The partner: it takes payments, a service of its own with a thread a request and a bounded number of lines to the bank.

A charge waits for a line, the line is held for the bank's round trip (``--ms`` in the middle, spread log-normally), the receipt
is signed and entered in a journal that is synced to the disk. Run as a file of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

tracer = trace.get_tracer("partner")


class Bank:
    """Its lines, its journal, and how long a round trip takes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.rng = options, random.Random(options.seed)
        self.lines, self.guard, self.waiting = threading.BoundedSemaphore(options.lines), threading.Lock(), 0
        self.journal = Path(options.journal).open("a")  # noqa: SIM115

    def charge(self, order: dict[str, int]) -> tuple[int, dict[str, str]]:
        """Status and answer of a charge."""
        with self.guard:
            if self.waiting >= self.options.queue:
                return 503, {"error": "busy"}
            self.waiting += 1
        with tracer.start_as_current_span("line.wait"):
            self.lines.acquire()
        with self.guard:
            self.waiting -= 1
            trip, refused = self.options.ms / 1000 * math.exp(self.rng.gauss(0, self.options.spread)), self.rng.random() < self.options.refuses
        try:
            with tracer.start_as_current_span("bank.authorise"):
                time.sleep(trip)
        finally:
            self.lines.release()
        if refused:
            return 502, {"error": "bank refused"}
        reference = hashlib.pbkdf2_hmac("sha256", json.dumps(order).encode(), b"receipt", 1200).hex()[:20]
        with self.guard:
            self.journal.write(json.dumps({**order, "reference": reference}) + "\n")
            self.journal.flush()
            if self.options.sync:
                os.fsync(self.journal.fileno())
        return 200, {"reference": reference}


class Server(ThreadingHTTPServer):
    """As many threads as there are requests."""

    daemon_threads = True
    request_queue_size = 256
    bank: Bank


class Handler(BaseHTTPRequestHandler):
    """One connection of a client, kept open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        """A charge, or a harmless question."""
        order = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        with tracer.start_as_current_span(f"POST {self.path}", context=propagate.extract(self.headers), kind=trace.SpanKind.SERVER) as span:
            status, answer = self.server.bank.charge(order)
            span.set_attributes({"http.request.method": "POST", "http.route": self.path, "http.response.status_code": status})
            if status >= 500:
                span.set_status(trace.StatusCode.ERROR)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The journal is the log."""


def main() -> None:
    """Serves until it is asked to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--service", default="partner")
    parser.add_argument("--otlp", default="")
    parser.add_argument("--journal", default="journal.jsonl")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ms", type=float, default=30, help="milliseconds of the bank's round trip, in the middle")
    parser.add_argument("--spread", type=float, default=0.25, help="standard deviation of its logarithm")
    parser.add_argument("--lines", type=int, default=16, help="round trips at the same time")
    parser.add_argument("--queue", type=int, default=400, help="charges that may wait for a line; more are refused with 503")
    parser.add_argument("--refuses", type=float, default=0.0, help="share of charges that the bank refuses (502)")
    parser.add_argument("--sync", type=int, default=1, help="whether each receipt is synced to the disk")
    options = parser.parse_args()
    if options.otlp:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider = TracerProvider(resource=Resource.create({"service.name": options.service}), sampler=ParentBased(TraceIdRatioBased(0.2)))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{options.otlp}/v1/traces"), schedule_delay_millis=500))
        trace.set_tracer_provider(provider)
    server = Server(("127.0.0.1", options.port), Handler)
    server.bank = Bank(options)
    server.serve_forever()


if __name__ == "__main__":
    main()
