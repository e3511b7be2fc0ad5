"""What the attributes of a span say: the columns that checks ask for, and a small map of the rest.

Names: OpenTelemetry semantic conventions 1.37 and the stable names' predecessors (``http.status_code``, ``db.statement``,
``net.peer.name``, …), OpenTracing's (``peer.service``, ``span.kind``, ``error``, ``sampler.type``) and Brave's (``sql.query``).
Raw statements, URLs, messages, addresses of clients and what names people never leave this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from perfaudit import redact
from perfaudit.evidence import sql
from perfaudit.evidence.routes import RouteTable

Pairs = Iterable[tuple[str, Any]]
#: Attributes that the map keeps of a span, its resource's included.
MOST = 16
#: Longest value in the map, in characters.
LONGEST = 100
#: Distinct keys of a source, and distinct values of a key; what has more tells spans apart and not groups of them.
KEYS, VALUES = 200, 1_000
#: What is looked at of a statement, in characters; the parser takes 16 KiB.
_STATEMENT = 64 << 10
_MAX_INT = 1 << 62

_QUEUE = {"http.server.request.queue_time": 1e6, "queue_time": 1e6, "queue.wait_ms": 1e3, "messaging.queue_time_ms": 1e3, "queue_time_ms": 1e3}
_FIRST: Mapping[str, tuple[str, ...]] = {
    "status": ("http.response.status_code", "http.status_code"),
    "method": ("http.request.method", "http.method"),
    "url": ("url.full", "http.url", "http.target", "url.path", "http.path"),
    "resend": ("http.request.resend_count", "http.resend_count", "http.retry_count"),
    "request": ("http.request.body.size", "http.request.size", "http.request_content_length", "http.request_content_length_uncompressed", "http.request.header.content-length"),
    "response": ("http.response.body.size", "http.response.size", "http.response_content_length", "http.response_content_length_uncompressed", "http.response.header.content-length"),
    "rows": ("db.response.returned_rows", "db.rows", "db.row_count"),
    "system": ("db.system.name", "db.system", "messaging.system", "rpc.system.name", "rpc.system", "db.type"),
    "statement": ("db.query.text", "db.statement", "sql.query"),
    "command": ("db.operation.name", "db.operation"),
    "database": ("db.namespace", "db.name", "db.instance"),
    "target": ("messaging.destination.name", "messaging.destination", "rpc.service"),
    "host": ("server.address", "net.peer.name", "peer.hostname", "net.peer.ip", "peer.address", "peer.ipv4"),
    "port": ("server.port", "net.peer.port", "peer.port"),
    "instance": ("service.instance.id", "k8s.pod.name", "host.name", "hostname", "host.hostname", "container.id"),
    "rate": ("SampleRate", "sampleRate", "sampling.weight"),
}
_SLOT = {name: (slot, place) for slot, names in _FIRST.items() for place, name in enumerate(names)}
#: Keys that the map leaves out: read into columns, of people, of secrets, of addresses, or different in every span.
_LEFT_OUT = re.compile(
    r"(?i)^(?:telemetry\.|otel\.|otlp\.|exception\.|error$|error\.|span\.kind$|internal\.|sampler\.|sampling\.|tailsampling\.|jaeger\.|http\.|url\.|net\.|network\.|server\.|client\.|"
    r"source\.|peer\.|user_agent\.|thread\.|process\.|code\.line|host\.|os\.|component$|service\.(?:name|instance)|service\.namespace$|ip$|w3c\.|db\.(?:user|redis)|db\.connection_string|"
    r"enduser|user|customer|account|visitor|person|client|session|session_id)"
    r"|(?:^|[._])(?:ip|addr|address|stacktrace|query|body|header|headers|cookie|cookies|message|email|phone|url|uri|uuid|guid|(?:user|customer|account|session|request|correlation|trace|span)[._-]?id)(?:$|[._])"
)
_NUMBER = re.compile(r"[+-]?(?:\d{1,18}|\d{0,17}\.\d{1,18})(?:[eE][+-]?\d{1,3})?")
_AUTHORITY = re.compile(r"^[A-Za-z][\w+.-]*://(?:[^/?#@]*@)?([^/?#]*)")
_METHOD = re.compile(r"[A-Za-z][A-Za-z_-]{0,19}")
_SQL = re.compile(r"(?i)^\s*(?:/\*.*?\*/\s*)?(?:select|insert|update|delete|with|begin|commit|rollback|call|merge|replace|lock|set|show|explain|create|alter|drop|truncate|savepoint|release|start)\b", re.DOTALL)
#: Parameters of drivers: PostgreSQL's grammar has none of them, so each becomes a literal before the text is parsed.
_PARAMETER = re.compile(r"%\(\w{1,60}\)s|(?<=[\s=<>(,+*/-])%s(?!\w)|(?<=[=<>(,\s])\?(?=\s*(?:[,);\s]|$))|(?<=[\s=<>(,])[:@][A-Za-z_]\w{0,60}")
_NOT_SQL = frozenset({"redis", "memcached", "mongodb", "elasticsearch", "opensearch", "dynamodb", "aws.dynamodb", "couchdb", "neo4j", "kafka", "rabbitmq"})
_COMMAND = re.compile(r"[A-Za-z][A-Za-z_.]{0,30}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Said(NamedTuple):
    """What a span's attributes and its resource's say; the fields are columns of ``spans`` but for ``kind`` and ``failed``."""

    kind: str | None = None
    failed: bool | None = None
    error: str | None = None
    instance: str | None = None
    peer: str | None = None
    system: str | None = None
    method: str | None = None
    route: str | None = None
    http_status: int | None = None
    resend_count: int | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    rows: int | None = None
    queue_us: int | None = None
    fingerprint: str | None = None
    statement: str | None = None
    sampler: str | None = None
    weight: float | None = None
    attributes: tuple[tuple[str, str], ...] = ()


class Reading:
    """Reads attributes for one source; bounds what its spans may name."""

    def __init__(self, route_patterns: tuple[str, ...] = ()) -> None:
        self.routes = RouteTable(route_patterns)
        self._values: dict[str, set[str]] = {}

    def said(self, pairs: Pairs) -> Said:
        """What ``pairs`` say: values are strings, numbers or booleans, anything else is passed over."""
        found: dict[str, tuple[int, Any]] = {}
        more: dict[str, Any] = {}
        kept: list[tuple[str, str]] = []
        for key, value in pairs:
            if value is None or value == "":
                continue
            if slot := _SLOT.get(key):
                name, place = slot
                if name not in found or place < found[name][0]:
                    found[name] = place, value
                continue
            more[key] = value
            if len(kept) < MOST and (entry := self._kept(key, value)):
                kept.append(entry)
        return self._row({name: value for name, (_, value) in found.items()}, more, tuple(sorted(dict(kept).items())))

    def _row(self, found: dict[str, Any], more: dict[str, Any], kept: tuple[tuple[str, str], ...]) -> Said:
        get = found.get
        system = short(get("system"))
        statement = _statement(get("statement"), get("command"), system)
        url, route = _text(get("url")), _text(more.get("http.route"))
        method, status = _text(get("method")), whole(get("status"))
        sampler, weight = _sampling(more, get("rate"))
        error = more.get("error.type") or (more.get("error") if isinstance(more.get("error"), str) and more["error"].lower() not in ("true", "false") else None)
        kind = _text(more.get("span.kind")).lower()
        numbers = [n if n is not None and n >= 0 else None for n in map(whole, (get("resend"), get("request"), get("response"), get("rows")))]
        return Said(
            kind if kind in ("internal", "server", "client", "producer", "consumer") else None,
            _failed(more), redact.template(str(error))[:200] or None if error else None, short(get("instance")), self._peer(found, more, url, system), system,
            method.upper() if _METHOD.fullmatch(method) else None,
            self.routes.values[self.routes.code(route or url)] if route or url else None,
            status if status is not None and 0 <= status <= 999 else None,
            numbers[0], numbers[1], numbers[2], numbers[3], _queue(more), statement.fingerprint or None, statement.statement or None, sampler, weight, kept,
        )  # fmt: skip

    @staticmethod
    def _peer(found: dict[str, Any], more: dict[str, Any], url: str, system: str | None) -> str | None:
        if service := short(more.get("peer.service") or more.get("service.peer.name")):
            return service
        for key in ("database", "target"):
            if system and (name := short(found.get(key))):
                return f"{system}/{name}"
        if system and "host" not in found:
            return system
        authority = _AUTHORITY.match(url)
        host, port = (authority[1], None) if authority else (found.get("host"), found.get("port"))
        return short(f"{host}:{port}" if host and port is not None and f":{port}" not in str(host) else host)

    def _kept(self, key: str, value: Any) -> tuple[str, str] | None:
        """An attribute of the map, or None."""
        if isinstance(value, bool):
            text = "true" if value else "false"
        elif isinstance(value, (int, float)):
            text = str(value)
        elif isinstance(value, str):
            text = value
        else:
            return None
        if key not in self._values:
            if len(key) > LONGEST or len(self._values) >= KEYS or redact.value(key, "a") != "a":
                return None
            self._values[key] = set()
        if key in _QUEUE or _left_out(key):
            return None
        known = self._values[key]
        if _NUMBER.fullmatch(text):  # a size may matter even where it differs in every span
            number = float(text)
            text = text if number.is_integer() and len(text) <= 9 else f"{number:.4g}"
            if text not in known and len(known) >= VALUES:
                text = f"{number:.2g}"
            else:
                known.add(text)
            return key, text
        text = redact.value(key, text[: LONGEST * 4])
        text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        if text not in known:
            if len(known) >= VALUES:
                return key, "…"
            known.add(text)
        return key, text


@lru_cache(maxsize=4_096)
def _left_out(key: str) -> bool:
    return _LEFT_OUT.search(key) is not None


@lru_cache(maxsize=16_384)
def operation(name: str) -> str:
    """A span's name without literals: SQL is normalised, paths lose their query and ids; at most 200 characters."""
    name = name[:_STATEMENT]
    if len(name) > 40 and _SQL.match(name):
        name = statement_of(name).statement
    elif "/" in name or "?" in name:
        name = " ".join(_route(word) if "/" in word or "?" in word else word for word in name[:2_000].split(" "))
    return redact.value("operation", _CONTROL.sub(" ", name)[:200])


def _route(word: str) -> str:
    from perfaudit.evidence.routes import normalise

    return normalise(word.encode("utf-8", "replace")).decode("utf-8", "replace") if word.startswith(("/", "http://", "https://")) else word.partition("?")[0]


def statement_of(text: str) -> sql.Statement:
    """The statement behind ``text``; parameters of drivers (``%s``, ``?``, ``:name``) count as literals."""
    return sql.fingerprint(_PARAMETER.sub("'0'", text[:_STATEMENT]))


def whole(value: Any) -> int | None:
    """A number as an integer, None for what is none or beyond reason."""
    if isinstance(value, (bool, str)):
        if isinstance(value, bool) or not (len(value) <= 24 and _NUMBER.fullmatch(value.strip())):
            return None
        value = float(value) if "." in value or "e" in value.lower() else int(value)
    if not isinstance(value, (int, float)) or not -_MAX_INT < value < _MAX_INT:
        return None
    return int(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def short(value: Any) -> str | None:
    """A name, safe to keep, or None."""
    if isinstance(value, (list, tuple, dict)) or value in (None, ""):
        return None
    return redact.value("name", str(value)[:200]) or None


def _failed(more: dict[str, Any]) -> bool | None:
    code = _text(more.get("otel.status_code")).upper()
    if code in ("ERROR", "OK"):
        return code == "ERROR"
    error = more.get("error")
    if error is None:
        return None
    return error if isinstance(error, bool) else str(error).lower() != "false"


def _statement(text: Any, command: Any, system: str | None) -> sql.Statement:
    if isinstance(text, str) and text and (system or "").lower() not in _NOT_SQL:
        return statement_of(text)
    word = _COMMAND.match(_text(command) or _text(text))
    return sql.Statement("", word[0].upper()) if word else sql.Statement("", "")


def _queue(more: dict[str, Any]) -> int | None:
    for key, scale in _QUEUE.items():
        value = more.get(key)
        if isinstance(value, str) and len(value) <= 24 and _NUMBER.fullmatch(value):
            value = float(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value * scale < 1e12:
            return round(value * scale)
    return None


def _sampling(more: dict[str, Any], rate: Any) -> tuple[str | None, float | None]:
    """``(sampler, weight)``: Jaeger's ``sampler.*``, the Collector's ``tailsampling.*``, a sample rate as Honeycomb writes it."""
    if any(key.startswith("tailsampling.") for key in more):
        return "tail", None
    sampler = short(more.get("sampler.type"))
    value = more.get("sampler.param")
    if sampler in ("probabilistic", "traceidratio") and isinstance(value, (int, float, str)):
        try:
            share = float(value)
        except ValueError:
            return sampler, None
        return sampler, 1 / share if 1e-9 < share <= 1 else None
    number = whole(rate)
    return sampler, float(number) if number and number > 0 else None


@lru_cache(maxsize=4_096)
def exception(kind: str) -> str:
    """The type of an exception, safe to keep."""
    return redact.value("type", _CONTROL.sub(" ", kind[:200]))
