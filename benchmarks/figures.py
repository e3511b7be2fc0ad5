"""``make figures``: how often the statistics err, on fresh series with known truth, beside what others answer.

Prints Markdown. Every cell is a mean over ``--series`` simulations; its standard error for a share of
5 % of 400 is 1.1 points. ``--seed`` makes other series.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: two workers, one thread each
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import exact, rivals, trials
from benchmarks.series import UNCHANGED, seeded

CHUNK = 5
Trial = Callable[..., dict[str, float | None]]


def batch(trial: str, arguments: tuple[Any, ...], seed: int, first: int, last: int) -> list[dict[str, float | None]]:
    """Run in a worker."""
    return [getattr(trials, trial)(seeded(seed, trial, arguments, i), *arguments) for i in range(first, last)]


@dataclass
class Runner:
    """Simulates in worker processes and reports what it does on stderr."""

    pool: ProcessPoolExecutor
    series: int
    seed: int

    def means(self, trial: Trial, *arguments: Any, series: int | None = None) -> dict[str, tuple[float, int]]:
        """Name → (mean, number of series in it)."""
        count = min(series or self.series, self.series)
        jobs = [self.pool.submit(batch, trial.__name__, arguments, self.seed, first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]
        values: dict[str, list[float]] = {}
        for done, job in enumerate(jobs, 1):
            if sys.stderr.isatty():
                print(f"\r{trial.__name__} {arguments}: {done * 100 // len(jobs)} %   ", end="", file=sys.stderr, flush=True)
            for answer in job.result():
                for name, value in answer.items():
                    if value is not None:
                        values.setdefault(name, []).append(value)
        print(f"\r{trial.__name__} {arguments}: done    ", file=sys.stderr, flush=True)
        return {name: (sum(numbers) / len(numbers), len(numbers)) for name, numbers in values.items()}


Found = dict[str, tuple[float, int]]
#: Names of trial answers and how they are written.
Columns = tuple[tuple[str, str], ...]
DETECTORS: Columns = tuple((name, ".1%") for name in ("perfaudit", *rivals.DETECTORS))


def shown(found: Found, columns: Columns) -> list[str]:
    """Cells: means, or a dash where nobody answered (a rival not installed, a part not built)."""
    return [format(found[name][0], form) if name in found else "–" for name, form in columns]


def title(text: str, *lines: str) -> None:
    print("\n\n".join((f"## {text}", *lines)) + "\n")


def table(header: list[str], rows: Iterable[list[str]]) -> None:
    """Print rows as they come."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print()


def nothing_changed(run: Runner) -> None:
    title("No change: share of series in which one is called", 'Bar: ≤ 5 %, long memory ≤ 10 %. "Cannot tell": perfaudit says so of the series itself.')
    columns = (*DETECTORS, ("cannot tell", ".1%"))
    for n in (200, 1000):
        table([f"n = {n:,}", *(name for name, _ in columns)], ([family, *shown(run.means(trials.no_change, family, n), columns)] for family in UNCHANGED))


def steps(run: Runner) -> None:
    title(
        "One step of 1.5 marginal sd in the middle, n 200",
        "Bar: found ≥ 90 % (iid, lognormal AR .7), ≥ 85 % (AR .7); within ± 10 points of those found ≥ .95 (iid), ≥ .65 (AR .7).",
    )

    def rows() -> Iterator[list[str]]:
        for family in ("iid", "AR(1) .7", "lognormal AR .7"):
            found = run.means(trials.one_step, family, 200, 1.5)
            for name in ("perfaudit", "who knows that there is one", *rivals.DETECTORS):
                columns = tuple((f"{name}: {what}", form) for what, form in (("found", ".1%"), ("near", ".2f"), ("more", ".2f"), ("inside", ".1%")))
                yield [family, name, *shown(found, columns)]

    table(["noise", "who", "found", "within ± 10", "points too many", "its interval holds the place"], rows())


def stairs(run: Runner) -> None:
    title("Staircase: 4 steps of 1.6 sd, 200 apart, AR .7, n 1,000", "Bar: ≥ 3.7 found (within ± 50), ≤ .15 spurious.")
    found = run.means(trials.staircase)
    table(["who", "found of 4", "spurious"], ([name, *shown(found, ((f"{name}: found", ".2f"), (f"{name}: spurious", ".2f")))] for name, _ in DETECTORS))


def others(run: Runner) -> None:
    title("Drift of 4 sd, spike of 10 sd, AR .3: told from steps")
    columns = (("called as it is", ".1%"), ("steps called", ".2f"))
    cells = ((shape, n) for shape in ("drift", "spike") for n in (200, 1000))
    table(["shape", "n", *(name for name, _ in columns)], ([shape, f"{n:,}", *shown(run.means(trials.shapes, shape, n), columns)] for shape, n in cells))


def speed(run: Runner) -> None:
    title("Change points in 10,000 points: CPU seconds", "Bar: ≤ .15 s. Mean of 20 calls after one that loads the kernels.")
    families = ("iid", "AR(1) .7", "long memory .3", "season 144, AR .7", "staircase")
    table(["series", "CPU s"], ([family, *shown(run.means(trials.cpu, family, 10_000, series=20), (("seconds", ".3f"),))] for family in families))


def percentiles(run: Runner) -> None:
    title("Intervals of p99, nominal 95 %: coverage", 'Bar: ≥ 93 %; "not enough" below 368 effective samples.')
    columns = tuple((name, ".1%") for name in ("perfaudit", "not enough", "order statistics", "bootstrap"))
    cells = ((lognormal, phi, n) for lognormal in (False, True) for phi in (0.0, 0.7) for n in (3000, 367))
    table(
        ["values", "φ", "n", "perfaudit", 'perfaudit says "not enough"', "order statistics, as if independent", "bootstrap of single values"],
        (["lognormal" if lognormal else "normal", f"{phi:g}", f"{n:,}", *shown(run.means(trials.percentile, phi, lognormal, n, 0.99), columns)] for lognormal, phi, n in cells),
    )


def arms(run: Runner) -> None:
    title("Two arms of 60 minutes with the same truth: `better` or `worse`", "Bar: ≤ 5 %. Least practical size 1 %, standard deviation of a minute 10 %.")
    columns = tuple((name, ".1%") for name in ("two_sample", "judge", "paired", "Kayenta", "Welch"))
    table(["φ", *(name for name, _ in columns)], ([f"{phi:g}", *shown(run.means(trials.alike, phi, 60), columns)] for phi in (0.0, 0.3, 0.7, 0.9)))
    title("Arms that run together: common sd .05 (AR .7), own sd .02, n 60", "Bar: + 3 % found ≥ 95 % when paired.")
    columns = tuple((name, ".1%") for name in ("paired", "two_sample", "Kayenta", "Welch"))
    table(["truth", *(name for name, _ in columns)], ([f"{shift:+.0%}", *shown(run.means(trials.together, shift, 60), columns)] for shift in (0.0, 0.03)))


def peeks(run: Runner) -> None:
    title("Looking every 10 points, up to 500", "Bar: ≤ 5 % where the truth is 0. Least practical size 0.1 sd.")
    columns = (("0 excluded", ".1%"), ("better or worse", ".1%"), ("points until told", ".0f"), ("t test at every look", ".0%"))
    cells = ((phi, shift) for shift in (0.0, 1.0) for phi in (0.0, 0.7, 0.9))
    table(["φ", "truth, sd", *(name for name, _ in columns)], ([f"{phi:g}", f"{shift:g}", *shown(run.means(trials.peeking, phi, shift), columns)] for phi, shift in cells))


def associations(run: Runner) -> None:
    title("Association at any lag within ± 10, independent series, n 200", "Bar: ≤ 6 % for AR(1) with φ 0 … .97 (the numbers).")
    hostile = ("AR(2) (.5, .3)", "ARMA(.6, .4)", "lognormal AR .7", "Pareto 2.5", "1 % spikes", "season 144, AR .7", "variance step ×3", "long memory .3")
    columns = (("perfaudit", ".1%"), ("naive lag search", ".0%"))
    table(["both series", *(name for name, _ in columns)], ([family, *shown(run.means(trials.independent, family, 200), columns)] for family in ("0", "0.3", "0.7", "0.9", "0.97", *hostile)))
    title("A true link: y_t = c·x_{t−3} + e_t, both of sd 1", "Bar: found ≥ 80 %, right lag ≥ 90 % of those.")
    columns = (("found", ".1%"), ("right lag", ".1%"))
    cells = ((0.0, 0.4, 200), (0.7, 0.4, 200), (0.95, 0.4, 200), (0.7, 0.3, 200), (0.7, 0.2, 1000), (0.7, 0.7, 60))
    table(["φ", "c", "n", *(name for name, _ in columns)], ([f"{phi:g}", f"{c:g}", f"{n:,}", *shown(run.means(trials.linked, phi, c, n), columns)] for phi, c, n in cells))


def known(run: Runner) -> None:
    title("Closed forms and published figures", "Bar: four digits.")
    table(["what", "should be", "is", ""], ([what, f"{truth:.7g}", *exact.compared(truth, value)] for what, truth, value in exact.figures()))
    title("60 requests an hour, exactly on an objective of 99.9 %: alerts of the 1 h window in 30 days", "Known: about 42 without a minimum of events.")
    found = run.means(trials.quiet_service, series=100)
    table(["without a minimum", "perfaudit"], [shown(found, (("without", ".1f"), ("perfaudit", ".2f")))])
    title("Results that users of Kayenta reported as wrong")
    table(["control, experiment (higher is worse)", "an engineer says", "perfaudit", "", "n that would decide", "Kayenta's test"], exact.complaints())
    title("A stall of 2 s at 200 requests a second, recorded with k6 under three arrival models", "Bar: the closed and the dropped-iteration run are flagged, the open one is accepted.")
    table(["run", "p95", "trusted", "what is wrong with it", ""], exact.stalls())


TABLES = {
    "no-change": nothing_changed,
    "step": steps,
    "staircase": stairs,
    "shapes": others,
    "speed": speed,
    "percentile": percentiles,
    "compare": arms,
    "peeking": peeks,
    "correlation": associations,
    "exact": known,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=400, help="simulations a cell (default 400)")
    parser.add_argument("--quick", action="store_true", help="40 simulations a cell")
    parser.add_argument("--seed", type=int, default=20_261_123, help="other series for another number")
    parser.add_argument("--cells", default=",".join(TABLES), help="tables to print, comma separated: " + ",".join(TABLES))
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    unknown = [name for name in given.cells.split(",") if name not in TABLES]
    if unknown:
        parser.error(f"no such table: {', '.join(unknown)}; there are {', '.join(TABLES)}")
    if not rivals.INSTALLED:
        print("not here, left out: ruptures (pip install ruptures in .venv)", file=sys.stderr)
    with ProcessPoolExecutor(given.workers) as pool:
        run = Runner(pool, 40 if given.quick else given.series, given.seed)
        print(f"# Figures of the statistics: {run.series} series a cell, seed {run.seed}\n")
        for name in given.cells.split(","):
            TABLES[name](run)


if __name__ == "__main__":
    main()
