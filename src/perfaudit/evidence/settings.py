"""Settings of products: what a name means across tiers, the unit of its bare number, and what of its value may be kept.

Sources: nginx ngx_http_core, _proxy, _upstream modules; HAProxy Configuration Manual 4.2; PostgreSQL "Server Configuration"; MySQL "Server
System Variables"; HikariCP README; Spring Boot "Common Application Properties"; Gunicorn "Settings"; SQLAlchemy "Connection Pooling";
Kubernetes "Resource Management for Pods and Containers".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from perfaudit import redact

#: (component, name) → role and the unit of a number without one: "" count, s, ms, B, kB, cores, word (no number).
_KNOWN: dict[str, dict[str, tuple[str, str]]] = {
    "nginx": {
        "worker_processes": ("proxy workers", ""), "worker_connections": ("proxy connections", ""), "worker_rlimit_nofile": ("file limit", ""),
        "keepalive_timeout": ("client keep-alive", "s"), "upstream keepalive_timeout": ("upstream idle", "s"), "keepalive": ("upstream keep-alive", ""),
        "proxy_read_timeout": ("proxy read timeout", "s"), "proxy_connect_timeout": ("proxy connect timeout", "s"), "proxy_send_timeout": ("proxy send timeout", "s"),
        "fastcgi_read_timeout": ("proxy read timeout", "s"), "uwsgi_read_timeout": ("proxy read timeout", "s"), "grpc_read_timeout": ("proxy read timeout", "s"),
        "proxy_next_upstream_tries": ("proxy tries", ""), "server": ("upstream server", "word"), "max_conns": ("upstream limit", ""), "proxy_pass": ("proxies to", "word"),
    },
    "haproxy": {
        "timeout server": ("proxy read timeout", "ms"), "timeout connect": ("proxy connect timeout", "ms"), "timeout client": ("client timeout", "ms"),
        "timeout queue": ("proxy queue timeout", "ms"), "timeout http-keep-alive": ("client keep-alive", "ms"), "retries": ("proxy retries", ""), "maxconn": ("proxy limit", ""),
        "server": ("upstream server", "word"),
    },
    "postgresql": {
        "max_connections": ("max connections", ""), "superuser_reserved_connections": ("reserved connections", ""), "reserved_connections": ("reserved by role", ""),
        "statement_timeout": ("statement timeout", "ms"), "lock_timeout": ("lock timeout", "ms"), "idle_session_timeout": ("session idle limit", "ms"),
        "idle_in_transaction_session_timeout": ("transaction idle limit", "ms"), "shared_buffers": ("buffers", "8kB"), "work_mem": ("work memory", "kB"),
    },
    "mysql": {
        "max_connections": ("max connections", ""), "wait_timeout": ("session idle limit", "s"), "max_execution_time": ("statement timeout", "ms"),
        "max_statement_time": ("statement timeout", "s"), "innodb_lock_wait_timeout": ("lock timeout", "s"), "innodb_buffer_pool_size": ("buffers", "B"),
        "thread_cache_size": ("thread cache", ""),
    },
    "hikari": {
        "maximum-pool-size": ("pool", ""), "minimum-idle": ("pool minimum", ""), "connection-timeout": ("acquire timeout", "ms"), "idle-timeout": ("pool idle", "ms"),
        "max-lifetime": ("pool lifetime", "ms"), "keepalive-time": ("pool keep-alive", "ms"),
    },
    "spring": {
        "server.tomcat.threads.max": ("threads", ""), "server.tomcat.max-threads": ("threads", ""), "server.jetty.threads.max": ("threads", ""),
        "server.undertow.threads.worker": ("threads", ""), "server.tomcat.keep-alive-timeout": ("server keep-alive", "ms"),
        "server.tomcat.connection-timeout": ("server connection timeout", "ms"), "spring.mvc.async.request-timeout": ("request timeout", "ms"),
        "max-attempts": ("tries", ""), "spring.transaction.default-timeout": ("transaction timeout", "s"),
    },
    "gunicorn": {
        "workers": ("workers", ""), "threads": ("threads", ""), "timeout": ("request timeout", "s"), "keepalive": ("server keep-alive", "s"),
        "worker_class": ("worker class", "word"), "worker_connections": ("worker connections", ""), "graceful_timeout": ("graceful timeout", "s"),
    },
    "environment": {
        "WEB_CONCURRENCY": ("workers", ""), "GUNICORN_WORKERS": ("workers", ""), "UVICORN_WORKERS": ("workers", ""), "GUNICORN_THREADS": ("threads", ""),
        "RAILS_MAX_THREADS": ("threads", ""), "GUNICORN_TIMEOUT": ("request timeout", "s"), "REQUEST_TIMEOUT": ("request timeout", "s"),
        "DB_POOL_SIZE": ("pool", ""), "DB_POOL": ("pool", ""), "POOL_SIZE": ("pool", ""), "SQLALCHEMY_POOL_SIZE": ("pool", ""), "DATABASE_POOL_SIZE": ("pool", ""),
        "DB_POOL_MAX": ("pool", ""), "DB_MAX_OPEN_CONNS": ("pool", ""), "SQLALCHEMY_MAX_OVERFLOW": ("pool overflow", ""), "DB_MAX_OVERFLOW": ("pool overflow", ""),
        "SQLALCHEMY_POOL_TIMEOUT": ("acquire timeout", "s"), "DB_POOL_TIMEOUT": ("acquire timeout", "s"), "SQLALCHEMY_POOL_RECYCLE": ("pool lifetime", "s"),
        "DB_POOL_RECYCLE": ("pool lifetime", "s"), "DB_STATEMENT_TIMEOUT": ("statement timeout", "ms"), "GOMAXPROCS": ("parallel threads", ""),
        "HTTP_RETRIES": ("retries", ""), "MAX_RETRIES": ("retries", ""), "DB_RETRIES": ("database retries", ""),
    },
    "kubernetes": {
        "replicas": ("replicas", ""), "maxReplicas": ("replicas at most", ""), "limits.cpu": ("cpu limit", "cores"), "requests.cpu": ("cpu request", "cores"),
        "limits.memory": ("memory limit", "B"), "requests.memory": ("memory request", "B"),
    },
}  # fmt: skip

#: Products whose bare words are of their own vocabulary (on, least_conn, replica); elsewhere a word may be anything.
_VOCABULARY = frozenset({"nginx", "haproxy", "postgresql", "mysql"})
_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"b": 1.0, "k": 1024.0, "kb": 1024.0, "ki": 1024.0, "8kb": 8192.0, "m": 2.0**20, "mb": 2.0**20, "mi": 2.0**20, "g": 2.0**30, "gb": 2.0**30, "gi": 2.0**30, "t": 2.0**40, "tb": 2.0**40, "ti": 2.0**40}
_PIECE = re.compile(r"(-?\d{1,15}(?:\.\d{1,9})?)\s*([A-Za-zµ]*)")
_ISO = re.compile(r"P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,6})?)S)?)?")
_PLAIN = re.compile(r"(?i)-?\d{1,12}(?:\.\d{1,6})?\s?[a-zµ%]{0,3}|on|off|true|false|yes|no|auto|null|none")
_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{0,23}")
#: A longer value of a setting says nothing that a rule needs.
MOST_TEXT = 120
REDACTED = "…"


@dataclass(frozen=True, slots=True)
class Setting:
    """What is kept of a setting: its ``role`` ("" unknown), ``value`` without secrets, ``number`` in ``unit`` (s, B, cores, "" for counts)."""

    role: str
    value: str
    number: float | None
    unit: str


def role(component: str, name: str) -> str:
    """What ``name`` means across products, "" where that is not known."""
    return _KNOWN.get(component, {}).get(name, ("", ""))[0]


def names(component: str) -> frozenset[str]:
    """The names of ``component`` that have a role."""
    return frozenset(_KNOWN[component])


def read(component: str, name: str, text: str, unit: str = "") -> Setting:
    """The setting as it may be kept. ``unit`` is that of a bare number where the evidence says it (pg_settings)."""
    text = text.strip()[:MOST_TEXT]
    known = _KNOWN.get(component, {}).get(name)
    if known is None:
        hidden = redact.value(name, text)
        kept = hidden if _PLAIN.fullmatch(hidden) or (component in _VOCABULARY and _WORD.fullmatch(hidden)) else REDACTED
        return Setting("", kept if text else "", _number(kept), "")
    meaning, bare = known
    if bare == "word":
        return Setting(meaning, redact.value("value", text), None, "")
    number, dimension = quantity(text, unit or bare)
    safe = text if number is not None or _PLAIN.fullmatch(text) else REDACTED
    return Setting(meaning, f"{safe}{unit}" if unit and number is not None else safe, number, dimension)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d{1,12}(?:\.\d{1,6})?", text) else None


def quantity(text: str, bare: str) -> tuple[float | None, str]:
    """A number with its unit as ``(value, "s" | "B" | "cores" | "")``; ``bare`` is the unit of a number without one. None: no number."""
    scale, dimension = _scale(bare)
    iso = _ISO.fullmatch(text.upper()) if dimension == "s" and text[:1] in "pP" else None
    if iso and any(iso.groups()):
        return sum(float(part or 0) * factor for part, factor in zip(iso.groups(), (86400, 3600, 60, 1), strict=True)), "s"
    pieces = _PIECE.findall(text)
    if not pieces or _PIECE.sub("", text).strip():
        return None, dimension
    total = 0.0
    for digits, suffix in pieces:
        factor = _factor(suffix, dimension) if suffix else scale
        if factor is None or (len(pieces) > 1 and dimension != "s"):
            return None, dimension
        total += float(digits) * factor
    return round(total, 9), dimension


def _scale(bare: str) -> tuple[float, str]:
    if bare == "cores":
        return 1.0, "cores"
    if bare in _SECONDS:
        return _SECONDS[bare], "s"
    return (_BYTES[bare.lower()], "B") if bare.lower() in _BYTES else (1.0, "")


def _factor(suffix: str, dimension: str) -> float | None:
    if dimension == "cores":
        return {"m": 1e-3}.get(suffix)
    return _SECONDS.get(suffix) if dimension == "s" else _BYTES.get(suffix.lower()) if dimension == "B" else None
