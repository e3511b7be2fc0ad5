"""Tests that start processes of the lab count what is left behind: one at a time, also across workers."""

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def machine() -> Iterator[None]:
    """The whole machine, as far as the lab's tests are concerned."""
    with (Path(tempfile.gettempdir()) / "perfaudit-lab-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
