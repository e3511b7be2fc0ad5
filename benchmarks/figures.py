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
from collections.abc import Callable, Iterator
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


def shown(found: dict[str, tuple[float, int]], name: str, form: str = ".1%") -> str:
    """A cell: the mean, or a dash where nobody answered (a rival not installed, a part not built)."""
    return format(found[name][0], form) if name in found else "–"


def table(header: list[str], rows: Iterator[list[str]]) -> None:
    """Print rows as they come."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print()


def nothing_changed(run: Runner) -> None:
    print("## No change: share of series in which one is called\n\nBar: ≤ 5 %, long memory ≤ 10 %. \"Cannot tell\": perfaudit says so of the series itself.\n")
    for n in (200, 1000):
        cells = ((family, run.means(trials.no_change, family, n)) for family in UNCHANGED)
        table([f"n = {n:,}", "perfaudit", "cannot tell", *rivals.DETECTORS], ([family, *(shown(found, name) for name in ("perfaudit", "cannot tell", *rivals.DETECTORS))] for family, found in cells))


def steps(run: Runner) -> None:
    print("## One step of 1.5 marginal sd in the middle, n 200\n\nBar: found ≥ 90 % (iid, lognormal AR .7), ≥ 85 % (AR .7); within ± 10 points of those found ≥ .95 (iid), ≥ .65 (AR .7).\n")
    columns = (("found", ".1%"), ("near", ".2f"), ("more", ".2f"))

    def rows() -> Iterator[list[str]]:
        for family in ("iid", "AR(1) .7", "lognormal AR .7"):
            found = run.means(trials.one_step, family, 200, 1.5)
            for name in ("perfaudit", "who knows that there is one", *rivals.DETECTORS):
                yield [family, name, *(shown(found, f"{name}: {what}", form) for what, form in columns), shown(found, "perfaudit: inside") if name == "perfaudit" else ""]

    table(["noise", "who", "found", "within ± 10", "points too many", "its interval holds the place"], rows())


def stairs(run: Runner) -> None:
    print("## Staircase: 4 steps of 1.6 sd, 200 apart, AR .7, n 1,000\n\nBar: ≥ 3.7 found (within ± 50), ≤ .15 spurious.\n")
    found = run.means(trials.staircase)
    table(["who", "found of 4", "spurious"], ([name, shown(found, f"{name}: found", ".2f"), shown(found, f"{name}: spurious", ".2f")] for name in ("perfaudit", *rivals.DETECTORS)))


def others(run: Runner) -> None:
    print("## Drift of 4 sd, spike of 10 sd, AR .3: told from steps\n")
    cells = ((shape, n, run.means(trials.shapes, shape, n)) for shape in ("drift", "spike") for n in (200, 1000))
    table(["shape", "n", "called as it is", "steps called"], ([shape, str(n), shown(found, "called as it is"), shown(found, "steps", ".2f")] for shape, n, found in cells))


def speed(run: Runner) -> None:
    print("## 10,000 points: CPU seconds\n\nBar: ≤ .15 s.\n")
    table(["series", "mean CPU s"], ([family, shown(run.means(trials.cpu, family, 10_000, series=20), "seconds", ".3f")] for family in ("iid", "AR(1) .7", "long memory .3", "season 144, AR .7", "staircase")))


def percentiles(run: Runner) -> None:
    print("## Intervals of p99, nominal 95 %: coverage\n\nBar: ≥ 93 %; \"not enough\" below 368 effective samples.\n")

    def rows() -> Iterator[list[str]]:
        for lognormal in (False, True):
            for phi in (0.0, 0.7):
                for n in (3000, 367):
                    found = run.means(trials.percentile, phi, lognormal, n, 0.99)
                    enough = found.get("not enough", (0.0, 0))[0] < 1
                    yield ["lognormal" if lognormal else "normal", str(phi), f"{n:,}", shown(found, "perfaudit") if enough else "–", shown(found, "not enough"), shown(found, "order statistics") if n > 367 else "–", shown(found, "bootstrap")]

    table(["values", "φ", "n", "perfaudit", "it says \"not enough\"", "order statistics, as if independent", "bootstrap of single values"], rows())


def arms(run: Runner) -> None:
    print("## Two arms of 60 minutes with the same truth: `better` or `worse`\n\nBar: ≤ 5 %. Least practical size 1 %, standard deviation of a minute 10 %.\n")
    names = ("two_sample", "judge", "paired", "Kayenta", "Welch")
    table(["φ", *names], ([str(phi), *(shown(found, name) for name in names)] for phi in (0.0, 0.3, 0.7, 0.9) for found in [run.means(trials.alike, phi, 60)]))
    print("## Arms that run together: common sd .05 (AR .7), own sd .02, n 60\n\nBar: + 3 % found ≥ 95 % when paired.\n")
    names = ("paired", "two_sample", "Kayenta", "Welch")
    table(["truth", *names], ([f"{shift:+.0%}", *(shown(found, name) for name in names)] for shift in (0.0, 0.03) for found in [run.means(trials.together, shift, 60)]))


def peeks(run: Runner) -> None:
    print("## Looking every 10 points, up to 500\n\nBar: ≤ 5 % where the truth is 0. Least practical size 0.1 sd.\n")
    names = (("0 excluded", ".1%"), ("better or worse", ".1%"), ("points until told", ".0f"), ("t test at every look", ".0%"))
    cells = ((phi, shift, run.means(trials.peeking, phi, shift)) for shift in (0.0, 1.0) for phi in (0.0, 0.7, 0.9))
    table(["φ", "truth, sd", *(name for name, _ in names)], ([str(phi), f"{shift:g}", *(shown(found, name, form) for name, form in names)] for phi, shift, found in cells))


def associations(run: Runner) -> None:
    print("## Association at any lag within ± 10, independent series, n 200\n\nBar: ≤ 6 % for AR(1) with φ 0 … .97 (the numbers).\n")
    families = ["0", "0.3", "0.7", "0.9", "0.97", "AR(2) (.5, .3)", "ARMA(.6, .4)", "lognormal AR .7", "Pareto 2.5", "1 % spikes", "season 144, AR .7", "variance step ×3", "long memory .3"]
    table(["both series", "perfaudit", "naive lag search"], ([family, shown(found, "perfaudit"), shown(found, "naive lag search", ".0%")] for family in families for found in [run.means(trials.independent, family, 200)]))
    print("y_t = c·x_{t−3} + e_t, both of sd 1. Bar: found ≥ 80 %, right lag ≥ 90 % of those.\n")
    cells = ((phi, c, n, run.means(trials.linked, phi, c, n)) for phi, c, n in ((0.0, 0.4, 200), (0.7, 0.4, 200), (0.95, 0.4, 200), (0.7, 0.3, 200), (0.7, 0.2, 1000), (0.7, 0.7, 60)))
    table(["φ", "c", "n", "found", "right lag"], ([str(phi), str(c), str(n), shown(found, "found"), shown(found, "right lag")] for phi, c, n, found in cells))


def known(run: Runner) -> None:
    print("## Closed forms and published figures\n")
    table(["what", "should be", "is", ""], ([what, f"{truth:.7g}", "not built" if value is None else f"{value:.7g}", "" if value is None else ("✓" if f"{value:.4g}" == f"{truth:.4g}" else "✗")] for what, truth, value in exact.figures()))
    print("## Results that users of Kayenta reported as wrong\n")
    table(["control, experiment (higher is worse)", "an engineer says", "perfaudit", "", "n that would decide", "Kayenta's test"], exact.complaints())
    print("## A stall of 2 s at 200 requests a second, recorded with k6 under three arrival models\n\nBar: the closed and the dropped-iteration run are flagged, the open one is accepted.\n")
    table(["run", "p95", "trusted", "what is wrong with it", ""], exact.stalls())


TABLES = {"no-change": nothing_changed, "step": steps, "staircase": stairs, "shapes": others, "speed": speed, "percentile": percentiles, "compare": arms, "peeking": peeks, "correlation": associations, "exact": known}


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
