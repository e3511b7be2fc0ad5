"""Spans in JSON, as a row of positions for each: in lists called ``spans`` inside objects that say what ran them.

A scanner for the shapes of Jaeger and OTLP, and for Zipkin's lists of spans. What it meets is told by the bytes alone; a span whose members have other types than they should
is handed back (:data:`ODD`), text that is cut off waits for more (:data:`CUT`).
"""

# Numba infers the types of kernels.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import numpy as np

from perfaudit.kernels import attributes as to
from perfaudit.kernels.hashing import intern, new_table
from perfaudit.kernels.jit import inlined, kernel
from perfaudit.kernels.jsonspan import MEMBERS, PROCESS_LIST, RESOURCE, SPAN_ID, WRAPPED, Place, is_word, process, span
from perfaudit.kernels.jsontokens import (
    BAD,
    COMMA,
    CUT,
    LF,
    LIST,
    LIST_END,
    ODD,
    OPEN,
    blank,
    member,
    skip,
)
from perfaudit.kernels.text import find

#: How a call ended beside :data:`CUT`, :data:`BAD` and :data:`ODD`: all was read; there is no room for more rows; a line gives no span; a group ends.
DONE, FULL, EMPTY, CLOSED = 0, -4, -5, -6
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


def place() -> Place:
    """The beginning."""
    return Place(np.zeros(STATES, np.int64), np.zeros((_LEVELS, 4), np.int64), new_table(*_IDS, _SEED), new_table(*_PROCESSES, _SEED), np.full(_IDS[0] + 2, -1, np.int64))


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
            place.owner[1 + intern(place.ids, data, low, high)] = process(place, data, value, i)


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
    if is_word(data, low, high, 0):
        return _SPANS
    for word in range(1, 6):
        if is_word(data, low, high, word):
            return _GROUPS
    return _TOP


@kernel
def scan(data, i, end, rows, attributes, codes, form, place):
    """The text in ``data[i:end]``, going on from ``place``. Gives ``(how it ended, where)``; of an odd span its end is the state's ``STOP``."""
    state, levels = place.state, place.levels
    bare = form.style[0] == MEMBERS
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
            if is_word(data, low, high, SPAN_ID) and levels[depth - 1, _AT] >= 0 and form.style[0] != WRAPPED:  # a span that stands alone
                i = levels[depth - 1, _AT]
                state[DEPTH] = depth - 1
            else:
                if data[value] == OPEN and is_word(data, low, high, PROCESS_LIST):
                    stop = _processes(data, value, end, place)
                    levels[depth - 1, _TOLD] = 1
                else:
                    stop = skip(data, value, end)
                    if stop > 0 and data[value] == OPEN and is_word(data, low, high, RESOURCE):
                        place.owner[0] = process(place, data, value, stop)
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
        elif (c == OPEN and around != _SPANS and not bare) or c == LIST:
            if depth >= _LEVELS:
                return BAD, i
            levels[depth, _KIND] = _OBJECT if c == OPEN else _SPANS if around == _SPANS or bare else _GROUPS
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
        stop, used = span(data, i, end, row, attributes, state[USED], codes, form, place)
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
        elif row[to.START] == to.NULL or (form.style[0] == WRAPPED and row[to.START] < 0):
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
