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
from perfaudit.kernels import attribute_keys as codes

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

#: Numbers, by the name of their column: keys, the preferred one first. Of ``queue_us`` also the µs of one unit.
_NUMBERS: Mapping[str, tuple[str, ...]] = {
    "http_status": ("http.response.status_code", "http.status_code"),
    "resend_count": ("http.request.resend_count", "http.resend_count", "http.retry_count"),
    "request_bytes": ("http.request.body.size", "http.request.size", "http.request_content_length", "http.request_content_length_uncompressed", "http.request.header.content-length"),
    "response_bytes": ("http.response.body.size", "http.response.size", "http.response_content_length", "http.response_content_length_uncompressed", "http.response.header.content-length"),
    "rows": ("db.response.returned_rows", "db.rows", "db.row_count"),
    "queue_us": ("http.server.request.queue_time", "queue_time", "queue.wait_ms", "queue_time_ms", "messaging.queue_time_ms"),
}
_SECONDS = ("http.server.request.queue_time", "queue_time")
_WORDS: Mapping[str, tuple[str, ...]] = {
    "method": ("http.request.method", "http.method"),
    "route": ("http.route",),
    "url": ("url.full", "http.url", "http.target", "url.path", "http.path"),
    "system": ("db.system.name", "db.system", "messaging.system", "rpc.system.name", "rpc.system", "db.type"),
    "statement": ("db.query.text", "db.statement", "sql.query"),
    "command": ("db.operation.name", "db.operation"),
    "database": ("db.namespace", "db.name", "db.instance"),
    "target": ("messaging.destination.name", "messaging.destination", "rpc.service"),
    "peer": ("peer.service", "service.peer.name"),
    "host": ("server.address", "net.peer.name", "peer.hostname"),
    "address": ("net.peer.ip", "peer.address", "peer.ipv4"),
    "port": ("server.port", "net.peer.port", "peer.port"),
    "instance": ("service.instance.id", "k8s.pod.name", "host.name", "hostname", "host.hostname", "container.id"),
    "kind": ("span.kind",),
    "code": ("otel.status_code",),
    "error": ("error.type", "error"),
    "sampler": ("sampler.type",),
    "share": ("sampler.param",),
    "rate": ("SampleRate", "sampleRate", "sampling.weight"),
    "tail": ("tailsampling.policy", "tailsampling.composite_policy", "tailsampling.cached_decision"),
}
_SLOTS = {key: (name, place) for names in (_NUMBERS, _WORDS) for name, keys in names.items() for place, key in enumerate(keys)}
#: Keys that the map leaves out: read into columns, of people, of secrets, of addresses, or different in every span.
_LEFT_OUT = re.compile(
    r"(?i)^(?:telemetry\.|otel\.|otlp\.|exception\.|error$|error\.|span\.kind$|internal\.|sampler\.|sampling\.|tailsampling\.|jaeger\.|http\.|url\.|net\.|network\.|server\.|client\.|"
    r"source\.|peer\.|user_agent\.|thread\.|process\.|code\.line|host\.|os\.|component$|service\.(?:name|instance)|service\.namespace$|ip$|w3c\.|db\.(?:user|redis)|db\.connection_string|"
    r"enduser|user|customer|account|visitor|person|client|session|session_id)"
    r"|(?:^|[._])(?:ip|addr|address|stacktrace|query|body|header|headers|cookie|cookies|message|email|phone|url|uri|uuid|guid|(?:user|customer|account|session|request|correlation|trace|span)[._-]?id)(?:$|[._])"
)
_NUMBER = re.compile(r"[+-]?(?:\d{1,18}|\d{0,17}\.\d{1,18})(?:[eE][+-]?\d{1,3})?")
_AUTHORITY = re.compile(r"^[A-Za-z][\w+.-]*://(?:[^/?#@]*@)?([^/?#]*)")
_DIGITS = re.compile(r"/\d+(?=/|$)")
_METHOD = re.compile(r"[A-Za-z][A-Za-z_-]{0,19}")
_SQL = re.compile(r"(?i)^\s*(?:/\*.*?\*/\s*)?(?:select|insert|update|delete|with|begin|commit|rollback|call|merge|replace|lock|set|show|explain|create|alter|drop|truncate|savepoint|release|start)\b", re.DOTALL)
#: Parameters of drivers: PostgreSQL's grammar has none of them, so each becomes a literal before the text is parsed.
_PARAMETER = re.compile(r"%\(\w{1,60}\)s|(?<=[\s=<>(,+*/-])%s(?!\w)|(?<=[=<>(,\s])\?(?=\s*(?:[,);\s]|$))|(?<=[\s=<>(,])[:@][A-Za-z_]\w{0,60}")
_NOT_SQL = frozenset({"redis", "memcached", "mongodb", "elasticsearch", "opensearch", "dynamodb", "aws.dynamodb", "couchdb", "neo4j", "kafka", "rabbitmq"})
_COMMAND = re.compile(r"[A-Za-z][A-Za-z_.]{0,30}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Said(NamedTuple):
    """What a span's attributes say in words; the fields are columns of ``spans`` but for ``kind`` and ``failed``."""

    kind: str | None = None
    failed: bool | None = None
    error: str | None = None
    instance: str | None = None
    peer: str | None = None
    system: str | None = None
    method: str | None = None
    route: str | None = None
    fingerprint: str | None = None
    statement: str | None = None
    sampler: str | None = None
    weight: float | None = None
    attributes: tuple[tuple[str, str], ...] = ()


#: Columns of ``spans`` that hold what attributes say in numbers. Numbers differ in every span where words do not.
NUMBERS = tuple(_NUMBERS)
#: Slots that are read otherwise than each by itself.
_CLASSES = {"url": codes.URL, "route": codes.ROUTE, "host": codes.HOST, "port": codes.PORT, "address": codes.ADDRESS, "kind": codes.ROLE, "method": codes.METHOD}


class Reading:
    """Reads attributes for one source; bounds what its spans may name. ``words`` are the distinct :class:`Said`."""

    def __init__(self, route_patterns: tuple[str, ...] = ()) -> None:
        self.routes = RouteTable(route_patterns)
        self._values: dict[str, dict[Any, str] | None] = {}
        self.forget()

    def forget(self) -> None:
        """Forget the distinct :class:`Said` and what they were made of; a meaning is ``(slot or "", place or 0, key, value)``."""
        self.words: list[Said] = []
        self._known: dict[Any, int] = {}
        self._meant: list[tuple[str, int, str, Any]] = [("", 0, "", "")]
        self._meanings: dict[Any, int] = {}

    def kind(self, key: str) -> int:
        """How an attribute of this key is read: a class of :mod:`perfaudit.kernels.attributes`."""
        if key in _SLOTS:
            return _CLASSES.get(_SLOTS[key][0], codes.WORD)
        return codes.SKIPPED if self._kept(key, "a") is None else codes.WORD

    def meaning(self, key: str, value: Any) -> tuple[int, int, int]:
        """``(meaning, number, place)`` of an attribute, see :class:`perfaudit.kernels.attributes.Codes`. Values are strings, numbers or
        booleans; anything else says nothing."""
        slot = _SLOTS.get(key)
        if value is None or value == "" or not isinstance(value, (str, int, float)):
            return 0, 0, 0
        if slot is None:
            text = self._kept(key, value)
            return (self._code(("", 0, key, text), (key, text)), 0, 0) if text is not None else (0, 0, 0)
        name, place = slot
        if name in _NUMBERS:
            number = _number(name, place, value)
            return (-1 - NUMBERS.index(name), number, place) if number is not None else (0, 0, 0)
        if name == "url":
            value = _shrunk(_text(value))
        alike: Any = value
        if name == "statement" and isinstance(value, str) and _SQL.match(value):
            alike = statement_of(value)
        return self._code((name, place, "", value), (slot, value.__class__, alike)), 0, 0

    def _code(self, meant: tuple[str, int, str, Any], alike: Any) -> int:
        code = self._meanings.get(alike)
        if code is None:
            code = self._meanings[alike] = len(self._meant)
            self._meant.append(meant)
        return code

    def word(self, meanings: Iterable[int]) -> int:
        """The index in ``words`` of what meanings say together."""
        found: dict[str, Any] = {}
        places: dict[str, int] = {}
        kept: dict[str, str] = {}
        for meaning in meanings:
            name, place, key, value = self._meant[meaning]
            if not name:
                if len(kept) < MOST:
                    kept[key] = value
            elif name not in found or place < places[name]:
                found[name], places[name] = value, place
        if "route" in found:
            found.pop("url", None)
        if "host" not in found:  # of a server, and of its client: one in every span
            found.pop("port", None)
            if "route" in found or "url" in found or "method" in found:
                found.pop("address", None)
        shape = (*((name, value.__class__, value) for name, value in sorted(found.items(), key=_first)), None, *sorted(kept.items()))
        code = self._known.get(shape)
        if code is None:
            code = self._known[shape] = len(self.words)
            self.words.append(self._said(found, tuple(sorted(kept.items()))))
        return code

    def read(self, pairs: Pairs) -> tuple[int, dict[str, int]]:
        """``(index in words, numbers by column)`` of attributes."""
        meanings: list[int] = []
        numbers: dict[str, int] = {}
        places: dict[str, int] = {}
        for key, value in pairs:
            meaning, number, place = self.meaning(key, value)
            if meaning > 0:
                meanings.append(meaning)
            elif meaning < 0 and ((name := NUMBERS[-1 - meaning]) not in numbers or place < places[name]):
                numbers[name], places[name] = number, place
        return self.word(meanings), numbers

    def said(self, pairs: Pairs) -> Said:
        """What the attributes of a resource say."""
        return self.words[self.read(pairs)[0]]

    def _said(self, found: dict[str, Any], kept: tuple[tuple[str, str], ...]) -> Said:
        get = found.get
        system = short(get("system"))
        statement = _statement(get("statement"), get("command"), system)
        url, route, method, kind = _text(get("url")), _text(get("route")), _text(get("method")), _text(get("kind")).lower()
        error = get("error")
        message = error if isinstance(error, str) and error.lower() not in ("true", "false") else None
        sampler, weight = ("tail", None) if "tail" in found else _sampling(found)
        return Said(
            kind if kind in ("internal", "server", "client", "producer", "consumer") else None,
            _failed(_text(get("code")).upper(), error), redact.template(message)[:200] or None if message else None, short(get("instance")), self._peer(found, url, system), system,
            method.upper() if _METHOD.fullmatch(method) else None, self.routes.values[self.routes.code(route or url)] if route or url else None,
            statement.fingerprint or None, statement.statement or None, sampler, weight, kept,
        )  # fmt: skip

    @staticmethod
    def _peer(found: dict[str, Any], url: str, system: str | None) -> str | None:
        if service := short(found.get("peer")):
            return service
        for key in ("database", "target"):
            if system and (name := short(found.get(key))):
                return f"{system}/{name}"
        host = found.get("host") or found.get("address")
        if authority := _AUTHORITY.match(url):
            return short(authority[1])
        if host is None:
            return system
        port = found.get("port")
        return short(f"{host}:{port}" if port is not None and f":{port}" not in str(host) else host)

    def _kept(self, key: str, value: Any) -> str | None:
        """The text of an attribute in the map, or None."""
        known = self._values.get(key, self)
        if known is self:
            if len(key) > LONGEST or len(self._values) >= KEYS:
                return None
            known = self._values[key] = None if _LEFT_OUT.search(key) or redact.value(key, "a") != "a" else {}
        if not isinstance(known, dict):
            return None
        if value.__class__ not in (str, int, float, bool):
            return None
        text = known.get(value if value.__class__ is not bool else str(value))
        if text is None:
            text = _valued(key, value, len(known) >= VALUES)
            if len(known) < VALUES:
                known[value if value.__class__ is not bool else str(value)] = text
        return text


def _valued(key: str, value: Any, full: bool) -> str:
    """The text of a value, rounded (numbers) or not told (words) where its key has too many."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else str(value)
    if _NUMBER.fullmatch(text):  # a size may matter even where it differs in every span
        number = float(text)
        return f"{number:.2g}" if full else text if number.is_integer() and len(text) <= 9 else f"{number:.4g}"
    if full:
        return "…"
    text = redact.value(key, text[: LONGEST * 4])
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _number(name: str, place: int, value: Any) -> int | None:
    """The value of a column, or None."""
    if name == "queue_us":
        return _wait(value, 1e6 if place < len(_SECONDS) else 1e3)
    number = whole(value)
    return number if number is not None and 0 <= number < (1000 if name == "http_status" else _MAX_INT) else None


def _first(pair: tuple[str, Any]) -> str:
    return pair[0]


def _wait(value: Any, scale: float) -> int | None:
    """A wait in µs."""
    if isinstance(value, str) and len(value) <= 24 and _NUMBER.fullmatch(value):
        value = float(value)
    return round(value * scale) if isinstance(value, (int, float)) and 0 <= value * scale < 1e12 else None


def _shrunk(url: str) -> str:
    """A URL or path without query, its numbers as 0: what the route is made from, alike for alike requests."""
    return _DIGITS.sub("/0", url.partition("?")[0].partition("#")[0]) if url else url


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
    if value.__class__ is int:
        return int(value) if -_MAX_INT < value < _MAX_INT else None
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


def _failed(code: str, error: Any) -> bool | None:
    if code in ("ERROR", "OK"):
        return code == "ERROR"
    return None if error is None else error if isinstance(error, bool) else str(error).lower() != "false"


def _statement(text: Any, command: Any, system: str | None) -> sql.Statement:
    if isinstance(text, str) and text and (system or "").lower() not in _NOT_SQL:
        return statement_of(text)
    word = _COMMAND.match(_text(command) or _text(text))
    return sql.Statement("", word[0].upper()) if word else sql.Statement("", "")


def _sampling(found: dict[str, Any]) -> tuple[str | None, float | None]:
    """``(sampler, weight)``: Jaeger's ``sampler.*``, or a sample rate as Honeycomb writes it."""
    sampler = short(found.get("sampler"))
    if sampler in ("probabilistic", "traceidratio"):
        try:
            share = float(found.get("share", ""))
        except ValueError:
            return sampler, None
        return sampler, 1 / share if 1e-9 < share <= 1 else None
    number = whole(found.get("rate"))
    return sampler, float(number) if number and number > 0 else None


@lru_cache(maxsize=4_096)
def exception(kind: str) -> str:
    """The type of an exception, safe to keep."""
    return redact.value("type", _CONTROL.sub(" ", kind[:200]))
