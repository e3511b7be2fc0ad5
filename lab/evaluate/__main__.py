"""``python -m lab.evaluate`` (``make evaluate``): audit the recorded cases and print how good the answers are."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.evaluate.cases import SETS, Case, find
from lab.evaluate.judge import judge
from lab.evaluate.product import Product, Run

ENDING = (signal.SIGINT, signal.SIGTERM)
CASES = Path(__file__).resolve().parents[2] / "tests" / "cases"


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.evaluate", description="Audit recorded cases with truth out of reach, and compare the answers with it."
    )
    parser.add_argument("--set", choices=[*SETS, "all"], default="all", help="which cases (default: all)")
    parser.add_argument("--cases", default="", metavar="N,N", help="only these numbers")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="audits at a time (default: 2)")
    parser.add_argument(
        "--timeout", type=float, default=120.0, metavar="S", help="seconds after which an audit counts as failed (default: 120)"
    )
    parser.add_argument(
        "--details", action="store_true", help="tell of validation cases what is told of the others: only when they are to be used up"
    )
    parser.add_argument("--compare", type=Path, metavar="OLD.json", help="an earlier evaluation.json: what changed, case by case")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="DIR", help="where evaluation.json and evaluation.html go (default: here)"
    )
    parser.add_argument(
        "--perfaudit", type=Path, metavar="FILE", help="another command to evaluate (default: the one beside this interpreter)"
    )
    parser.add_argument("--root", type=Path, default=CASES, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate. 0: done; 2: nothing to evaluate; 130: interrupted, what was done is written."""
    asked = arguments(argv)
    before = {number: signal.signal(number, _interrupt) for number in ENDING}
    try:
        return _evaluate(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _evaluate(asked: argparse.Namespace) -> int:
    try:
        old = _earlier(asked.compare) if asked.compare else None
        cases = find(asked.root, asked.set, {n.strip() for n in asked.cases.split(",") if n.strip()})
        asked.output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="audits-") as place:
            product = Product(Path(place), asked.perfaudit, asked.timeout)
            runs = run(product, cases, max(asked.jobs, 1))
    except LabError as error:
        what, _, todo = str(error).partition("\n")
        print(f"evaluate: {what}\n  {todo}", file=sys.stderr)
        return 2
    return _tell(cases, runs, old, asked, product)


def _tell(cases: list[Case], runs: dict[str, Run], old: dict[str, Any] | None, asked: argparse.Namespace, product: Product) -> int:
    """Judge, write and print. What is heavy is loaded now: a child's peak of memory begins at its parent's."""
    from lab.evaluate import summary, terminal

    judged = [judge(c, runs[c.id].result, runs[c.id].failure) for c in cases if c.id in runs]
    conditions = {"set": asked.set, "timeout_s": asked.timeout, "user": product.user or "the caller", "details": asked.details}
    made = summary.document(judged, runs, [c for c in cases if c.id not in runs], conditions, asked.details)
    (asked.output / "evaluation.json").write_text(json.dumps(made, sort_keys=True, indent=1, ensure_ascii=False) + "\n", "utf-8")
    terminal.show(made, summary.changes(old, made) if old else None)
    from lab.evaluate import page

    (asked.output / "evaluation.html").write_text(page.render(made), "utf-8")
    print(f"\nwritten: {asked.output / 'evaluation.json'}, {asked.output / 'evaluation.html'}", file=sys.stderr)
    return 0 if made["complete"] else 130


def _earlier(file: Path) -> dict[str, Any]:
    try:
        old = json.loads(file.read_text("utf-8"))
        old["cases"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(f"cannot compare with {file}: {error}\nname an evaluation.json that this command wrote") from error
    return dict(old)


def run(product: Product, cases: Sequence[Case], jobs: int) -> dict[str, Run]:
    """Audit every case, ``jobs`` at a time. An interruption ends what runs; what is done is kept."""
    done: dict[str, Run] = {}
    begun = time.monotonic()
    pool = ThreadPoolExecutor(jobs)
    waiting: dict[Future[Run], Case] = {}
    try:
        _progress(0, len(cases), "getting warm", begun)
        pool.submit(product.audit, cases[0].folder).result()  # compiles and caches; not counted
        waiting = {pool.submit(product.audit, c.folder): c for c in cases}
        for number, future in enumerate(as_completed(waiting), 1):
            done[waiting[future].id] = future.result()
            _progress(number, len(cases), waiting[future].id, begun)
    except KeyboardInterrupt:
        print("\ninterrupted: ending what runs", file=sys.stderr)
        done |= {case.id: future.result() for future, case in waiting.items() if future.done()}
    finally:
        product.stop()
        pool.shutdown(cancel_futures=True)
    print(f"\r{len(done)} of {len(cases)} cases in {time.monotonic() - begun:.0f} s, {jobs} at a time" + " " * 20, file=sys.stderr)
    return done


def _interrupt(*_: Any) -> None:
    """End, once: a second signal must not keep what was done from being written."""
    for number in ENDING:
        signal.signal(number, lambda *_: None)
    raise KeyboardInterrupt


def _progress(done: int, of: int, what: str, begun: float) -> None:
    if sys.stderr.isatty():
        left = f", about {(time.monotonic() - begun) / done * (of - done):.0f} s left" if done else ""
        print(f"\r{done} of {of} cases{left} ({what})" + " " * 10, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
