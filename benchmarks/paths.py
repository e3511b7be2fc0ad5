"""Critical paths: spans per CPU second, compiled, in NumPy and by plain recursion; and the whole way from Parquet to the view, with its peak memory.

``python benchmarks/paths.py --spans 10000000`` (some 30 CPU seconds). CPU is that of the process and its threads; the best run is shown.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from perfaudit.evidence import traces
from perfaudit.evidence.bundle import Bundle
from perfaudit.evidence.views import critical_path as view
from perfaudit.kernels import critical_path, critical_path_plain

#: Services, and operations of each.
SERVICES, OPERATIONS = 8, 6


def forest(rng: np.random.Generator, n: int, size: int) -> tuple[Any, ...]:
    """``n`` spans in traces of ``size``: parents at random, times inside the parent most of the time."""
    place = np.arange(n) % size
    first = np.arange(n) - place
    parent = np.where(place == 0, -1, first + (rng.random(n) * place).astype(np.int64))
    start = np.where(place == 0, 0, rng.integers(0, 100_000, n))
    end = np.where(place == 0, 150_000, start + rng.integers(0, 100_000, n) // (1 + place))
    return start, end, parent.astype(np.int32), (rng.random(n) < 0.01) & (place > 0)


def best(run: Callable[[], Any], times: int = 9) -> float:
    """CPU seconds of the fastest of ``times`` calls."""
    took = []
    for _ in range(times):
        before = time.process_time()
        run()
        took.append(time.process_time() - before)
    return min(took)


def recursion(start: Any, end: Any, parent: Any, late: Any) -> int:
    """The same rules as one writes them down first: dictionaries of children, recursion, a sort at each span."""
    spans = list(zip(start.tolist(), end.tolist(), parent.tolist(), late.tolist(), strict=True))
    children: dict[int, list[int]] = {}
    for i, (_, _, above, only_follows) in enumerate(spans):
        if not only_follows:
            children.setdefault(above, []).append(i)

    def path(i: int, low: int, high: int, found: list[tuple[int, int, int]]) -> None:
        inner = sorted(((min(max(spans[c][1], low), high), -c) for c in children.get(i, ())), reverse=True)
        t = high
        for ended, c in inner:
            if ended <= t:
                found.append((i, ended, t))
                t = min(max(spans[-c][0], low), high)
                path(-c, t, ended, found)
        found.append((i, low, t))

    found: list[tuple[int, int, int]] = []
    for root in children[-1]:
        path(root, spans[root][0], spans[root][1], found)
    return sum(a < b for _, a, b in found)


def ids(numbers: Any, width: int) -> Any:
    """Identifiers as an Arrow array."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")


def record(folder: Path, n: int, size: int) -> Bundle:
    """A bundle of ``n`` spans; few at a time, so that making it does not set the peak."""
    import pyarrow as pa

    bundle = Bundle.create(folder, durable=False)
    rng = np.random.default_rng(6)
    writer = bundle.part_writer({})
    names = pa.array([f"service-{i}" for i in range(SERVICES)]), pa.array([f"operation-{i}" for i in range(OPERATIONS)]), pa.array(["internal", "server", "client"])
    with bundle.writing():
        for at in range(0, n, 200_000):
            m = min(200_000, n - at)
            start, end, parent, _ = forest(rng, m, size)
            own = ids(np.arange(at, at + m), 16)
            pick = [pa.DictionaryArray.from_arrays(pa.array(rng.integers(0, len(of), m).astype(np.int32)), of) for of in names]
            columns = {
                "trace_id": ids(np.arange(at, at + m) // size, 32), "span_id": own, "parent_span_id": own.take(pa.array(parent, mask=parent < 0)),
                "time": pa.array(start + 1_795_420_800_000_000, pa.timestamp("us")), "duration_us": pa.array(end - start), "service": pick[0], "operation": pick[1], "kind": pick[2],
            }  # fmt: skip
            writer.write("spans", columns, m)
        key = "0" * 64
        bundle.commit({"name": "spans", "sha256": key, "text_sha256": key, "bytes": 0, "reader": "benchmark", "reader_version": 1, "read_as": {}, "service": "", "lines": n, "parsed": n,
                       "rejected": {}, "rejected_examples": {}, "notes": [], "first": writer.first, "last": writer.last}, writer)  # fmt: skip
    return bundle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=1_000_000, help="spans (default 1,000,000)")
    parser.add_argument("--size", type=int, default=20, help="spans of a trace (default 20)")
    parser.add_argument("--only-view", action="store_true", help="only from Parquet to the view: its peak memory is that of the process")
    given = parser.parse_args()
    if not given.only_view:
        n = min(given.spans, traces.CHUNK)
        spans = forest(np.random.default_rng(6), n, given.size)
        critical_path.sections(*(column[: given.size] for column in spans))
        print("| over columns | M spans per CPU s |\n|---|---|")
        for name, run in (
            ("compiled, response", lambda: critical_path.sections(*spans)), ("compiled, completion", lambda: critical_path.sections(*spans, True)),
            ("NumPy, response", lambda: critical_path_plain.sections(*spans)), ("recursive Python", lambda: recursion(*spans)),
        ):  # fmt: skip
            print(f"| {name} | {n / best(run) / 1e6:.2f} |", flush=True)
    with tempfile.TemporaryDirectory(prefix="perfaudit-benchmark-") as home:
        bundle = record(Path(home) / "evidence", given.spans, given.size)
        made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print("\n| from Parquet | CPU s | M spans per CPU s |\n|---|---|---|")
        for name, step in (("to trees", lambda: traces.read(bundle)), ("to the view", lambda: view.write(bundle, Path(home) / "view.parquet"))):
            took = best(step, 1 if given.spans > 2_000_000 else 3)
            print(f"| {name} | {took:.2f} | {given.spans / took / 1e6:.2f} |", flush=True)
        print(f"\npeak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB (making the input: {made:,.0f} MB)", file=sys.stderr)


if __name__ == "__main__":
    main()
