"""What many tests need: generated access logs, and the command line as a person uses it."""

from __future__ import annotations

import fcntl
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

#: The lab's own environment (database drivers, OpenTelemetry), behind the tests' one; `make test` sets it up.
_LAB = Path(__file__).parents[1] / ".venv-lab" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
if _LAB.is_dir():
    sys.path.append(str(_LAB))

START = 1_795_420_800  # 2026-11-23T08:00:00Z
ROUTES = ("/products/{}", "/checkout", "/orders/{}/items", "/search")


def access_line(rng: random.Random, second: float) -> bytes:
    """One line as nginx writes it: combined, ``$request_time``, ``$upstream_response_time``."""
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(START + int(second)))
    path = rng.choice(ROUTES).format(rng.randrange(1000))
    duration = rng.lognormvariate(-3, 0.8)
    status = rng.choices((200, 302, 404, 499, 500), (90, 4, 3, 1, 2))[0]
    method = "POST" if path == "/checkout" else "GET"
    return (
        f'192.0.2.{rng.randrange(250)} - - [{stamp}] "{method} {path} HTTP/1.1" {status} {rng.randrange(100, 9000)} "-" "Mozilla/5.0" {duration:.3f} {duration * 0.9:.3f}'
    ).encode()


def access_log(n: int, seed: int = 1, per_second: float = 20.0, after: float = 0.0) -> bytes:
    """``n`` lines, the first at :data:`START` + ``after``."""
    rng = random.Random(seed)
    return b"\n".join(access_line(rng, after + i / per_second) for i in range(n)) + b"\n"


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and no configuration from outside."""
    for name in [n for n in os.environ if n.startswith("PERFAUDIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def perfaudit(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """``perfaudit(*arguments) -> Ran``: a command, in this process, in the folder ``home``."""
    from perfaudit.cli import run

    def command(*arguments: object) -> Ran:
        capsys.readouterr()
        code = run([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert "unexpected" not in err, err
        return Ran(code, out, err)

    return command


@pytest.fixture
def log(home: Path) -> Path:
    """``access.log`` with 2,000 requests of 100 s."""
    path = home / "access.log"
    path.write_bytes(access_log(2_000))
    return path


@pytest.fixture
def machine() -> Iterator[None]:
    """The whole machine: tests that count what the lab leaves behind run one at a time, also across workers."""
    with (Path(tempfile.gettempdir()) / "perfaudit-lab-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
