"""Kill ``add`` at random instants: the bundle opens, and the same command finishes the job.

    python benchmarks/kill.py 200

A child imports everything, says that it is ready, and adds; it is killed (SIGKILL) at an instant drawn evenly from the time
that an undisturbed add takes. Then the bundle must hold each source whole or not at all, and after the same command its
content must be that of an undisturbed bundle.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILES, LINES = 6, 3_000
_CHILD = """
import sys
from perfaudit.evidence import intake
from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.readers import ReadOptions, discover
import pyarrow.parquet, perfaudit.kernels.scanner
discover()
print("ready", flush=True)
sys.stdin.readline()
intake.add(Bundle.create(__import__("pathlib").Path(sys.argv[2])), [sys.argv[1]], ReadOptions())
"""


@dataclass
class Tally:
    """Rounds by what was found after the kill: sources committed of all."""

    rounds: int = 0
    killed: int = 0
    committed: tuple[int, ...] = ()


def write_logs(folder: Path, text: Any) -> None:
    """``FILES`` logs; ``text(lines, seed)`` gives the bytes of one."""
    folder.mkdir(parents=True)
    for i in range(FILES):
        (folder / f"web{i}.access.log").write_bytes(text(LINES, i))


def rounds(n: int, logs: Path, work: Path, seed: int = 1) -> Tally:
    """Run ``n`` rounds; raises AssertionError when rows were lost or doubled or the bundle did not open."""
    rng = random.Random(seed)
    _, needed = _add(logs, work / "whole", None)
    wanted = content(work / "whole")
    tally = Tally()
    for i in range(n):
        bundle = work / f"round{i}"
        killed, _ = _add(logs, bundle, rng.uniform(0, needed))
        tally.rounds += 1
        tally.killed += killed
        tally.committed += (_check(bundle, wanted),)
        _finish(logs, bundle)
        assert content(bundle) == wanted, f"round {i}: the finished bundle differs"
        shutil.rmtree(bundle)
    return tally


def _add(logs: Path, bundle: Path, kill_after: float | None) -> tuple[bool, float]:
    with subprocess.Popen([sys.executable, "-c", _CHILD, str(logs), str(bundle)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout and child.stdin and child.stdout.readline() == b"ready\n"
        child.stdin.write(b"go\n")
        child.stdin.flush()
        begin = time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            child.kill()
        child.wait()
        return child.returncode == -signal.SIGKILL, time.monotonic() - begin


def _finish(logs: Path, bundle: Path) -> None:
    from perfaudit.evidence import intake
    from perfaudit.evidence.bundle import Bundle
    from perfaudit.evidence.readers import ReadOptions

    intake.add(Bundle.create(bundle), [logs], ReadOptions())


def _check(path: Path, wanted: dict[str, Any]) -> int:
    """Open what the killed one left: every source is whole. Gives how many there are."""
    from perfaudit.evidence.bundle import Bundle

    if not Bundle.is_bundle(path):
        return 0
    found = content(path)
    assert found.items() <= wanted.items(), "a source of the killed add is not whole"
    return len(found)


def content(path: Path) -> dict[str, Any]:
    """Each source's counts and a hash of its rows (client keys, which differ between bundles, left out)."""
    import pyarrow.parquet as pq

    from perfaudit.evidence.bundle import Bundle

    out = {}
    for source in Bundle.open(path).sources:
        file = path / "tables" / "requests" / source["tables"]["requests"]["file"]
        table = pq.read_table(file)
        digest = hashlib.sha256(json.dumps(table.drop_columns(["client_key"]).to_pylist()[:200], default=str).encode()).hexdigest()
        out[source["name"]] = (source["lines"], source["parsed"], table.num_rows, digest)
    return out


def main() -> None:
    """Run and print."""
    import tempfile

    sys.path.insert(0, str(Path(__file__).parent.parent))
    from tests.conftest import access_log

    n = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        write_logs(Path(folder) / "logs", access_log)
        tally = rounds(n, Path(folder) / "logs", Path(folder))
    spread = {k: tally.committed.count(k) for k in range(FILES + 1)}
    print(f"{tally.rounds} rounds, {tally.killed} killed before the end; sources committed at the kill: {spread}; no row lost or doubled")


if __name__ == "__main__":
    main()
