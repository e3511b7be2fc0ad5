"""Format texts → programs: nginx ``log_format`` (variables) and Apache ``LogFormat`` (directives), each with its own meaning of time.

Sources: ngx_http_log_module, ngx_http_core_module and ngx_http_upstream_module (nginx.org); mod_log_config, mod_logio (httpd.apache.org).
nginx writes the line when the request has ended, so its times are ends; Apache's ``%t`` is when the request was received.
"""

from __future__ import annotations

import re
from dataclasses import replace

from perfaudit.evidence.readers import NamedFormat
from perfaudit.kernels.program import (
    CLF,
    CLIENT,
    FRACTION,
    ISO,
    METHOD,
    NOTHING,
    NUMBER,
    REQUEST,
    REST,
    SKIP,
    STATUS,
    SYMBOL,
    TARGET,
    TEXT,
    TRIES,
    Field,
    Program,
)

COMBINED = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
#: Names that both servers ship or document.
KNOWN = {
    "combined": COMBINED,
    "common": '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent',
    "vhost_combined": '%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"',
    "combinedio": '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %I %O',
}

_NGINX = {
    "time_local": Field(CLF),
    "time_iso8601": Field(ISO),
    "msec": Field(NUMBER, "time", 1_000_000),
    "request": Field(REQUEST, "route"),
    "request_method": Field(METHOD, "method"),
    "request_uri": Field(TARGET, "route"),
    "uri": Field(TARGET, "route"),
    "document_uri": Field(TARGET, "route"),
    "status": Field(STATUS, "status"),
    "body_bytes_sent": Field(NUMBER, "response_bytes", 1),
    "bytes_sent": Field(NUMBER, "response_bytes", 1),
    "request_length": Field(NUMBER, "request_bytes", 1),
    "request_time": Field(NUMBER, "duration_us", 1_000_000),
    "upstream_connect_time": Field(TRIES, "upstream_connect_us"),
    "upstream_header_time": Field(TRIES, "upstream_header_us"),
    "upstream_response_time": Field(TRIES, "upstream_us"),
    "upstream_cache_status": Field(SYMBOL, "cache_status"),
    "remote_addr": Field(CLIENT, "client_key", 1),
    "http_x_forwarded_for": Field(CLIENT, "client_key"),
    "proxy_add_x_forwarded_for": Field(CLIENT, "client_key"),
    "request_id": Field(TEXT, "request_id"),
    "req_id": Field(TEXT, "request_id"),
    "http_x_request_id": Field(TEXT, "request_id"),
    "http_traceparent": Field(TEXT, "trace_id"),
    "hostname": Field(SYMBOL, "instance"),
}
#: Of these the first that a format has is read, the others are skipped.
_RIVALS = (("request", "request_uri", "uri", "document_uri"), ("request", "request_method"), ("body_bytes_sent", "bytes_sent"), ("msec", "time_iso8601", "time_local"))

_APACHE = {
    "h": Field(CLIENT, "client_key", 1),
    "a": Field(CLIENT, "client_key", 1),
    "r": Field(REQUEST, "route"),
    "s": Field(STATUS, "status"),
    "b": Field(NUMBER, "response_bytes", 1),
    "B": Field(NUMBER, "response_bytes", 1),
    "O": Field(NUMBER, "response_bytes", 1),
    "I": Field(NUMBER, "request_bytes", 1),
    "D": Field(NUMBER, "duration_us", 1),
    "T": Field(NUMBER, "duration_us", 1_000_000),
    "m": Field(METHOD, "method"),
    "U": Field(TARGET, "route"),
}
_APACHE_UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000}
_APACHE_EPOCH = {"sec": 1_000_000, "msec": 1_000, "usec": 1}
_STRFTIME = {"%T": "%H:%M:%S", "%F": "%Y-%m-%d", "%R": "%H:%M"}

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_DIRECTIVE = re.compile(r"%(?:%|[!\d,]*[<>]?(?:\{([^}]*)\})?(\^?[A-Za-z]{1,3}))")
_PIECES = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_HEAD = re.compile(r"^\s*(?:log_format\s+(\S+)\s+(?:escape=(\w+)\s+)?|(LogFormat)\s+)")


def from_options(log_format: str) -> Program | None:
    """The program of what a person wrote: a known name, a directive, or a bare format text; None where it is neither kind."""
    text = KNOWN.get(log_format.strip(), log_format)
    kind = "nginx" if "$" in text else "apache" if "%" in text else ""
    return from_text(NamedFormat(kind, "", text, "")) if kind else None


def from_text(declared: NamedFormat) -> Program | None:
    """The program of a declared nginx or Apache format; None for other kinds and for JSON (``escape=json`` or a ``{`` in front)."""
    text = _unwrap(declared.text)
    if text.lstrip().startswith("{") or declared.kind not in ("nginx", "apache"):
        return None
    return nginx(text) if declared.kind == "nginx" else apache(text)


def _unwrap(text: str) -> str:
    """The format inside a whole directive (several quoted pieces are one); other text as it is."""
    head = _HEAD.match(text)
    if not head:
        return text.strip().rstrip(";") if text.count("'") == 2 and text.strip()[:1] == "'" else text
    body = text[head.end() :]
    pieces = [a or b for a, b in _PIECES.findall(body)]
    if head[3]:
        pieces = pieces[:1]
    joined = "".join(pieces) or body.strip().rstrip(";")
    return re.sub(r"\\([\"'])", r"\1", joined)


def nginx(text: str) -> Program:
    """The program of an nginx format text; variables without a column are skipped."""
    names = [a or b for a, b in _VARIABLE.findall(text)]
    losers = {name for group in _RIVALS for name in [n for n in group if n in names][1:]}
    if "request" in names:
        losers |= {"request_method", "request_uri", "uri", "document_uri"} & set(names)
    literals = _VARIABLE.split(text)[::3]
    fields = [Field(SKIP) if name in losers else _nginx_field(name) for name in names]
    return replace(_assemble(fields, literals), text=text, product="nginx", ends=True)


def _nginx_field(name: str) -> Field:
    if name not in _NGINX and "trace_id" in name and "parent" not in name:
        return Field(TEXT, "trace_id")
    return _NGINX.get(name, Field(SKIP))


def apache(text: str) -> Program:
    """The program of an Apache format text; directives without a column are skipped."""
    text = text.replace('\\"', '"').replace("\\t", "\t")
    fields: list[Field] = []
    literals = [""]
    position = 0
    for match in _DIRECTIVE.finditer(text):
        literals[-1] += text[position : match.start()]
        position = match.end()
        if match[2] is None:
            literals[-1] += "%"
            continue
        before, field, after = _apache_field(match[1], match[2])
        literals[-1] += before
        fields.append(field)
        literals.append(after)
    literals[-1] += text[position:]
    fields, literals = _join_times(fields, literals)
    ends = "%{end:" in text
    return replace(_assemble(_without_rivals(fields, text), literals), text=text, product="Apache", ends=ends, dash_is_zero="%b" in text)


def _apache_field(argument: str | None, letter: str) -> tuple[str, Field, str]:
    """``(literal before, field, literal after)`` of one directive."""
    name = (argument or "").lower()
    if letter == "t":
        return _apache_time((argument or "").removeprefix("begin:").removeprefix("end:"))
    if letter == "T" and name in _APACHE_UNITS:
        return "", Field(NUMBER, "duration_us", _APACHE_UNITS[name]), ""
    if letter in "ieon" and argument:
        if name == "x-forwarded-for":
            return "", Field(CLIENT, "client_key"), ""
        if name in ("x-request-id", "unique_id"):
            return "", Field(TEXT, "request_id"), ""
        if name == "traceparent" or ("trace" in name and "id" in name):
            return "", Field(TEXT, "trace_id"), ""
        return "", Field(SKIP), ""
    if argument and letter not in "as":
        return "", Field(SKIP), ""
    return "", _APACHE.get(letter, Field(SKIP)), ""


def _apache_time(argument: str) -> tuple[str, Field, str]:
    if not argument:
        return "[", Field(CLF), "]"
    if argument in _APACHE_EPOCH:
        return "", Field(NUMBER, "time", _APACHE_EPOCH[argument]), ""
    for short, long in _STRFTIME.items():
        argument = argument.replace(short, long)
    for shape, kind in (("%d/%b/%Y:%H:%M:%S", CLF), ("%Y-%m-%dT%H:%M:%S", ISO), ("%Y-%m-%d %H:%M:%S", ISO)):
        before, found, after = argument.partition(shape)
        if found and "%" not in before:
            return before, Field(kind), after.replace(" %z", "").replace("%z", "")
    # A fraction or zone beside a time is read with it; another clock is skipped.
    return "", Field(NOTHING if argument in ("msec_frac", "usec_frac", "%z") else SKIP), ""


def _join_times(fields: list[Field], literals: list[str]) -> tuple[list[Field], list[str]]:
    """Drop fraction and zone (NOTHING) with the literal before them: the time in front reads both."""
    kept, texts = [], literals[:1]
    for field, literal in zip(fields, literals[1:], strict=True):
        if field.kind == NOTHING:
            texts[-1] = literal
        else:
            kept.append(field)
            texts.append(literal)
    return kept, texts


def _without_rivals(fields: list[Field], text: str) -> list[Field]:
    seen: set[str] = set()
    request = any(f.kind == REQUEST for f in fields)
    exact = bool(re.search(r"%D|%\{(us|ms)\}T", text))
    out = []
    for f in fields:
        lost = (
            (request and f.kind in (TARGET, METHOD))
            or (exact and f.column == "duration_us" and f.argument == 1_000_000)
            or (f.column in seen and f.kind not in (SKIP, CLIENT))
        )
        out.append(Field(SKIP) if lost else f)
        if not lost and f.kind != SKIP:
            seen.add(f.column)
    return out


def _assemble(fields: list[Field], literals: list[str]) -> Program:
    """A program from fields and the literals around them; texts with nothing between are one that is skipped."""
    head = Field(NOTHING, literal=literals[0].encode())
    out = [head] if literals[0] else []
    for field, literal in zip(fields, literals[1:], strict=True):
        if out and out[-1].kind <= TEXT and not out[-1].literal:
            out.pop()
            field = Field(SKIP) if field.kind <= TEXT else field
        out.append(replace(field, literal=literal.encode()))
    zoneless = False
    return Program(tuple(out), zoneless=zoneless)


def with_rest(program: Program) -> Program:
    """``program`` with anything behind its last field allowed, if a separator comes first."""
    last = program.fields[-1]
    fields = program.fields if last.literal or last.kind > TEXT else program.fields[:-1]
    return replace(program, fields=(*fields, Field(REST)))


def strict_seconds(program: Program) -> Program:
    """``program`` with durations that must have a fraction, as nginx writes them: a number of a glued line is not taken for one."""
    fields = tuple(replace(f, kind=FRACTION) if f.kind == NUMBER and f.column == "duration_us" and f.argument == 1_000_000 else f for f in program.fields)
    return replace(program, fields=fields)
