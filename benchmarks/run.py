"""``make benchmark``: CPU seconds and peak memory of perfaudit and its peers on the same log, in one run, interleaved.

CPU is user + system of the process and all its children (``wait4``); wall time is not used, because machines are shared.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
PEERS = HERE / "peers"
GOACCESS = """goaccess {log} --no-global-config --no-progress --log-format='%h - %^ [%d:%t %^] "%r" %s %b "%R" "%u" %T %^' --date-format=%d/%b/%Y --time-format=%T -o {out}/goaccess.json"""


@dataclass
class Contender:
    """A command and what it cost each time."""

    name: str
    command: str
    cpu: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Run once; raises ``SystemExit`` with the end of its output when it fails."""
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(["/bin/sh", "-c", self.command], stdout=subprocess.DEVNULL, stderr=errors)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                errors.seek(0)
                raise SystemExit(f"{self.name} failed ({process.returncode}): {errors.read()[-600:].decode('utf-8', 'replace')}")
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.peak.append(usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10))


def write_log(path: Path, lines: int) -> None:
    """In a process of its own: what this one holds in memory would count as the peak of its children."""
    subprocess.run([sys.executable, HERE / "logfile.py", path, str(lines)], check=True)


def contenders(log: Path, folder: Path, only: set[str]) -> list[Contender]:
    """Those that are installed, perfaudit first; says which are not."""
    perfaudit = f"{sys.executable} -m perfaudit"
    found = [Contender("perfaudit analyze", f"{perfaudit} analyze {log} --quiet || [ $? = 3 ]")]
    awk = shutil.which("mawk") or shutil.which("awk")
    offers = (
        (awk, "mawk | sort -n", f"{awk} '{{print $(NF-1)}}' {log} | sort -n -T {folder}"),
        (shutil.which("goaccess"), "GoAccess", GOACCESS.format(log=log, out=folder)),
        (importlib.util.find_spec("duckdb"), "DuckDB", f"{sys.executable} {PEERS / 'duckdb_routes.py'} {log}"),
        (importlib.util.find_spec("polars"), "Polars", f"{sys.executable} {PEERS / 'polars_routes.py'} {log}"),
    )
    for there, name, command in offers:
        if not there:
            print(f"not here, left out: {name}", file=sys.stderr)
        elif not only or name.split()[0].lower() in only:
            found.append(Contender(name, command))
    return found


def table(rows: list[Contender]) -> None:
    """Medians, with ratios to the first row."""
    base = statistics.median(rows[0].cpu)
    print(f"\n{'':<34}{'CPU s':>9}{'min–max':>16}{'peak MB':>9}{'ratio':>8}")
    for row in rows:
        cpu = statistics.median(row.cpu)
        spread = f"{min(row.cpu):.2f}–{max(row.cpu):.2f}"
        print(f"{row.name:<34}{cpu:>9.2f}{spread:>16}{max(row.peak):>9.0f}{cpu / base:>7.2f}×")


def main() -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=3_000_000, help="lines of the log (default 3,000,000: 0.7 GB)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each contender (default 3; medians are shown)")
    parser.add_argument("--memory", action="store_true", help="also ten times the lines, once, for the peak memory of perfaudit")
    parser.add_argument("--only", default="", help="peers to run beside perfaudit, comma separated: mawk,goaccess,duckdb,polars,none")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="perfaudit-benchmark-") as name:
        folder = Path(name)
        log, small = folder / "access.log", folder / "small.log"
        write_log(log, given.lines)
        write_log(small, 1000)
        rows = contenders(log, folder, set(filter(None, given.only.split(","))))
        little = [Contender("perfaudit analyze, 1,000 lines", f"{sys.executable} -m perfaudit analyze {small} --quiet || [ $? = 3 ]"), Contender("perfaudit --help", f"{sys.executable} -m perfaudit --help")]
        Contender("warm-up", little[0].command).run()  # compiles the kernels into their cache
        for _ in range(given.runs):
            for row in [*rows, *little]:
                row.run()
        print(f"{given.lines:,} lines, {log.stat().st_size / 1e6:,.0f} MB ({log.stat().st_size / given.lines:.0f} bytes a line), {given.runs} runs, Python {sys.version.split()[0]}, {os.cpu_count()} cores")
        table(rows)
        table(little)
        if given.memory:
            log.unlink()
            write_log(log, given.lines * 10)
            most = Contender(f"perfaudit analyze, {given.lines * 10:,} lines", rows[0].command)
            most.run()
            table([rows[0], most])


if __name__ == "__main__":
    main()
