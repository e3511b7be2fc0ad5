"""A source: bytes from a file, a pipe or standard input, decompressed, in blocks of whole lines, with bounded memory.

Plain, gzip and zstd are told apart by their first bytes, never by name. A source never raises for what it contains: damage
(a truncated archive, a file that shrank while it was read) ends the stream and is kept in :attr:`Source.damage`.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from perfaudit.errors import EvidenceError

#: A block holds about this many bytes; 16 MiB is ~70,000 access-log lines, a good size for one row group.
BLOCK = 16 << 20
#: No line of any supported format is longer; longer ones are set aside while streaming, so memory stays bounded.
MAX_LINE = 1 << 20
#: What readers see to recognise a format.
HEAD = 256 << 10


class Block(NamedTuple):
    """Whole lines (the last one of a stream may lack its newline) and the offset of the first byte in the text."""

    data: memoryview
    offset: int


class Source:
    """One stream of evidence. Use as a context manager; ``name`` is how people know it."""

    def __init__(self, name: str, path: Path | None = None, *, stream: BinaryIO | None = None) -> None:
        self.name = name
        self.path = path
        self.damage: list[str] = []
        self.raw_bytes = 0
        self.size: int | None = None
        self.on_read: Callable[[int], None] | None = None
        self._marks: dict[int, str] = {}
        self._marked: dict[int, str] = {}
        self._hash = hashlib.sha256()
        self._stream = stream
        self._raw: BinaryIO | None = None
        self._fill: Callable[[memoryview], int] = self._fill_plain
        self._head = b""
        self._head_used = 0
        self._ended = False

    def __enter__(self) -> Source:
        if self._stream is not None:
            self._raw = self._stream
        elif self.path is None:
            self._raw = sys.stdin.buffer
        else:
            try:
                self._raw = open(self.path, "rb", buffering=0)  # noqa: SIM115  (closed in __exit__)
                info = os.fstat(self._raw.fileno())
            except OSError as error:
                raise EvidenceError(f"cannot open {self.name}: {error.strerror}", where=str(self.path), todo="check the path and its permissions") from error
            if stat.S_ISREG(info.st_mode):
                self.size = info.st_size
        magic = self._read_raw(4, exact=True)
        if magic[:2] == b"\x1f\x8b":
            self._fill = _Inflate(self, lambda: zlib.decompressobj(31), "gzip", magic)
        elif magic == b"\x28\xb5\x2f\xfd":
            import zstandard

            self._fill = _Inflate(self, lambda: zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj(), "zstd", magic)
        else:
            self._head = magic
        return self

    def __exit__(self, *_: object) -> None:
        if self._raw is not None and self.path is not None:
            self._raw.close()

    # ---------------------------------------------------------------- identity

    def mark(self, sizes: dict[int, str]) -> None:
        """Watch for the hash of the first ``n`` raw bytes, for each ``n``: how a grown file is known again."""
        self._marks = dict(sizes)

    @property
    def grown_from(self) -> str | None:
        """The value of the longest mark whose hash the stream's beginning has, or None."""
        return self._marked[max(self._marked)] if self._marked else None

    @property
    def sha256(self) -> str:
        """SHA-256 of the raw (compressed) bytes read so far."""
        return self._hash.hexdigest()

    # ---------------------------------------------------------------- reading

    @property
    def head(self) -> bytes:
        """The first (decompressed) bytes, at most :data:`HEAD`; reading goes on from the start afterwards."""
        while len(self._head) < HEAD and not self._ended:
            buffer = memoryview(bytearray(HEAD - len(self._head)))
            n = self._fill(buffer)
            if n == 0:
                self._ended = True
            self._head += bytes(buffer[:n])
        return self._head

    def _readinto(self, buffer: memoryview) -> int:
        if self._head_used < len(self._head):
            piece = self._head[self._head_used : self._head_used + len(buffer)]
            buffer[: len(piece)] = piece
            self._head_used += len(piece)
            return len(piece)
        if self._ended:
            return 0
        n = self._fill(buffer)
        self._ended = n == 0
        return n

    def blocks(self, too_long: Callable[[int, bytes], None]) -> Iterator[Block]:
        """Blocks of whole lines. A line over :data:`MAX_LINE` is dropped and told to ``too_long(offset, first_bytes)``.

        The memory behind a block is reused for the next one: copy what must live longer.
        """
        buffer = bytearray(BLOCK + MAX_LINE)
        view = memoryview(buffer)
        kept = 0  # bytes of an unfinished line at the front of the buffer
        offset = 0  # offset in the text of buffer[0]
        skipping = False
        while True:
            n = 0
            while kept + n < len(buffer):
                got = self._readinto(view[kept + n :])
                if got == 0:
                    break
                n += got
            filled = kept + n
            ended = kept + n < len(buffer)
            start = 0
            if skipping:
                end = buffer.find(b"\n", 0, filled)
                if end < 0:
                    offset += filled
                    kept = 0
                    if ended:
                        return
                    continue
                start, skipping = end + 1, False
            last = filled if ended else buffer.rfind(b"\n", start, filled) + 1
            if last > start:
                yield Block(view[start:last], offset + start)
            if ended:
                return
            last = max(last, start)
            kept = filled - last
            if kept > MAX_LINE:
                too_long(offset + last, bytes(view[last : last + 200]))
                skipping, kept = True, 0
                offset += filled
            else:
                buffer[:kept] = buffer[last:filled]
                offset += last

    def lines(self, too_long: Callable[[int, bytes], None]) -> Iterator[tuple[int, bytes]]:
        """``(offset, line)`` for each line, without its line ending (LF or CRLF)."""
        for block in self.blocks(too_long):
            data = bytes(block.data)
            position = 0
            while position < len(data):
                end = data.find(b"\n", position)
                stop = len(data) if end < 0 else end
                line = data[position:stop]
                yield block.offset + position, line[:-1] if line.endswith(b"\r") else line
                position = stop + 1

    # ---------------------------------------------------------------- raw bytes

    def _read_raw(self, n: int, *, exact: bool = False) -> bytes:
        buffer = bytearray(n)
        got = self._raw_into(memoryview(buffer))
        while exact and 0 < got < n:
            more = self._raw_into(memoryview(buffer)[got:])
            if more == 0:
                break
            got += more
        return bytes(buffer[:got])

    def _raw_into(self, buffer: memoryview) -> int:
        assert self._raw is not None
        if self.size is not None:
            buffer = buffer[: max(0, self.size - self.raw_bytes)]
        if not len(buffer):
            return 0
        try:
            n = self._raw.readinto(buffer)  # type: ignore[attr-defined]
        except OSError as error:
            self.damage.append(f"reading stopped after {self.raw_bytes:,} bytes: {error.strerror}")
            return 0
        if not n:
            if self.size is not None and self.raw_bytes < self.size:
                self.damage.append(f"shorter than when it was opened ({self.raw_bytes:,} of {self.size:,} bytes): truncated or rotated while it was read")
            return 0
        self._update_hash(buffer[:n])
        self.raw_bytes += n
        if self.on_read:
            self.on_read(n)
        return int(n)

    def _update_hash(self, data: memoryview) -> None:
        begin = self.raw_bytes
        for size in sorted(s for s in self._marks if begin < s <= begin + len(data)):
            digest = self._hash.copy()
            digest.update(data[: size - begin])
            if digest.hexdigest() == self._marks[size]:
                self._marked[size] = self._marks[size]
        self._hash.update(data)

    def _fill_plain(self, buffer: memoryview) -> int:
        return self._raw_into(buffer)


class _Inflate:
    """Decompress a raw stream of one or more gzip members or zstd frames into the caller's buffer."""

    def __init__(self, source: Source, new: Callable[[], Any], name: str, pending: bytes) -> None:
        self.source, self.new, self.name = source, new, name
        self.pending, self.engine, self.fresh = pending, new(), True
        self.out = memoryview(b"")
        self.piece = 16 << 10

    def __call__(self, buffer: memoryview) -> int:
        while not len(self.out):
            if not self.pending:
                self.pending = self.source._read_raw(64 << 10)
                if not self.pending:
                    if not self.fresh:
                        self.source.damage.append(f"{self.name} data ends in the middle: the last part of the text is missing")
                        self.fresh = True
                    return 0
            if self.fresh and not self.pending.strip(b"\0"):  # padding after the last member
                self.pending = b""
                continue
            # Small pieces bound what one call can expand to (zstd: 32,768 times).
            piece, self.pending = self.pending[: self.piece], self.pending[self.piece :]
            try:
                out = self.engine.decompress(piece)
            except Exception as error:  # zlib.error, ZstdError: what was read so far stands
                self.source.damage.append(f"{self.name} data is corrupt after {self.source.raw_bytes:,} bytes: {str(error)[:80]}")
                self.source.size, self.pending, self.fresh = 0, b"", True
                self.source._raw_into = lambda _buffer: 0  # type: ignore[method-assign]
                return 0
            self.fresh = False
            self.piece = max(1 << 10, self.piece // 4) if len(out) > 4 << 20 else min(64 << 10, self.piece * 2)
            if self.engine.eof:
                self.pending = self.engine.unused_data + self.pending
                self.engine, self.fresh = self.new(), True
            self.out = memoryview(out)
        n = min(len(buffer), len(self.out))
        buffer[:n] = self.out[:n]
        self.out = self.out[n:]
        return n
