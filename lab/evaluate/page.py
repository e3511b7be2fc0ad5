"""The evaluation as one page: complete offline, without JavaScript."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from lab.evaluate import plots
from lab.evaluate.judge import SCOPE, strings
from lab.evaluate.terminal import BAD, LONG, SHORT, percent, sets_of

PLOTS = {"accuracy": plots.accuracy, "confusion": plots.confusion, "reliability": plots.reliability, "predictions": plots.predictions}


def render(document: dict[str, Any]) -> str:
    """The page of an evaluation."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": percent, "listed": lambda v: ", ".join(strings(v)) or "–"}
    recorded, simulated = (_part(document[key]) if key in document else None for key in ("recorded", "simulated"))
    if recorded:
        recorded["plots"] = _drawn(recorded)
    cost = Markup(plots.cost(document)) if document["cases"] else ""
    template = environment.get_template("page.html.jinja")
    return template.render(
        document=document,
        recorded=recorded,
        simulated=simulated,
        cost_plot=cost,
        long=LONG,
        short=SHORT,
        bad=BAD,
        wrong=_wrong(document),
        elsewhere=_elsewhere(document),
    )


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """What the template asks of a part: the sets in columns, the one that speaks for it, all sets of a class together."""
    shown = sets_of(part)
    return part | {
        "shown": shown,
        "column": "validation" if "validation" in shown else shown[-1],
        "all_by_class": {name: row["all"] for name, row in part["classes"].items()},
    }


def _drawn(part: dict[str, Any]) -> dict[str, Markup]:
    has = {"accuracy": True, "confusion": True, "reliability": part["calibration"]["accepted"], "predictions": part["predictions"]}
    return {name: Markup(draw(part)) for name, draw in PLOTS.items() if has[name]}


def _wrong(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [c for c in document["cases"] if c["outcome"] in ("wrong", "failed", "abstained")]


def _elsewhere(document: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    return [(c, part) for c in document["cases"] for part in SCOPE if c.get("flags", {}).get(part) is False]
