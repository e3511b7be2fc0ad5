"""Many judgements as one document (``evaluation.json``): rates by set, class, kind and stack; confusion; calibration; numbers; cost.

Same answers, same bytes, but for what stands under ``cost``. Everything that is shown is made from this document alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lab.evaluate.cases import Case
from lab.evaluate.judge import ABSTAINED, HEALTHY, Judged, names
from lab.evaluate.product import Run
from lab.evaluate.rates import calibration, rate, spread

FORMAT = 1


def document(
    judged: Sequence[Judged], runs: dict[str, Run], not_run: Sequence[Case], conditions: dict[str, Any], details: bool
) -> dict[str, Any]:
    """The whole evaluation. Recordings of real components under ``recorded``, simulated ones under ``simulated``."""
    judged = sorted(judged, key=lambda j: j.case.id)
    out: dict[str, Any] = {
        "format": FORMAT,
        "complete": not not_run,
        "not_run": [c.id for c in not_run],
        "conditions": conditions,
        "product": next(
            (r.result["audit"]["tool"] for _, r in sorted(runs.items()) if r.result and "tool" in r.result.get("audit", {})), None
        ),
        "cases": [_case(j, details or j.case.set != "validation") for j in judged],
        "cost": _cost(judged, runs),
    }
    for part, simulated in (("recorded", False), ("simulated", True)):
        some = [j for j in judged if j.case.simulated is simulated]
        if some:
            out[part] = _part(some)
    return out


def _part(judged: Sequence[Judged]) -> dict[str, Any]:
    return {
        "sets": _groups(judged, lambda j: j.case.set) | {"all": figures(judged)},
        "classes": {
            name: _groups(some, lambda j: j.case.set) | {"all": figures(some)}
            for name, some in _split(judged, lambda j: j.case.problem).items()
        },
        "kinds": _groups(judged, lambda j: j.case.kind),
        "stacks": _groups(judged, lambda j: j.case.stack),
        "names": _groups([j for j in judged if j.case.name != j.case.problem], lambda j: j.case.name),
        "confusion": [
            {"truth": t, "answer": a, "n": n} for (t, a), n in sorted(Counter((j.case.problem, j.answer) for j in judged).items())
        ],
        "calibration": {basis: calibration(_claims(judged, basis)) for basis in ("accepted", "right")},
        "predictions": sorted(
            [
                {"set": j.case.set, "predicted_p95_ms": j.numbers["predicted_p95_ms"], "measured_p95_ms": j.numbers["measured_p95_ms"]}
                for j in judged
                if "measured_p95_ms" in j.numbers
            ],
            key=lambda p: (p["set"], p["measured_p95_ms"], p["predicted_p95_ms"]),
        ),
        "numbers": {
            "onset_error_s": spread([j.numbers["onset_error_s"] for j in judged if "onset_error_s" in j.numbers]),
            "onset_error_size_s": spread([abs(j.numbers["onset_error_s"]) for j in judged if "onset_error_s" in j.numbers]),
            "predicted_over_measured": spread(
                [j.numbers["predicted_p95_ms"] / j.numbers["measured_p95_ms"] for j in judged if "measured_p95_ms" in j.numbers]
            ),
        },
    }


def figures(judged: Sequence[Judged]) -> dict[str, Any]:
    """Every flag of a group as a rate; flags that apply to none of it are absent."""
    rates = {flag: rate(j.flags.get(flag) for j in judged) for flag in names(judged)}
    return {"n": len(judged)} | {flag: r for flag, r in rates.items() if r}


def _claims(judged: Iterable[Judged], basis: str) -> list[tuple[float, bool]]:
    """Answers with a confidence: an abstention claims nothing."""
    return [(j.confidence, bool(j.flags[basis])) for j in judged if j.confidence is not None and j.answer != ABSTAINED]


def _split(judged: Iterable[Judged], key: Callable[[Judged], str]) -> dict[str, list[Judged]]:
    out: dict[str, list[Judged]] = {}
    for j in judged:
        out.setdefault(key(j), []).append(j)
    return dict(sorted(out.items(), key=lambda item: (item[0] == HEALTHY, item[0])))


def _groups(judged: Iterable[Judged], key: Callable[[Judged], str]) -> dict[str, Any]:
    return {name: figures(some) for name, some in _split(judged, key).items()}


def _case(j: Judged, details: bool) -> dict[str, Any]:
    out: dict[str, Any] = {
        "case": j.case.number,
        "set": j.case.set,
        "truth": j.case.problem,
        "answer": j.answer,
        "outcome": j.outcome,
        "stack": j.case.stack,
        "kind": j.case.kind,
    }
    if j.outcome == "failed":
        out["failure"] = j.said["failure"]
    if details:
        out |= {
            "said": j.said,
            "accept": j.case.accept,
            "confidence": j.confidence,
            "flags": {k: v for k, v in j.flags.items() if v is not None},
            "numbers": j.numbers,
        }
    return out


def _cost(judged: Sequence[Judged], runs: dict[str, Run]) -> dict[str, Any]:
    rows = {j.case.id: runs[j.case.id] for j in judged}
    return {
        "cases": {
            name: {"wall_s": round(r.wall_s, 3), "cpu_s": round(r.cpu_s, 3), "peak_mb": round(r.peak_mb, 1)} for name, r in rows.items()
        },
        "wall_s": spread([r.wall_s for r in rows.values()]),
        "cpu_s": spread([r.cpu_s for r in rows.values()]),
        "peak_mb": spread([r.peak_mb for r in rows.values()]),
    }


def changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, list[tuple[str, str, str, str]]]:
    """What is newly right, newly wrong, answered otherwise: per case ``set/number``, truth, answer before, answer now.

    Cases that only one of the two holds are left out.
    """
    before = {(c["set"], c["case"]): c for c in old.get("cases", ())}
    out: dict[str, list[tuple[str, str, str, str]]] = {"newly right": [], "newly wrong": [], "another answer": []}
    for case in new["cases"]:
        was = before.get((case["set"], case["case"]))
        if was is None or was["answer"] == case["answer"]:
            continue
        good, now = (c["outcome"] in ("right", "accepted") for c in (was, case))
        kind = "newly right" if now and not good else "newly wrong" if good and not now else "another answer"
        out[kind].append((f"{case['set']}/{case['case']}", case["truth"], was["answer"], case["answer"]))
    return out
