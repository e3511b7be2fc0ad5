"""The compiled rule for routes gives what the plain one gives, on ordinary, hostile and random targets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfaudit.evidence.routes import MAX_ROUTE
from perfaudit.evidence.routes import normalise as plain
from perfaudit.kernels.routes import normalise
from perfaudit.kernels.text import PAD


def compiled(target: bytes) -> bytes:
    data = np.frombuffer(b"/#?" + target + b"1/{x" + b"/" * PAD, np.uint8).copy()
    out = np.zeros(MAX_ROUTE + PAD, np.uint8)
    length = normalise(data, 3, 3 + len(target), out)
    return out[:length].tobytes()


PIECES = st.sampled_from(
    [b"/", b"/", b"//", b"users", b"v1", b"42", b"3f2a9c1b", b"facade", b"decade12", b".", b"-", b"_", b"=", b";", b"?", b"#", b"%20", b"%E5", b"%", b"@", b":id", b":",
     b"{id}", b"{", b"}", b"<int:id>", b"<", b">", b"550e8400-e29b-41d4-a716-446655440000", b"2026-11-23", b"dQw4w9WgXcQ", b"01ARZ3NDEKTSV4RRFFQ69G5FAV", b"\xc3\xa9",
     b"\x00", b"\x7f", b"http://", b"example.com", b"*", b"x" * 60, b"12345", b"Ab3", b"aB0-dE1_fG2hI3jK4lM5", b" ", b"+", b",", b"~"]
)  # fmt: skip


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_the_kernel_follows_the_rule_on_targets_made_of_telling_pieces(target: bytes) -> None:
    assert compiled(target) == plain(target)


@settings(max_examples=800, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=60), st.text("/aF09-_.=%@:;{}<>", max_size=60).map(str.encode), st.text("0123456789abcdefABCDEF-", max_size=50).map(str.encode)))
def test_the_kernel_follows_the_rule_on_random_bytes(target: bytes) -> None:
    assert compiled(target) == plain(target)


@pytest.mark.parametrize("n", [199, 200, 201, 5000])
def test_long_targets_are_cut_alike(n: int) -> None:
    for unit in (b"/ab", b"/12", b"/a-1", b"/1.2.", b"a"):
        target = (unit * n)[:n]
        assert compiled(target) == plain(target)
        assert len(compiled(target)) <= MAX_ROUTE
