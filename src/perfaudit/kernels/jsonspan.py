"""A span in JSON as a row of positions: its members by name, its attributes with the codes of their keys.

For the shapes of Jaeger, OTLP and Zipkin. Numbers may be texts; a span whose members have other types than they should is handed back (:data:`ODD`).
"""

# Numba infers the types of kernels.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from perfaudit.kernels import attributes as to
from perfaudit.kernels.attribute_keys import NEW, ROLE, SKIPPED, URL
from perfaudit.kernels.hashing import Table, intern
from perfaudit.kernels.jit import inlined, kernel
from perfaudit.kernels.jsontokens import (
    CLOSE,
    COMMA,
    CUT,
    LIST,
    LIST_END,
    ODD,
    OPEN,
    QUOTE,
    blank,
    member,
    plain,
    same,
    skip,
    string,
    whole,
)
from perfaudit.kernels.text import load64

#: What a member of a span is.
(NOTHING, TRACE, SPAN, PARENT, NAME, STATE, START, END, DURATION, KIND, STATUS, ATTRIBUTES, EXTRA, MORE, REFERENCES, PROCESS_ID, PROCESS, REMOTE) = range(18)
#: How attributes are written: objects of key and value; the value an object of its type; members of one object, in spans that stand in no group.
PAIRS, WRAPPED, MEMBERS = range(3)


class Form(NamedTuple):
    """The members of a span: their names behind one another, where each ends, what each is; how its attributes are written."""

    names: Any
    ends: Any
    roles: Any
    style: Any


class Place(NamedTuple):
    """Where a scan is: ``state``, the open containers in ``levels``, names of processes and processes, and which is which in the open group."""

    state: Any
    levels: Any
    ids: Table
    processes: Table
    owner: Any


def form(members: Sequence[tuple[bytes, int]], style: int) -> Form:
    """A form of ``(name, what it is)``."""
    return Form(np.frombuffer(b"".join(name for name, _ in members), np.uint8).copy(), np.cumsum([len(name) for name, _ in members]).astype(np.int64), np.array([role for _, role in members], np.int64), np.array([style], np.int64))


_WORDS = (b"spans", b"data", b"resourceSpans", b"batches", b"scopeSpans", b"instrumentationLibrarySpans", b"resource", b"processes", b"spanID", b"key", b"value", b"code", b"refType", b"traceID", b"CHILD_OF", b"serviceName", b"port", b"ipv4", b"ipv6", b"peer.service", b"peer.port", b"peer.ipv4", b"peer.ipv4")
_TEXT = np.frombuffer(b"".join(_WORDS), np.uint8).copy()
_ENDS = np.cumsum([0, *(len(word) for word in _WORDS)]).astype(np.int64)
RESOURCE, PROCESS_LIST, SPAN_ID, _KEY, _VALUE, _CODE, _REF_TYPE, _TRACE_ID, _CHILD_OF, _OTHER_END = range(6, 16)
_PEER = _OTHER_END + 4
#: Enumerations by name: kinds of spans as protobuf numbers them, and the codes of a status.
_NAMED = (b"UNSPECIFIED", b"INTERNAL", b"SERVER", b"CLIENT", b"PRODUCER", b"CONSUMER", b"UNSET", b"OK", b"ERROR")
_NAMED_TEXT = np.frombuffer(b"".join(_NAMED), np.uint8).copy()
_NAMED_ENDS = np.cumsum([0, *(len(word) for word in _NAMED)]).astype(np.int64)


@inlined
def is_word(data, start, end, word):
    """Whether ``data[start:end]`` is the word of that number."""
    return same(data, start, end, _TEXT, _ENDS[word], _ENDS[word + 1])


@inlined
def _enumerated(data, start, end, first, last):
    """A number, or which of the names from ``first`` to ``last`` the token ends with, as SPAN_KIND_SERVER does; -1: neither."""
    if data[start] == QUOTE:
        start += 1
        end -= 1
    value, good = whole(data, start, end)
    if good:
        return value
    for word in range(first, last):
        length = _NAMED_ENDS[word + 1] - _NAMED_ENDS[word]
        if end - start >= length and (end - start == length or data[end - length - 1] == 95):
            k = 0
            while k < length and data[end - length + k] & 0xDF == _NAMED_TEXT[_NAMED_ENDS[word] + k]:
                k += 1
            if k == length:
                return word - first
    return -1


_KEY_IS, _TYPE_IS, _VALUE_IS, _STRING_IS, _INT_IS = (np.uint64(int.from_bytes(text, "little")) for text in (b'{"key":"', b'","type"', b'","value', b"stringVa", b"intValue"))


@inlined
def _compact(data, i, end, wrapped):
    """``(end of the key, start of the value's text, its end, end of the attribute)`` where it is written without white space, in the usual order and
    with a text or number that has no escapes; otherwise the last is 0."""
    if i + 48 > end or load64(data, i) != _KEY_IS:
        return 0, 0, 0, 0
    stop, escapes = string(data, i + 8, end)
    if stop < 0 or escapes or stop + 32 > end:
        return 0, 0, 0, 0
    at = stop
    if wrapped:
        if load64(data, at) != _VALUE_IS or data[at + 8] != QUOTE or data[at + 10] != OPEN or data[at + 11] != QUOTE:
            return 0, 0, 0, 0
        kind = load64(data, at + 12)
        at += 20 if kind == _INT_IS else 23 if kind == _STRING_IS else 0
        if at == stop or data[at] != QUOTE or data[at + 1] != 58 or data[at + 2] != QUOTE:
            return 0, 0, 0, 0
        low = at + 3
        high, escapes = string(data, low, end)
        if high < 0 or escapes or data[high + 1] != CLOSE or data[high + 2] != CLOSE:
            return 0, 0, 0, 0
        return stop, low if kind == _STRING_IS else 0, high if kind == _STRING_IS else 0, high + 3
    if load64(data, at) != _TYPE_IS or data[at + 8] != 58:
        return 0, 0, 0, 0
    at, _ = string(data, at + 10, end)
    if at < 0 or at + 16 > end or load64(data, at) != _VALUE_IS or data[at + 8] != QUOTE or data[at + 9] != 58:
        return 0, 0, 0, 0
    low = at + 10
    if data[low] == QUOTE:
        high, escapes = string(data, low + 1, end)
        if high < 0 or escapes or data[high + 1] != CLOSE:
            return 0, 0, 0, 0
        return stop, low + 1, high, high + 2
    high = plain(data, low, end)
    if high < 0 or data[high] != CLOSE:
        return 0, 0, 0, 0
    return stop, 0, 0, high + 1


@kernel
def _attributes(data, i, end, attributes, n, most, codes, wrapped):
    """The list of attributes at ``i`` as ``attributes[n:]``. Gives ``(its end, next n)``."""
    i += 1
    while True:
        i = blank(data, i, end)
        if i >= end:
            return CUT, n
        if data[i] == LIST_END:
            return i + 1, n
        if data[i] == COMMA:
            i += 1
            continue
        if data[i] != OPEN:
            i = skip(data, i, end)
            if i < 0:
                return i, n
            continue
        start = i
        key = np.int64(-1)
        kind = SKIPPED
        stop, text, text_end, i = _compact(data, start, end, wrapped)
        if i:
            key = intern(codes.keys, data, start + 8, stop)
            kind = codes.classes[key]
        else:
            i = start + 1
        while not stop:
            low, high, value = member(data, i, end)
            if low < 0:
                return low, n
            if low == 0:
                i = value + 1
                break
            if data[value] == QUOTE and is_word(data, low, high, _KEY):
                i, _ = string(data, value + 1, end)
                if i < 0:
                    return i, n
                key = intern(codes.keys, data, value + 1, i)
                kind = codes.classes[key]
                i += 1
                continue
            i = skip(data, value, end)
            if i < 0:
                return i, n
            if kind in (NEW, URL, ROLE) and is_word(data, low, high, _VALUE):
                if wrapped and data[value] == OPEN:
                    name, _, value = member(data, value + 1, end)
                    if name > 0 and data[name] != 115:  # stringValue
                        value = i
                if value < i and data[value] == QUOTE:
                    text = value + 1
                    text_end, escapes = string(data, text, end)
                    if escapes:
                        text = text_end = 0
        if key >= 0 and kind != SKIPPED and n < most:
            attributes[n, to.PAIR], attributes[n, to.PAIR_END], attributes[n, to.KEY], attributes[n, to.TEXT], attributes[n, to.TEXT_END] = start, i, key, text, text_end
            n += 1


@inlined
def _peer(data, low, high, codes):
    """The code of the attribute that says what a member of the other end does."""
    for which in range(_PEER - _OTHER_END):
        if is_word(data, low, high, _OTHER_END + which):
            return intern(codes.keys, _TEXT, _ENDS[_PEER + which], _ENDS[_PEER + which + 1])
    return np.int64(-1)


@kernel
def _members(data, i, end, attributes, n, most, codes, remote):
    """The members of the object at ``i`` as ``attributes[n:]``, without their first quote where it is the other end (``remote``). Gives ``(its end, next n)``."""
    i += 1
    while True:
        low, high, value = member(data, i, end)
        if low < 0:
            return low, n
        if low == 0:
            return value + 1, n
        text = text_end = 0
        if data[value] == QUOTE:
            i, escapes = string(data, value + 1, end)
            if i < 0:
                return i, n
            if not escapes:
                text, text_end = value + 1, i
            i += 1
        else:
            i = skip(data, value, end)
            if i < 0:
                return i, n
        key = _peer(data, low, high, codes) if remote else intern(codes.keys, data, low, high)
        if key >= 0 and codes.classes[key] != SKIPPED and n < most:
            attributes[n, to.PAIR], attributes[n, to.PAIR_END], attributes[n, to.KEY], attributes[n, to.TEXT], attributes[n, to.TEXT_END] = low - (not remote), i, key, text, text_end
            n += 1


@kernel
def _references(data, i, end, row):
    """The list of references at ``i``: the only one as the parent, where it is of this trace and waits for it, otherwise all as ``EXTRA``. Gives its end."""
    j = blank(data, i + 1, end)
    if j < end and data[j] == LIST_END:
        return j + 1
    row[to.EXTRA], row[to.EXTRA_END] = i, 0
    child = ours = False
    start = stop = low = value = 0
    if j < end and data[j] == OPEN:
        j += 1
        while True:
            low, high, value = member(data, j, end)
            if low <= 0 or data[value] != QUOTE:
                break
            j, _ = string(data, value + 1, end)
            if j < 0:
                break
            if is_word(data, low, high, _REF_TYPE):
                child = is_word(data, value + 1, j, _CHILD_OF)
            elif is_word(data, low, high, _TRACE_ID):
                ours = same(data, value + 1, j, data, row[to.TRACE], row[to.TRACE_END])
            elif is_word(data, low, high, SPAN_ID):
                start, stop = value + 1, j
            j += 1
        if low == 0 and child and ours:
            j = blank(data, value + 1, end)
            if j < end and data[j] == LIST_END:
                row[to.PARENT], row[to.PARENT_END] = start, stop
                return j + 1
    last = skip(data, i, end)
    row[to.EXTRA_END] = max(last, 0)
    return last


@inlined
def _role(data, start, end, form, guess):
    """Which member it is; most come in the same order in every span."""
    for k in range(len(form.ends)):
        which = guess + k
        if which >= len(form.ends):
            which -= len(form.ends)
        low = form.ends[which - 1] if which else 0
        if same(data, start, end, form.names, low, form.ends[which]):
            return which
    return -1


@kernel
def span(data, i, end, row, attributes, n, codes, form, place):
    """The span at ``i`` into ``row`` and ``attributes[n:]``. Gives ``(its end, next n)``; the first is :data:`ODD` where a member has another type than it should."""
    for k in range(to.ROW_COLUMNS):
        row[k] = 0
    row[to.FIRST], row[to.KIND], row[to.START], row[to.END], row[to.OWNER] = n, -1, to.NULL, -1, -1 if form.style[0] == MEMBERS else -2
    duration = np.int64(-1)
    lasted = False
    most = min(n + to.MOST, len(attributes))
    guess = remote = 0
    i += 1
    while True:
        low, high, value = member(data, i, end)
        if low < 0:
            return low, n
        if low == 0:
            break
        which = _role(data, low, high, form, guess)
        role = NOTHING
        if which >= 0:
            role = form.roles[which]
            guess = which + 1
        c = data[value]
        if c == QUOTE:
            i, _ = string(data, value + 1, end)
            if i < 0:
                return i, n
            i += 1
        elif role == ATTRIBUTES and c == LIST:
            i, n = _attributes(data, value, end, attributes, n, most, codes, form.style[0] == WRAPPED)
            if i < 0:
                return i, n
            continue
        elif role == ATTRIBUTES and c == OPEN and form.style[0] == MEMBERS:
            i, n = _members(data, value, end, attributes, n, most, codes, False)
            if i < 0:
                return i, n
            continue
        elif role == REFERENCES and c == LIST:
            i = _references(data, value, end, row)
            if i < 0:
                return i, n
            continue
        else:
            i = skip(data, value, end)
            if i < 0:
                return i, n
        if role == NOTHING or c == 110:  # null
            continue
        if TRACE <= role <= STATE or role == PROCESS_ID:
            if c != QUOTE:
                return ODD, n
            if role == PROCESS_ID:
                row[to.OWNER] = -3 - intern(place.ids, data, value + 1, i - 1)
            else:
                column = to.TRACE + 2 * (role - TRACE)
                row[column], row[column + 1] = value + 1, i - 1
        elif role in (START, END, DURATION):
            number, good = whole(data, value + 1, i - 1) if c == QUOTE else whole(data, value, i)
            if not good:
                return ODD, n
            if role == START:
                row[to.START] = number
            elif role == END:
                row[to.END] = number if number > 0 else -1
            else:
                duration, lasted = number, True
        elif role == KIND:
            kind = _enumerated(data, value, i, 0, 6) - 1
            row[to.KIND] = kind if 0 <= kind < 5 else -1
        elif role == STATUS:
            if c != OPEN:
                return ODD, n
            inner = value + 1
            while True:
                low, high, value = member(data, inner, i)
                if low <= 0:
                    break
                inner = skip(data, value, i)
                if inner < 0:
                    break
                if is_word(data, low, high, _CODE):
                    code = _enumerated(data, value, inner, 6, 9)
                    row[to.STATUS] = code if 0 < code < 3 else 0
        elif role == EXTRA:
            row[to.EXTRA], row[to.EXTRA_END] = value, i if i - value > 2 else 0
        elif role == MORE:
            row[to.MORE], row[to.MORE_END] = value, i if i - value > 2 else 0
        elif role == PROCESS and c == OPEN:
            row[to.OWNER] = process(place, data, value, i)
        elif role == REMOTE and c == OPEN:
            remote = value
        elif role == REFERENCES:
            return ODD, n
    if remote:
        _, n = _members(data, remote, end, attributes, n, most, codes, True)
    if lasted and row[to.START] != to.NULL:
        row[to.END] = max(row[to.START] + duration, -1)
    row[to.LAST] = n
    return value + 1, n


@inlined
def process(place, data, start, end):
    """The code of a process or resource, -1 where there is no room for it."""
    code = intern(place.processes, data, start, end)
    return code if code < len(place.processes.hashes) else -1
