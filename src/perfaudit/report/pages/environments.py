"""Fine in staging, slow in production: what the difference is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfaudit.comparison.environments import REST, named
from perfaudit.report import charts, text
from perfaudit.report.pages import Chart, Page, Table
from perfaudit.report.pages.comparison import sentence

Row = Mapping[str, Any]
FIGURES = {"mean": "components", "p95": "components_p95"}


def page(result: Mapping[str, Any]) -> Page | None:
    """The page of the components; None where no difference was split."""
    part = result.get("comparison") or {}
    if not part.get("components"):
        return None
    names = [arm["name"] for arm in part["arms"]]
    missing = [c for c in part["components"] if "cannot_be_told" in c]
    return Page(
        "environments", "What the difference is made of", f"Why is {names[1]} not like {names[0]}?", sentence(_answer(part, names)), "open",
        tuple((f"{figure} difference", part["difference"][figure]["difference"]) for figure in FIGURES), tuple(_charts(part)), (*(_table(part, f) for f in FIGURES), _missing(missing)),
        ("Components are exclusive and sum to the difference: mix first, then concurrency, then cache hits, then data; another order would move what they share.",),
    )  # fmt: skip


def _answer(part: Row, names: Sequence[str]) -> str:
    mean = part["difference"]["mean"]
    known = sorted((c for c in part["components"] if "difference" in c), key=lambda c: -abs(c["difference"]["value"]))
    if not known or mean["difference"]["value"] == 0:
        return "there is no difference to split"
    largest = known[0]
    return f"{text.duration(mean['a']['value'])} on average in {names[0]}, {text.duration(mean['b']['value'])} in {names[1]}; the largest part is {_named(largest['component'], part)}: {_plus(largest['difference']['value'])} of {_plus(mean['difference']['value'])}"


def _named(component: str, part: Row) -> str:
    said = named(component, part["components"])
    return "what could not be attributed" if said == REST else said


def _plus(ms: float) -> str:
    return ("+" if ms >= 0 else "−") + text.duration(abs(ms))


def _charts(part: Row) -> list[Chart]:
    """A bar of the components of the mean, where they all point the same way: shares of a sum of opposite signs are no shares."""
    known = [(c["component"], c["difference"]["value"]) for c in part["components"] if "difference" in c]
    whole = sum(v for _, v in known)
    if whole == 0 or any(v * whole < -0.02 * whole * whole for _, v in known):
        return []
    shares = [(name, max(0.0, v / whole)) for name, v in known]
    total = sum(s for _, s in shares)
    bars = [(_named(name, part), share / total, "k-none" if name == REST else f"k{i}") for i, (name, share) in enumerate(shares) if share > 0]
    said = ", ".join(f"{name} {text.percent(share)}" for name, share, _ in bars)
    return [Chart("Shares of the difference of the mean", charts.stacked_bar(bars, title="Shares of the difference of the mean", desc=said), said + ".")]


def _table(part: Row, figure: str) -> Table:
    body = []
    for c in part[FIGURES[figure]]:
        if "difference" in c:
            body.append((_named(c["component"], part), _size(c["difference"]), text.percent(c["share"]["value"]), c["basis"]))
        else:
            body.append((c["component"], "cannot be told", "", c["cannot_be_told"]))
    whole = part["difference"][figure]
    body.append(("together", _size(whole["difference"]), "100 %", f"{text.duration(whole['a']['value'])} → {text.duration(whole['b']['value'])}"))
    return Table(f"The difference of the {figure}", ("Component", "Adds", "Share", "Basis"), body)


def _size(m: Row) -> str:
    low, high = m.get("ci") or (None, None)
    return _plus(m["value"]) + (f" ({_plus(low)} … {_plus(high)})" if low is not None and high is not None else "")


def _missing(missing: Sequence[Row]) -> Table:
    return Table("What would tell the rest", ("Component", "Why it cannot be told", "Collect"), [(c["component"], c["cannot_be_told"], c["collect"]) for c in missing])
