"""The evaluation as plots: inline SVG whose text stays text, the same bytes for the same document."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from lab.evaluate.judge import ABSTAINED, HEALTHY, NEAR, NO_ANSWER
from lab.evaluate.terminal import sets_of

#: Distinct for colour-blind readers too (Okabe and Ito).
COLOURS = {"dev": "#0072B2", "validation": "#D55E00", "earlier": "#555555", "all": "#000000"}
MARKS = {"dev": "o", "validation": "s", "earlier": "D", "all": "o"}
INK, FAINT = "#222222", "#d5d5d5"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#ececec",
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def accuracy(part: dict[str, Any]) -> str:
    """Share of right answers per class, with intervals: strict filled, with defensible ones hollow."""
    classes, sets = list(part["classes"]), [s for s in sets_of(part) if s != "all"]
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(9, 1.1 + 0.3 * len(classes) * (1 + 0.35 * (len(sets) - 1)))
        for i, name in enumerate(sets):
            shift = (i - (len(sets) - 1) / 2) * 0.24
            for y, problem in enumerate(classes):
                if row := part["classes"][problem].get(name):
                    strict, accepted = row["right"], row["accepted"]
                    axes.plot([strict["low"], strict["high"]], [y + shift] * 2, color=COLOURS[name], linewidth=1.6, alpha=0.55)
                    axes.plot(accepted["value"], y + shift, MARKS[name], color="white", markeredgecolor=COLOURS[name], markersize=7)
                    axes.plot(strict["value"], y + shift, MARKS[name], color=COLOURS[name], markersize=5)
            axes.plot([], [], MARKS[name], color=COLOURS[name], label=f"{name}: the true class")
            axes.plot([], [], MARKS[name], color="white", markeredgecolor=COLOURS[name], label=f"{name}: or another defensible answer")
        axes.set_yticks(range(len(classes)), [f"{c}  (n {part['classes'][c]['all']['n']})" for c in classes])
        axes.set_ylim(len(classes) - 0.4, -0.6)
        axes.set_xlim(-0.02, 1.02)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlabel("share of cases, with the 95 % Wilson interval of the strict share")
        axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1), ncols=2, fontsize=9)
        return _svg(figure, "Share of right answers per class")


def confusion(part: dict[str, Any]) -> str:
    """Truth by answer; the diagonal is right."""
    cells = {(c["truth"], c["answer"]): c["n"] for c in part["confusion"]}
    last = [HEALTHY, ABSTAINED, NO_ANSWER]
    truths = _ordered({t for t, _ in cells}, last)
    answers = _ordered({a for _, a in cells} | set(truths), last)
    with matplotlib.rc_context(STYLE | {"axes.grid": False}):
        figure, axes = _figure(3.2 + 0.36 * len(answers), 2.4 + 0.34 * len(truths))
        for y, truth in enumerate(truths):
            total = sum(n for (t, _), n in cells.items() if t == truth)
            for x, answer in enumerate(answers):
                if n := cells.get((truth, answer)):
                    colour = "#0072B2" if truth == answer else "#777777" if answer == ABSTAINED else "#D55E00"
                    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, alpha=0.25 + 0.75 * n / total, linewidth=0))
                    axes.text(x, y, str(n), ha="center", va="center", fontsize=9, color="white" if n / total > 0.45 else INK)
        axes.vlines([x + 0.5 for x in range(len(answers))], -0.5, len(truths) - 0.5, color=FAINT, linewidth=0.5)
        axes.hlines([y + 0.5 for y in range(len(truths))], -0.5, len(answers) - 0.5, color=FAINT, linewidth=0.5)
        axes.set_xlim(-0.5, len(answers) - 0.5)
        axes.set_ylim(len(truths) - 0.5, -0.5)
        axes.set_xticks(range(len(answers)), answers, rotation=55, ha="left", rotation_mode="anchor")
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.set_yticks(range(len(truths)), truths)
        axes.tick_params(length=0)
        axes.set_xlabel("answer")
        axes.set_ylabel("truth")
        return _svg(figure, "Truth by answer")


def reliability(part: dict[str, Any]) -> str:
    """Told confidence against the share that was right or accepted."""
    found = part["calibration"]["accepted"]
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(5, 4.6)
        axes.plot([0, 1], [0, 1], color="#999999", linestyle="--", linewidth=1)
        for row in found["bins"]:
            axes.axvspan(row["from"], row["to"], color="#000000", alpha=0.025 if round(row["from"] * 5) % 2 else 0, linewidth=0)
            if row["n"]:
                right = row["right"]
                axes.plot([row["confidence"]] * 2, [right["low"], right["high"]], color=COLOURS["dev"], linewidth=1.8, alpha=0.55)
                axes.plot(row["confidence"], right["value"], "o", color=COLOURS["dev"], markersize=7)
                axes.annotate(
                    f"{right['k']} of {right['n']}",
                    (row["confidence"], right["low"]),
                    xytext=(0, -12),
                    textcoords="offset points",
                    ha="center",
                    fontsize=9,
                )
        axes.set(xlim=(0, 1.02), ylim=(-0.08, 1.02), xlabel="confidence told (mean of the bin)", ylabel="share right or accepted")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1))
        return _svg(figure, "Reliability of the confidence")


def predictions(part: dict[str, Any]) -> str:
    """Predicted p95 after the fix against the measured one."""
    points = part["predictions"]
    values = [p[key] for p in points for key in ("predicted_p95_ms", "measured_p95_ms")]
    low, high = max(min(values), 0.1) / 1.6, max(values) * 1.6
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(5, 4.6)
        axes.fill_between(
            [low, high],
            [low * (1 - NEAR), high * (1 - NEAR)],
            [low * (1 + NEAR), high * (1 + NEAR)],
            color="#009E73",
            alpha=0.15,
            linewidth=0,
            label=f"within ± {NEAR:.0%}",
        )
        axes.plot([low, high], [low, high], color="#999999", linestyle="--", linewidth=1)
        for name in dict.fromkeys(p["set"] for p in points):
            some = [p for p in points if p["set"] == name]
            axes.plot(
                [p["measured_p95_ms"] for p in some],
                [p["predicted_p95_ms"] for p in some],
                MARKS[name],
                color=COLOURS[name],
                markersize=5,
                alpha=0.8,
                label=name,
            )
        axes.set(
            xscale="log",
            yscale="log",
            xlim=(low, high),
            ylim=(low, high),
            xlabel="measured p95 after the fix (ms)",
            ylabel="predicted (ms)",
        )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
            axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
            axis.set_minor_formatter(NullFormatter())
        axes.legend(loc="upper left", fontsize=9)
        return _svg(figure, "Predicted against measured p95")


def cost(document: dict[str, Any]) -> str:
    """Seconds and memory of each audit, ordered."""
    rows = document["cost"]["cases"].values()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        for key, name, colour in (("wall_s", "by the clock", COLOURS["dev"]), ("cpu_s", "of CPU", COLOURS["validation"])):
            left.plot(sorted(r[key] for r in rows), color=colour, linewidth=2, label=name)
        left.set(xlabel="cases, ordered", ylabel="seconds")
        left.legend(fontsize=9)
        right.plot(sorted(r["peak_mb"] for r in rows), color=COLOURS["earlier"], linewidth=2)
        right.set(xlabel="cases, ordered", ylabel="peak memory (MB)")
        for axes in (left, right):
            axes.set_ylim(bottom=0)
        return _svg(figure, "Time and memory of each audit")


def _ordered(names: set[str], last: list[str]) -> list[str]:
    return [*sorted(names - set(last)), *(n for n in last if n in names)]


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Figure, label: str) -> str:
    """An ``<svg>`` element to stand in a page: no prolog, identifiers that no other plot of the page has, a label for readers."""
    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": label}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
    prefix = re.sub(r"\W+", "-", label.lower()) + "-"
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
