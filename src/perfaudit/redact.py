"""Redaction of free text: what may be kept of a log line or a message, without what it says about people and secrets.

SQL has its own module (:mod:`perfaudit.evidence.sql`). Everything here errs on the side of removing too much.
"""

from __future__ import annotations

import re
from functools import lru_cache

#: Longest example of a rejected line, in characters: enough to see the format, not to hold a record.
LINE_LENGTH = 200
#: Longest template, in characters; like messages agree long before that.
TEMPLATE_LENGTH = 300
#: Longest note, in characters.
NOTE_LENGTH = 2_000
#: What is looked at of a line or message at all; bounds the time that hostile text can cost.
_LOOK = 4_000

_SECRET = r"(?:passw(?:or)?d|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|auth|session(?:id)?|sid|jwt|csrf|key)"
# Every pattern starts at the beginning of a word or takes what it matched for good (``++``): hostile text costs linear time.
_HEADER = re.compile(
    r"(?i)(?<![\w-])((?:proxy-)?authorization|(?:set-)?cookie|x-(?=[\w-]*?(?:key|token|auth))[\w-]++)(\"?\s*+[:=]\s*+)(?!…)(\"[^\"]*+(?:\"|$)|[^\"\r\n]++)"
)
_PAIR = re.compile(
    rf"(?i)(?<![\w.-])(?=[\w.-]*?{_SECRET})([\w.-]++[\"']?\s*+(?:[:=]|is\b)\s*+)"
    r"(?:\"(?:[^\"\\]|\\.?)*+(?:\"|$)|'(?:[^'\\]|\\.?)*+(?:'|$)|[^\s,;&\"'){}\]]++)"
)
_SCHEME = re.compile(r"(?i)\b(bearer|basic|digest)\s+[\w.~+/=-]{4,}")
_USERINFO = re.compile(r"://[^\s/@\"']+@")
_QUERY = re.compile(r"\?[^\s\"'<>]+")
_SINGLE = re.compile(r"'(?:[^'\\]|\\.?|'')*+(?:'|$)")
_DOUBLE = re.compile(r"\"((?:[^\"\\]|\\.?)*+)(\"\s*:|\"|$)")
_BACK = re.compile(r"`[^`]*(?:`|$)")
_REQUEST = re.compile(r"[A-Z]{3,16} /[^\s\"']* HTTP/\d(?:\.\d)?|[A-Za-z]{0,3}-?")
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,40}")
_EMAIL = re.compile(r"(?<![^\s@<>()\[\]\"',;:=/])[^\s@<>()\[\]\"',;:=/]++@[\w-]+(?:\.[\w-]+)+")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\.\d)")
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){2,7}(?::|[0-9A-Fa-f]{1,4})(?::?[0-9A-Fa-f]{1,4}){0,6}(?![\w:])|(?<![\w:])::(?:[0-9A-Fa-f]{1,4}:?){1,7}(?![\w:])")
_CLOCK = re.compile(r"(?:\d{4}:)?\d{1,2}:\d\d:\d\d")
_TOKEN = re.compile(r"(?<![\w+=-])(?=[\w+=-]*?\d)[\w+=-]{24,}+|(?<!\w)[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?!\w)|(?<!\w)(?=[A-Fa-f]*\d)[0-9A-Fa-f]{16,}(?!\w)")
_DIGITS = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
_EPOCH = re.compile(r"1\d{9}(?:\d{3}){0,2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_PLAIN_KEYS = r"(?:err|error|reason|code|status|state|type|method|level|event|op|operation|component|phase)"
_VALUE = re.compile(rf"(?<![\w.-])(?!(?i:{_PLAIN_KEYS})=)([A-Za-z_][\w.-]*)=(?!…)[^\s,;)\]}}]+")
_WORD = re.compile(r"(?<!\w)[^\W\d]*+\d(?:[\w.:-]*\w)?")
_REPEAT = re.compile(r"…(?:(?:, ?|[./: +-]?)…)+")
_SPACE = re.compile(r"\s+")
#: In prose an apostrophe inside a word (can't, it's) opens nothing.
_SINGLE_WORD = re.compile(r"(?<!\w)'(?:[^'\\]|\\.?|''|(?<=\w)'(?=\w))*+(?:'|$)|[‘“][^’”]*(?:[’”]|$)")
#: No digit survives in a template and no rule tells one from another: as zeros, messages that differ in numbers share a result.
_ZEROS = str.maketrans("123456789", "000000000")
_SECRET_NAME = re.compile(rf"(?i)(?:^|[_.-]){_SECRET}(?:$|[_.-])|passw|secret|token|cookie|authorization|credential")
_PERSON_NAME = re.compile(r"(?i)e?mail|client|remote|visitor|forwarded|user_?(?:agent|name|id)|^user$|^author|^actor$|session")


def _quoted(match: re.Match[str]) -> str:
    body, end = match.groups()
    if end.endswith(":"):
        return f'"{body}{end}' if _NAME.fullmatch(body) else f'"…{end}'
    return f'"{body}{end}' if _REQUEST.fullmatch(body) else '"…"'


def _address6(match: re.Match[str]) -> str:
    return match[0] if _CLOCK.fullmatch(match[0]) else "…"


def _digits(match: re.Match[str]) -> str:
    return match[0] if _EPOCH.fullmatch(match[0]) else "…"


def _secrets(text: str) -> str:
    text = _HEADER.sub(r"\1\2…", text)
    text = _SCHEME.sub(r"\1 …", text)
    text = _PAIR.sub(r"\1…", text)
    return _QUERY.sub("?…", _USERINFO.sub("://…@", text))


def line(data: bytes) -> str:
    """A rejected log line made safe to keep as an example: at most :data:`LINE_LENGTH` characters, control bytes escaped.

    Query strings, quoted literals, addresses, long tokens and the values of credentials become ``…``; request lines
    (method, path, protocol), names of JSON keys and numbers stay, so that the format can still be told.
    """
    text = _secrets(data[:_LOOK].decode("utf-8", "replace"))
    text = _BACK.sub("`…`", _SINGLE.sub("'…'", _DOUBLE.sub(_quoted, text)))
    text = _IPV6.sub(_address6, _IPV4.sub("…", _EMAIL.sub("…", text)))
    text = _DIGITS.sub(_digits, _TOKEN.sub("…", text))
    text = _CONTROL.sub(lambda m: f"\\x{ord(m[0]):02x}", text)
    return text if len(text) <= LINE_LENGTH else text[: LINE_LENGTH - 1] + "…"


def template(message: str) -> str:
    """The shape of a log message: literals become ``…``, so that like messages fall together.

    Numbers and words that contain digits, quoted strings, addresses, e-mail addresses, ids, queries of URLs, values of
    ``key=value`` and of credentials are literals. One line, at most :data:`TEMPLATE_LENGTH` characters.
    """
    return _template(message[:_LOOK].strip().partition("\n")[0].translate(_ZEROS))


@lru_cache(maxsize=16_384)
def _template(message: str) -> str:
    text = _secrets(message)
    text = _DOUBLE.sub("…", _SINGLE_WORD.sub("…", text))
    text = _EMAIL.sub("…", _BACK.sub("…", text))
    text = _IPV6.sub("…", _VALUE.sub(r"\1=…", text))
    text = _TOKEN.sub("…", text)
    text = _WORD.sub("…", text)
    text = _REPEAT.sub("…", _CONTROL.sub(" ", text))
    text = _SPACE.sub(" ", text).strip()
    return text if len(text) <= TEMPLATE_LENGTH else text[: TEMPLATE_LENGTH - 1] + "…"


def note(text: str) -> str:
    """Prose that people wrote (a note of a deploy, the subject of a commit): without credentials, queries of URLs, e-mail and
    network addresses, card-like digits and control bytes; at most :data:`NOTE_LENGTH` characters."""
    text = _digits_and_mail(_secrets(text[:_LOOK]))
    text = _CONTROL.sub(" ", _IPV6.sub(_address6, _IPV4.sub("…", text)))
    return text if len(text) <= NOTE_LENGTH else text[: NOTE_LENGTH - 1] + "…"


def value(name: str, text: str) -> str:
    """The value of a named field (a label of a series) without secrets: it stays readable, for it names things.

    Credentials and people (by the field's name), e-mail addresses, queries of URLs, card-like digits and secrets in
    ``key=value`` become ``…``. Addresses of servers stay; where the name speaks of a client they do not.
    """
    if _SECRET_NAME.search(name):
        return "…"
    return note(text) if _PERSON_NAME.search(name) else _CONTROL.sub(" ", _digits_and_mail(_secrets(text[:_LOOK])))


def _digits_and_mail(text: str) -> str:
    return _DIGITS.sub(_digits, _EMAIL.sub("…", text))
