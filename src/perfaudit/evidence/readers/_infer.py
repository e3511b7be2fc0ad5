"""What format a text access log has, told from its lines: tokens, which of them is what, and a format text that says so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import log, log10
from statistics import median

from perfaudit.evidence.readers._formats import apache, nginx, strict_seconds, with_rest
from perfaudit.evidence.readers._units import SECONDS
from perfaudit.kernels.program import Program

_TIMES = rb"-|\d+\.\d+(?:(?:, ?| : )(?:\d+\.\d+|-))*|-(?:(?:, | : )(?:\d+\.\d+|-))+"
_TOKEN = re.compile(
    rb"(?:(?P<key>[A-Za-z_][\w.-]*)(?P<mark>=|:(?=[\"\d-])(?!\d+ )))?(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|\[(?P<bracket>[^\]]{0,200})\]|(?P<bare>(?:" + _TIMES + rb")(?=[ \t|;]|$)|[^\s\"\[\]|;]+))"
)
_CLF = re.compile(rb"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?:\.\d+)? [+-]\d{4}")
_ISO = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)")
_EPOCH = re.compile(rb"1\d{9}\.\d{3}")
_REQUEST = re.compile(rb"[A-Z][A-Z_-]+ \S+(?: HTTP/\d(?:\.\d)?)?")
_STATUS = re.compile(rb"[1-9]\d\d")
_INTEGER = re.compile(rb"\d+|-")
#: A column is times when more than this share of it is: the rest (NaN, negative) is rejected line by line, which loses less than every duration.
TIMED = 0.7
_SECONDS = re.compile(rb"(?:\d+\.\d+|-)(?:(?:, ?| : )(?:\d+\.\d+|-))*")
_ADDRESS = re.compile(rb"\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:.]+|[\w.-]+\.[a-z]{2,}|localhost|-|unix:")
_IP = re.compile(rb"\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*")
_HEX_ID = re.compile(rb"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: Keys of pairs behind combined, as configurations in the wild name them → nginx variable.
_KEYS = {
    "request_time": ("rt", "request_time", "req_time", "reqtime", "rtime", "time", "duration", "total_time", "resp_time", "response_time"),
    "upstream_connect_time": ("uct", "upstream_connect_time", "ut_connect", "connect_time", "ct", "upct"),
    "upstream_header_time": ("uht", "upstream_header_time", "ut_header", "header_time", "ht", "upht"),
    "upstream_response_time": ("urt", "upstream_response_time", "upstream_time", "ut", "uprt", "upstream"),
    "upstream_cache_status": ("cs", "cache", "cache_status", "upstream_cache_status", "ucs"),
    "request_id": ("rid", "request_id", "req_id", "reqid", "x_request_id"),
    "trace_id": ("trace_id", "traceid", "trace", "tid"),
    "request_length": ("rl", "request_length", "req_len"),
    "http_x_forwarded_for": ("xff", "x_forwarded_for", "http_x_forwarded_for"),
}
_VARIABLE_OF = {key: variable for variable, keys in _KEYS.items() for key in keys}
_APACHE_OF = {
    "remote_addr": "%h", "remote_user": "%u", "[$time_local]": "%t", "request": "%r", "status": "%>s", "body_bytes_sent": "%b",
    "http_referer": "%{Referer}i", "http_user_agent": "%{User-Agent}i", "http_x_forwarded_for": "%{X-Forwarded-For}i",
}  # fmt: skip
#: A bare whole number behind the request: how often logs mean each unit (%D is Apache's documented way; %T and %{ms}T are rarer;
#: weights, not measurements), and what a request takes: about 30 ms, within a factor of ten for two in three.
_UNITS = {"µs": 0.8, "ms": 0.1, "s": 0.1}
_MIDDLE = 0.03
_DIRECTIVES = {"µs": "%D", "ms": "%{ms}T", "s": "%T"}


#: What lines may cost together: hostile ones (an opening quote a byte) cost the square of their length. 200 lines of 500 bytes.
_BUDGET = 200 * 500**2


@dataclass(frozen=True)
class Inferred:
    """A program told from lines, and what was assumed."""

    program: Program
    note: str = ""


@dataclass
class _Token:
    """A token at one place of the format: separator before it, key, wrapping, and its text on each line of the sample."""

    before: str
    key: str
    mark: str
    shape: str
    texts: list[bytes]
    variable: str = ""

    def share(self, pattern: re.Pattern[bytes]) -> float:
        """The share of lines whose text is all ``pattern``."""
        return sum(pattern.fullmatch(text) is not None for text in self.texts) / len(self.texts)


def infer(lines: Sequence[bytes]) -> Inferred | None:
    """The format of most of ``lines``, or None where no instant, request and status stand out."""
    lines = _affordable(lines)
    tokens = _columns(lines)
    if not tokens or not _name_request(tokens):
        return None
    note, is_apache = _name_numbers(tokens, lines)
    text = _text(tokens, is_apache)
    program = apache(text) if is_apache else nginx(text)
    if not is_apache and any(t.variable == "request_time" and t.share(re.compile(rb"\d+\.\d+|-")) == 1 for t in tokens):
        program = strict_seconds(program)
    if program.fit(list(lines)) < (TIMED if any(t.variable == "request_time" for t in tokens) else 0.9):
        looser = with_rest(_until_known(tokens, is_apache))
        if looser.fit(list(lines)) > program.fit(list(lines)) + 0.05:
            program = looser
    return Inferred(program, note) if program.readable else None


def _affordable(lines: Sequence[bytes]) -> list[bytes]:
    out, spent = [], 0
    for line in lines:
        if spent + len(line) ** 2 <= _BUDGET:
            spent += len(line) ** 2
            out.append(line)
    return out


def _columns(lines: Sequence[bytes]) -> list[_Token]:
    """The tokens of the most common structure among ``lines``."""
    split = [[(m, line[end : m.start()]) for m, end in _spans(line)] for line in lines]
    shapes = [tuple((before, m["key"], m["mark"], m.lastgroup) for m, before in tokens) for tokens in split]
    if not shapes:
        return []
    common, count = Counter(shapes).most_common(1)[0]
    if count * 4 < len(lines):
        common = _prefix(shapes)
    chosen = [tokens for tokens, shape in zip(split, shapes, strict=True) if shape[: len(common)] == common]
    return [
        _Token(before.decode("latin-1"), (key or b"").decode(), (mark or b"").decode(), str(kind), [tokens[i][0][str(kind)] or b"" for tokens in chosen])
        for i, (before, key, mark, kind) in enumerate(common)
    ]


def _spans(line: bytes) -> list[tuple[re.Match[bytes], int]]:
    end, out = 0, []
    for match in _TOKEN.finditer(line):
        out.append((match, end))
        end = match.end()
    return out


def _prefix(shapes: list[tuple[tuple[bytes, bytes | None, bytes | None, str | None], ...]]) -> tuple[tuple[bytes, bytes | None, bytes | None, str | None], ...]:
    """The longest beginning that at least half of the structures share."""
    best: tuple[tuple[bytes, bytes | None, bytes | None, str | None], ...] = ()
    for n in range(1, 40):
        common, count = Counter(shape[:n] for shape in shapes if len(shape) >= n).most_common(1)[0] if any(len(s) >= n for s in shapes) else ((), 0)
        if count * 2 < len(shapes):
            break
        best = common
    return best


def _first(tokens: list[_Token], test: Callable[[_Token], bool]) -> int:
    return next((i for i, token in enumerate(tokens) if not token.variable and test(token)), -1)


def _name_request(tokens: list[_Token]) -> bool:
    """Name instant, request, status, bytes, address and what usually surrounds them; False where one of the first three lacks."""
    for variable, pattern in (("time_local", _CLF), ("time_iso8601", _ISO), ("msec", _EPOCH)):
        if (i := _first(tokens, lambda t, p=pattern: t.share(p) > 0.5)) >= 0:  # type: ignore[misc]
            tokens[i].variable = variable
            break
    request = _first(tokens, lambda t: t.shape == "quoted" and t.share(_REQUEST) > 0.3)
    if request < 0 or not any(t.variable for t in tokens):
        return False
    tokens[request].variable = "request"
    status = next((i for i in range(request + 1, len(tokens)) if tokens[i].share(_STATUS) > 0.75), -1)
    if status < 0:
        return False
    tokens[status].variable = "status"
    after = tokens[status + 1 :]
    if after and after[0].shape == "bare" and not after[0].key and after[0].share(_INTEGER) > 0.75:
        after[0].variable = "body_bytes_sent"
        if len(after) > 2 and after[1].shape == after[2].shape == "quoted" and not after[1].key and not after[2].key:
            after[1].variable, after[2].variable = "http_referer", "http_user_agent"
    address = _first(tokens[:2], lambda t: t.share(_ADDRESS) > 0.75)
    if address < 0:
        address = _first(tokens[:request], lambda t: t.share(_IP) > 0.75)
    if address >= 0:
        tokens[address].variable = "remote_addr"
    clf = next((i for i, t in enumerate(tokens) if t.variable == "time_local"), 0)
    if clf >= 3 and address == clf - 3 and tokens[clf - 2].share(re.compile(rb"-")) == 1:
        tokens[clf - 2].variable, tokens[clf - 1].variable = "-", "remote_user"
    return True


def _name_numbers(tokens: list[_Token], lines: Sequence[bytes]) -> tuple[str, bool]:
    """Name times, ids and pairs; the note to give, and whether Apache wrote this."""
    for token in tokens:
        name = token.key.lower().replace("-", "_")
        variable = _VARIABLE_OF.get(name, "trace_id" if "trace_id" in name else "")
        if variable and not token.variable and all(t.variable != variable for t in tokens):
            token.variable = variable
    position = next(i for i, t in enumerate(tokens) if t.variable == "status")
    free = [t for t in tokens[position + 1 :] if not t.variable and not t.key and t.shape != "bracket"]
    for token in free:
        if token.share(_HEX_ID) > 0.9 and all(t.variable != "request_id" for t in tokens):
            token.variable = "request_id"
    note = _name_seconds(tokens, [t for t in free if not t.variable and t.share(_SECONDS) > TIMED and any(b"." in text for text in t.texts)])
    timed = next((t for t in tokens if t.variable == "request_time"), None)
    if timed is None:
        whole = [t for t in free if not t.variable and t.share(_INTEGER) > 0.9 and any(text != b"-" for text in t.texts)]
        whole_note = _name_whole(tokens, whole)
        if whole_note:
            return whole_note, True
    elif timed.share(_INTEGER) == 1:
        unit = _unit(timed)
        timed.variable = _DIRECTIVES[unit]
        return _assumed(f"'{timed.key}{timed.mark}'", unit), True
    elif any(float(x) > 1_000 for x in timed.texts if b"." in x and _SECONDS.fullmatch(x) and b"," not in x and b" " not in x):
        note = f"'{timed.key or 'the time'}' is read as seconds though some are over 1,000; say otherwise with --log-format '…'"
    dashes = any(t.variable == "body_bytes_sent" and b"-" in t.texts for t in tokens)
    return note, dashes or any(t.variable.startswith("%") for t in tokens) or any(b"(internal dummy connection)" in line or b'\\"' in line for line in lines)


def _name_seconds(tokens: list[_Token], seconds: list[_Token]) -> str:
    """Name bare fractional numbers: the request's time, then the upstream's; a response takes at least its upstream's time."""
    known = {t.variable for t in tokens}
    names = [name for name in ("request_time", "upstream_response_time") if name not in known]
    if not seconds or not names:
        return ""
    if len(seconds) > 1 and len(names) == 2 and any(b"," in text or b" " in text for text in seconds[0].texts):
        seconds[0], seconds[1] = seconds[1], seconds[0]
    elif len(seconds) > 1 and len(names) == 2:
        pairs = [(float(a), float(b)) for a, b in zip(seconds[0].texts, seconds[1].texts, strict=True) if b"." in a and re.fullmatch(rb"\d+\.\d+", b)]
        if pairs and sum(a < b for a, b in pairs) * 2 > len(pairs):
            seconds[0], seconds[1] = seconds[1], seconds[0]
    for token, name in zip(seconds, names, strict=False):
        token.variable = name
    return f"numbers behind the request are read as seconds: {', '.join('$' + t.variable for t in seconds if t.variable)}; say otherwise with --log-format '…'"


def _name_whole(tokens: list[_Token], whole: list[_Token]) -> str:
    """Name bare whole numbers: Apache's ``%I %O`` where the second is never less than the body, else a duration by its size."""
    body = next((t for t in tokens if t.variable == "body_bytes_sent"), None)
    if len(whole) >= 2 and body:
        pairs = [(int(a), int(b)) for a, b in zip(body.texts, whole[1].texts, strict=True) if a.isdigit() and b.isdigit()]
        if pairs and all(b >= a for a, b in pairs) and any(a for a, _ in pairs):
            whole[0].variable, whole[1].variable = "%I", "%O"
            whole = whole[2:]
    if not whole:
        return ""
    unit = _unit(whole[0])
    whole[0].variable = _DIRECTIVES[unit]
    return _assumed("the whole number behind the request", unit)


def _unit(token: _Token) -> str:
    values = [int(text) for text in token.texts if text.isdigit()]
    if sum(value == 0 for value in values) * 2 >= len(values) and max(values, default=0) <= 120:
        return "s"  # most requests take less than a second: %T logs 0
    middle = max(median(value for value in values if value) if any(values) else 1, 1)
    return max(_UNITS, key=lambda unit: log(_UNITS[unit]) - (log10(middle * SECONDS[unit] / _MIDDLE)) ** 2 / 2)


def _assumed(what: str, unit: str) -> str:
    return f"{what} is read as {unit} (Apache {_DIRECTIVES[unit]}), the likeliest by its size; say otherwise with --log-format '…'"


def _text(tokens: Sequence[_Token], is_apache: bool) -> str:
    """The format text that a person would write for ``tokens``."""
    out, unknown = [], 0
    for token in tokens:
        variable = token.variable
        if not variable:
            unknown += 1
            variable = f"unknown{unknown}"
        if variable == "-":
            name = "%l" if is_apache else "-"
        elif is_apache:
            name = _APACHE_OF.get(variable, variable if variable.startswith("%") else f"%{{{variable}}}e")
        else:
            name = f"${variable}"
        if token.shape == "bracket":
            name = "%t" if is_apache and token.variable == "time_local" else f"[{name}]"
        elif token.shape == "quoted":
            name = f'"{name}"'
        out.append(token.before + token.key + token.mark + name)
    return "".join(out)


def _until_known(tokens: list[_Token], is_apache: bool) -> Program:
    last = max(i for i, t in enumerate(tokens) if t.variable)
    text = _text(tokens[: last + 1], is_apache)
    return replace(apache(text) if is_apache else nginx(text), text=text)
