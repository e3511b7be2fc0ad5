"""Bytes in, whole lines out: archives whole and damaged, files that change while they are read, lines of any length."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from perfaudit.errors import EvidenceError
from perfaudit.evidence import source as module
from perfaudit.evidence.source import Source

TEXT = b"".join(b"line %d\n" % i for i in range(40_000))
ZSTD = zstandard.ZstdCompressor(write_checksum=True)  # as the command line tool does


def read(data: bytes | Path) -> tuple[bytes, Source]:
    """The text of a stream or file, and the source when it has been read."""
    source = Source("x", data) if isinstance(data, Path) else Source("x", stream=io.BytesIO(data))
    long: list[int] = []
    with source:
        text = b"".join(bytes(block.data) for block in source.blocks(lambda offset, _first: long.append(offset)))
    assert not long
    return text, source


@pytest.mark.parametrize(
    "packed",
    [
        TEXT,
        gzip.compress(TEXT),
        gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:]),
        gzip.compress(TEXT[:1000]) + b"\0" * 513 + gzip.compress(TEXT[1000:]) + b"\0" * 100_000,
        gzip.compress(b"") + gzip.compress(TEXT),
        ZSTD.compress(TEXT),
        ZSTD.compress(TEXT[:1000]) + ZSTD.compress(TEXT[1000:]),
        b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + ZSTD.compress(TEXT) + b"\x5f\x2a\x4d\x18\x01\0\0\0z",
    ],
    ids=["plain", "gzip", "members", "padding", "empty-member", "zstd", "frames", "skippable"],
)
def test_whole_streams_give_their_text(packed: bytes) -> None:
    text, source = read(packed)
    assert text == TEXT
    assert source.damage == []
    assert source.sha256 == hashlib.sha256(packed).hexdigest()
    assert source.text_sha256 == hashlib.sha256(TEXT).hexdigest()
    assert (source.raw_bytes, source.text_bytes) == (len(packed), len(TEXT))


@pytest.mark.parametrize("pack", [gzip.compress, ZSTD.compress], ids=["gzip", "zstd"])
def test_damaged_archives_keep_what_can_be_read_and_say_what_not(pack) -> None:  # type: ignore[no-untyped-def]
    noise = random.Random(1).randbytes(1 << 20).hex().encode()  # incompressible by more than half: several pieces
    whole = pack(noise)
    text, source = read(whole[: len(whole) // 2])
    assert noise.startswith(text)
    assert len(text) > len(noise) // 4
    assert "ends in the middle" in source.damage[0]

    broken = whole[: len(whole) // 2] + b"\xff" * 64 + whole[len(whole) // 2 + 64 :]
    text, source = read(broken)
    assert len(text) >= len(noise) // 4
    assert len(source.damage) == 1
    assert source.sha256 == hashlib.sha256(broken).hexdigest()

    text, source = read(pack(TEXT) + b"and then something else")
    assert text == TEXT
    assert "something else follows" in source.damage[0]


def test_magic_alone_is_damage_not_an_error() -> None:
    for magic in (b"\x1f\x8b", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd"):
        text, source = read(magic)
        assert text == b""
        assert source.damage


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.binary(max_size=300), st.sampled_from([gzip.compress, ZSTD.compress, lambda d: d]), st.integers(0, 200), st.binary(max_size=3))
def test_any_damage_is_survived(text: bytes, pack, cut: int, tail: bytes) -> None:  # type: ignore[no-untyped-def]
    packed = pack(text)[:cut] + tail
    got, source = read(packed)
    assert len(got) <= max(len(text), len(packed))
    assert source.sha256 == hashlib.sha256(packed).hexdigest()


# -------------------------------------------------------------------- lines


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 90), max_size=30), st.booleans(), st.integers(1, 7))
def test_blocks_hold_whole_lines_and_drop_only_what_is_too_long(lengths: list[int], newline: bool, chunk: int) -> None:
    lines = [bytes([97 + i % 26]) * n for i, n in enumerate(lengths)]
    data = b"\n".join(lines) + (b"\n" if newline else b"")
    dropped: list[tuple[int, bytes]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", 32)
        patch.setattr(module, "MAX_LINE", 16)
        patch.setattr(module, "HEAD", chunk)
        with Source("x", stream=io.BytesIO(data)) as source:
            assert data.startswith(source.head[:chunk])
            got = list(source.lines(lambda offset, first: dropped.append((offset, first))))
    for offset, line in got:
        assert data[offset : offset + len(line)] == line
        assert data[offset + len(line) : offset + len(line) + 1] in (b"", b"\n")
    for offset, first in dropped:
        assert data[offset:].startswith(first)
        assert len(data[offset:].split(b"\n", 1)[0]) > 16
    assert len(got) + len(dropped) == data.count(b"\n") + (not data.endswith(b"\n") and data != b"")


def test_crlf_and_a_missing_last_newline() -> None:
    with Source("x", stream=io.BytesIO(b"a\r\nb\n\nc")) as source:
        assert list(source.lines(lambda *_: None)) == [(0, b"a"), (3, b"b"), (5, b""), (6, b"c")]


PEAK = """
import resource, sys
from perfaudit.evidence.source import Source
lines = long = 0
def too_long(offset, first):
    global long
    long += 1
with Source("-") as source:
    for _ in source.lines(too_long):
        lines += 1
print(lines, long, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_a_line_of_100_mb_takes_no_more_memory_than_a_block() -> None:
    peaks = []
    for megabytes in (2, 100):
        with subprocess.Popen([sys.executable, "-c", PEAK], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdin and child.stdout
            child.stdin.write(b"good\n" * 10 + b"x" * (1 << 20))
            for _ in range(megabytes):
                child.stdin.write(b"x" * (1 << 20))
            child.stdin.write(b"\n" + b"good\n" * 10)
            child.stdin.close()
            lines, long, peak = map(int, child.stdout.read().split())
        assert lines + long == 21
        assert long == (megabytes == 100)
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 40, f"peak RSS in MiB: {peaks}"


def test_a_bomb_is_inflated_piece_by_piece() -> None:
    bomb = ZSTD.compress(b"\0" * (200 << 20))
    assert len(bomb) < 20_000
    long: list[int] = []
    with Source("x", stream=io.BytesIO(bomb)) as source:
        assert list(source.blocks(lambda offset, _first: long.append(offset))) == []
    assert long == [0]
    assert source.text_bytes == 200 << 20


# -------------------------------------------------------------------- files


def test_what_is_appended_after_opening_is_left_for_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n")
    with Source("a", path) as source:
        with path.open("ab") as more:
            more.write(b"two\n")
        assert [line for _, line in source.lines(lambda *_: None)] == [b"one"]
    assert source.damage == []


def test_a_file_cut_while_it_is_read_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(TEXT * 10)
    with Source("a", path) as source:
        assert source.head
        os.truncate(path, 300_000)
        kept = sum(len(block.data) for block in source.blocks(lambda *_: None))
    assert kept == 300_000
    assert "truncated or rotated" in source.damage[0]


def test_a_rotated_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(TEXT)
    with Source("a", path) as source:
        path.rename(tmp_path / "a.log.1")
        path.write_bytes(b"new\n")
        assert b"".join(bytes(b.data) for b in source.blocks(lambda *_: None)) == TEXT


def test_a_grown_text_is_known_again_also_in_an_archive() -> None:
    marks = [(n, hashlib.sha256(TEXT[:n]).hexdigest()) for n in (10, 1000, 100_000)]
    for data in (TEXT, gzip.compress(TEXT), ZSTD.compress(TEXT)):
        with Source("x", stream=io.BytesIO(data)) as source:
            source.mark([*marks, (500, "0" * 64), (10_000_000, marks[0][1])])
            list(source.blocks(lambda *_: None))
        assert source.grown_from == marks[2][1]
    with Source("x", stream=io.BytesIO(b"other " + TEXT)) as source:
        source.mark(marks)
        list(source.blocks(lambda *_: None))
    assert source.grown_from is None


def test_a_named_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(TEXT))
    writer.start()
    text, source = read(path)
    writer.join()
    assert text == TEXT
    assert source.size is None


def test_files_that_say_no_size_are_read(tmp_path: Path) -> None:
    assert read(Path("/proc/self/status"))[0].startswith(b"Name:")


def test_what_cannot_be_opened_or_read(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "gone", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(EvidenceError, match=reason) as caught, Source("it", path):
            pass
        assert caught.value.where == str(path)
        assert caught.value.todo


def test_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(EvidenceError, match="standard input is closed"), Source("-"):
        pass
