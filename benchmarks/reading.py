"""Reading traces: M spans per CPU second from file to Parquet, perfaudit beside json, orjson and DuckDB, each in a process of its own, interleaved.

``python benchmarks/reading.py [--spans 300000] [--runs 3]``. Two sizes are read, one and two parts; the difference of their CPU seconds leaves out what starting costs. The peak
memory is that of the larger. orjson is left out and named where it is not installed (``pip install orjson`` in ``.venv``).
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from run import PEERS, Contender

#: Formats by the names of ``spans.py``.
KINDS = {"jaeger": "Jaeger JSON", "otlp": "OTLP JSON", "otlp-proto": "OTLP protobuf", "zipkin": "Zipkin v2 JSON"}
SUFFIX = {"otlp-proto": "binpb", "otlp": "jsonl"}


def main() -> None:
    """Print one row for each format and contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=300_000, help="spans of the smaller file (default 300,000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each, medians are shown (default 3)")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    given = parser.parse_args()
    if not importlib.util.find_spec("orjson"):
        print("not installed: orjson", file=sys.stderr)
    print("| format | reader | M spans per CPU s | peak MB at 2 parts |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        for kind in given.kinds.split(","):
            files = []
            for part in (1, 2):
                files.append(folder / f"{kind}-{part}.{SUFFIX.get(kind, 'json')}")
                subprocess.run([sys.executable, Path(__file__).parent / "spans.py", kind, files[-1], str(part * given.spans)], check=True)
            found = [_contenders(kind, file, folder) for file in files]
            for _ in range(given.runs):
                for one in (c for side in found for c in side):
                    one.run()
            for small, large in zip(*found, strict=True):
                cpu = statistics.median(large.cpu) - statistics.median(small.cpu)
                print(f"| {KINDS[kind]} | {small.name} | {given.spans / max(cpu, 1e-9) / 1e6:.2f} | {statistics.median(large.peak):,.0f} |", flush=True)
            for file in files:
                file.unlink()


def _contenders(kind: str, file: Path, folder: Path) -> list[Contender]:
    bundle, out = folder / "bundle", folder / "out.parquet"
    found = [Contender("perfaudit add", f"rm -rf {bundle} && {sys.executable} -m perfaudit init {bundle} && {sys.executable} -m perfaudit add {file} --audit {bundle} --quiet")]
    if kind in ("jaeger", "otlp"):
        libraries = [name for name in ("json", "orjson") if importlib.util.find_spec(name)]
        found += [Contender(name, f"{sys.executable} {PEERS / 'json_spans.py'} {name} {kind} {file} {out}") for name in libraries]
        found.append(Contender("DuckDB", f"{sys.executable} {PEERS / 'duckdb_spans.py'} {kind} {file} {out}"))
    return found


if __name__ == "__main__":
    main()
