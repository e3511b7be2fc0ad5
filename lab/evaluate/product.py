"""One audit by the product, as a process of its own, on a copy that holds the evidence and nothing else."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import LabError

#: 0 done, 1 a gate failed, 3 not enough evidence: in each of them the result is written.
ANSWERED = (0, 1, 3)
UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class Run:
    """What came out: the result, or why there is none, and what it cost."""

    result: dict[str, Any] | None = field(repr=False)
    failure: str | None
    #: Seconds by the clock, seconds of CPU, peak of resident memory in MB (10⁶ bytes).
    wall_s: float
    cpu_s: float
    peak_mb: float


class Product:
    """The installed command, run as an unprivileged user where that user can run it. :meth:`stop` ends every run under way."""

    def __init__(self, place: Path, command: Path | None = None, timeout: float = 120.0) -> None:
        self.place = place
        self.command = command or Path(sys.executable).with_name("perfaudit")
        self.timeout = timeout
        private = {"HOME": str(place), "TMPDIR": str(place)}
        self.environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "NO_COLOR": "1"} | private
        self.user = self._user()
        self._running: set[int] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def _user(self) -> str | None:
        """The unprivileged user, or None; raises :class:`LabError` where nobody at all can run the command."""
        for user in [UNPRIVILEGED, None] if os.geteuid() == 0 else [None]:
            try:
                give(self.place, user)
                subprocess.run(
                    [self.command, "--version"],
                    user=user,
                    cwd=self.place,
                    env=self.environment,
                    check=True,
                    capture_output=True,
                    timeout=60,
                )
            except (OSError, subprocess.SubprocessError, LookupError):
                continue
            return user
        todo = "make evaluate sets it up; by hand: pip install --editable . in the environment that runs this"
        raise LabError(f"perfaudit is not installed: {self.command} does not run\n{todo}")

    def audit(self, case: Path) -> Run:
        """Audit a case's evidence on a copy that is gone afterwards."""
        try:
            with copied(case, self.place, self.user) as folder:
                baseline = ["--baseline", "baseline"] if (folder / "baseline").is_dir() else []
                return self._run([str(self.command), "analyze", "evidence", *baseline, "-o", "result.json", "--quiet"], folder)
        except OSError as error:
            return Run(None, f"could not be run: {error}", 0.0, 0.0, 0.0)

    def _run(self, argv: list[str], folder: Path) -> Run:
        late = threading.Event()
        begun = time.monotonic()
        with tempfile.TemporaryFile() as said:
            with self._lock:
                if self._stopped:
                    return Run(None, "interrupted", 0.0, 0.0, 0.0)
                process = subprocess.Popen(
                    argv,
                    cwd=folder,
                    env=self.environment,
                    user=self.user,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                )
                self._running.add(process.pid)
            watch = threading.Timer(self.timeout, self._kill, (process.pid, late))
            watch.start()
            _, status, used = os.wait4(process.pid, 0)
            with self._lock:
                self._running.discard(process.pid)
            watch.cancel()
            wall = time.monotonic() - begun
            process.returncode = code = os.waitstatus_to_exitcode(status)
            said.seek(0)
            words = said.read().decode("utf-8", "replace").strip().splitlines()
        result, failure = self._result(folder, code, late.is_set(), words)
        return Run(result, failure, wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6)

    def _result(self, folder: Path, code: int, late: bool, words: list[str]) -> tuple[dict[str, Any] | None, str | None]:
        if late:
            return None, f"timeout: no answer within {self.timeout:g} s"
        if code not in ANSWERED:
            last = words[-1][:160] if words else "nothing said"
            return None, f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit {code}: {last}"
        try:
            result = json.loads((folder / "result.json").read_text("utf-8"))
            result["verdict"]["status"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            return None, f"exit {code} without a readable result: {type(error).__name__}"
        return result, None

    def _kill(self, pid: int, late: threading.Event | None = None) -> None:
        with self._lock:
            if pid in self._running:
                if late:
                    late.set()
                os.killpg(pid, signal.SIGKILL)

    def stop(self) -> None:
        """End what runs and start nothing more."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for pid in running:
            self._kill(pid)


@contextmanager
def copied(case: Path, place: Path, user: str | None) -> Iterator[Path]:
    """A fresh folder of a name that tells nothing, with ``evidence`` and ``baseline`` and without the truth."""
    folder = Path(tempfile.mkdtemp(prefix="audit-", dir=place))
    try:
        for part in ("evidence", "baseline"):
            if (case / part).is_dir():
                shutil.copytree(case / part, folder / part, copy_function=shutil.copyfile)
        give(folder, user)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def give(folder: Path, user: str | None) -> None:
    """Make a folder and what is in it the user's own; None changes nothing but takes it back from another."""
    owner = pwd.getpwnam(user).pw_uid if user else os.geteuid()
    for path in [folder, *folder.rglob("*")]:
        if path.stat().st_uid != owner:
            os.chown(path, owner, -1)
