"""SQL without its literals: a statement's fingerprint and its normalised text.

The fingerprint is libpg_query's structural hash (``postgast``): it joins a log with pg_stat_statements whatever the
literals, the white space and the case. The text is for people. Raw text is never stored; it lives only in a bounded cache.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from itertools import count
from typing import NamedTuple

#: Longest normalised text that is kept, in characters.
TEXT_LENGTH = 2_000
#: Longest text that is handed to the parser, in bytes. The parser recurses, a level each 2 bytes at worst (``1+1+…``):
#: 20,000 levels fit into the usual 8 MB stack, 40,000 do not (measured). 16 KiB leaves more than half of it free.
PARSE_LENGTH = 16 << 10
#: Distinct raw texts and distinct shapes that are remembered.
CACHED = 16_384


class Statement(NamedTuple):
    """A statement without literals. ``fingerprint`` is hexadecimal, with a leading ``x`` where the text does not parse.

    ``trace_id`` is that of a ``traceparent`` in a comment (sqlcommenter), lower case.
    """

    fingerprint: str
    statement: str
    trace_id: str | None = None


_LITERAL = "\x01"

# PostgreSQL manual, 4.1 "Lexical Structure". The leading character class is what makes it fast; alternatives look back at
# it. Without a group: a literal. What has no end runs to the end of the text and is a ``cut``.
_TOKEN = re.compile(
    r"""
    ['"`0-9$/\-\t-\r\x00-\x08\x0e-\x1f\x7f]
    (?: (?<=\b[eE]')(?:[^'\\]|\\.|'')*'(?!') | (?<=')(?<!\b[eE]')[^']*(?:''[^']*)*'(?!')
      | (?<=\d)(?<![\w$].)(?:[eE][+-](?=\d)|[\w.])*
      | (?<=\$)(?<![\w$].)(?P<tag>(?:[^\W\d]\w*)?\$).*?\$(?P=tag)
      | (?P<name>    (?<=")(?:[^"]|"")*" | (?<=`)[^`]*` )
      | (?P<comment> (?<=-)-[^\n]* | (?<=/)\*.*?\*/ )
      | (?P<space>   (?<=[\s\x00-\x1f\x7f])\s* )
      | (?P<cut>     (?<=['"`]).* | (?<=/)\*.* | (?<=\$)(?<![\w$].)(?:[^\W\d]\w*)?\$.* )
    )""",
    re.VERBOSE | re.DOTALL,
)
_PREFIX = re.compile("(?i)\\b(?:[ebxn]|u&)\x01")
_PREFIXED = re.compile("[ebxnEBXN&]'")
_IDENTIFIER = re.compile(r"[\"`][^\W\d][\w $.-]{0,62}[\"`]")
_LONG_NUMBER = re.compile(r"\d{8}")
_LIST = re.compile(r"(?i)(\bin ?\( ?|\barray ?\[ ?)(\x01|\$\d+)(?: ?, ?-?(?:\x01|\$\d+))+")
_ROWS = re.compile(r"(?i)(\bvalues ?\([^()]*\))(?: ?, ?\([^()]*\))+")
_PARAMETER = re.compile(r"\$(\d{1,5})\b")
_NESTED = re.compile(r"/\*(?:(?!\*/|/\*).)*/\*", re.DOTALL)
_TRACE = re.compile(r"(?i)traceparent\s*=\s*(?:'|%27|\")?[0-9a-f]{2}-([0-9a-f]{32})-")
_STRING_POSITION = re.compile(r"(?i)(?:[=<>~(,|]|\blike|\bregexp|\bpassword|\bby)\s*$")
_DOUBLE = re.compile(r"\"[^\"]*\"")


@lru_cache(maxsize=CACHED)
def fingerprint(text: str) -> Statement:
    """The statement behind ``text``: at most :data:`TEXT_LENGTH` characters, parameters as ``$n``, no comments, one line.

    ``$n`` that are there already stay; lists of values are folded (``in ($1, …)``). Text that does not parse (cut, or
    another dialect) is redacted by tokens and gets a hash of the result. Empty text gives empty fields.
    """
    trace = _TRACE.search(text) if "traceparent" in text else None
    trace_id = trace[1].lower() if trace else None
    shape = _shape(text)
    if not shape:
        return Statement("", "", trace_id)
    known = _shapes.get(shape)
    if known is None:
        known = _parsed(text, shape) or _unparsed(text, shape)
        if len(_shapes) >= CACHED:
            _shapes.clear()
        if not known.fingerprint.startswith("x"):
            _shapes[shape] = known
    return known if trace_id is None else known._replace(trace_id=trace_id)


_shapes: dict[str, Statement] = {}


def tables(text: str) -> tuple[str, ...]:
    """The distinct tables that a statement names, in order; empty when it does not parse. Takes normalised text too."""
    import postgast

    if len(text) > PARSE_LENGTH // 4:  # the parse tree is built here: dearer than a fingerprint
        return ()
    try:
        return tuple(dict.fromkeys(postgast.extract_tables(postgast.parse(text.encode("utf-8", "replace").decode()))))
    except Exception:  # PgQueryError, or protobuf's DecodeError for a deep tree
        return ()


@lru_cache(maxsize=CACHED)
def expression(text: str) -> str:
    """A piece of SQL (a filter of a plan) without literals: each becomes ``…``."""
    return _shape(text).replace(_LITERAL, "…")[:TEXT_LENGTH]


def _token(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind is None or kind == "tag":
        return _LITERAL
    if kind == "name":
        name = match[0]
        return name if _IDENTIFIER.fullmatch(name) and not _LONG_NUMBER.search(name) else '"…"'
    return "…" if kind == "cut" else " "


def _shape(text: str) -> str:
    """``text`` with a mark for each literal, lists folded, comments gone and white space collapsed."""
    if "/*" in text and (nested := _NESTED.search(text)):
        text = text[: nested.start()] + text[max(text.rfind("*/") + 2, nested.end()) :]
    shape = _TOKEN.sub(_token, text)
    if "  " in shape:
        shape = re.sub(" {2,}", " ", shape)
    if _PREFIXED.search(text):
        shape = _PREFIX.sub(_LITERAL, shape)
    if ",\x01" in shape or ", \x01" in shape or ",$" in shape or ", $" in shape:
        shape = _LIST.sub(r"\1\2, …", shape)
    if "),(" in shape or "), (" in shape:
        shape = _ROWS.sub(r"\1, …", shape)
    return shape.strip(" ;")


def _numbered(shape: str) -> str:
    """Marks become ``$n``, counted on from the highest ``$n`` that is there."""
    taken = max((int(n) for n in _PARAMETER.findall(shape)), default=0) if "$" in shape else 0
    numbers = count(taken + 1)
    text = re.sub(_LITERAL, lambda _: f"${next(numbers)}", shape[: TEXT_LENGTH + 1])
    return text if len(text) <= TEXT_LENGTH else text[: TEXT_LENGTH - 1] + "…"


def _parsed(text: str, shape: str) -> Statement | None:
    import postgast

    for candidate in (text, _numbered(shape).replace(", …", "")):
        encoded = candidate.encode("utf-8", "replace")
        if len(encoded) <= PARSE_LENGTH:
            try:
                return Statement(postgast.fingerprint(encoded.replace(b"\0", b" ").decode()).hex, _numbered(shape))
            except postgast.PgQueryError:
                if candidate is text:
                    return None
    return None


def _unparsed(text: str, shape: str) -> Statement:
    """Not PostgreSQL's grammar, so its lexical rules may not hold either: quotes are taken to hold data where they could."""
    if "\\'" in text:  # an escaped quote in one dialect, the end of the string in another: nothing behind it is known
        shape = _shape(text[: text.index("'")]) + "…"
    shape = _DOUBLE.sub(lambda m: _careful(m, "`" in text), shape)
    text = _numbered(shape)
    return Statement("x" + hashlib.blake2b(shape.encode("utf-8", "replace"), digest_size=8).hexdigest(), text)


def _careful(match: re.Match[str], backticks: bool) -> str:
    before, after = match.string[max(0, match.start() - 12) : match.start()], match.string[match.end() : match.end() + 1]
    qualified = after == "." or before.endswith(".")
    return '"…"' if backticks or (not qualified and _STRING_POSITION.search(before)) else match[0]
