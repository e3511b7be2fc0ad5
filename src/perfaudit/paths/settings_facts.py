"""Settings by tier and role: what rules over configuration ask, each answer with its source, and what is unknown with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Products by their place on the way of a request.
PROXIES = ("haproxy", "nginx")
DATABASES = ("mysql", "postgresql")
#: Roles that make a service one that works on requests.
WORKING = frozenset({"pool", "workers", "threads", "request timeout", "server keep-alive", "parallel threads"})
#: Defaults that the products' manuals document, used only where the product's configuration was read: component → role → value.
DEFAULTS: Mapping[str, Mapping[str, float]] = {
    "nginx": {"proxy read timeout": 60, "upstream idle": 60, "proxy connections": 512},  # ngx_http_proxy, ngx_http_upstream (1.15.3), ngx_core
    "gunicorn": {"request timeout": 30, "server keep-alive": 2, "threads": 1, "workers": 1},  # Gunicorn, "Settings"
    "hikari": {"pool": 10, "pool lifetime": 1800, "pool idle": 600, "acquire timeout": 30},  # HikariCP README
    "postgresql": {"reserved connections": 3},  # PostgreSQL, superuser_reserved_connections
    "mysql": {"session idle limit": 28_800},  # MySQL, wait_timeout
}


@dataclass(frozen=True)
class Value:
    """A number of a setting: ``name`` as the product spells it, ``number`` in ``unit``, ``source`` as file:line or "default"."""

    name: str
    number: float
    unit: str = ""
    source: str = ""

    def __str__(self) -> str:
        return f"{self.name} {figure(self.number)}{' s' if self.unit == 's' else ''}{' (default)' if self.source == 'default' else ''}"

    def to_json(self) -> dict[str, Any]:
        """As in the result."""
        return {"name": self.name, "value": self.number, "source": self.source} | ({"unit": self.unit} if self.unit else {})


@dataclass(frozen=True)
class Unknown:
    """A value that is not known, and why; ``silent``: nothing names it at all."""

    why: str
    silent: bool = True


Known = Value | Unknown


def figure(number: float) -> str:
    """A number without a tail of zeros."""
    return f"{number:.6g}" if abs(number) < 1e6 else f"{number:.0f}"


@dataclass(frozen=True)
class Group:
    """Settings of one tier: rows as dicts with the columns of ``settings``."""

    name: str
    rows: Sequence[Mapping[str, Any]]

    @property
    def components(self) -> tuple[str, ...]:
        """The products that it is made of."""
        return tuple(sorted({str(r["component"]) for r in self.rows}))

    def has(self, role: str) -> bool:
        """Whether any setting has this role."""
        return any(r.get("role") == role for r in self.rows)

    def text(self, role: str) -> str:
        """The written value of a role, "" where there is none."""
        return next((str(r["value"]) for r in self.rows if r.get("role") == role), "")

    def get(self, role: str, *, default: bool = True) -> Known:
        """The one value of a role; unknown where nothing says it, it is no number, or several values stand against each other."""
        rows = [r for r in self.rows if r.get("role") == role]
        numbers = sorted({float(r["number"]) for r in rows if r.get("number") is not None})
        if len(numbers) == 1 and all(r.get("number") is not None for r in rows):
            row = rows[0]
            return Value(str(row["name"]), numbers[0], str(row.get("unit") or ""), f"{row.get('source') or 'settings'}:{row.get('line') or 0}")
        if len(numbers) > 1:
            return Unknown(f"{role} has several values ({', '.join(map(figure, numbers))})", silent=False)
        if rows:
            return Unknown(f"{rows[0]['name']} is “{rows[0].get('value') or 'worked out at start'}”", silent=False)
        documented = next((DEFAULTS[c][role] for c in self.components if role in DEFAULTS.get(c, {})), None) if default else None
        if documented is None:
            return Unknown(f"{role} is not in the evidence")
        return Value(role, documented, "s" if role.endswith(("timeout", "idle", "lifetime", "keep-alive", "limit")) else "", "default")


@dataclass(frozen=True)
class Tiers:
    """What the configuration tells of: proxies, services and databases."""

    proxies: tuple[Group, ...]
    services: tuple[Group, ...]
    databases: tuple[Group, ...]


def tiers(rows: Iterable[Mapping[str, Any]]) -> Tiers:
    """Rows by tier. What names no service belongs to the only one that is named, where there is one."""
    ordered = sorted(rows, key=lambda r: (*(str(r.get(k) or "") for k in ("source", "component", "service")), int(r.get("line") or 0), str(r.get("name") or "")))
    apart: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in ordered:
        component = str(row["component"])
        kind = component if component in PROXIES or component in DATABASES else ""
        apart.setdefault((kind, str(row.get("service") or "")), []).append(row)
    named = [name for kind, name in apart if not kind and name and _works(apart[kind, name])]
    named = named or [name for kind, name in apart if not kind and name and Group(name, apart[kind, name]).has("replicas")]
    if len(named) == 1 and ("", "") in apart:
        apart["", named[0]] += apart.pop(("", ""))
    groups = [(kind, Group(name or kind or "the service", tuple(some))) for (kind, name), some in sorted(apart.items())]
    return Tiers(
        tuple(g for kind, g in groups if kind in PROXIES),
        tuple(g for kind, g in groups if not kind and _works(g.rows)),
        tuple(g for kind, g in groups if kind in DATABASES),
    )


def _works(rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(r.get("role") in WORKING for r in rows)


def only(groups: Sequence[Group], what: str) -> Group | Unknown:
    """The one group; unknown where there is none or several."""
    if len(groups) == 1:
        return groups[0]
    return Unknown(f"no configuration of a {what} was read") if not groups else Unknown(f"several {what} configurations were read: which one is asked is not known", silent=False)


def replicas(service: Group, proxies: Sequence[Group], alone: bool) -> Known:
    """How many instances serve: the autoscaler's most, the workload's replicas, else the servers of the upstream that has its name (or is the only one)."""
    for role in ("replicas at most", "replicas"):
        found = service.get(role)
        if isinstance(found, Value) or not found.silent:
            return found
    servers: dict[str, list[Mapping[str, Any]]] = {}
    for row in (r for g in proxies for r in g.rows if r.get("role") == "upstream server"):
        servers.setdefault(str(row.get("scope") or ""), []).append(row)
    fitting = [s for s in servers if service.name in s.replace("_", "-").split()] or (list(servers) if alone else [])
    if len(fitting) != 1:
        return Unknown("replicas are not in the evidence")
    rows = servers[fitting[0]]
    return Value("upstream servers", len(rows), "", f"{rows[0].get('source') or 'settings'}:{rows[0].get('line') or 0}")
