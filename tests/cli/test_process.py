"""What only a process of its own shows: pipes that break, streams that are closed, signals, terminals, shells."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import access_log

COMMAND = [sys.executable, "-m", "perfaudit"]


def shell(script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A bash script in which ``perfaudit`` is the command; a failing part of a pipe fails the whole."""
    function = f"set -o pipefail; perfaudit() {{ {' '.join(COMMAND)} \"$@\"; }}; "
    return subprocess.run(["bash", "-c", function + script], cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize(
    "script",
    [
        "perfaudit query --csv 'select * from requests' access.log | head -1",
        "perfaudit analyze access.log -o r.json | true",
        "perfaudit --help | true",
    ],
)
def test_a_reader_that_goes_away_is_no_failure(log: Path, script: str) -> None:
    log.write_bytes(access_log(3_000))
    ran = shell(script, log.parent)
    assert (ran.returncode, ran.stderr.replace("wrote r.json\n", "")) == (0, "")


def test_a_gate_fails_also_into_a_broken_pipe(log: Path) -> None:
    assert shell("perfaudit analyze access.log --objective 'p95<1ms' | true", log.parent).returncode == 1


def test_closed_and_full_streams(log: Path) -> None:
    ran = shell("perfaudit analyze - <&-; echo $?; perfaudit analyze access.log -q >&-; echo $?; perfaudit analyze access.log > /dev/full; echo $?", log.parent)
    assert ran.stdout.split() == ["2", "0", "2"]
    assert "standard input is closed" in ran.stderr
    assert "perfaudit: No space left on device" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


def test_a_log_through_standard_input_and_a_named_pipe(log: Path) -> None:
    ran = shell("cat access.log | perfaudit query --csv 'select count(*) from requests' -; mkfifo pipe; (cat access.log > pipe &); perfaudit query --csv 'select count(*) from requests' pipe", log.parent)
    assert ran.stdout.splitlines()[1::2] == ["2000", "2000"]


def test_stopped_from_the_keyboard(tmp_path: Path) -> None:
    """Ctrl-C while a pipe is read: how far it came, no traceback; what was committed stays."""
    (tmp_path / "a.log").write_bytes(access_log(100))
    os.mkfifo(tmp_path / "b.log")
    assert subprocess.run([*COMMAND, "init", "audit"], cwd=tmp_path, capture_output=True).returncode == 0
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what runs in the background of a shell inherits that it is ignored
    child = subprocess.Popen([*COMMAND, "add", "a.log", "b.log", "--audit", "audit"], cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    with (tmp_path / "b.log").open("wb") as pipe:  # opens when the other side does: a.log is in by then
        pipe.write(access_log(10))
        pipe.flush()
        child.send_signal(signal.SIGINT)
        _, said = child.communicate()
    assert child.returncode == 130
    assert said.splitlines() == ["perfaudit: stopped: 1 of 2 files were read", "  do: the same command goes on from there"]
    ran = subprocess.run([*COMMAND, "query", "--csv", "select count(*) from requests", "--audit", "audit"], cwd=tmp_path, capture_output=True, text=True)
    assert ran.stdout.split() == ["count_star()", "100"]


def test_a_line_of_100_mb_is_counted_in_bounded_memory(tmp_path: Path) -> None:
    """The peak of the whole process, beside that of the same log without the line."""
    good = access_log(2_000)
    peaks = []
    for name, data in (("plain.log", good), ("long.log", good + b"x" * (100 << 20) + b"\n" + good[:5_000].rsplit(b"\n", 1)[0] + b"\n")):
        (tmp_path / name).write_bytes(data)
        measured = "import resource, sys; from perfaudit.cli import run; code = run(sys.argv[1:]); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr); sys.exit(code)"
        ran = subprocess.run([sys.executable, "-c", measured, "analyze", name, "-o", f"{name}.json", "-q"], cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        peaks.append(int(ran.stderr.split()[-1]))
    assert '"line longer than 1 MiB": 1' in (tmp_path / "long.log.json").read_text()
    assert peaks[1] < peaks[0] + 90, f"peak RSS in MiB: {peaks}"


# -------------------------------------------------------------------- a terminal


def on_a_terminal(arguments: list[str], answers: list[bytes], cwd: Path) -> tuple[int, str]:
    """Run with a terminal for all three streams; each answer is typed when a question ends with ``: ``."""
    child, terminal = _spawn(arguments, cwd)
    said = b""
    waiting = list(answers)
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            piece = b""
        if not piece:
            break
        said += piece
        if waiting and said.rstrip(b" ").endswith(b":") and piece.endswith(b": "):
            os.write(terminal, waiting.pop(0) + b"\n")
    os.close(terminal)
    return child.wait(), said.decode()


def _spawn(arguments: list[str], cwd: Path) -> tuple[Any, int]:
    ours, theirs = pty.openpty()
    child = subprocess.Popen([*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, start_new_session=True, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    return child, ours


def test_define_asks_on_a_terminal_and_asks_again(home: Path) -> None:
    from perfaudit.cli import run
    from perfaudit.config import load

    assert run(["init", "audit"]) == 0
    answers = [b"my audit", b"slow", b"POST /checkout", b"nginx, shop", b"yesterday", b"2026-11-23 08:00", b"", b"feels fast", b"/checkout p95<400ms"]
    code, said = on_a_terminal(["define", "--audit", "audit"], answers, home)
    assert code == 0, said
    assert "cannot understand the time" in said
    assert "cannot be measured" in said
    assert load(home / "audit", {}).definition == {
        "name": "my audit", "symptom": "slow", "flow": "POST /checkout", "scope": ["nginx", "shop"], "since": "2026-11-23 08:00", "success": ["/checkout p95<400ms"],
    }  # fmt: skip


def test_progress_shows_on_a_terminal_only(home: Path) -> None:
    (home / "access.log").write_bytes(access_log(2_000) * 50)
    assert (home / "access.log").stat().st_size > 8 << 20
    code, said = on_a_terminal(["query", "--csv", "select 1", "access.log"], [], home)
    assert code == 0
    assert "MB" not in said
    code, said = on_a_terminal(["analyze", "access.log"], [], home)
    assert code in (0, 3)
    assert "MB/s" in said
    code, said = on_a_terminal(["analyze", "access.log", "-q"], [], home)
    assert "MB" not in said


# -------------------------------------------------------------------- completion


def test_completion_loads_and_completes_in_bash(home: Path) -> None:
    script = subprocess.run([*COMMAND, "completion", "bash"], capture_output=True, text=True, check=True).stdout
    (home / "bin").mkdir()
    (home / "bin" / "perfaudit").write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    (home / "bin" / "perfaudit").chmod(0o755)
    (home / "completion").write_text(script)
    test = 'PATH=$PWD/bin:$PATH; source ./completion; COMP_WORDS=(perfaudit inv); COMP_CWORD=1; _perfaudit_completion perfaudit inv perfaudit; printf "%s\\n" "${COMPREPLY[@]}"; complete -p perfaudit'
    ran = subprocess.run(["bash", "-c", test], cwd=home, capture_output=True, text=True)
    assert ran.stdout.splitlines()[0] == "inventory", ran
    assert "_perfaudit_completion" in ran.stdout.splitlines()[1]


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_completion_of_other_shells(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from perfaudit.cli import run

    assert run(["completion", name]) == 0
    script = capsys.readouterr().out
    assert "_PERFAUDIT_COMPLETE" in script
    found = shutil.which(name)
    if found is None:
        assert {"zsh": "compdef _perfaudit_completion perfaudit", "fish": "complete --no-files --command perfaudit"}[name] in script
        return
    (tmp_path / "script").write_text(script)
    assert subprocess.run([found, "-n", str(tmp_path / "script")]).returncode == 0
