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
    from perfaudit.evidence.readers._spans_batch import Owner
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

        from perfaudit.evidence.readers._otlp_wire import pair
        from perfaudit.evidence.readers._spans_rows import SpanTable
        from perfaudit.kernels import attributes, otlp

        self.np, self.kernel, self.columns, self.sink, self.options = np, otlp, attributes, sink, options
        self.table = SpanTable(sink, options, per_us=1000)
        self.codes = self.table.coded(pair, lambda raw: raw.decode("utf-8", "replace"))
        self.rows = np.empty((_ROWS, attributes.ROW_COLUMNS), np.int64)
        self.attributes = np.empty((8 * _ROWS, attributes.PAIR_COLUMNS), np.int32)
        self.waiting: list[tuple[int, bytes]] = []
        self.size = 0
        self._json: Any = None

    def json(self, text: bytes, offset: int) -> None:
        """A frame that holds JSON, as the exporter writes with compression."""
        from perfaudit.evidence.readers import otlp_json
        from perfaudit.evidence.readers._spans_scan import Scan

        self._json = self._json or Scan(self.sink, self.options, otlp_json.Shape())
        if reason := self._json.value(text):
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
        text = b"".join((*(body for _, body in messages), bytes(64)))
        data = np.frombuffer(text, np.uint8)
        groups = np.empty((len(text) // 4 + 1, 2), np.int64)
        n = g = used = end = 0
        for offset, body in messages:
            start, end = end, end + len(body)
            while True:
                found, more, spent = kernel.spans(data, start, end, self.rows, n, groups, g, self.attributes, used, self.codes.codes)
                if found != kernel.FULL:
                    break
                if n:
                    self._write(text, data, n, groups[:g], used)
                    n = g = used = 0
                else:
                    self.rows, self.attributes = np.empty((2 * len(self.rows), self.rows.shape[1]), np.int64), np.empty((2 * len(self.attributes), self.attributes.shape[1]), np.int32)
            if found == kernel.CORRUPT:
                self.sink.reject("not an OTLP request", example=body[:200], offset=offset)
            elif found == n and len(body):
                self.sink.reject("a request without spans", example=body[:200], offset=offset)
            else:
                self.sink.parsed()
                n, g, used = found, more, spent
        if n:
            self._write(text, data, n, groups[:g], used)

    def _write(self, text: bytes, data: Array, n: int, groups: Array, used: int) -> None:
        from perfaudit.evidence.readers._otlp_wire import links_and_exceptions

        k = self.columns
        rows = self.rows[:n]
        kept = (rows[:, k.TRACE_END] > rows[:, k.TRACE]) & (rows[:, k.SPAN_END] > rows[:, k.SPAN])
        if not kept.all():
            self.table.aside["no trace id or span id"] += int((~kept).sum())
            rows = rows[kept]
        owners = [self._owner(text[a:b]) for a, b in groups.tolist()]
        for batch, part in self.codes.batches(text, data, rows, self.attributes, owners, (16, 8)):
            for i in self.np.flatnonzero(part[:, k.EXTRA_END]).tolist():
                links, kinds = links_and_exceptions(text[part[i, k.EXTRA] : part[i, k.EXTRA_END]])
                batch.links.update({i: links} if links else {})
                batch.exceptions.update({i: kinds} if kinds else {})
            self.table.add(batch)

    def _owner(self, raw: bytes) -> Owner:
        from perfaudit.evidence.readers._otlp_wire import attributes

        def make() -> tuple[str | None, Any]:
            pairs = list(attributes(raw, 1))
            return next((str(v) for key, v in pairs if key == "service.name" and v), None), pairs

        return self.table.owner(raw, make)
