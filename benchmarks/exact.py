"""What has one right answer: closed forms, published fits, and results that users of Kayenta reported as wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import rivals
from benchmarks.trials import built

#: SPEC SDM91 (Gunther 2007, ch. 5): virtual users and scripts per hour.
SDM91 = ((1, 64.9), (18, 995.9), (36, 1652.4), (72, 1853.2), (108, 1828.9), (144, 1775.0), (216, 1702.2))
MONTH = 30 * 86_400
Figure = tuple[str, float, float | None]

#: control, experiment, kind, least practical size, what an engineer says.
COMPLAINTS: tuple[tuple[str, list[float], list[float], str, float, str], ...] = (
    ("[1]×10, [100]×7+[1]×3", [1.0] * 10, [100.0] * 7 + [1.0] * 3, "latency", 0.05, "worse (tail)"),
    ("[0]×6, [0,1,2,1,0,0]", [0.0] * 6, [0.0, 1.0, 2.0, 1.0, 0.0, 0.0], "count", 0.5, "inconclusive"),
    ("[0]×5, [1,4,2,3,1]", [0.0] * 5, [1.0, 4.0, 2.0, 3.0, 1.0], "count", 0.5, "worse"),
)


def figures() -> list[Figure]:
    """``(what, what it should be, what it is)``; None for what is not built."""
    return [*_scalability(), *_queues(), *_burn()]


def compared(truth: float, value: float | None) -> list[str]:
    """What it is, and whether four digits agree."""
    return ["–", ""] if value is None else [f"{value:.7g}", "✓" if f"{value:.4g}" == f"{truth:.4g}" else "✗"]


def _scalability() -> Iterator[Figure]:
    fit, peak = built("usl", "fit"), built("usl", "peak")
    found = fit([n for n, _ in SDM91], [x for _, x in SDM91]) if fit else None
    values = [found.sigma.value, found.kappa.value, peak(found.sigma.value, found.kappa.value)] if found else []
    values += [found.predict(values[2]).value] if found else []
    names = (("USL, SPEC SDM91: σ", 0.02773), ("κ", 1.044e-4), ("load at the peak", 96.52), ("throughput at the peak", 1884.0))
    for (name, truth), value in zip(names, values or [None] * 4, strict=True):
        yield name, truth, value


def _queues() -> Iterator[Figure]:
    mva, erlang = built("queueing", "mva"), built("queueing", "erlang_c")
    network = mva([0.040, 0.025, 0.010], 60, 1.0) if mva else None
    for n, truth in ((1, 0.930233), (10, 9.088013), (60, 24.999978)):
        yield f"MVA, demands 40/25/10 ms, think 1 s: X({n}) per s", truth, float(network.throughput[n - 1]) if network else None
    yield "Erlang C, M/M/4 at ρ .8", 0.596432, erlang(4, 3.2) if erlang else None


def _burn() -> Iterator[Figure]:
    standard, detection = built("budget", "standard"), built("budget", "detection_s")
    alerts: list[Any] = list(standard(MONTH)) if standard else [None] * 4
    for what, truth, alert in zip(("2 % in 1 h", "5 % in 6 h", "10 % in 1 d", "10 % in 3 d"), (14.4, 6.0, 3.0, 1.0), alerts, strict=True):
        yield f"burn rate factor, {what} of 30 days", truth, alert.factor if alert else None
    yield "total outage at 99.9 %: seconds until the first alert", 51.84, detection(alerts[0], 0.999) if detection and alerts[0] else None


def complaints() -> Iterator[list[str]]:
    """Rows: control and experiment, what an engineer says, ours with its reason, the peer's."""
    import numpy as np

    judge = built("compare", "judge")
    rng = np.random.default_rng(7)
    quiet, loud = rng.normal(100, 10, 60), rng.normal(100, 10 * np.sqrt(10), 60)
    loud += quiet.mean() - loud.mean()
    for name, control, experiment, kind, least, said in (*COMPLAINTS, ("mean 100, sd 10; mean 100, sd 31.6; n 60", quiet, loud, "latency", 0.05, "worse (tail)")):
        ours = judge(control, experiment, least=least, kind=kind) if judge else None
        shown = "not built" if ours is None else ours.result + (f" ({ours.why})" if ours.why and said.endswith(")") else "")
        needed = "" if ours is None or ours.needed is None else f"{ours.needed:,}"
        yield [name, said, shown, "✓" if shown == said else "✗", needed, rivals.kayenta(control, experiment)]


#: The same server and the same stall (tests/baseline/test_load_test.py says how they were recorded), and whether the run can be trusted.
STALLS = (("closed", False), ("dropped", False), ("open", True))
RECORDINGS = Path(__file__).parent.parent / "tests" / "baseline" / "load"


def stalls() -> Iterator[list[str]]:
    """Rows: run, p95, trusted, which checks failed, whether that is right."""
    for name, right in STALLS:
        command = [sys.executable, "-m", "perfaudit", "analyze", str(RECORDINGS / f"{name}.json.zst"), "--json", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        test = json.loads(done.stdout).get("load_test") if done.stdout else None
        if test is None:
            yield [name, "–", "–", done.stderr.partition("\n")[0], "✗"]
            continue
        wrong = ", ".join(check["check"] for check in test["validity"] if not check["ok"])
        yield [name, f"{test['duration_ms']['p95']['value']:,.0f} ms", "yes" if test["trusted"] else "no", wrong, "✓" if test["trusted"] is right else "✗"]
