"""The stack `market`: aiohttp replicas behind nginx, MariaDB, memcached and a partner who quotes prices. See README.md."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lab.nginx import Nginx
from lab.sources import FileSource, Source, host, mariadb, memcached
from lab.sources.prometheus import Prometheus
from lab.stack import Release, Route, Stack
from lab.stacks.market import data, words
from lab.stacks.market.server import MariaDB

if TYPE_CHECKING:
    from lab.processes import Component, Run

LOG_FORMAT = """log_format main escape=json '{"time_iso8601":"$time_iso8601","msec":$msec,"remote_addr":"$remote_addr",'
    '"request_method":"$request_method","request_uri":"$request_uri","server_protocol":"$server_protocol","status":$status,'
    '"body_bytes_sent":$body_bytes_sent,"request_length":$request_length,"request_time":$request_time,"upstream_addr":"$upstream_addr",'
    '"upstream_status":"$upstream_status","upstream_connect_time":"$upstream_connect_time","upstream_header_time":"$upstream_header_time",'
    '"upstream_response_time":"$upstream_response_time",'
    '"http_user_agent":"$http_user_agent","trace_id":"$upstream_http_x_correlation_id"}';"""


class Market(Stack):
    """See README.md for its routes, tables and settings."""

    name = "market"
    app_settings = (
        "pool", "pool_timeout_s", "cache_connections", "ttl_s", "partner_timeout_s", "partner_retries", "partner_connections", "limit", "workers",
        "backlog", "sampling",
    )  # fmt: skip
    protocol = "zipkin"
    partner_file = "quotes.py"

    def __init__(self, run: Run, rng: random.Random, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(run, rng, settings)
        number = rng.randrange(words.count())
        self.words = words.of(number)
        scale = self.settings.get("scale", rng.choice((0.8, 1.0, 1.25)))
        self.counts = {**{k: int(v * scale) for k, v in data.COUNTS.items()}, **self.settings.get("counts", {})}
        self.settings.setdefault("ttl_s", rng.randint(20, 45))
        self.settings.setdefault("pool", rng.randint(8, 12))
        self.settings.setdefault("popular", rng.randint(150, 300))
        self.settings.setdefault("sampling", round(rng.uniform(0.11, 0.19), 3))
        self.partner_options = {"ms": round(rng.uniform(14, 26), 1), "spread": round(rng.uniform(0.2, 0.35), 2), "desks": rng.randint(14, 20)}
        self.partner_options |= {"seed": rng.randrange(1 << 20), "sampling": self.settings["sampling"], **self.settings.get("partner", {})}
        self.database = MariaDB(run, self.words, self.counts, number, self.settings.get("mariadb"))
        balance = self.settings.get("balance", rng.choice(("least_conn", "")))
        self.nginx = Nginx(run, self.ports, LOG_FORMAT, balance=balance, **self.settings.get("nginx", {}))
        self.memcached: Component
        self.routes = self._routes()

    def start(self) -> None:
        """Everything up, seeded and warm; ends when every route was answered."""
        self.collector.start()
        self.database.start()
        self.memcached = self._memcached()
        self.start_partner()
        self.start_proxies()
        self.deploy(quiet=True)
        self.nginx.start()
        self._touch()

    def restart_replica(self, i: int, release: Release | None = None, *, wait: bool = True) -> None:
        """Stops replica `i` (requests in progress may finish) and starts it on a release, default the present one."""
        release = release or self.release
        assert release
        old, name = self.replicas[i], f"app-{i + 1}"
        if old:
            old.stop(timeout=8)
        env, ready = {**release.env, **self.env, "APP_PORT": str(self.ports[i]), "APP_REPLICA": name}, self.ports[i] if wait else None
        self.replicas[i] = self.run.start(name, [self.run.python, "-m", "app"], env=env, ready=ready, timeout=20)

    def sources(self) -> list[Source]:
        """What is recorded."""
        return [
            *self.logs(),
            FileSource("mariadb-slow.log", "database-log", self.database.slow_log),
            FileSource("mariadb-error.log", "database-log", self.database.error_log),
            *mariadb.everything(self.run, self.database.where),
            *memcached.everything(self.run, self.cache_port, watch=self.settings.get("watch", False)),
            *self.collector.sources(),
            Prometheus(self.run, {self.words["service"]: self.ports}),
            *host.everything(self.run),
        ]

    def _routes(self) -> list[Route]:
        w, n = self.words, self.counts
        account, item, trade = f"/{w['account_path']}", f"/{w['item_path']}", w["trade_path"]
        someone, something = f"${{int(2, {n['accounts']})}}", f"${{zipf({self.settings['popular']})}}"
        key, last = f"${{int({n['trades'] // 2}, {n['trades']})}}", "${int(30, 300)}"
        heads = json.dumps([h[:4] for h in data.HEADS])
        order = f"{{ account: int(2, {n['accounts']}), item: int(1, {n['items']}), quantity: int(1, 60) }}"
        routes = [
            Route("page", "GET", f"{item}/{{id}}", 30, f"`{item}/{something}`"),
            Route("watchlist", "GET", f"{account}/{{id}}/{w['watch_path']}", 16, f"`{account}/{someone}/{w['watch_path']}`"),
            Route("search", "GET", item, 14, f"`{item}?q=${{pick({heads})}}`"),
            Route("portfolio", "GET", f"{account}/{{id}}/{w['portfolio_path']}", 14, f"`{account}/{someone}/{w['portfolio_path']}`"),
            Route("history", "GET", f"{account}/{{id}}/{trade}", 10, f"`{account}/{someone}/{trade}?before={key}`"),
            Route("place", "POST", f"/{trade}", 10, f"`/{trade}`", order),
            Route("statement", "GET", f"{account}/{{id}}/{w['statement_path']}", 6, f"`{account}/{someone}/{w['statement_path']}?last={last}`"),
        ]
        return self.weighted(routes)

    def _memcached(self) -> Component:
        argv = ["memcached", "-l", "127.0.0.1", "-p", self.cache_port, "-U", 0, "-m", self.settings.get("cache_mb", 64), "-c", 512, "-t", 2]
        return self.run.start("memcached", [*argv, *self.settings.get("memcached", [])], ready=self.cache_port)

    def _touch(self) -> None:
        """Asks each replica for each route once."""
        w = self.words
        account = f"/{w['account_path']}/2/"
        gets = [f"/{w['item_path']}/1", f"/{w['item_path']}?q=Elm", *(account + w[k] for k in ("watch_path", "portfolio_path", "statement_path", "trade_path"))]
        for port in self.ports:
            for path in gets:
                self.ask(port, path)
            self.ask(port, f"/{w['trade_path']}", {"account": 2, "item": 1, "quantity": 1})
