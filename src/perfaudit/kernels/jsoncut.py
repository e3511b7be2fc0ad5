"""Cuts a JSON document of any size into the objects of certain arrays, piece by piece, without building anything.

What is known of JSON here (RFC 8259): strings, escapes, and that a raw line feed cannot stand in a string. A string that has one is
torn; the object that it stands in is given up, and reading goes on behind it.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numpy as np

from perfaudit.kernels.jit import inlined, kernel

#: Events: where a group begins and ends, where the inside of an array of elements begins and ends, a run of elements, a torn element.
GROUP, GROUP_END, ARRAY, ARRAY_END, RUN, RUN_END, TORN = 1, 2, 3, 4, 5, 6, 7
#: Levels whose kind is remembered; deeper ones are nobody's.
_LEVELS = 64
_OTHER, _GROUPS, _ELEMENTS, _GROUP_OBJECT, _ELEMENT = 0, 1, 2, 3, 4

DEPTH, IN_STRING, ESCAPED, RUN_START, RUN_LAST, RUN_COUNT, ELEMENT, ELEMENT_DEPTH, LISTS, MOST, DROP = range(11)
_QUOTE, _BACKSLASH, _LF, _OPEN, _CLOSE, _LIST, _LIST_END, _COLON = 34, 92, 10, 123, 125, 91, 93, 58

_NAMES = np.frombuffer(b"spansdataresourceSpansbatches", np.uint8).copy()


def new_state(lists: bool, most: int) -> tuple[Any, Any]:
    """``(state, levels)``. With ``lists`` the elements are the objects of top-level arrays (also of arrays in them), otherwise those of
    arrays called ``spans``, and groups are the objects of arrays called ``data``, ``resourceSpans`` or ``batches``. A run has at most ``most`` elements."""
    state = np.zeros(11, np.int64)
    state[RUN_START], state[ELEMENT], state[LISTS], state[MOST] = -1, -1, lists, most
    return state, np.zeros(_LEVELS, np.uint8)


def shift(state: Any, by: int) -> None:
    """The buffer moved: positions are ``by`` less."""
    for place in (RUN_START, RUN_LAST, ELEMENT):
        if state[place] >= 0:
            state[place] -= by


@inlined
def _named(data, position, low, high):
    """Whether the string that ends with the quote at ``position`` is ``_NAMES[low:high]``."""
    length = high - low
    if position - length - 1 < 0 or data[position] != _QUOTE or data[position - length - 1] != _QUOTE:
        return False
    for k in range(length):  # noqa: SIM110
        if data[position - length + k] != _NAMES[low + k]:
            return False
    return True


@inlined
def _array_kind(data, position, parent, depth, lists):
    """What the array that opens at ``position`` holds."""
    if lists:
        return _ELEMENTS if depth == 0 or parent == _ELEMENTS else _OTHER
    if depth == 0:
        return _GROUPS
    k = position - 1
    while k >= 0 and data[k] <= 32:
        k -= 1
    if k < 0 or data[k] != _COLON:
        return _OTHER
    k -= 1
    while k >= 0 and data[k] <= 32:
        k -= 1
    if k < 0:
        return _OTHER
    if _named(data, k, 0, 5):
        return _ELEMENTS
    if _named(data, k, 5, 9) or _named(data, k, 9, 22) or _named(data, k, 22, 29):
        return _GROUPS
    return _OTHER


@inlined
def _put(events, n, kind, position):
    events[n, 0] = kind
    events[n, 1] = position
    return n + 1


@inlined
def _end_run(state, events, n):
    if state[RUN_COUNT] > 0:
        n = _put(events, n, RUN, state[RUN_START])
        n = _put(events, n, RUN_END, state[RUN_LAST])
    state[RUN_START] = -1
    state[RUN_COUNT] = 0
    return n


@inlined
def _closed(state, levels, events, n, depth, i):
    """An object or array of level ``depth`` ends at ``i``."""
    if state[ELEMENT] >= 0:
        if depth <= state[ELEMENT_DEPTH]:
            state[ELEMENT] = -1
            if state[DROP]:
                state[DROP] = 0
                state[RUN_START] = -1
            else:
                state[RUN_LAST] = i + 1
                state[RUN_COUNT] += 1
            if state[RUN_COUNT] >= state[MOST] or depth == 0:
                n = _end_run(state, events, n)
    elif depth < _LEVELS:
        kind = levels[depth]
        if kind == _ELEMENTS:
            n = _end_run(state, events, n)
            if not state[LISTS]:
                n = _put(events, n, ARRAY_END, i)
        elif kind == _GROUP_OBJECT:
            n = _put(events, n, GROUP_END, i + 1)
    return n


@kernel
def cut(data, start, end, state, levels, events):
    """Scan ``data[start:end]``. Gives ``(where it stopped, number of events)``: at ``end``, or where ``events`` is nearly full."""
    n = 0
    room = len(events) - 8
    i = start
    depth = state[DEPTH]
    in_string = state[IN_STRING]
    if state[ESCAPED] and i < end:
        i += 1
        state[ESCAPED] = 0
    while i < end and n < room:
        if in_string:
            c = data[i]
            while c != _QUOTE and c != _BACKSLASH and c != _LF:
                i += 1
                if i >= end:
                    break
                c = data[i]
            if i >= end:
                break
            if c == _QUOTE:
                in_string = 0
            elif c == _BACKSLASH:
                i += 1
                if i >= end:
                    state[ESCAPED] = 1
                    i = end
                    break
            else:
                in_string = 0
                if state[ELEMENT] >= 0:
                    n = _put(events, n, TORN, state[ELEMENT])
                    depth = state[ELEMENT_DEPTH]
                    n = _end_run(state, events, n)
                    state[ELEMENT] = -1
                    state[DROP] = 0
            i += 1
            continue
        c = data[i]
        if c == _QUOTE:
            in_string = 1
        elif c in (_OPEN, _LIST):
            kind = _OTHER
            if state[ELEMENT] < 0:
                parent = levels[depth - 1] if 0 < depth <= _LEVELS else _OTHER
                if c == _LIST:
                    kind = _array_kind(data, i, parent, depth, state[LISTS])
                    if kind == _ELEMENTS and not state[LISTS]:
                        n = _put(events, n, ARRAY, i + 1)
                elif parent == _ELEMENTS or (depth == 0 and state[LISTS]):
                    kind = _ELEMENT
                    state[ELEMENT] = i
                    state[ELEMENT_DEPTH] = depth
                    if state[RUN_START] < 0:
                        state[RUN_START] = i
                elif parent == _GROUPS or depth == 0:
                    kind = _GROUP_OBJECT
                    n = _put(events, n, GROUP, i)
            if depth < _LEVELS:
                levels[depth] = kind
            depth += 1
        elif c in (_CLOSE, _LIST_END) and depth > 0:
            depth -= 1
            n = _closed(state, levels, events, n, depth, i)
        i += 1
    state[DEPTH] = depth
    state[IN_STRING] = in_string
    return i, n


@kernel
def flush(state, events):
    """End the run that is open at its last whole element: the rest of an element stays for the next piece. Gives the number of events."""
    n = 0
    if state[RUN_COUNT] > 0:
        n = _end_run(state, events, n)
        state[RUN_START] = state[ELEMENT]
    return n
