"""Routes: a request target without what varies, so that a shop has dozens of routes and not millions of paths.

:func:`normalise` is the rule; the scanner's kernel (:mod:`perfaudit.kernels.routes`) is the same rule compiled, and is fuzzed
against it. Of a target this is kept:

1. *Path only.* Query, fragment and path parameters (``;jsessionid=…``) are dropped, scheme and host of an absolute URI too. An
   authority (``CONNECT host:443``) is ``{authority}``, ``*`` stays. Repeated slashes are one; a trailing slash stays as
   logged, because frameworks answer ``/a/`` and ``/a`` differently (often one redirects to the other).
2. *A segment is ``{id}`` as a whole* if it is an e-mail address, holds an escaped ASCII byte (``%20``, ``%40``, ``%2F``: data put
   into a path; escapes of other bytes are letters of some language), or is a long random token with dashes (base64url).
3. *A token inside a segment is ``{id}``*. Tokens are runs of letters and digits, so ``app.3f2a9c1b.js`` is ``app.{id}.js``.
   A token varies if it is a number; a UUID; hexadecimal (6 or more, at least one digit); has five digits in a row; is 20 or more
   characters long with two digits (ULID, KSUID, keys); or is 8 or more with three or more changes between letters and
   digits (short ids). Letters with one or two digits behind are words: ``v1``, ``oauth2``, ``utf8``, ``mp4``, ``decade12``.
   ``{name}``, ``<int:name>`` and ``:name`` of route templates are ``{id}`` too, and so is all that follows ``=``.
4. ``{id}`` side by side in a segment are one: dates, versions, addresses and ``1,2,3`` are one ``{id}``.
5. Control bytes become ``?``; the route is cut at 200 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from perfaudit.kernels.program import MAX_ROUTE as MAX_ROUTE

#: Distinct routes kept of one source; further ones are :data:`OTHER`.
MAX_ROUTES = 20_000
#: Raw targets remembered by :class:`RouteTable`, to normalise each once.
_MAX_TARGETS = 50_000
OTHER = "other"
ID = b"{id}"

_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
_UUID = re.compile(rb"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}(?![0-9A-Za-z\x80-\xff%])")
_TEMPLATE = re.compile(rb"\{[^{}]*\}|<[^<>]*>")
_PARAMETER = re.compile(rb":[A-Za-z_][0-9A-Za-z_]*")
_ESCAPED_ASCII = re.compile(rb"%[0-7][0-9A-Fa-f]")
_ADDRESS = re.compile(rb"[^@]@[A-Za-z][^@]*\.")
_TOKEN = re.compile(rb"(?:[0-9A-Za-z\x80-\xff]|%[89A-Fa-f][0-9A-Fa-f])+")
_HEX = re.compile(rb"[0-9A-Fa-f]{6,}")
_WORD = re.compile(rb"[A-Za-z]+[0-9]{0,2}")
_CHANGE = re.compile(rb"(?<=[0-9])(?=[A-Za-z])|(?<=[A-Za-z])(?=[0-9])")
_CASE_CHANGE = re.compile(rb"(?<=[0-9])(?=[A-Za-z])|(?<=[a-z])(?=[0-9A-Z])|(?<=[A-Z])(?=[0-9a-z])")
_RANDOM = re.compile(rb"[0-9A-Za-z_+-]{20,}=*")


def normalise(target: bytes) -> bytes:
    """The route of a request target (as logged, without method and protocol), by the rule of this module."""
    path = re.split(rb"[?#]", target, maxsplit=1)[0]
    if not path.startswith(b"/"):
        if path == b"*":
            return path
        scheme = _SCHEME.match(path)
        if scheme:
            path = path[scheme.end() :]
        elif b":" in path and b"/" not in path and not path.startswith(b":"):
            return b"{authority}"
    segments = [segment.split(b";", 1)[0] for segment in path.split(b"/")]
    parts = [_segment(segment) for segment in segments if segment]
    return (b"/" + b"/".join(parts) + (b"/" if parts and path.endswith(b"/") else b""))[:MAX_ROUTE]


def _segment(segment: bytes) -> bytes:
    if _ADDRESS.search(segment) or _ESCAPED_ASCII.search(segment) or _random(segment):
        return ID
    out = bytearray()
    joined = -1  # length of out just after an {id} that only delimiters follow
    position = 0
    while position < len(segment):
        end, variable = _next(segment, position)
        if variable:
            if joined >= 0:
                del out[joined:]
            else:
                out += ID
            joined = len(out)
        else:
            piece = segment[position:end]
            if _TOKEN.match(piece):
                joined = -1
            out += bytes(byte if byte > 31 and byte != 127 else 63 for byte in piece)
        if segment[position:end] == b"=":
            return bytes(out) + ID
        position = end
    return bytes(out)


def _next(segment: bytes, position: int) -> tuple[int, bool]:
    """End of the piece at ``position`` and whether it varies."""
    if position == 0 and (name := _PARAMETER.match(segment)):
        return name.end(), True
    if template := _TEMPLATE.match(segment, position):
        return template.end(), True
    if uuid := _UUID.match(segment, position):
        return uuid.end(), True
    token = _TOKEN.match(segment, position)
    if not token:
        return position + 1, False
    return token.end(), _varies(token.group())


def _varies(token: bytes) -> bool:
    if not token.isalnum() or token.isalpha():  # letters of other languages, or no digit at all
        return False
    if token.isdigit():
        return True
    if _WORD.fullmatch(token):
        return False
    digits = sum(48 <= byte <= 57 for byte in token)
    return bool(
        _HEX.fullmatch(token)
        or re.search(rb"[0-9]{5}", token)
        or (len(token) >= 20 and digits >= 2)
        or (len(token) >= 8 and digits >= 2 and len(_CHANGE.findall(token)) >= 3)
    )


def _random(segment: bytes) -> bool:
    """Base64url: 20 or more, a digit, and the class (a, A, 0) changes between a third of neighbours; words change at 1 in 5."""
    if not _RANDOM.fullmatch(segment) or not re.search(rb"[0-9]", segment):
        return False
    return len(_CASE_CHANGE.findall(segment)) * 3 >= len(segment) - 1


class Patterns:
    """The person's own routes (``/products/{slug}``, ``/blog/*``), applied to normalised routes; the first that fits wins.

    ``{name}`` and ``*`` stand for one segment, ``*`` at the end for all that follow. The route is then the pattern itself.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._rules = [(self._compile(pattern), re.sub(r"\{[^{}]*\}|<[^<>]*>", "{id}", pattern)) for pattern in patterns]

    @staticmethod
    def _compile(pattern: str) -> re.Pattern[str]:
        body, star = (pattern[:-1], ".+") if pattern.endswith("/*") else (pattern, "")
        pieces = re.split(r"(\{[^{}]*\}|<[^<>]*>|\*)", body)
        return re.compile("".join("[^/]+" if i % 2 else re.escape(piece) for i, piece in enumerate(pieces)) + star, re.DOTALL)

    def apply(self, route: str) -> str:
        """``route``, or the pattern that it matches."""
        for rule, name in self._rules:
            if rule.fullmatch(route):
                return name
        return route


class RouteTable:
    """Routes of one source by code, bounded; for readers that meet few distinct targets or are not in a kernel."""

    def __init__(self, patterns: Sequence[str] = (), limit: int = MAX_ROUTES) -> None:
        self.values: list[str] = []
        self.overflowed = False
        self._limit = limit
        self._patterns = Patterns(patterns)
        self._routes: dict[str, int] = {}
        self._targets: dict[str, int] = {}

    def code(self, target: str) -> int:
        """The code (index in :attr:`values`) of a raw request target."""
        code = self._targets.get(target)
        if code is None:
            if len(self._targets) >= _MAX_TARGETS:
                self._targets.clear()
            code = self._targets[target] = self._intern(normalise(target.encode("utf-8", "surrogatepass")))
        return code

    def _intern(self, route: bytes) -> int:
        name = self._patterns.apply(route.decode("utf-8", "replace"))
        if name not in self._routes:
            if len(self.values) >= self._limit:
                self.overflowed = True
                name = OTHER
            if name not in self._routes:
                self._routes[name] = len(self.values)
                self.values.append(name)
        return self._routes[name]


def overflow_note(limit: int = MAX_ROUTES) -> str:
    """What to tell when a source has more routes than are kept."""
    return f"more than {limit:,} distinct routes: the later ones are counted as '{OTHER}'; name patterns (route_patterns, e.g. '/products/{{slug}}') to group them"
