"""The stack `shop`: Flask on gunicorn threads behind nginx, PostgreSQL, Redis and a partner who takes payments. See README.md."""

from __future__ import annotations

import json
import random
import time
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lab.nginx import Nginx
from lab.sources import FileSource, Source, host, postgres, redis
from lab.stack import Release, Route, Stack
from lab.stacks.shop import data, words
from lab.stacks.shop.server import Postgres

if TYPE_CHECKING:
    from lab.processes import Component, Run

#: Text with times as key=value; half of the seeds log the instant in milliseconds too.
LOG_FORMAT = """log_format main '$remote_addr - - [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" '
    '{msec}rt=$request_time uct="$upstream_connect_time" uht="$upstream_header_time" urt="$upstream_response_time" ua="$upstream_addr" us="$upstream_status" '
    'trace=$upstream_http_x_trace_id';"""


class Shop(Stack):
    """See README.md for its routes, tables and settings."""

    name = "shop"
    app_settings = ("pool", "pool_timeout_s", "cache_connections", "ttl_s", "partner_timeout_s", "partner_retries", "partner_connections", "sampling")
    protocol = "otlp"
    partner_file = "payments.py"

    def __init__(self, run: Run, rng: random.Random, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(run, rng, settings)
        number = rng.randrange(words.count())
        self.words = words.of(number)
        scale = self.settings.get("scale", rng.choice((0.8, 1.0, 1.2)))
        self.counts = {**{k: int(v * scale) for k, v in data.COUNTS.items()}, **self.settings.get("counts", {})}
        self.settings.setdefault("ttl_s", rng.randint(20, 45))
        self.settings.setdefault("pool", rng.randint(6, 9))
        self.settings.setdefault("threads", 8)
        self.settings.setdefault("sampling", round(rng.uniform(0.11, 0.19), 3))
        self.partner_options = {"ms": round(rng.uniform(22, 48), 1), "spread": round(rng.uniform(0.2, 0.35), 2), "lines": rng.randint(14, 20), "seed": rng.randrange(1 << 20)}
        self.partner_options |= self.settings.get("partner", {})
        log_format = self.settings.get("log_format", rng.choice(("jsonlog", "csvlog", "stderr")))
        self.database = Postgres(run, self.words, self.counts, number, log_format, self.settings.get("postgres"))
        line = LOG_FORMAT.format(msec=rng.choice(("t=$msec ", "")))
        self.nginx = Nginx(run, self.ports, line, **self.settings.get("nginx", {}))
        self.redis: Component
        self.routes = self._routes()

    def start(self) -> None:
        """Everything up, seeded and warm; ends when every route was answered."""
        self.collector.start()
        self.database.start()
        self.redis = self._redis()
        self.start_partner()
        self.start_proxies()
        self.deploy(quiet=True)
        self.nginx.start()
        self._touch()

    def restart_replica(self, i: int, release: Release | None = None, *, wait: bool = True) -> None:
        """Stops replica `i` (requests in progress may finish) and starts it on a release, default the present one."""
        release = release or self.release
        assert release
        old, name, port = self.replicas[i], f"app-{i + 1}", self.ports[i]
        if old:
            self._in_use([p for p in self.ports if p != port] or self.ports)
            old.stop(timeout=8)
        argv = [
            self.run.python, "-m", "gunicorn", "-k", "gthread", "--workers", 1, "--threads", self.settings["threads"], "--bind", f"127.0.0.1:{self.ports[i]}",
            "--worker-tmp-dir", "/dev/shm", "--graceful-timeout", 5, "--timeout", 60, "--keep-alive", 2, "--backlog", self.settings.get("backlog", 512), "--log-level", "warning",
            "app.main:application",
        ]  # fmt: skip
        env = {**release.env, **self.env, "APP_REPLICA": name}
        self.replicas[i] = self.run.start(name, argv, env=env, cwd=release.folder, ready=(lambda: self._healthy(port)) if wait else None, timeout=20)
        if old:
            self._in_use(self.ports)

    def _in_use(self, ports: list[int]) -> None:
        """Which replicas the front door sends requests to."""
        self.nginx.upstreams = list(ports)
        self.nginx.reload()
        time.sleep(0.3)

    @staticmethod
    def _healthy(port: int) -> bool:
        """Does the application answer? gunicorn listens before it has loaded it."""
        try:
            return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).read())
        except OSError:
            return False

    def sources(self) -> list[Source]:
        """What is recorded."""
        return [
            *self.logs(), FileSource(self.database.log.name, "database-log", self.database.log), *postgres.everything(self.run, self.database.where),
            *redis.everything(self.run, self.cache_port, monitor=self.settings.get("monitor", False)), *self.collector.sources(), *host.everything(self.run),
        ]  # fmt: skip

    def _routes(self) -> list[Route]:
        w, n = self.words, self.counts
        product, customer, purchase, report = (f"/{w[k]}" for k in ("product_path", "customer_path", "purchase_path", "report_path"))
        list_path = f"{customer}/{{id}}/{w['purchase_segment']}"
        someone, something = f"int(2, {n['customers']})", f"zipf({n['products']})"
        starts = json.dumps([text[:3] for text in data.WORDS])
        basket = f"{{ customer: {someone}, lines: Array.from({{ length: int(1, 5) }}, () => ({{ id: int(1, {n['products']}), quantity: int(1, 3) }})) }}"
        routes = [
            Route("product", "GET", f"{product}/{{id}}", 30, f"`{product}/${{{something}}}`"),
            Route("catalogue", "GET", product, 18, f"`{product}?in=${{pick({json.dumps(list(data.CATEGORIES))})}}&after=${{int(0, {n['products'] * 3 // 4})}}`"),
            Route("search", "GET", f"{product}/search", 12, f"`{product}/search?q=${{pick({starts})}}`"),
            Route("customer", "GET", f"{customer}/{{id}}", 12, f"`{customer}/${{{someone}}}`"),
            Route("purchases", "GET", list_path, 14, f"`{list_path.replace('{id}', '${' + someone + '}')}`"),
            Route("checkout", "POST", purchase, 10, f"`{purchase}`", basket),
            Route("report", "GET", report, 4, f"`{report}`"),
        ]
        return self.weighted(routes)

    def _redis(self) -> Component:
        argv = ["redis-server", "--port", self.cache_port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.run.home("redis")]
        memory = ["--maxmemory", f"{self.settings.get('cache_mb', 64)}mb", "--maxmemory-policy", "allkeys-lru", "--slowlog-log-slower-than", "5000", "--latency-monitor-threshold", "20"]
        return self.run.start("redis", [*argv, *memory, *self.settings.get("redis", [])], ready=self.cache_port)

    def _touch(self) -> None:
        """Asks each replica for each route once."""
        for port in self.ports:
            for route in self.routes:
                body = {"customer": 2, "lines": [{"id": 1, "quantity": 1}]} if route.body else None
                self.ask(port, route.path.replace("{id}", "2"), body)
