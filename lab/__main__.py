"""``python -m lab``: records cases, one or the whole set.

    make lab CASE=row-lock-contention SEED=7                 one recording, into lab-cases/
    make lab CASE=row-lock-contention STACK=market QUICK=1   a trial of half a minute: does it bite?
    make lab ALL=1                                           the whole set into tests/cases; what is there is left alone
    make lab LIST=1                                          which cases there are, and what was recorded with which signature
    make lab-clean                                           ends what a killed recording left behind
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from lab import case, plan
from lab.errors import LabError, NotRecordable, Refused
from lab.mechanism import discover
from lab.processes import claim


def main(argv: list[str] | None = None) -> int:
    """0: all recorded; 1: some were refused or cannot be recorded here; 2: usage; 130: interrupted."""
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names of cases")
    parser.add_argument("--seed", type=int, help="constants, names, mix, load, onset (default: the set's own)")
    parser.add_argument("--stack", choices=("shop", "market"), help="default: the one on which the set records the case")
    parser.add_argument("--set", choices=plan.SETS, dest="of", help="write into tests/cases/SET (default: lab-cases/)")
    parser.add_argument("--all", action="store_true", help="every case of the set, or of both; resumes")
    parser.add_argument("--again", action="store_true", help="record again what is there already")
    parser.add_argument("--quick", action="store_true", help="a short trial: shows the signature, writes no case")
    parser.add_argument("--keep", action="store_true", help="leave the private folder (logs, raw recordings) in place")
    parser.add_argument("--lanes", type=int, help="recordings at once on this machine (default LAB_LANES or 1)")
    parser.add_argument("--list", action="store_true", help="all cases with what was recorded")
    parser.add_argument("--clean", action="store_true", help="end what a killed recording left behind")
    options = parser.parse_args(argv)
    if options.clean:
        return _clean()
    if options.list:
        from lab.table import show

        return show()
    try:
        planned = _planned(options)
    except KeyError as error:
        print(f"lab: no case is called {error.args[0]!r}\nmake lab LIST=1 shows all of them", file=sys.stderr)
        return 2
    if not planned:
        parser.print_usage(sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    _clean(quiet=True)
    if options.all and (options.lanes or 1) > 1 and not os.environ.get("LAB_WORKER"):
        return _side_by_side(options.lanes, sys.argv[1:] if argv is None else argv)
    failed = 0
    try:
        for i, one in enumerate(planned, 1):
            failed += not _record(one, options, f"[{i}/{len(planned)}] " if len(planned) > 1 else "")
    except KeyboardInterrupt:
        print("lab: interrupted; everything was stopped", file=sys.stderr)
        return 130
    return 1 if failed else 0


def _side_by_side(lanes: int, argv: list[str]) -> int:
    """So many recorders at once; each takes the next case that nobody has taken."""
    workers = [subprocess.Popen([sys.executable, "-m", "lab", *argv], env={**os.environ, "LAB_WORKER": str(n)}) for n in range(lanes)]
    try:
        return max(worker.wait() for worker in workers)
    except KeyboardInterrupt:
        for worker in workers:
            worker.terminate()
        return max(worker.wait() for worker in workers)


def _planned(options: argparse.Namespace) -> list[plan.Planned]:
    sets = (options.of,) if options.of else plan.SETS
    if options.all:
        options.of = options.of or "each"
        return list(plan.everything(sets))
    found = []
    for name in options.cases:
        of = options.of or "dev"
        stack = options.stack or plan.stack_of(name, of)
        if (name, stack) not in discover():
            raise KeyError(f"{name} on {stack}")
        found.append(plan.one(name, stack, plan.SEEDS[of] if options.seed is None else options.seed, of))
    return found


def _record(one: plan.Planned, options: argparse.Namespace, prefix: str) -> bool:
    label = f"{prefix}{one.name} on {one.stack}, seed {one.seed}"
    with claim("-".join(map(str, one.key().values()))) as free:
        if options.of and not free:
            print(f"{label}: another recorder has it", flush=True)
            return True
        return _take(one, options, label)


def _take(one: plan.Planned, options: argparse.Namespace, label: str) -> bool:
    there = case.existing(one.key()) if options.of and not options.quick else None
    if there and not options.again:
        print(f"{label}: there already, {there.parent.name}/{there.name}", flush=True)
        return True
    made: list[Path] = []

    def folder() -> Path:
        if there:
            made.append(there)
        elif options.of:
            made.append(case.number(one.set))
        else:
            made.append(Path("lab-cases") / f"{one.name}-{one.stack}-{one.seed}")
            made[0].mkdir(parents=True, exist_ok=True)
        return made[0]

    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{label}: {time.monotonic() - began:5.1f} s  {text}", file=sys.stderr, flush=True)

    from lab.runner import record

    try:
        target, _ = record(one, folder, tell, quick=options.quick, keep=options.keep, lanes=options.lanes)
    except BaseException as error:
        if made and not (made[0] / "truth.json").exists():
            shutil.rmtree(made[0], ignore_errors=True)
        if not isinstance(error, LabError) or os.environ.get("LAB_DEBUG"):
            raise
        word = "refused" if isinstance(error, Refused) else "not recordable here" if isinstance(error, NotRecordable) else "failed"
        print(f"{label}: {word}: {error}", file=sys.stderr, flush=True)
        return False
    print(f"{label}: " + (f"{target} ({case.size(target) // 1000} kB)" if target else "trial done") + f" in {time.monotonic() - began:.0f} s", flush=True)
    return True


def _clean(quiet: bool = False) -> int:
    from lab.processes import clean

    done = clean()
    for line in done or ([] if quiet else ["nothing was left"]):
        print(line, file=sys.stderr if quiet else sys.stdout)
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
