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
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lab.load import Load, Route

if TYPE_CHECKING:
    from lab.processes import Component, Run
    from lab.sources import Source

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


class Stack(ABC):
    """A small production system on loopback."""

    name: ClassVar[str]

    def __init__(self, run: Run, rng: random.Random, settings: Mapping[str, Any] | None = None) -> None:
        self.run, self.rng, self.settings = run, rng, dict(settings or {})
        self.words: dict[str, str] = {}
        self.routes: list[Route] = []
        self.rate: float = float(self.settings.get("rate") or rng.uniform(18, 30))
        self.release: Release | None = None
        self.load = Load(run, rng.randrange(1 << 30))
        self.events = run.home("events") / "events.jsonl"
        self.events.touch()
        self._number = [rng.randint(1, 7), rng.randint(0, 40), rng.randint(0, 9)]

    @abstractmethod
    def start(self) -> None:
        """Everything up, seeded and warm; ends when the first request of every route was answered."""

    @abstractmethod
    def restart(self, release: Release) -> None:
        """Brings the workers to a release, one after another."""

    @abstractmethod
    def sql(self, statement: str, *args: Any) -> list[tuple[Any, ...]]:
        """Asks the database as administrator, straight and not through the proxy. Each statement commits by itself."""

    @abstractmethod
    def job(self, name: str, *args: Any) -> Component:
        """Starts ``python -m app.jobs.<name> ARGS`` of the current release as a process of its own; it ends with the run."""

    @abstractmethod
    def sources(self) -> list[Source]:
        """What is recorded of this stack."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where the load goes: the front door."""

    def deploy(self, version: str = "base", *, quiet: bool = False, **parameters: Any) -> Release:
        """Rolls out a version of the application's code and tells it as an event, unless `quiet` (the first start)."""
        self._number[2] += 1
        folder = self.run.home("releases") / secrets.token_hex(4)
        source = Path(__file__).parent / "stacks" / self.name / "app"
        shutil.copytree(source, folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
        release = Release(folder, version, parameters, ".".join(map(str, self._number)))
        if not quiet:
            self.event("deploy", service=self.service, version=release.id, commit=secrets.token_hex(4))
        self.release = release
        self.restart(release)
        return release

    @property
    def service(self) -> str:
        """The application's name, as its telemetry says it."""
        return self.words.get("service", self.name)

    def event(self, kind: str, **fields: Any) -> None:
        """A line in the event log: what a team's chat bot or pipeline would have written."""
        with self.events.open("a") as out:
            out.write(json.dumps({"time": iso(), "kind": kind, **fields}) + "\n")
