"""The part of PromQL that counts events: a selector, perhaps inside ``rate``, ``increase`` and ``sum``.

Source: Prometheus documentation, "Querying basics". Anything else is not understood here, and :func:`parse` says None: a query is
never evaluated by guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from perfaudit.evidence.store import quote

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_STRING = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
_MATCHER = re.compile(rf"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*({_STRING})\s*(,|$)")
_SELECTOR = re.compile(rf"({_NAME})?\s*(?:\{{((?:[^{{}}\"']|{_STRING})*)\}})?\s*(?:\[([^\[\]\s:]+)\])?")
_CALL = re.compile(r"(sum|rate|increase|irate|round|ceil|floor)\s*\((.*)\)", re.DOTALL)
_BY = re.compile(r"sum\s*(?:(?:by|without)\s*\([\w\s,]*\)\s*\((.*)\)|\((.*)\)\s*(?:by|without)\s*\([\w\s,]*\))", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
#: Nesting of calls that is followed: sum(rate(x)) has two.
DEEPEST = 6

#: Labels by which exporters and frameworks name what an access log holds.
STATUS = ("status", "code", "status_code", "http_status", "http_status_code", "http_response_status_code", "response_code")
METHOD = ("method", "http_method", "http_request_method", "verb")
ROUTE = ("route", "http_route", "path", "handler", "uri", "endpoint")
SERVICE = ("service", "job", "app", "service_name")
_COUNTER = re.compile(r"(?:^|_)requests?(?:_\w+)?_(?:total|count)$|^http_\w*(?:duration|latency|request)\w*_count$|(?:^|_)requests?_total$")
_BUCKET = re.compile(r"^\w*(?:http|request|response)\w*_bucket$")


@dataclass(frozen=True)
class Selector:
    """A series by name and label matchers ``(label, operator, value)``; ``counts``: it stood inside ``rate`` or ``increase``."""

    name: str
    matchers: tuple[tuple[str, str, str], ...] = ()
    counts: bool = False

    def text(self) -> str:
        """As PromQL, its strings quoted again."""
        inside = ",".join(f"{label}{op}{string(value)}" for label, op, value in self.matchers)
        return f"{self.name}{{{inside}}}" if inside else self.name


def string(value: str) -> str:
    """A PromQL string literal in which nothing acts."""
    return '"' + "".join(_escaped(c) for c in value) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable() and not "\ud800" <= character <= "\udfff":
        return character
    code = ord(character)
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def parse(text: str) -> Selector | None:
    """The selector of a query that counts events; None where the query is anything else."""
    rest, counts = text.strip(), False
    for _ in range(DEEPEST):
        grouped, call = _BY.fullmatch(rest), _CALL.fullmatch(rest)
        if grouped:
            rest = (grouped[1] or grouped[2]).strip()
        elif call and _balanced(call[2]):
            counts = counts or call[1] in ("rate", "increase", "irate")
            rest = call[2].strip()
        else:
            break
    found = _SELECTOR.fullmatch(rest)
    if not found or not (found[1] or found[2]) or (found[3] is None) == counts:
        return None
    matchers = _matchers(found[2] or "")
    if matchers is None:
        return None
    name = found[1] or next((v for label, op, v in matchers if label == "__name__" and op == "="), "")
    return Selector(name, tuple(m for m in matchers if m[0] != "__name__"), counts) if name else None


def _balanced(text: str) -> bool:
    depth = 0
    for token in re.findall(rf"{_STRING}|[()]", text):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth < 0:
            return False
    return depth == 0


def _matchers(text: str) -> list[tuple[str, str, str]] | None:
    out, at = [], 0
    text = text.strip()
    while at < len(text):
        found = _MATCHER.match(text, at)
        if not found:
            return None
        out.append((found[1], found[2], _unquoted(found[3])))
        at = found.end()
    return out


def well_formed(text: str) -> bool:
    """Whether a query may stand inside parentheses: brackets and quotes are closed in order, and no comment swallows what follows."""
    closing, open_ones = {")": "(", "]": "[", "}": "{"}, []
    rest = re.sub(rf"{_STRING}|`[^`]*`", "s", text)
    if not text.strip() or re.search(r"[#\"'`;\x00-\x08\x0b-\x1f\x7f]", rest):
        return False
    for character in rest:
        if character in "([{":
            open_ones.append(character)
        elif character in closing and (not open_ones or open_ones.pop() != closing[character]):
            return False
    return not open_ones


def regular(text: str) -> bool:
    """Whether what stands after ``=~`` and ``!~`` in a query are regular expressions."""
    for found in re.finditer(rf"[=!]~\s*({_STRING})", text):
        try:
            re.compile(_unquoted(found[1]))
        except re.error:
            return False
    return True


def _unquoted(literal: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), literal[1:-1])


def condition(matchers: tuple[tuple[str, str, str], ...], column: str = "labels[{}]") -> str:
    """The matchers as SQL over the labels of ``metrics``; an absent label is the empty text, as in PromQL."""
    return " AND ".join(_compare(f"coalesce({column.format(quote(label))}, '')", op, value) for label, op, value in matchers) or "true"


def _compare(left: str, op: str, value: str) -> str:
    if op in ("=", "!="):
        return f"{left} {'=' if op == '=' else '<>'} {quote(value)}"
    return f"{'' if op == '=~' else 'NOT '}regexp_full_match({left}, {quote(value)})"


def on_requests(selector: Selector, services: tuple[str, ...]) -> tuple[str, list[str]] | None:
    """The same events in an access log: a SQL condition on ``requests``, and what was left out; None where the name is not that of HTTP requests.

    ``services``: the services that logged requests, by which ``job`` and the like are understood.
    """
    bucket = _BUCKET.fullmatch(selector.name)
    if not bucket and not _COUNTER.search(selector.name):
        return None
    parts, left_out, bounded = [], [], False
    for label, op, value in selector.matchers:
        if label in STATUS:
            parts.append(_compare("status::VARCHAR", op, value))
        elif label in METHOD:
            parts.append(_compare("coalesce(method, '')", op, value))
        elif label in ROUTE:
            parts.append(_compare("coalesce(route, '')", op, value))
        elif label in SERVICE and op == "=" and value in services:
            parts.append(f"service = {quote(value)}")
        elif label == "le" and bucket and op == "=" and (least := bound(value)) is not None:
            parts.append("true" if least < 0 else f"duration_us <= {least}")
            bounded = True
        else:
            left_out.append(f"{label}{op}{string(value)}")
    if bucket and not bounded:
        return None
    return " AND ".join(parts) or "true", left_out


def bound(value: str) -> int | None:
    """A bucket's bound in µs; −1 for +Inf, None for no number."""
    if value == "+Inf":
        return -1
    return round(float(value) * 1e6) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?(e-?\d{1,2})?", value) else None
