"""The partner: prices of things and confirmations of orders, a service of its own with a bounded number of desks.

A request waits for a desk, and the desk takes the time that such a service takes: each answer is asked for at an exchange
(``--ms`` in the middle, spread log-normally) and signed; confirmations are entered in a journal too. Run as a file of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import random
import time
from pathlib import Path

from aiohttp import web
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

tracer = trace.get_tracer("partner")


class Partner:
    """Its desks, its journal, and how long an exchange takes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.rng = random.Random(options.seed)
        self.desks = asyncio.Semaphore(options.desks)
        self.waiting = 0
        self.journal = Path(options.journal).open("a")  # noqa: SIM115

    async def serve(self, name: str, factor: float) -> str:
        """Waits for a desk and for the exchange; a signature. Refuses where too many wait already, or where the exchange refuses."""
        if self.waiting >= self.options.queue:
            raise web.HTTPServiceUnavailable
        self.waiting += 1
        try:
            with tracer.start_as_current_span("desk.wait"):
                await self.desks.acquire()
        finally:
            self.waiting -= 1
        try:
            with tracer.start_as_current_span("exchange"):
                await asyncio.sleep(self.options.ms / 1000 * factor * math.exp(self.rng.gauss(0, self.options.spread)))
            if self.rng.random() < self.options.refuses:
                raise web.HTTPBadGateway
            return hashlib.pbkdf2_hmac("sha256", name.encode(), b"partner", 1500).hex()[:24]
        finally:
            self.desks.release()

    async def quotes(self, request: web.Request) -> web.Response:
        """Prices of the things asked for."""
        items = (await request.json())["items"]
        signature = await self.serve(json.dumps(items), 1.0)
        prices = {str(item): round(5 + int(hashlib.md5(f"{item}:{int(time.time()) // 5}".encode()).hexdigest()[:6], 16) / 40_000, 2) for item in items}
        return web.json_response({"prices": prices, "signature": signature})

    async def confirm(self, request: web.Request) -> web.Response:
        """Enters an order in the journal; its reference. It takes longer than a price."""
        order = await request.json()
        reference = await self.serve(json.dumps(order), 1.6)
        self.journal.write(json.dumps({**order, "reference": reference}) + "\n")
        self.journal.flush()
        return web.json_response({"reference": reference})


def main() -> None:
    """Serves until it is asked to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--service", default="partner")
    parser.add_argument("--zipkin", default="")
    parser.add_argument("--sampling", type=float, default=0.2, help="share of traces that begin here")
    parser.add_argument("--journal", default="journal.jsonl")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ms", type=float, default=20, help="milliseconds of an exchange, in the middle")
    parser.add_argument("--spread", type=float, default=0.25, help="standard deviation of its logarithm")
    parser.add_argument("--desks", type=int, default=16, help="exchanges at the same time")
    parser.add_argument("--queue", type=int, default=400, help="requests that may wait for a desk; more are refused with 503")
    parser.add_argument("--refuses", type=float, default=0.0, help="share of exchanges that are refused with 502")
    options = parser.parse_args()
    if options.zipkin:
        from opentelemetry.exporter.zipkin.json import ZipkinExporter
        from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor

        provider = TracerProvider(resource=Resource.create({"service.name": options.service}), sampler=ParentBased(TraceIdRatioBased(options.sampling)))
        provider.add_span_processor(BatchSpanProcessor(ZipkinExporter(endpoint=options.zipkin), schedule_delay_millis=500))
        trace.set_tracer_provider(provider)
        AioHttpServerInstrumentor().instrument()

    async def application() -> web.Application:
        partner = Partner(options)
        server = web.Application()
        server.router.add_post("/quotes", partner.quotes)
        server.router.add_post("/confirm", partner.confirm)
        return server

    web.run_app(application(), host="127.0.0.1", port=options.port, access_log=None, print=None, shutdown_timeout=2)


if __name__ == "__main__":
    main()
