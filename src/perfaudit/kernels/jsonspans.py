"""Spans in JSON, as a row of positions for each: in lists called ``spans`` inside objects that say what ran them.

A scanner for the shapes of Jaeger and OTLP. What it meets is told by the bytes alone; a span whose members have other types than they should
is handed back (:data:`ODD`), text that is cut off waits for more (:data:`CUT`).
"""

# Numba infers the types of kernels.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from perfaudit.kernels import attributes as to
from perfaudit.kernels.attribute_keys import NEW, ROLE, SKIPPED, URL
from perfaudit.kernels.hashing import Table, intern, new_table
from perfaudit.kernels.jit import inlined, kernel
from perfaudit.kernels.jsontokens import (
    BAD,
    CLOSE,
    COMMA,
    CUT,
    LF,
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
from perfaudit.kernels.text import find, load64

#: How a call ended beside :data:`CUT`, :data:`BAD` and :data:`ODD`: all was read; there is no room for more rows; a line gives no span; a group ends.
DONE, FULL, EMPTY, CLOSED = 0, -4, -5, -6
#: What a member of a span is.
(NOTHING, TRACE, SPAN, PARENT, NAME, STATE, START, END, DURATION, KIND, STATUS, ATTRIBUTES, EXTRA, MORE, REFERENCES, PROCESS_ID, PROCESS) = range(17)
#: What a container of spans is.
_TOP, _OBJECT, _GROUPS, _SPANS = range(4)
_LEVELS = 32
#: Places in the state. The ``SAFE`` ones are where everything before was whole: reading can begin there again.
#: ``PENDING`` rows wait for their process; ``STRICT`` text is all JSON; somebody waits for the processes of a group (``AWAITED``).
DEPTH, N, USED, NO_TRACE, NO_SPAN, NO_START, SEEN, STOP, LINES, SAFE, SAFE_N, SAFE_USED, SAFE_DEPTH, PENDING, STRICT, AWAITED, WRONG, STATES = range(18)
_KIND, _FIRST, _TOLD, _AT = range(4)
#: Distinct names of processes, and distinct processes (or resources), with their bytes on average.
_IDS, _PROCESSES = (4_096, 32), (8_192, 2_048)
_SEED = 0x5EED


class Form(NamedTuple):
    """The members of a span: their names behind one another, where each ends, what each is; whether an attribute's value is an object (OTLP)."""

    names: Any
    ends: Any
    roles: Any
    wrapped: Any


class Place(NamedTuple):
    """Where a scan is: ``state``, the open containers in ``levels``, names of processes and processes, and which is which in the open group."""

    state: Any
    levels: Any
    ids: Table
    processes: Table
    owner: Any


def form(members: Sequence[tuple[bytes, int]], wrapped: bool) -> Form:
    """A form of ``(name, what it is)``."""
    return Form(np.frombuffer(b"".join(name for name, _ in members), np.uint8).copy(), np.cumsum([len(name) for name, _ in members]).astype(np.int64), np.array([role for _, role in members], np.int64), np.array([wrapped]))


def place() -> Place:
    """The beginning."""
    return Place(np.zeros(STATES, np.int64), np.zeros((_LEVELS, 4), np.int64), new_table(*_IDS, _SEED), new_table(*_PROCESSES, _SEED), np.full(_IDS[0] + 2, -1, np.int64))


_WORDS = (b"spans", b"data", b"resourceSpans", b"batches", b"scopeSpans", b"instrumentationLibrarySpans", b"resource", b"processes", b"spanID", b"key", b"value", b"code", b"refType", b"traceID", b"CHILD_OF", b"server")
_TEXT = np.frombuffer(b"".join(_WORDS), np.uint8).copy()
_ENDS = np.cumsum([0, *(len(word) for word in _WORDS)]).astype(np.int64)
_RESOURCE, _PROCESS_LIST, _SPAN_ID, _KEY, _VALUE, _CODE, _REF_TYPE, _TRACE_ID, _CHILD_OF = range(6, 15)
#: Enumerations by name: kinds of spans as protobuf numbers them, and the codes of a status.
_NAMED = (b"UNSPECIFIED", b"INTERNAL", b"SERVER", b"CLIENT", b"PRODUCER", b"CONSUMER", b"UNSET", b"OK", b"ERROR")
_NAMED_TEXT = np.frombuffer(b"".join(_NAMED), np.uint8).copy()
_NAMED_ENDS = np.cumsum([0, *(len(word) for word in _NAMED)]).astype(np.int64)


@inlined
def _is(data, start, end, word):
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


_KEY_IS, _TYPE_IS, _VALUE_IS, _STRING_IS, _INT_IS = (np.uint64(int.from_bytes(text, "little")) for text in (b'{"key":"', b'","type"', b'","value', b"stringVa", b'intValue'))


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
            if data[value] == QUOTE and _is(data, low, high, _KEY):
                i, escapes = string(data, value + 1, end)
                if i < 0:
                    return i, n
                if not escapes:
                    key = intern(codes.keys, data, value + 1, i)
                    kind = codes.classes[key]
                i += 1
                continue
            i = skip(data, value, end)
            if i < 0:
                return i, n
            if kind in (NEW, URL, ROLE) and _is(data, low, high, _VALUE):
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
            if _is(data, low, high, _REF_TYPE):
                child = _is(data, value + 1, j, _CHILD_OF)
            elif _is(data, low, high, _TRACE_ID):
                ours = same(data, value + 1, j, data, row[to.TRACE], row[to.TRACE_END])
            elif _is(data, low, high, _SPAN_ID):
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
def _span(data, i, end, row, attributes, n, codes, form, place):
    """The span at ``i`` into ``row`` and ``attributes[n:]``. Gives ``(its end, next n)``; the first is :data:`ODD` where a member has another type than it should."""
    for k in range(to.ROW_COLUMNS):
        row[k] = 0
    row[to.FIRST], row[to.KIND], row[to.START], row[to.END], row[to.OWNER] = n, -1, to.NULL, -1, -2
    duration = np.int64(-1)
    lasted = False
    most = min(n + to.MOST, len(attributes))
    guess = 0
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
            i, n = _attributes(data, value, end, attributes, n, most, codes, form.wrapped[0])
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
                if _is(data, low, high, _CODE):
                    code = _enumerated(data, value, inner, 6, 9)
                    row[to.STATUS] = code if 0 < code < 3 else 0
        elif role == EXTRA:
            row[to.EXTRA], row[to.EXTRA_END] = value, i if i - value > 2 else 0
        elif role == MORE:
            row[to.MORE], row[to.MORE_END] = value, i if i - value > 2 else 0
        elif role == PROCESS and c == OPEN:
            row[to.OWNER] = _process(place, data, value, i)
        elif role == REFERENCES:
            return ODD, n
    if lasted and row[to.START] != to.NULL:
        row[to.END] = max(row[to.START] + duration, -1)
    row[to.LAST] = n
    return value + 1, n


@inlined
def _process(place, data, start, end):
    """The code of a process or resource, -1 where there is no room for it."""
    code = intern(place.processes, data, start, end)
    return code if code < len(place.processes.hashes) else -1


@inlined
def _processes(data, i, end, place):
    """The processes of a group by their names. Gives the end of the object at ``i``."""
    i += 1
    while True:
        low, high, value = member(data, i, end)
        if low < 0:
            return low
        if low == 0:
            return value + 1
        i = skip(data, value, end)
        if i < 0:
            return i
        if data[value] == OPEN:
            place.owner[1 + intern(place.ids, data, low, high)] = _process(place, data, value, i)


@kernel
def resolve(rows, first, last, place):
    """Give rows whose process is known by name the process."""
    for row in range(first, last):
        named = -2 - rows[row, to.OWNER]
        if named >= 0 and place.owner[named] >= 0:
            rows[row, to.OWNER] = place.owner[named]


@kernel
def unnamed(place):
    """Forget which process is which: another group begins."""
    for k in range(place.ids.counts[0] + 2):
        place.owner[k] = -1


@inlined
def _container(data, low, high):
    if _is(data, low, high, 0):
        return _SPANS
    for word in range(1, 6):
        if _is(data, low, high, word):
            return _GROUPS
    return _TOP


@kernel
def scan(data, i, end, rows, attributes, codes, form, place):
    """The text in ``data[i:end]``, going on from ``place``. Gives ``(how it ended, where)``; of an odd span its end is the state's ``STOP``."""
    state, levels = place.state, place.levels
    while True:
        if not state[PENDING]:
            state[SAFE], state[SAFE_N], state[SAFE_USED], state[SAFE_DEPTH] = i, state[N], state[USED], state[DEPTH]
        i = blank(data, i, end)
        if i >= end:
            return DONE, end
        depth = state[DEPTH]
        around = levels[depth - 1, _KIND] if depth else _TOP
        c = data[i]
        if around == _OBJECT:
            low, high, value = member(data, i, end)
            if low < 0:
                return low, i
            if low == 0:
                depth -= 1
                state[DEPTH] = depth
                i = value + 1
                if levels[depth, _TOLD] or depth <= 2:
                    resolve(rows, levels[depth, _FIRST], state[N], place)
                    state[PENDING] = 0
                    if state[AWAITED]:
                        return CLOSED, i
                    unnamed(place)
                continue
            opens = _container(data, low, high) if data[value] == LIST else _TOP
            if opens != _TOP and depth < _LEVELS:
                levels[depth, _KIND], levels[depth, _FIRST], levels[depth, _TOLD], levels[depth, _AT] = opens, state[N], 0, value
                state[DEPTH] = depth + 1
                i = value + 1
                continue
            if _is(data, low, high, _SPAN_ID) and levels[depth - 1, _AT] >= 0 and not form.wrapped[0]:  # a span that stands alone
                i = levels[depth - 1, _AT]
                state[DEPTH] = depth - 1
            else:
                if data[value] == OPEN and _is(data, low, high, _PROCESS_LIST):
                    stop = _processes(data, value, end, place)
                    levels[depth - 1, _TOLD] = 1
                else:
                    stop = skip(data, value, end)
                    if stop > 0 and data[value] == OPEN and _is(data, low, high, _RESOURCE):
                        place.owner[0] = _process(place, data, value, stop)
                        levels[depth - 1, _TOLD] = 1
                if stop < 0:
                    return stop, i
                i = stop
                continue
        elif c == COMMA:
            i += 1
            continue
        elif c == LIST_END and depth:
            state[DEPTH] = depth - 1
            i += 1
            continue
        elif (c == OPEN and around != _SPANS) or c == LIST:
            if depth >= _LEVELS:
                return BAD, i
            levels[depth, _KIND] = _OBJECT if c == OPEN else _SPANS if around == _SPANS else _GROUPS
            levels[depth, _FIRST], levels[depth, _TOLD], levels[depth, _AT] = state[N], 0, i
            state[DEPTH] = depth + 1
            i += 1
            continue
        elif c != OPEN:
            stop = skip(data, i, end)
            if stop == CUT or (stop < 0 and state[STRICT]):
                return stop, i
            state[WRONG] += around == _SPANS and stop > 0
            i = max(stop, i + 1)
            continue
        n = state[N]
        if n >= len(rows) or state[USED] + to.MOST > len(attributes):
            return FULL, i
        row = rows[n]
        stop, used = _span(data, i, end, row, attributes, state[USED], codes, form, place)
        if stop == ODD:
            state[STOP] = skip(data, i, end)
            return (ODD, i) if state[STOP] > 0 else (state[STOP], i)
        if stop < 0:
            return stop, i
        i = stop
        state[SEEN] += 1
        if row[to.TRACE_END] <= row[to.TRACE]:
            state[NO_TRACE] += 1
        elif row[to.SPAN_END] <= row[to.SPAN]:
            state[NO_SPAN] += 1
        elif row[to.START] == to.NULL or (form.wrapped[0] and row[to.START] < 0):
            state[NO_START] += 1
        else:
            state[N], state[USED] = n + 1, used
            if row[to.OWNER] < -1:
                state[PENDING] = 1


@kernel
def lines(data, i, end, rows, attributes, codes, form, place):
    """Lines of whole values from ``i`` to the last line feed before ``end``. Gives ``(how it ended, where)``: where a line begins that gives no
    span or is none, of which nothing is kept; its end is the state's ``STOP``. Of an odd span it is where that begins."""
    state = place.state
    state[STRICT] = 1
    while i < end:
        stop = find(data, i, end, LF)
        if stop >= end:
            break
        n, used, seen, no_trace, no_span, no_start, wrong = state[N], state[USED], state[SEEN], state[NO_TRACE], state[NO_SPAN], state[NO_START], state[WRONG]
        how, where = scan(data, i, stop, rows, attributes, codes, form, place)
        if how == DONE and state[DEPTH] == 0 and state[N] > n:
            state[LINES] += 1
            i = stop + 1
            continue
        if how == DONE and state[DEPTH] == 0:
            how = EMPTY
        else:
            how = CUT if how == DONE else how
            state[SEEN], state[NO_TRACE], state[NO_SPAN], state[NO_START], state[WRONG] = seen, no_trace, no_span, no_start, wrong
        state[N], state[USED], state[DEPTH], state[PENDING] = n, used, 0, 0
        unnamed(place)
        if how == ODD:
            return ODD, where
        state[STOP] = stop
        return how, i
    return DONE, i
