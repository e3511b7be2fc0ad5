"""The stack `market`: aiohttp replicas behind nginx, MariaDB, memcached and a partner who quotes prices. See README.md."""

from __future__ import annotations

import json
import random
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lab import proxy
from lab.errors import LabError
from lab.nginx import Nginx
from lab.processes import accepts
from lab.sources import FileSource, Source, host, mariadb, memcached
from lab.sources.collector import Collector
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
#: Settings that go to the application as they are (app/settings.py says what they mean).
APP_SETTINGS = (
    "pool", "pool_timeout_s", "cache_connections", "ttl_s", "partner_timeout_s", "partner_retries", "partner_connections", "limit", "workers",
    "backlog", "sampling",
)  # fmt: skip


class Market(Stack):
    """See README.md for its routes, tables and settings."""

    name: ClassVar[str] = "market"

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
        self.cache_port, self.partner_port = run.port(), run.port()
        self.proxy_ports = {"database": run.port(), "partner": run.port()}
        self.ports = [run.port() for _ in range(self.settings.get("replicas", 2))]
        self.replicas: list[Component | None] = [None] * len(self.ports)
        self.collector = Collector(run, otlp=False, zipkin=True)
        balance = self.settings.get("balance", rng.choice(("least_conn", "")))
        self.nginx = Nginx(run, self.ports, LOG_FORMAT, balance=balance, **self.settings.get("nginx", {}))
        self.memcached: Component
        self.partner: Component
        self.routes = self._routes()

    @property
    def url(self) -> str:
        """The front door."""
        return f"http://127.0.0.1:{self.nginx.port}"

    def start(self) -> None:
        """Everything up, seeded and warm; ends when every route was answered."""
        self.collector.start()
        self.database.start()
        self.memcached = self._memcached()
        self.start_partner()
        delay = self.settings.get("delay_s", 0.00025)
        for name, to in (("database", self.database.port), ("partner", self.partner_port)):
            self._proxy(name, to, delay)
        self.deploy(quiet=True)
        self.nginx.start()
        self._touch()

    def restart(self, release: Release) -> None:
        """Brings each replica to a release, one after another; at the first start all at once."""
        first = all(replica is None for replica in self.replicas)
        for i in range(len(self.ports)):
            self.restart_replica(i, release, wait=not first)
        if first:
            self._until(lambda: all(map(accepts, self.ports)), "the replicas")

    def restart_replica(self, i: int, release: Release | None = None, *, wait: bool = True) -> None:
        """Stops replica `i` (requests in progress may finish) and starts it on a release, default the present one."""
        release = release or self.release
        assert release
        old, name = self.replicas[i], f"app-{i + 1}"
        if old:
            old.stop(timeout=8)
        env, ready = {**release.env, **self.env, "APP_PORT": str(self.ports[i]), "APP_REPLICA": name}, self.ports[i] if wait else None
        self.replicas[i] = self.run.start(name, [self.run.python, "-m", "app"], env=env, ready=ready, timeout=20)

    @property
    def env(self) -> dict[str, str]:
        """What every process of the application is told beside its release; taken anew from `settings` at each start."""
        chosen = {k: self.settings[k] for k in APP_SETTINGS if k in self.settings}
        ports = {"db_port": self.proxy_ports["database"], "partner_port": self.proxy_ports["partner"], "cache_port": self.cache_port}
        told = {**chosen, **ports, "zipkin_url": self.collector.zipkin_url}
        return {"APP_SETTINGS": json.dumps(told), "APP_WORDS": json.dumps(self.words)}

    def start_partner(self, **options: Any) -> None:
        """Starts the partner, or restarts it, with other options (quotes.py: ``ms``, ``spread``, ``desks``, ``queue``, ``refuses``)."""
        self.partner_options |= options
        if hasattr(self, "partner"):
            self.partner.stop(timeout=4)
        told = {**self.partner_options, "port": self.partner_port, "service": self.words["partner"], "zipkin": self.collector.zipkin_url}
        file = self._copy(Path(__file__).with_name("quotes.py"), "partner")
        argv = [self.run.python, file, *(f"--{k}={v}" for k, v in told.items())]
        self.partner = self.run.start("partner", argv, ready=self.partner_port, timeout=20)

    def sql(self, statement: str, *args: Any) -> list[tuple[Any, ...]]:
        """Asks MariaDB as administrator; words in braces are this installation's names of tables and columns."""
        return self.database.ask(self.named(statement), args)

    def named(self, text: str) -> str:
        """A text with the names of this installation in the place of words in braces."""
        return text.format_map(self.words)

    def job(self, name: str, *args: Any) -> Component:
        """Starts ``python -m app.jobs.<name>`` of the current release."""
        assert self.release
        number = 1 + sum(c.name.startswith("job-") for c in self.run.components)
        return self.run.start(f"job-{number}", [self.run.python, "-m", f"app.jobs.{name}", *args], env={**self.release.env, **self.env})

    def sources(self) -> list[Source]:
        """What is recorded."""
        names = [f"app-{i + 1}" for i in range(len(self.ports))]
        return [
            FileSource("access.log", "access-log", self.nginx.access_log),
            FileSource("nginx-error.log", "proxy-log", self.nginx.error_log),
            *(FileSource(f"{name}.log", "app-log", self.run.home(name) / f"{name}.log") for name in names),
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
        weights = self.settings.get("weights", {})
        return [Route(r.name, r.method, r.path, weights.get(r.name, r.weight), r.url, r.body) for r in routes]

    def _memcached(self) -> Component:
        argv = ["memcached", "-l", "127.0.0.1", "-p", self.cache_port, "-U", 0, "-m", self.settings.get("cache_mb", 64), "-c", 512, "-t", 2]
        return self.run.start("memcached", [*argv, *self.settings.get("memcached", [])], ready=self.cache_port)

    def _proxy(self, name: str, to: int, delay: float) -> None:
        file, listen = self._copy(Path(proxy.__file__), f"proxy-{name}"), self.proxy_ports[name]
        self.run.start(f"proxy-{name}", [self.run.python, file, "--listen", listen, "--to", to, "--delay", delay], ready=listen)

    def _copy(self, file: Path, component: str) -> Path:
        """A copy that the unprivileged user can read."""
        copy = self.run.home(component) / file.name
        shutil.copyfile(file, copy)
        copy.chmod(0o644)
        return copy

    def _touch(self) -> None:
        """Asks each replica for each route once."""
        w = self.words
        account = f"/{w['account_path']}/2/"
        gets = [f"/{w['item_path']}/1", f"/{w['item_path']}?q=Elm", *(account + w[k] for k in ("watch_path", "portfolio_path", "statement_path", "trade_path"))]
        for port in self.ports:
            for path in gets:
                self._ask(port, path)
            self._ask(port, f"/{w['trade_path']}", {"account": 2, "item": 1, "quantity": 1})

    @staticmethod
    def _ask(port: int, path: str, body: dict[str, Any] | None = None) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode() if body else None)
        try:
            urllib.request.urlopen(request, timeout=10).read()
        except (OSError, urllib.error.HTTPError) as error:
            raise LabError(f"the application does not answer {path}: {error}\nits log says why (--keep)") from None

    def _until(self, ready: Any, what: str, timeout: float = 20) -> None:
        until = time.monotonic() + timeout
        while not ready():
            ended = next((c for c in self.replicas if c and not c.alive()), None)
            if ended or time.monotonic() > until:
                raise LabError(f"{what} did not get ready\n{ended.tail() if ended else ''}")
            time.sleep(0.02)
