"""A synthetic nginx log: combined, then request time and upstream time; about 235 bytes a line; the same seed gives the same bytes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

START = 1_795_420_800  # 2026-11-23T08:00:00Z
PER_SECOND = 800
BLOCK = 200_000
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
    "curl/8.11.0",
)
#: method, target (%d becomes a number), share of requests, median seconds, spread (sigma of the log)
ROUTES = (
    ("GET", "/", 0.10, 0.004, 0.4), ("GET", "/products/%d", 0.22, 0.012, 0.5), ("GET", "/products/%d/reviews?page=2", 0.08, 0.021, 0.6), ("GET", "/search?q=word%d", 0.12, 0.045, 0.7),
    ("GET", "/static/app.3f2a9c1b.js", 0.10, 0.001, 0.3), ("GET", "/static/img/%d.webp", 0.14, 0.001, 0.3), ("POST", "/cart", 0.07, 0.030, 0.5), ("POST", "/checkout", 0.03, 0.180, 0.6),
    ("GET", "/orders/%d", 0.05, 0.025, 0.5), ("GET", "/api/v1/users/%d/profile", 0.05, 0.009, 0.4), ("GET", "/healthz", 0.04, 0.0006, 0.2),
)  # fmt: skip


def write(path: Path, lines: int, seed: int = 20261123) -> None:
    """Write ``lines`` lines to ``path``."""
    random = np.random.default_rng(seed)
    with open(path, "w", encoding="ascii") as out:
        for first in range(0, lines, BLOCK):
            out.write(_block(random, first, min(BLOCK, lines - first)))


def _block(random: np.random.Generator, first: int, n: int) -> str:
    shares = np.array([r[2] for r in ROUTES])
    routes = random.choice(len(ROUTES), n, p=shares / shares.sum()).tolist()
    numbers = random.integers(1, 90_000, n).tolist()
    spread, ids = random.standard_normal(n).tolist(), random.integers(0, 1 << 20, n).tolist()
    statuses = random.choice([200, 200, 200, 304, 404, 500], n, p=[0.5, 0.3, 0.1, 0.07, 0.027, 0.003]).tolist()
    sizes = random.integers(200, 60_000, n).tolist()
    stamps = {s: _stamp(s) for s in range(first // PER_SECOND, (first + n) // PER_SECOND + 1)}
    out = []
    for i in range(n):
        method, target, _, median, sigma = ROUTES[routes[i]]
        seconds = median * 2.718281828 ** (sigma * spread[i])
        path = target.replace("%d", str(numbers[i]))
        address = f"198.51.{ids[i] >> 8 & 255}.{ids[i] & 255}"
        out.append(
            f'{address} - - [{stamps[(first + i) // PER_SECOND]}] "{method} {path} HTTP/1.1" {statuses[i]} {sizes[i]} '
            f'"https://shop.example/products/{numbers[i]}" "{AGENTS[ids[i] >> 16 & 3]}" {seconds:.3f} {seconds * 0.96:.3f}\n'
        )
    return "".join(out)


def _stamp(second: int) -> str:
    moment = np.datetime64(START + second, "s").astype(object)
    return str(moment.strftime("%d/%b/%Y:%H:%M:%S +0000"))


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
