"""Tests that start processes of the lab count what is left behind: one at a time, also across workers."""

import fcntl
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

#: The lab's own environment (database drivers, OpenTelemetry), behind the tests' one; `make test` sets it up.
_ENVIRONMENT = Path(__file__).parents[2] / ".venv-lab" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
if _ENVIRONMENT.is_dir():
    sys.path.append(str(_ENVIRONMENT))


@pytest.fixture
def machine() -> Iterator[None]:
    """The whole machine, as far as the lab's tests are concerned."""
    with (Path(tempfile.gettempdir()) / "perfaudit-lab-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
