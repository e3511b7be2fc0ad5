"""The whole lab on real servers: a trial of a case, and that nothing is left behind when it is interrupted or killed."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LAB = REPOSITORY / ".venv-lab"
HOME = Path(os.environ.get("PERFAUDIT_LAB") or f"/var/tmp/perfaudit-lab-{os.getuid()}")
SERVERS = ("nginx", "redis-server", "mariadbd", "memcached", "promtool", "sar", "zstd")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
missing = [s for s in SERVERS if not shutil.which(s, path=PATH)]

pytestmark = [
    pytest.mark.skipif(bool(missing) and os.getuid() != 0, reason=f"not installed, and only root may: {', '.join(missing)}"),
    pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no interpreter that an unprivileged user can execute"),
]


@pytest.fixture
def python(machine: None) -> str:
    """The interpreter of the lab's environment, set up as `make lab` does it."""
    subprocess.run(["lab/install.sh"], cwd=REPOSITORY, check=True, capture_output=True, timeout=600)
    subprocess.run(["make", ".venv-lab/installed"], cwd=REPOSITORY, check=True, capture_output=True, timeout=600)
    return str(LAB / "bin" / "python")


def processes() -> set[tuple[int, str]]:
    """Processes of the lab: those in a folder or a control group of its runs."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                told = (entry / "cgroup").read_text() + (entry / "cmdline").read_text() + str((entry / "cwd").readlink())
            except OSError:
                continue
            if "perfaudit-lab" in told:
                found.add((int(entry.name), told[-80:]))
    return found


def left() -> dict[str, set[object]]:
    """What a recording could leave behind: processes, control groups, listening ports of the lab's range, mounts, packet filters, run folders."""
    ports = {int(line.split()[1].rpartition(":")[2], 16) for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"}
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout if shutil.which("nft", path=PATH) and os.getuid() == 0 else ""
    return {
        "processes": set(processes()),
        "groups": {str(p) for p in [*Path("/sys/fs/cgroup").glob("*/perfaudit-lab/*"), *Path("/sys/fs/cgroup").glob("perfaudit-lab/*")] if p.is_dir()},
        "ports": {p for p in ports if 21000 <= p < 29000},
        "mounts": {line for line in Path("/proc/mounts").read_text().splitlines() if "perfaudit-lab" in line},
        "tables": {line for line in tables.splitlines() if "perfaudit" in line},
        "folders": {p.name for p in (HOME / "runs").glob("*")},
    }


@pytest.fixture
def nothing_left(machine: None, python: str) -> Iterator[None]:
    before = left()
    if before["processes"] or before["folders"]:
        pytest.skip("another recording is running on this machine")
    yield
    assert left() == before


def start(python: str, *arguments: str) -> subprocess.Popen[str]:
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what runs in the background of a shell inherits that it is ignored
    return subprocess.Popen([python, "-m", "lab", *arguments], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heard)


def until_healthy(runner: subprocess.Popen[str]) -> None:
    assert runner.stderr
    said = []
    for line in runner.stderr:
        said.append(line)
        if "recording healthy" in line:
            return
    raise AssertionError("".join(said))


@pytest.mark.parametrize("stack", ["shop", "market"])
def test_a_trial_breaks_and_mends_a_real_stack(python: str, stack: str, nothing_left: None) -> None:
    runner = start(python, "row-lock-contention", "--stack", stack, "--quick")
    out, told = runner.communicate(timeout=180)
    assert runner.returncode == 0, told
    assert "trial done" in out
    assert "(wanted" not in told, "the mechanism showed in the raw recording"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_recording_stops_everything(python: str, number: signal.Signals, nothing_left: None) -> None:
    runner = start(python, "healthy-light", "--stack", "shop", "--quick")
    until_healthy(runner)
    assert len(processes()) > 5
    runner.send_signal(number)
    _, told = runner.communicate(timeout=60)
    assert runner.returncode == 130
    assert "interrupted; everything was stopped" in told
    assert "Traceback" not in told


def test_a_killed_recording_is_cleaned(python: str, nothing_left: None) -> None:
    runner = start(python, "healthy-light", "--stack", "market", "--quick")
    until_healthy(runner)
    runner.kill()
    runner.communicate()
    assert len(processes()) > 5
    done = subprocess.run(["make", "lab-clean"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    assert "ended process" in done.stdout
    time.sleep(0.2)
    again = subprocess.run(["make", "lab-clean"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    assert "nothing was left" in again.stdout


def test_an_unknown_case_is_a_usage_error(python: str) -> None:
    runner = start(python, "no-such-case")
    _, told = runner.communicate(timeout=60)
    assert runner.returncode == 2
    assert "no case is called 'no-such-case'" in told
    assert "Traceback" not in told
