"""Whatever a recording starts ends with it: processes, groups, ports, folders; after an error and after SIGKILL too."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import processes
from lab.cgroups import ROOT
from lab.errors import LabError

REPOSITORY = Path(__file__).parents[2]
#: Debian's interpreter: the unprivileged user can execute it wherever the tests' own one lives.
PYTHON = "/usr/bin/python3"

pytestmark = pytest.mark.skipif(not Path(PYTHON).exists(), reason="no interpreter at /usr/bin/python3 that another user can execute")

SERVER = "import socket,sys,time\ns=socket.create_server(('127.0.0.1',int(sys.argv[1])))\ntime.sleep(60)"


@pytest.fixture
def home(machine: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = Path(f"/var/tmp/perfaudit-lab-test-{os.getpid()}-{time.monotonic_ns()}")
    monkeypatch.setattr(processes, "HOME", folder)
    monkeypatch.setattr(processes, "_python", lambda user: PYTHON)
    yield folder
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir() if folder.exists() else None


def groups(run: str) -> list[Path]:
    return list(ROOT.glob(f"*/perfaudit-lab/{run}")) + list(ROOT.glob(f"perfaudit-lab/{run}"))


def test_a_component_runs_as_another_user_and_ends_with_its_children(home: Path) -> None:
    with processes.Run("t") as run:
        port = run.port()
        one = run.start("server", [PYTHON, "-c", SERVER, port], ready=port)
        shell = run.start("parent", ["/bin/sh", "-c", "sleep 61 & sleep 62 & wait"])
        time.sleep(0.2)
        inside = {*one.pids(), *shell.pids()}
        owner = Path(f"/proc/{one.pid}").stat().st_uid
        assert owner == run.user.pw_uid
        if groups(run.id):
            assert len(shell.pids()) == 3
    assert not any(processes.born(pid) for pid in inside)
    assert not processes.accepts(port)
    assert not groups(run.id)
    assert not run.folder.exists()


def test_an_error_ends_everything_too(home: Path) -> None:
    with pytest.raises(LabError, match="ended with 3"), processes.Run("t") as run:
        keeps = run.start("keeps", ["sleep", "60"])
        run.start("fails", ["/bin/sh", "-c", "echo no space left; exit 3"], ready=lambda: False)
    assert processes.born(keeps.pid) is None


def test_a_component_that_never_gets_ready_is_told_with_its_output(home: Path) -> None:
    with processes.Run("t") as run, pytest.raises(LabError, match=r"not ready within 0 s\n.*waiting for godot"):
        run.start("slow", ["/bin/sh", "-c", "echo waiting for godot; sleep 60"], ready=lambda: False, timeout=0.3)


def test_a_missing_tool_is_named(home: Path) -> None:
    with processes.Run("t") as run, pytest.raises(LabError, match=r"127|not installed|No such file"):
        run.tool(["no-such-server-at-all"])


def test_two_runs_get_different_ports(home: Path) -> None:
    with processes.Run("a") as a, processes.Run("b") as b:
        ports = [run.port() for run in (a, b) for _ in range(20)]
    assert len(set(ports)) == 40


def test_limits_are_lifted_before_components_stop(home: Path) -> None:
    order = []
    with processes.Run("t") as run:
        one = run.start("one", ["sleep", "60"])
        run.undo(lambda: order.append(("first", one.alive())))
        run.undo(lambda: order.append(("last", one.alive())))
    assert order == [("last", True), ("first", True)]


def test_what_a_killed_runner_left_is_cleaned(home: Path) -> None:
    code = f"""
import sys, time
sys.path.insert(0, {str(REPOSITORY)!r})
from pathlib import Path
from lab import processes
processes.HOME = Path({str(home)!r})
processes._python = lambda user: {PYTHON!r}
run = processes.Run("killed")
port = run.port()
run.start("server", [{PYTHON!r}, "-c", {SERVER!r}, port], ready=port)
run.start("parent", ["/bin/sh", "-c", "sleep 61 & sleep 62 & wait"])
print(run.id, port, flush=True)
time.sleep(60)
"""
    runner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert runner.stdout
    name, port = runner.stdout.readline().split()
    assert processes.accepts(int(port))
    assert processes.clean() == [], "a run whose runner is alive is left alone"
    runner.send_signal(signal.SIGKILL)
    runner.communicate()
    assert processes.accepts(int(port)), "its components outlive a killed runner"
    told = processes.clean()
    assert any(line.endswith("server") for line in told)
    assert not processes.accepts(int(port))
    assert not groups(name)
    assert not (home / "runs" / name).exists()
    assert processes.clean() == []


def test_lanes(home: Path) -> None:
    code = f"""
import sys, time
sys.path.insert(0, {str(REPOSITORY)!r})
from pathlib import Path
from lab import processes
processes.HOME = Path({str(home)!r})
with processes.lane(alone=sys.argv[1] == "alone", lanes=2):
    print(sys.argv[1], "in", time.monotonic(), flush=True); time.sleep(2.5); print(sys.argv[1], "out", time.monotonic(), flush=True)
"""
    started = []
    for kind in ("a", "b", "alone", "c"):
        started.append(subprocess.Popen([sys.executable, "-c", code, kind], stdout=subprocess.PIPE, text=True))
        time.sleep(0.3)
    spans = {}
    for process in started:
        for line in process.communicate()[0].splitlines():
            who, what, at = line.split()
            spans.setdefault(who, {})[what] = float(at)
    assert all(max(spans["alone"]["in"], s["in"]) >= min(spans["alone"]["out"], s["out"]) for who, s in spans.items() if who != "alone")
    assert spans["b"]["in"] < spans["a"]["out"], "two share the machine"
