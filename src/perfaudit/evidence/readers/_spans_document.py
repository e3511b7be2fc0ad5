"""One JSON document of traces, however large: cut into spans while it streams, with a few megabytes in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from perfaudit.evidence.readers._spans_json import BROKEN, LINE, Format

if TYPE_CHECKING:
    from perfaudit.evidence.readers import Sink

#: Spans that are decoded at once; they stay in the processor's cache.
_RUN = 512
#: What is kept before the place that is scanned: the name of an array may lie in the piece before.
_BEHIND = 64


def read_document(pieces: Iterator[bytes], sink: Sink, form: Format) -> None:
    """Every span of the document into ``form``. Its lines count as parsed when there is one: a document is one piece."""
    document = _Document(form)
    lines, last = 0, b"\n"
    for piece in pieces:
        lines += piece.count(b"\n")
        last = piece[-1:]
        document.feed(piece)
    document.end()
    lines += last != b"\n"
    sink.lines(lines)
    if document.found:
        sink.parsed(lines)
    else:
        sink.reject("a JSON document without spans", lines, example=document.first)
    if document.torn:
        sink.note("its JSON is torn: what could be told apart was read")


class _Document:
    def __init__(self, form: Format) -> None:
        import numpy as np

        from perfaudit.kernels import jsoncut

        self.form, self.kernel, self.numpy = form, jsoncut, np
        self.state, self.levels = jsoncut.new_state(form.lists_of_spans, _RUN)
        self.events: Any = np.zeros((1 << 14, 2), np.int64)
        self.carry = self.first = b""
        self.skeleton: list[bytes] = []
        self.mark = -1
        self.begun = self.torn = False
        self.found = 0

    def feed(self, piece: bytes) -> None:
        """The next piece of the text."""
        kernel, state = self.kernel, self.state
        buffer = self.carry + piece
        self.first = self.first or buffer[:200]
        data = self.numpy.frombuffer(buffer, self.numpy.uint8)
        position = len(self.carry)
        while position < len(buffer):
            position, n = kernel.cut(data, position, len(buffer), state, self.levels, self.events)
            self._events(buffer, n)
        self._events(buffer, kernel.flush(state, self.events))
        if self.mark >= 0:
            self._collect(buffer[self.mark :])
        element = int(state[kernel.ELEMENT])
        if element >= 0 and len(buffer) - element > LINE and not state[kernel.DROP]:
            self.form.table.aside["larger than 32 MiB"] += 1
            state[kernel.DROP] = 1
        keep = max(0, len(buffer) - _BEHIND)
        if element >= 0 and not state[kernel.DROP]:
            keep = min(keep, element)
        elif element >= 0:
            state[kernel.ELEMENT] = state[kernel.RUN_START] = keep
        kernel.shift(state, keep)
        self.carry = buffer[keep:]
        self.mark = len(self.carry) if self.mark >= 0 else -1

    def _collect(self, text: bytes) -> None:
        self.skeleton.append(text)
        if sum(map(len, self.skeleton)) > LINE:
            self.skeleton, self.mark = [], -1

    def _events(self, buffer: bytes, n: int) -> None:
        kernel = self.kernel
        start = 0
        for kind, at in self.events[:n].tolist():
            if kind == kernel.RUN:
                start = at
            elif kind == kernel.RUN_END:
                self._run(buffer[start:at])
            elif kind == kernel.GROUP:
                self.skeleton, self.mark, self.begun = [], at, False
            elif kind == kernel.ARRAY:
                if self.mark >= 0:
                    self._collect(buffer[self.mark : at])
                    self.mark = -1
                if not self.begun:
                    self.form.begin(b"".join(self.skeleton))
                self.begun = True
            elif kind == kernel.ARRAY_END:
                self.mark = at if self.skeleton else -1
            elif kind == kernel.GROUP_END:
                if self.mark >= 0:
                    self._collect(buffer[self.mark : at])
                self._group(b"".join(self.skeleton))
            elif kind == kernel.TORN:
                self.torn = True
                self.form.table.aside["torn"] += 1

    def _group(self, text: bytes) -> None:
        if self.begun:
            self.form.group(text)
        elif b'"spanID"' in text:  # a stored span of Jaeger
            try:
                self.found += not self.form.value(text)
            except BROKEN:
                self.form.table.aside["not JSON"] += 1
        self.skeleton, self.mark, self.begun = [], -1, False

    def _run(self, text: bytes) -> None:
        self.found += 1
        try:
            self.form.run(b"[%b]" % text)
        except BROKEN:
            for element in self._each(text):
                try:
                    self.form.run(b"[%b]" % element)
                except BROKEN:
                    self.form.table.aside["not JSON, or a member has the wrong type"] += 1

    def _each(self, text: bytes) -> Iterator[bytes]:
        """The elements of a run, one by one."""
        kernel, np = self.kernel, self.numpy
        text = b"[%b]" % text
        state, levels = kernel.new_state(True, 1)
        events = np.zeros((4 * _RUN + 16, 2), np.int64)
        _, n = kernel.cut(np.frombuffer(text, np.uint8), 0, len(text), state, levels, events)
        places = [at for kind, at in events[:n].tolist() if kind in (kernel.RUN, kernel.RUN_END)]
        for start, end in zip(places[::2], places[1::2], strict=True):
            yield text[start:end]

    def end(self) -> None:
        """The text ends, where it should or not."""
        self.torn = self.torn or bool(self.state[self.kernel.DEPTH])
        if self.begun:
            self.form.group(b"")
