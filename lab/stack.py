"""What every stack of the lab offers: words of its own, routes, releases, jobs, and its list of evidence.

A stack is a subclass in ``stacks/<name>/__init__.py``. It takes everything that differs between recordings from the seed
(vocabulary, row counts, load, formats) and from `settings`, what the mechanism asks for before the start (pool sizes, quotas).
"""

from __future__ import annotations

import json
import random
import secrets
import shutil
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from lab import proxy
from lab.errors import LabError
from lab.load import Load, Route
from lab.processes import accepts, until
from lab.sources import FileSource, Source
from lab.sources.collector import Collector

if TYPE_CHECKING:
    from lab.nginx import Nginx
    from lab.processes import Component, Run

__all__ = ["Release", "Route", "Stack", "iso"]


def iso(seconds: float | None = None) -> str:
    """An instant (default: now) as RFC 3339 with milliseconds."""
    return datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Release:
    """One deployed copy of the application's code."""

    folder: Path  # holds the package `app`
    version: str  # the module of app/versions that was applied
    parameters: Mapping[str, Any]
    id: str  # what people call it, e.g. 4.12.0

    @property
    def env(self) -> dict[str, str]:
        """What a process of this release is told."""
        return {"PYTHONPATH": str(self.folder), "APP_VERSION": self.version, "APP_PARAMETERS": json.dumps(dict(self.parameters)), "APP_RELEASE": self.id}


class Database(Protocol):
    """What every stack asks of its database server."""

    port: int

    def ask(self, statement: str, args: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows of a statement, committed by itself."""


class Stack(ABC):
    """A small production system on loopback."""

    name: ClassVar[str]
    #: Settings that go to the application as they are (app/settings.py says what they mean).
    app_settings: ClassVar[tuple[str, ...]]
    #: How telemetry is sent.
    protocol: ClassVar[Literal["otlp", "zipkin"]]
    #: The partner's program, in the stack's folder.
    partner_file: ClassVar[str]
    nginx: Nginx
    database: Database
    partner_options: dict[str, Any]

    def __init__(self, run: Run, rng: random.Random, settings: Mapping[str, Any] | None = None) -> None:
        self.run, self.rng, self.settings = run, rng, dict(settings or {})
        self.words: dict[str, str] = {}
        self.routes: list[Route] = []
        self.rate: float = float(self.settings.get("rate") or rng.uniform(18, 30))
        self.release: Release | None = None
        self.load = Load(run, rng.randrange(1 << 30))
        self.events = run.home("events") / "events.jsonl"
        self.events.touch()
        self.cache_port, self.partner_port = run.port(), run.port()
        self.proxy_ports = {"database": run.port(), "partner": run.port()}
        self.ports = [run.port() for _ in range(self.settings.get("replicas", 2))]
        self.replicas: list[Component | None] = [None] * len(self.ports)
        self.partner: Component | None = None
        self.collector = Collector(run, otlp=self.protocol == "otlp", zipkin=self.protocol == "zipkin")
        self._number = [rng.randint(1, 7), rng.randint(0, 40), rng.randint(0, 9)]

    @abstractmethod
    def start(self) -> None:
        """Everything up, seeded and warm; ends when the first request of every route was answered."""

    @abstractmethod
    def restart_replica(self, i: int, release: Release | None = None, *, wait: bool = True) -> None:
        """Stops replica `i` (requests in progress may finish) and starts it on a release, default the present one."""

    @abstractmethod
    def sources(self) -> list[Source]:
        """What is recorded of this stack."""

    @property
    def url(self) -> str:
        """Where the load goes: the front door."""
        return f"http://127.0.0.1:{self.nginx.port}"

    @property
    def endpoint(self) -> str:
        """Where the application and the partner send their telemetry."""
        return self.collector.zipkin_url if self.protocol == "zipkin" else self.collector.url

    @property
    def env(self) -> dict[str, str]:
        """What every process of the application is told beside its release; taken anew from `settings` at each start."""
        chosen = {k: self.settings[k] for k in self.app_settings if k in self.settings}
        ports = {"db_port": self.proxy_ports["database"], "partner_port": self.proxy_ports["partner"], "cache_port": self.cache_port}
        told = {**self.settings.get("app", {}), **chosen, **ports, f"{self.protocol}_url": self.endpoint}
        return {"APP_SETTINGS": json.dumps(told), "APP_WORDS": json.dumps(self.words)}

    def restart(self, release: Release) -> None:
        """Brings each replica to a release, one after another; at the first start all at once."""
        first = all(replica is None for replica in self.replicas)
        for i in range(len(self.ports)):
            self.restart_replica(i, release, wait=not first)
        if first:
            until(lambda: all(map(accepts, self.ports)), "the replicas", [r for r in self.replicas if r])

    def start_partner(self, **options: Any) -> None:
        """Starts the partner, or restarts it, with other options (those of its command line)."""
        self.partner_options |= options
        if self.partner:
            self.partner.stop(timeout=4)
        told = {**self.partner_options, "port": self.partner_port, "service": self.words["partner"], self.protocol: self.endpoint}
        argv = [self.run.python, self.copy(self.folder / self.partner_file, "partner"), *(f"--{k}={v}" for k, v in told.items())]
        self.partner = self.run.start("partner", argv, ready=self.partner_port, timeout=20)

    def start_proxies(self) -> None:
        """The round trips to the database and to the partner (`delay_s`, seconds each way)."""
        delay = self.settings.get("delay_s", 0.00025)
        for name, to in (("database", self.database.port), ("partner", self.partner_port)):
            file, listen = self.copy(Path(proxy.__file__), f"proxy-{name}"), self.proxy_ports[name]
            self.run.start(f"proxy-{name}", [self.run.python, file, "--listen", listen, "--to", to, "--delay", delay], ready=listen)

    def sql(self, statement: str, *args: Any) -> list[tuple[Any, ...]]:
        """Asks the database as administrator, straight and not through the proxy; each statement commits by itself. See :meth:`named`."""
        return self.database.ask(self.named(statement), args)

    def named(self, text: str) -> str:
        """A text with the names of this installation in the place of words in braces."""
        return text.format_map(self.words)

    def job(self, name: str, *args: Any) -> Component:
        """Starts ``python -m app.jobs.<name> ARGS`` of the current release as a process of its own; it ends with the run."""
        assert self.release
        number = 1 + sum(c.name.startswith("job-") for c in self.run.components)
        return self.run.start(f"job-{number}", [self.run.python, "-m", f"app.jobs.{name}", *args], env={**self.release.env, **self.env})

    def logs(self) -> list[Source]:
        """The logs of the front door and of the replicas."""
        replicas = [f"app-{i + 1}" for i in range(len(self.ports))]
        return [
            FileSource("access.log", "access-log", self.nginx.access_log),
            FileSource("nginx-error.log", "proxy-log", self.nginx.error_log),
            *(FileSource(f"{name}.log", "app-log", self.run.home(name) / f"{name}.log") for name in replicas),
        ]

    def weighted(self, routes: list[Route]) -> list[Route]:
        """Routes with the shares of `settings["weights"]`, by name, in the place of their own."""
        weights = self.settings.get("weights", {})
        return [replace(r, weight=weights.get(r.name, r.weight)) for r in routes]

    def copy(self, file: Path, component: str) -> Path:
        """A copy that the unprivileged user can read."""
        copy = self.run.home(component) / file.name
        shutil.copyfile(file, copy)
        copy.chmod(0o644)
        return copy

    @staticmethod
    def ask(port: int, path: str, body: dict[str, Any] | None = None) -> None:
        """One request of a replica; LabError where it fails."""
        headers = {"Content-Type": "application/json"} if body else {}
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode() if body else None, headers)
        try:
            urllib.request.urlopen(request, timeout=10).read()
        except (OSError, urllib.error.HTTPError) as error:
            raise LabError(f"the application does not answer {path}: {error}\nits log says why (--keep)") from None

    def deploy(self, version: str = "base", *, quiet: bool = False, **parameters: Any) -> Release:
        """Rolls out a version of the application's code and tells it as an event, unless `quiet` (the first start)."""
        self._number[2] += 1
        folder = self.run.home("releases") / secrets.token_hex(4)
        shutil.copytree(self.folder / "app", folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
        release = Release(folder, version, parameters, ".".join(map(str, self._number)))
        if not quiet:
            self.event("deploy", service=self.service, version=release.id, commit=secrets.token_hex(4))
        self.release = release
        self.restart(release)
        return release

    @property
    def folder(self) -> Path:
        """Where the stack's own files are."""
        return Path(__file__).parent / "stacks" / self.name

    @property
    def service(self) -> str:
        """The application's name, as its telemetry says it."""
        return self.words.get("service", self.name)

    def event(self, kind: str, **fields: Any) -> None:
        """A line in the event log: what a team's chat bot or pipeline would have written."""
        with self.events.open("a") as out:
            out.write(json.dumps({"time": iso(), "kind": kind, **fields}) + "\n")
