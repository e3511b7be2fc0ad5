"""One recording's processes: a private folder, free ports, a control group each, and an end for all of them.

Every process is started by :meth:`Run.start`, as the unprivileged user, and entered in the run's ledger before anything else
happens. When the run ends in any way, limits are lifted, processes are stopped in reverse order and groups are removed. A run
that was killed leaves its ledger behind: :func:`clean` reads it and does the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from lab.cgroups import Group, leftovers, remove
from lab.errors import LabError

#: Everything of the lab outside the repository. On a disk, not in memory: databases live here.
HOME = Path(os.environ.get("PERFAUDIT_LAB") or f"/var/tmp/perfaudit-lab-{os.getuid()}")
USER = os.environ.get("PERFAUDIT_LAB_USER", "nobody")
#: Below the range from which the kernel takes ports of outgoing connections (32768–60999 by default).
PORTS = range(21000, 29000)
PATH = "/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def born(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot (field 22 of ``/proc/PID/stat``), or None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


class Component:
    """A process of the stack, with its children."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], group: Group, log: Path, stop_signal: signal.Signals) -> None:
        self.name, self.process, self.cgroup, self.log, self.stop_signal = name, process, group, log, stop_signal

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def pids(self) -> list[int]:
        """All processes of the component."""
        return self.cgroup.pids() or ([self.pid] if self.alive() else [])

    def alive(self) -> bool:
        """Has it not ended?"""
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """Sends a signal to its first process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, timeout: float) -> int:
        """The exit code; raises LabError where it does not end in time."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} did not end within {timeout:.0f} s\nits output: {self.tail()}") from None

    def stop(self, number: signal.Signals | None = None, timeout: float = 10.0) -> None:
        """Asks it to end, waits, then ends what is left of it."""
        if self.alive():
            self.signal(number or self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout)
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.process.wait(5)

    def tail(self, size: int = 1500) -> str:
        """The end of what it wrote."""
        return self.log.read_text(errors="replace")[-size:].strip() if self.log.is_file() else ""


class Run:
    """A recording in progress. A context manager: whatever was started through it ends with it."""

    def __init__(self, name: str = "run", *, keep: bool = False) -> None:
        self.id = f"{name}-{secrets.token_hex(3)}"
        self.keep = keep
        self.user = pwd.getpwnam(USER) if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self.python = _python(self.user)
        self.cache = _folder(HOME / "cache", self.user)
        self.folder = _folder(HOME / "runs" / self.id, self.user)
        self.components: list[Component] = []
        self._groups: dict[str, Group] = {}
        self._undo: list[Callable[[], object]] = []
        self._ports: list[IO[str]] = []
        self._ledger = (self.folder / "ledger.jsonl").open("a")
        self._note(runner=os.getpid(), born=born(os.getpid()), run=self.id)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def port(self) -> int:
        """A free port on loopback that no other run will take."""
        taken = _folder(HOME / "ports", None)
        for _ in range(2000):
            port = PORTS[secrets.randbelow(len(PORTS))]
            lock = (taken / str(port)).open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            except OSError:
                lock.close()
                continue
            self._ports.append(lock)
            return port
        raise LabError(f"no free port between {PORTS[0]} and {PORTS[-1]}\nend what listens there")

    def home(self, name: str) -> Path:
        """The private folder of a component."""
        return _folder(self.folder / name, self.user)

    def group(self, name: str) -> Group:
        """The control group of that name."""
        if name not in self._groups:
            made = self._groups[name] = Group(self.id, name)
            self._note(groups=[str(f) for f in made.folders.values()])
        return self._groups[name]

    def start(
        self,
        name: str,
        argv: Sequence[object],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: int | Callable[[], bool] | None = None,
        timeout: float = 15.0,
        log: Path | None = None,
        group: str | None = None,
        stop: signal.Signals = signal.SIGTERM,
        stdin: int = subprocess.DEVNULL,
    ) -> Component:
        """Starts a component as the unprivileged user, and waits until it is ready.

        `ready`: a port that must accept, or a function that must say True; `timeout` in seconds. `log` takes its output
        (default ``NAME.log`` in its folder); `group` is its control group (default its name); `stop` the signal that ends it.
        Raises LabError with the end of its output where it ends or does not get ready.
        """
        inside = self.group(group or name)
        log = log or self.home(name) / f"{name}.log"
        doors = [str(d) for d in inside.doors]
        enter = "n=$1; shift; while [ $n -gt 0 ]; do echo $$ > $1; shift; n=$((n-1)); done; exec \"$@\""
        with log.open("ab") as out:
            process = subprocess.Popen(
                ["/bin/sh", "-c", enter, "start", str(len(doors)), *doors, *self._as_user(), *map(str, argv)],
                stdin=stdin, stdout=out, stderr=subprocess.STDOUT, cwd=cwd or self.home(name), env=self.env(env), start_new_session=True,
            )  # fmt: skip
        component = Component(name, process, inside, log, stop)
        self.components.append(component)
        self._note(pid=process.pid, born=born(process.pid), name=name)
        self._await(component, ready, timeout)
        return component

    def tool(self, argv: Sequence[object], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, timeout: float = 30.0, input: str | None = None) -> str:
        """Runs a command that ends, as the unprivileged user; its output. Raises LabError with what it complained about."""
        try:
            done = subprocess.run([*self._as_user(), *map(str, argv)], env=self.env(env), cwd=cwd or self.folder, timeout=timeout, input=input, capture_output=True, text=True)
        except subprocess.TimeoutExpired:
            raise LabError(f"{argv[0]} did not end within {timeout:.0f} s\n{' '.join(map(str, argv))[:300]}") from None
        except FileNotFoundError:
            raise LabError(f"{argv[0]} is not installed\nmake lab installs what is missing when it runs as root") from None
        if done.returncode:
            raise LabError(f"{argv[0]} ended with {done.returncode}\n{(done.stderr or done.stdout).strip()[-1500:]}")
        return done.stdout

    def kernel(self, do: Sequence[str], undo: Sequence[str]) -> None:
        """Changes something outside the run's processes (a packet filter, a namespace, a mount) as root; the ledger knows how to undo it."""
        self._note(undo=list(undo))
        self.undo(lambda: subprocess.run(undo, capture_output=True, check=False))
        done = subprocess.run(do, capture_output=True, text=True, check=False)
        if done.returncode:
            from lab.errors import NotRecordable

            raise NotRecordable(f"{' '.join(do)}: {done.stderr.strip() or done.stdout.strip()}\nthis needs root and a kernel that has it")

    def undo(self, action: Callable[[], object]) -> None:
        """To be done at the end, last first, before components are stopped."""
        self._undo.append(action)

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """A small environment: nothing of the person's own reaches a component."""
        return {"PATH": f"{Path(sys.prefix) / 'bin'}:{PATH}", "HOME": str(self.folder), "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1", **(more or {})}

    def end(self) -> None:
        """Lifts limits, stops everything in reverse order, removes groups and the folder. Once is enough."""
        for action in reversed(self._undo):
            with contextlib.suppress(Exception):
                action()
        self._undo.clear()
        for component in reversed(self.components):
            with contextlib.suppress(Exception):
                component.stop()
        self.components.clear()
        for group in self._groups.values():
            group.end()
        self._groups.clear()
        for lock in self._ports:
            lock.close()
        self._ports.clear()
        self._ledger.close()
        if self.keep:
            (self.folder / "ledger.jsonl").unlink()
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _as_user(self) -> list[str]:
        if os.getuid() != 0:
            return []
        return ["setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups", "--"]

    def _await(self, component: Component, ready: int | Callable[[], bool] | None, timeout: float) -> None:
        until = time.monotonic() + timeout
        while ready is not None:
            if accepts(ready) if isinstance(ready, int) else ready():
                return
            if not component.alive():
                raise LabError(f"{component.name} ended with {component.process.returncode} while it started\n{component.tail()}")
            if time.monotonic() > until:
                raise LabError(f"{component.name} was not ready within {timeout:.0f} s\n{component.tail()}")
            time.sleep(0.02)

    def _note(self, **entry: Any) -> None:
        self._ledger.write(json.dumps(entry) + "\n")
        self._ledger.flush()


def accepts(port: int) -> bool:
    """Does somebody listen there?"""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(ready: Callable[[], bool], what: str, components: Sequence[Component], timeout: float = 20.0) -> None:
    """Waits until `ready`; raises LabError with the output of a component that ended meanwhile, or after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not ready():
        ended = next((c for c in components if not c.alive()), None)
        if ended or time.monotonic() > end:
            raise LabError(f"{what} did not get ready within {timeout:.0f} s\n{ended.tail() if ended else ''}")
        time.sleep(0.02)


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Only one at a time, over all recordings on this machine."""
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def claim(name: str) -> Iterator[bool]:
    """Is this recording ours to make? False while another recorder on this machine makes it."""
    with (_folder(HOME / "claims", None) / name).open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


@contextlib.contextmanager
def lane(alone: bool = False, lanes: int | None = None) -> Iterator[None]:
    """Waits for a place to record: so many recordings at once share the machine (``LAB_LANES``, default 1), or one alone."""
    count = lanes or int(os.environ.get("LAB_LANES", "1"))
    folder = _folder(HOME / "lanes", None)
    held: list[IO[str]] = []
    # Whoever wants all places stands in the door meanwhile, so that it is not starved by those who want one.
    door = (folder / "door").open("w")
    fcntl.flock(door, fcntl.LOCK_EX)
    try:
        while len(held) < (count if alone else 1):
            for place in range(count):
                if any(lock.name.endswith(f"place-{place}") for lock in held):
                    continue
                lock = (folder / f"place-{place}").open("w")
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    lock.close()
                    continue
                held.append(lock)
                if not alone:
                    break
            time.sleep(0.2)
        door.close()
        yield
    finally:
        door.close()
        for lock in held:
            lock.close()


def clean() -> list[str]:
    """Ends what runs that were killed left behind: processes, groups, kernel changes, folders. What it did, a line each."""
    told: list[str] = []
    for ledger in sorted((HOME / "runs").glob("*/ledger.jsonl")):
        entries = [json.loads(line) for line in ledger.read_text().splitlines() if line.endswith("}")]
        if not entries or born(entries[0]["runner"]) == entries[0]["born"] is not None:
            continue
        run = entries[0]["run"]
        for entry in reversed(entries):
            if "undo" in entry:
                subprocess.run(entry["undo"], capture_output=True, check=False)
                told.append(f"{run}: {' '.join(entry['undo'])}")
        ours = {e["pid"]: e for e in entries if "pid" in e}
        groups = leftovers(run)
        inside = {int(pid) for g in groups for pid in (g / "cgroup.procs").read_text().split()}
        alive = [pid for pid, e in ours.items() if e["born"] is not None and born(pid) == e["born"]]
        for pid in sorted({*inside, *alive}):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                told.append(f"{run}: ended process {pid} {ours.get(pid, {}).get('name', '')}".rstrip())
        until = time.monotonic() + 5
        while any(Path(f"/proc/{pid}").exists() and born(pid) is not None for pid in {*inside, *alive}) and time.monotonic() < until:
            time.sleep(0.02)
        remove(leftovers(run))
        shutil.rmtree(ledger.parent, ignore_errors=True)
        told.append(f"{run}: removed")
    return told


def _folder(path: Path, user: pwd.struct_passwd | None) -> Path:
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        if user and os.getuid() == 0:
            os.chown(path, user.pw_uid, user.pw_gid)
            path.chmod(0o700)
            # The way down to it must be open, the folder itself is private.
            HOME.chmod(0o755)
            (HOME / "runs").is_dir() and (HOME / "runs").chmod(0o755)
    return path


def _python(user: pwd.struct_passwd) -> str:
    """The interpreter that runs us, where the unprivileged user can execute it too."""
    if os.getuid() == 0:
        probe = subprocess.run(["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--", sys.executable, "-c", ""], capture_output=True, check=False)
        if probe.returncode:
            raise LabError(f"{user.pw_name} cannot execute {sys.executable}\nuse an interpreter outside of a private home: make lab LAB_PYTHON=/usr/bin/python3")
    return sys.executable
