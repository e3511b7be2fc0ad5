"""Settings on their way to a sink: rows of ``settings``, the service that a configuration file is of, names in their usual spelling."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from perfaudit.evidence import settings
from perfaudit.evidence.naming import identify
from perfaudit.evidence.readers._rows import Rows

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sink
    from perfaudit.evidence.source import Source

#: Configuration is small (nginx.conf 2–50 KB, SHOW VARIABLES 30 KB, manifests of an application 100 KB); what lies behind is rejected.
MOST_BYTES = 512 << 10
MOST_SETTINGS = 5_000
_ENDING = re.compile(r"\.(?:conf\.py|conf|cnf|cfg|ini|properties|ya?ml|json|csv|tsv|txt|env|py|sample|gz|zst)$", re.I)
#: Words of file names that say what it configures, not whose it is.
_GENERIC = frozenset(
    ["nginx", "default", "haproxy", "postgresql", "postgres", "pg", "my", "mysql", "mysqld", "mariadb", "global", "variables", "show", "settings", "setting", "config", "configuration", "conf", "application", "app", "bootstrap", "gunicorn", "env", "environment", "dotenv", "k8s", "kubernetes", "manifest", "manifests", "deployment", "deployments", "deploy", "statefulset", "hpa", "values", "server", "site", "prod", "production", "staging", "dev", "local", "test", "x"]
)
_COLUMNS = ("component", "scope", "name", "role", "value", "number", "unit", "line", "service")


class Settings:
    """The settings of one source. ``component`` is the product, where all of them are of one."""

    def __init__(self, source: Source, sink: Sink, options: ReadOptions, component: str = "") -> None:
        self.component = component
        self.labelled = options.service if "service" in options.labelled else ""
        self.service = self.labelled or owner(source.name)
        instance = options.instance if "instance" in options.labelled else None
        self.rows = Rows(sink, "settings", _COLUMNS, source=source.name, instance=instance)
        self.sink, self.n = sink, 0

    def add(self, name: str, value: str, line: int, *, component: str = "", scope: str = "", service: str = "", unit: str = "") -> None:
        """One setting; its value is redacted here."""
        if self.n >= MOST_SETTINGS:
            return
        self.n += 1
        component = component or self.component
        read = settings.read(component, name, value, unit)
        self.rows.add(component, scope[:120] or None, name[:120], read.role or None, read.value, read.number, read.unit or None, line, self.labelled or service or self.service or None)

    def environment(self, name: str, value: str, line: int, *, scope: str = "", service: str = "") -> None:
        """A variable of an environment: of Spring by relaxed binding, of Gunicorn by its arguments, else by its own name."""
        if name == "GUNICORN_CMD_ARGS":
            return self.gunicorn(value, line, scope=scope, service=service)
        component, known = spring(name)
        return self.add(known if component else name, value, line, component=component or "environment", scope=scope, service=service)

    def gunicorn(self, arguments: str, line: int, *, scope: str = "", service: str = "") -> None:
        """Gunicorn's command line, as far as it can be split."""
        try:
            words = shlex.split(arguments[:4_000])
        except ValueError:
            return
        short = {"-w": "workers", "-t": "timeout", "-k": "worker_class"}
        for i, word in enumerate(words):
            key, _, value = word.partition("=")
            name = short.get(key, key[2:].replace("-", "_") if key.startswith("--") else "")
            if name in settings.names("gunicorn") and (value or i + 1 < len(words)):
                self.add({"worker-class": "worker_class"}.get(name, name), value or words[i + 1], line, component="gunicorn", scope=scope, service=service)

    def close(self) -> None:
        """Hand over what is gathered."""
        if self.n >= MOST_SETTINGS:
            self.sink.note(f"only the first {MOST_SETTINGS:,} settings are kept")
        self.rows.flush()


def owner(name: str) -> str:
    """The service that a configuration file is of, by its name or its folder: ``orders.env`` → orders, ``billing/application.yml`` → billing."""
    path = PurePosixPath(name)
    stem = path.name.lstrip(".")
    while (shorter := _ENDING.sub("", stem)) != stem:
        stem = shorter
    words = [w for w in re.split(r"[._-]+", stem.lower()) if w and w not in _GENERIC and not w.isdigit()]
    if words:
        return "-".join(words)
    folder = path.parts[1:-1][-1:]
    return identify(f"x/{folder[0]}/access.log")[0] if folder and folder[0].lower() not in _GENERIC and not folder[0].endswith(".d") else ""


def text(source: Source, sink: Sink) -> list[str]:
    """The lines of a configuration, counted; what is too long or too much is rejected here. The caller judges the lines that it gets."""
    out: list[str] = []
    size = 0
    for offset, line in source.lines(sink.too_long):
        sink.lines()
        size += len(line) + 1
        if size > MOST_BYTES:
            sink.reject("behind the first 512 kB of a configuration", offset=offset)
        else:
            out.append(line.decode("utf-8", "replace").lstrip("\ufeff"))
    return out


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_HIKARI = {_bare(n): n for n in settings.names("hikari")}
_SPRING = {_bare(n): n for n in settings.names("spring")}


def spring(path: str) -> tuple[str, str]:
    """Component and name of a Spring property in any of its spellings (relaxed binding), ("", "") where it is none that is known."""
    path = path[:200]
    _, found, last = re.sub(r"[_\-]", ".", path.lower()).rpartition("hikari.")
    if found and _bare(last) in _HIKARI:
        return "hikari", _HIKARI[_bare(last)]
    if _bare(path) in _SPRING:
        return "spring", _SPRING[_bare(path)]
    return ("spring", "max-attempts") if re.search(r"resilience4j.*\.max-?attempts$", path.lower()) else ("", "")
