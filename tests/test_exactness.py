"""Counts, error ratio and percentiles against a plain reader in twenty lines of Python."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import sys
from collections import defaultdict
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.conftest import Ran, access_line

LINE = re.compile(rb'(\S+) - - \[([^\]]+)\] "(GET|POST) (/\S*) HTTP/1\.1" (\d{3}) (\d+) "[^"]*" "[^"]*" (\d+\.\d{3}) (\d+\.\d{3}|-)\r?')
BROKEN = (b"", b"garbage", b'192.0.2.1 - - [23/Nov/2026:08:00:00 +0000] "GET /cut', b"\0" * 40, b"\x16\x03\x01\x02", b'{"json": 1}', b"\xff\xfe\xfd")


def recording(n: int) -> bytes:
    """``n`` lines; one in fifty is broken."""
    rng = random.Random(7)
    return b"\n".join(rng.choice(BROKEN) if rng.random() < 0.02 else access_line(rng, i / 400) for i in range(n)) + b"\n"


def reference(data: bytes) -> dict[str, Any]:
    """What a plain reader makes of it: lines, rejected, and durations (ms) and errors per route."""
    routes: dict[str, list[float]] = defaultdict(list)
    errors: dict[str, int] = defaultdict(int)
    lines = data.split(b"\n")[: -1 if data.endswith(b"\n") else None]
    rejected = 0
    for line in lines:
        match = LINE.fullmatch(line)
        if not match:
            rejected += 1
            continue
        route = f"{match[3].decode()} {re.sub(r'/[0-9]+(?=/|$)', '/{id}', match[4].decode())}"
        routes[route].append(float(match[7]) * 1e3)
        errors[route] += int(match[5]) >= 500
    return {"lines": len(lines), "rejected": rejected, "routes": routes, "errors": errors}


def percentile(values: list[float], q: float) -> float:
    return sorted(values)[ceil(q * len(values)) - 1]


def same(result: dict[str, Any], data: bytes) -> None:
    """The result says what the reference says: percentiles within 0.05 % + 0.5 ms, all else exactly."""
    wanted = reference(data)
    (source,) = next(t for t in result["inventory"] if t["table"] == "requests")["sources"]
    assert source["lines"] == wanted["lines"]
    assert sum(source["rejected"].values()) == wanted["rejected"]
    baseline = result["baseline"]
    everything = [ms for values in wanted["routes"].values() for ms in values]
    _part(baseline["requests"], everything, sum(wanted["errors"].values()))
    found = {f"{r['method']} {r['route']}": r for r in baseline["routes"]}
    assert found.keys() == wanted["routes"].keys()
    for name, row in found.items():
        _part(row, wanted["routes"][name], wanted["errors"][name])


def _part(row: dict[str, Any], durations: list[float], errors: int) -> None:
    assert row["count"] == len(durations)
    assert row["error_ratio"] == errors / len(durations)
    for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        exact = percentile(durations, q)
        assert row["duration_ms"][name]["value"] == pytest.approx(exact, rel=0.0005, abs=0.5), (name, exact)


@pytest.fixture
def result_of(perfaudit: Callable[..., Ran]) -> Callable[..., dict[str, Any]]:
    def run(*arguments: object) -> dict[str, Any]:
        ran = perfaudit("analyze", *arguments, "--json")
        assert ran.code == 0, ran.err
        out: dict[str, Any] = json.loads(ran.out)
        return out

    return run


def test_200_000_lines(home: Path, result_of: Callable[..., dict[str, Any]]) -> None:
    data = recording(200_000)
    (home / "access.log").write_bytes(data)
    assert 3_500 < reference(data)["rejected"] < 4_500
    same(result_of("access.log"), data)


SMALL = recording(12_000)


@pytest.mark.parametrize(
    "make",
    [
        lambda d: gzip.compress(d),
        lambda d: gzip.compress(d[:100_000]) + gzip.compress(d[100_000:]),
        lambda d: zstandard.ZstdCompressor().compress(d),
        lambda d: d.replace(b"\n", b"\r\n"),
        lambda d: d.rstrip(b"\n"),
    ],
    ids=["gz", "gz-members", "zst", "CRLF", "no-final-newline"],
)
def test_the_same_in_other_wrappings(home: Path, result_of: Callable[..., dict[str, Any]], make: Callable[[bytes], bytes]) -> None:
    (home / "access.log").write_bytes(make(SMALL))
    same(result_of("access.log"), SMALL)


def test_the_same_from_standard_input(home: Path, result_of: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SMALL)))
    same(result_of("-"), SMALL)


def test_the_same_in_two_files(home: Path, result_of: Callable[..., dict[str, Any]]) -> None:
    cut = SMALL.index(b"\n", len(SMALL) // 2) + 1
    (home / "access.log").write_bytes(SMALL[cut:])
    (home / "access.log.1").write_bytes(SMALL[:cut])
    found, whole = result_of("access.log", "access.log.1"), reference(SMALL)
    assert found["baseline"]["requests"]["count"] == sum(map(len, whole["routes"].values()))
