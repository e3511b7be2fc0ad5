"""OTLP traces as protobuf: ``ExportTraceServiceRequest`` (or ``TracesData``), alone in a file, behind one another with a varint length
each, or in the frames of the Collector's file exporter (four bytes of length, big-endian; with its ``compression`` each frame is zstd).

Sources: opentelemetry-proto 1.7; Protocol Buffers documentation, "Streaming Multiple Messages"; opentelemetry-collector-contrib,
exporter/fileexporter. A message counts as a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from perfaudit.evidence.readers import Recognised

if TYPE_CHECKING:
    import numpy as np

    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.readers._spans_rows import Owner
    from perfaudit.evidence.source import Source

    Array = np.ndarray[Any, Any]

NAME = "OTLP traces (protobuf)"
VERSION = 1
TABLES = ("spans",)
HINT = "the OpenTelemetry Collector's file exporter with format: proto writes what this reader takes"
#: Longest message: gRPC's own limit is 4 MiB, some raise it.
_LONGEST = 64 << 20
_PIECE = 4 << 20
#: Bytes of messages that become rows at once.
_CHUNK = 8 << 20
_ROWS = 1 << 16
_ZSTD = b"\x28\xb5\x2f\xfd"


def sniff(sample: Sample) -> Recognised | None:
    """Sure when the first bytes lead to a span that begins with an id of 16 bytes and one of 8, in one of the framings."""
    head = sample.head
    if head[:1] in (b"{", b"["):
        return None
    length = int.from_bytes(head[:4], "big")
    if 0 < length <= _LONGEST and (_holds_span(head[4 : 4 + length]) or head[4:8] == _ZSTD):
        return Recognised(0.9 if head[4:8] != _ZSTD else 0.6, detail="framed", hint=HINT)
    length, position = _varint(head, 0)
    if 0 < length <= _LONGEST and _holds_span(head[position : position + length]) and not _holds_span(head):
        return Recognised(0.9, detail="delimited", hint=HINT)
    return Recognised(0.9, detail="single", hint=HINT) if _holds_span(head) else None


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """``(value, position behind it)``; -1 where there is none."""
    value = 0
    for shift in range(0, 35, 7):
        if position >= len(data):
            break
        value |= (data[position] & 0x7F) << shift
        position += 1
        if data[position - 1] < 0x80:
            return value, position
    return -1, position


def _holds_span(data: bytes) -> bool:
    """Whether field 1 (resource spans) → 2 (scope spans) → 2 (span) leads to ids; ``data`` may be cut."""
    position, end = 0, len(data)
    for number in (1, 2, 2):
        while True:
            if position >= end:
                return False
            tag = data[position]
            length, begin = _varint(data, position + 1)
            if tag & 7 != 2 or length < 0:
                return False
            position = begin
            if tag >> 3 == number:
                break
            position += length
    return data[position : position + 2] == b"\x0a\x10" and data[position + 18 : position + 20] == b"\x12\x08"


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """One row per span."""
    from perfaudit.evidence.readers._spans_rows import unwatched

    reader = _Reader(sink, options)
    with unwatched():
        for offset, message in _messages(source.pieces(_PIECE), str(recognised.detail), sink):
            sink.lines()
            body, reason = _unpacked(message)
            if reason:
                sink.reject(reason, example=message[:200], offset=offset)
            elif body.startswith((b"{", b"[")):
                reader.json(body, offset)
            else:
                reader.message(body, offset)
        reader.finish()


def _messages(pieces: Iterator[bytes], framing: str, sink: Sink) -> Iterator[tuple[int, bytes]]:
    """``(offset, message)``; of a file that is one message its resources, each as a message."""
    buffer, position, base = b"", 0, 0
    for piece in pieces:
        buffer, base, position = buffer[position:] + piece, base + position, 0
        while position < len(buffer):
            length, begin = _length(buffer, position, framing)
            if begin > len(buffer) or (length < 0 and len(buffer) - position < 16):
                break
            if not 0 <= length <= _LONGEST:
                sink.lines()
                sink.reject("not a message, or longer than 64 MiB: nothing behind it is read", example=buffer[position : position + 200], offset=base + position)
                for _ in pieces:  # to the end, so that the file is known by all of it
                    pass
                return
            if begin + length > len(buffer):
                break
            start = position if framing == "single" else begin
            yield base + position, buffer[start : begin + length]
            position = begin + length
    if position < len(buffer):
        sink.lines()
        sink.reject("the last message ends in the middle", example=buffer[position : position + 200], offset=base + position)


def _length(buffer: bytes, position: int, framing: str) -> tuple[int, int]:
    """``(length of the message, where it begins)``; the length is negative where none can be read."""
    if framing == "framed":
        return int.from_bytes(buffer[position : position + 4], "big"), position + 4
    if framing == "delimited":
        return _varint(buffer, position)
    tag, begin = _varint(buffer, position)
    return _varint(buffer, begin) if tag & 7 == 2 else (-1, begin)


def _unpacked(message: bytes) -> tuple[bytes, str]:
    if not message.startswith(_ZSTD):
        return message, ""
    import zstandard

    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(message), ""
    except zstandard.ZstdError:
        return b"", "a compressed message is corrupt"


class _Reader:
    def __init__(self, sink: Sink, options: ReadOptions) -> None:
        import numpy as np

        from perfaudit.evidence.readers._spans_rows import SpanTable
        from perfaudit.kernels import otlp

        self.np, self.kernel, self.sink, self.options = np, otlp, sink, options
        self.table = SpanTable(sink, options, per_us=1000)
        self.rows = np.empty((_ROWS, otlp.COLUMNS), np.int64)
        self.marks = otlp.scratch()
        self.waiting: list[tuple[int, bytes]] = []
        self.size = 0
        self._names: dict[bytes, str] = {}
        self._json: Any = None

    def json(self, text: bytes, offset: int) -> None:
        """A frame that holds JSON, as the exporter writes with compression."""
        from perfaudit.evidence.readers import otlp_json
        from perfaudit.evidence.readers._spans_json import BROKEN

        self._json = self._json or otlp_json.Requests(self.sink, self.options)
        try:
            reason = self._json.value(text)
        except BROKEN:
            reason = "not JSON"
        if reason:
            self.sink.reject(reason, example=text[:2000], offset=offset)
        else:
            self.sink.parsed()

    def message(self, body: bytes, offset: int) -> None:
        """One request."""
        self.waiting.append((offset, body))
        self.size += len(body)
        if self.size >= _CHUNK:
            self._take()

    def finish(self) -> None:
        """Write the rest and tell what was set aside."""
        self._take()
        self.table.finish()
        if self._json:
            self._json.finish()

    def _take(self) -> None:
        """The requests that wait become rows."""
        np, kernel = self.np, self.kernel
        messages, self.waiting, self.size = self.waiting, [], 0
        text = b"".join(body for _, body in messages)
        data = np.frombuffer(text, np.uint8)
        said = np.empty(len(text), np.uint8)
        groups = np.empty((len(text) // 4 + 1, 2), np.int64)
        n = g = used = end = 0
        for offset, body in messages:
            start, end = end, end + len(body)
            while True:
                found, more, spent = kernel.spans(data, start, end, self.rows, n, groups, g, said, used, self.marks)
                if found != kernel.FULL:
                    break
                if n:
                    self._write(text, data, n, groups[:g], said)
                    n = g = used = 0
                else:
                    self.rows = np.empty((2 * len(self.rows), kernel.COLUMNS), np.int64)
            if found == kernel.CORRUPT:
                self.sink.reject("not an OTLP request", example=body[:200], offset=offset)
            elif found == n and len(body):
                self.sink.reject("a request without spans", example=body[:200], offset=offset)
            else:
                self.sink.parsed()
                n, g, used = found, more, spent
        if n:
            self._write(text, data, n, groups[:g], said)

    def _write(self, text: bytes, data: Array, n: int, groups: Array, said: Array) -> None:
        from perfaudit.evidence.readers import _otlp
        from perfaudit.evidence.readers._otlp_wire import attributes, links_and_exceptions
        from perfaudit.evidence.readers._spans_rows import Batch

        np, k = self.np, self.kernel
        rows = self.rows[:n]
        kept = (rows[:, k.TRACE_LENGTH] > 0) & (rows[:, k.SPAN_LENGTH] > 0)
        if not kept.all():
            self.table.aside["no trace id or span id"] += int((~kept).sum())
            rows = rows[kept]
        if not len(rows):
            return
        owners = [self._owner(text[a:b]) for a, b in groups.tolist()]
        words, names = said.tobytes(), self._names
        codes = self.table.codes([words[a:b] for a, b in zip(rows[:, k.SAID].tolist(), rows[:, k.SAID_END].tolist(), strict=True)], lambda raw: attributes(raw, 9))
        kinds = np.array([-1, 0, 1, 2, 3, 4])[np.where((rows[:, k.KIND] >= 0) & (rows[:, k.KIND] <= 5), rows[:, k.KIND], 0)]
        batch = Batch(
            hexadecimal(data, rows[:, k.TRACE], rows[:, k.TRACE_LENGTH], 16), hexadecimal(data, rows[:, k.SPAN], rows[:, k.SPAN_LENGTH], 8),
            hexadecimal(data, rows[:, k.PARENT], rows[:, k.PARENT_LENGTH], 8),
            [names.get(raw := text[a:b]) or self._name(raw) for a, b in zip(rows[:, k.NAME].tolist(), (rows[:, k.NAME] + rows[:, k.NAME_LENGTH]).tolist(), strict=True)],
            rows[:, k.START], np.where(rows[:, k.END] > 0, rows[:, k.END], -1), [owners[i] for i in rows[:, k.GROUP].tolist()], codes, kinds,
            np.where((rows[:, k.STATUS] == 1) | (rows[:, k.STATUS] == 2), rows[:, k.STATUS], 0),
        )  # fmt: skip
        for i in np.flatnonzero(rows[:, k.EVENTS] | rows[:, k.LINKS]).tolist():
            links, kinds_of = links_and_exceptions(text[rows[i, k.FIRST] : rows[i, k.LAST]])
            batch.links.update({i: links} if links else {})
            batch.exceptions.update({i: kinds_of} if kinds_of else {})
        for i in np.flatnonzero(rows[:, k.STATE_LENGTH]).tolist():
            start = int(rows[i, k.STATE])
            if weight := _otlp.weight(text[start : start + int(rows[i, k.STATE_LENGTH])].decode("utf-8", "replace")):
                batch.weights[i] = weight
        self.table.batch = batch
        self.table.flush()

    def _owner(self, raw: bytes) -> Owner:
        from perfaudit.evidence.readers._otlp_wire import attributes

        def make() -> tuple[str | None, Any]:
            pairs = list(attributes(raw, 1))
            return next((str(v) for key, v in pairs if key == "service.name" and v), None), pairs

        return self.table.owner(raw, make)

    def _name(self, raw: bytes) -> str:
        name = self._names.get(raw)
        if name is None:
            if len(self._names) >= 50_000:
                self._names.clear()
            name = self._names[raw] = raw.decode("utf-8", "replace")
        return name


def hexadecimal(data: Array, starts: Array, lengths: Array, width: int) -> Any:
    """Ids of ``width`` bytes as a column of hexadecimal; null where there is none or only zeros."""
    import numpy as np
    import pyarrow as pa

    if not np.isin(lengths, (0, width)).all():
        raw = data.tobytes()
        return pa.array([raw[a : a + min(n, 32)].hex() or None for a, n in zip(starts.tolist(), lengths.tolist(), strict=True)], pa.string())
    ids = data[np.minimum(starts, len(data) - width)[:, None] + np.arange(width)]
    there = (lengths > 0) & ids.any(axis=1)
    digits = np.frombuffer(bytes(range(256)).hex().encode(), np.uint16)[ids]
    offsets = np.arange(0, (len(starts) + 1) * width * 2, width * 2, dtype=np.int32)
    bitmap = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little").tobytes())
    return pa.Array.from_buffers(pa.string(), len(starts), [bitmap, pa.py_buffer(offsets), pa.py_buffer(digits)])
