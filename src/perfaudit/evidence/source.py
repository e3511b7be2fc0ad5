"""A source: bytes from a file, a pipe or standard input, decompressed, in blocks of whole lines, with bounded memory.

Plain, gzip and zstd are told apart by their first bytes, never by name. A source never raises for what it contains: damage
(a truncated archive, a file that shrank while it was read) ends the stream and is kept in :attr:`Source.damage`.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from perfaudit.errors import EvidenceError

#: A block holds about this many bytes; 16 MiB is ~70,000 access-log lines, a good size for one row group.
BLOCK = 16 << 20
#: No line of any supported format is longer; longer ones are set aside while streaming, so memory stays bounded.
MAX_LINE = 1 << 20
#: What readers see to recognise a format.
HEAD = 256 << 10


_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")  # zstd skippable frame (RFC 8878, 3.1.2), as pzstd writes first


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
        self._raw_digest = self._text_digest = _Digest()
        self._stream = stream
        self._raw: BinaryIO | None = None
        self._fill: Callable[[memoryview], int] = self._fill_plain
        self._head = b""
        self._head_used = 0
        self._ended = False
        self._compressed = False

    def __enter__(self) -> Source:
        if self._stream is not None:
            self._raw = self._stream
        elif self.path is None:
            if sys.stdin is None or sys.stdin.closed:
                raise EvidenceError("standard input is closed", where=self.name, todo="pipe a log into it, or name a file")
            self._raw = sys.stdin.buffer
        else:
            try:
                self._raw = open(self.path, "rb", buffering=0)
                info = os.fstat(self._raw.fileno())
            except OSError as error:
                raise EvidenceError(f"cannot open {self.name}: {error.strerror}", where=str(self.path), todo="check the path and its permissions") from error
            if stat.S_ISREG(info.st_mode) and info.st_size:  # files of /proc say 0 and hold text
                self.size = info.st_size
        magic = self._read_raw(4, exact=True)
        if magic[:2] == b"\x1f\x8b":
            self._inflate(_Inflate(self, lambda: zlib.decompressobj(31), "gzip", magic, 64 << 10))
        elif magic == b"\x28\xb5\x2f\xfd" or _SKIPPABLE.match(magic):
            import zstandard

            self._inflate(_Inflate(self, lambda: zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj(), "zstd", magic, 4 << 10))
        else:
            self._head = magic
        return self

    def _inflate(self, fill: _Inflate) -> None:
        self._fill, self._text_digest, self._compressed = fill, _Digest(), True

    def __exit__(self, *_: object) -> None:
        if self._raw is not None and self.path is not None:
            self._raw.close()

    # ---------------------------------------------------------------- identity

    def mark(self, texts: Iterable[tuple[int, str]]) -> None:
        """Watch for texts known by ``(length, SHA-256)`` at the beginning of this one: how a grown file is known again."""
        for length, sha256 in texts:
            self._text_digest.marks.setdefault(length, set()).add(sha256)

    @property
    def grown_from(self) -> str | None:
        """The SHA-256 of the longest marked text that this one begins with, or None."""
        return self._text_digest.marked

    @property
    def sha256(self) -> str:
        """SHA-256 of the raw (compressed) bytes read so far: what ``sha256sum`` prints."""
        return self._raw_digest.hexdigest()

    @property
    def text_sha256(self) -> str:
        """SHA-256 of the text read so far: the same for a log and its compressed copy."""
        return self._text_digest.hexdigest()

    @property
    def text_bytes(self) -> int:
        """Length of the text read so far."""
        return self._text_digest.length

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
        """Blocks of whole lines. A line over :data:`MAX_LINE` that no block can hold is dropped and told to ``too_long(offset, first_bytes)``.

        The memory behind a block is reused for the next one: copy what must live longer.
        """
        whole = BLOCK + MAX_LINE
        buffer = bytearray(whole if self._compressed or self.size is None else min(whole, self.size + 1))
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

    def pieces(self, size: int) -> Iterator[bytes]:
        """The text in pieces of at most ``size`` bytes, cut anywhere: for formats whose lines have no bound."""
        buffer = memoryview(bytearray(size))
        while n := self._readinto(buffer):
            yield bytes(buffer[:n])

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
        self._raw_digest.update(buffer[:n])
        self.raw_bytes += n
        if self.on_read:
            self.on_read(n)
        return int(n)

    def _fill_plain(self, buffer: memoryview) -> int:
        return self._raw_into(buffer)


class _Digest:
    """SHA-256 of a stream, and which of the marked beginnings it has."""

    def __init__(self) -> None:
        self.length = 0
        self.marks: dict[int, set[str]] = {}
        self.marked: str | None = None
        self._hash = hashlib.sha256()
        self.hexdigest = self._hash.hexdigest

    def update(self, data: memoryview) -> None:
        end = self.length + len(data)
        for length in sorted(n for n in self.marks if self.length < n <= end):
            beginning = self._hash.copy()
            beginning.update(data[: length - self.length])
            if beginning.hexdigest() in self.marks[length]:
                self.marked = beginning.hexdigest()
        self._hash.update(data)
        self.length = end


class _Inflate:
    """Decompress a raw stream of one or more gzip members or zstd frames into the caller's buffer.

    ``piece`` bounds what one call can expand to: 64 KiB of deflate (1,032 times, zlib's manual) or 4 KiB of zstd (128 KiB
    for each 4 bytes of repeated content, RFC 8878) give at most 128 MiB.
    """

    def __init__(self, source: Source, new: Callable[[], Any], name: str, pending: bytes, piece: int) -> None:
        self.source, self.new, self.name, self.piece = source, new, name, piece
        self.pending, self.engine, self.fresh, self.corrupt = pending, new(), True, False
        self.out = memoryview(b"")

    def __call__(self, buffer: memoryview) -> int:
        while not len(self.out):
            if not self._more():
                return 0
        n = min(len(buffer), len(self.out))
        buffer[:n] = self.out[:n]
        self.source._text_digest.update(buffer[:n])
        self.out = self.out[n:]
        return n

    def _more(self) -> bool:
        """Decompress the next piece; False at the end, whose kind is told in ``source.damage``."""
        if self.corrupt:
            return False
        if self.fresh:
            self.pending = self.pending.lstrip(b"\0")  # padding between and behind members, as tapes and dd leave it
        if not self.pending:
            self.pending = self.source._read_raw(64 << 10)
            if not self.pending and not self.fresh:
                self.source.damage.append(f"{self.name} data ends in the middle: the last part of the text is missing")
                self.fresh = True
            return bool(self.pending)
        piece, self.pending = self.pending[: self.piece], self.pending[self.piece :]
        try:
            self.out = memoryview(self.engine.decompress(piece))
        except Exception as error:  # zlib.error, ZstdError: what was read so far stands
            self._give_up(error)
            return False
        self.fresh = False
        if self.engine.eof:
            self.pending = self.engine.unused_data + self.pending
            self.engine, self.fresh = self.new(), True
        return True

    def _give_up(self, error: Exception) -> None:
        where = f"{self.source.raw_bytes:,} bytes"
        if self.fresh and self.source.text_bytes:
            self.source.damage.append(f"something else follows the {self.name} data within the first {where}: not read")
        else:
            self.source.damage.append(f"{self.name} data is corrupt within the first {where}: {str(error)[:80]}")
        self.corrupt = True
        while self.source._read_raw(1 << 20):  # to the end, so that the SHA-256 is the file's
            pass
