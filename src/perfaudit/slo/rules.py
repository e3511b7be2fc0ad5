"""Alert rules for Prometheus: error ratios recorded per window, and alerts on several windows at several rates.

Sources: The Site Reliability Workbook, chapter 5; Prometheus documentation, "Recording rules" and "Alerting rules". Every ratio is the
sum of the bad over the sum of all, and every alert asks for a number of bad events too, so that chance at low traffic fires none.
Names come from strangers: labels hold only harmless characters, strings in PromQL are quoted again, the file is written by a YAML library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfaudit.errors import UsageError
from perfaudit.slo import selector as selectors
from perfaudit.slo.expressions import METRICS, Counted, counts, sliced
from perfaudit.slo.feasibility import name as alert_name
from perfaudit.slo.model import Slo, shorthand
from perfaudit.stats.budget import DAY

#: Names of the recorded series; the window is appended.
RATIO, BAD = "slo:errors_per_event:ratio_rate", "slo:bad_events:increase"


@dataclass
class Rules:
    """The groups of a rule file, what was refused, and what a person should know."""

    groups: list[dict[str, Any]]
    refused: list[str]
    notes: list[str]

    def text(self) -> str:
        """The file."""
        head = ["# Burn-rate alerts by perfaudit slo. Check with: promtool check rules FILE", *(f"# refused: {_line(r)}" for r in self.refused), *(f"# note: {_line(n)}" for n in self.notes)]
        return "\n".join(head) + "\n" + _dumped({"groups": self.groups})


def _dumped(value: Any) -> str:
    """YAML without aliases; a text of several lines is a block."""
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, said: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", said, "|" if "\n" in said else None)

    Plain.add_representer(str, text)
    return yaml.dump(value, Dumper=Plain, sort_keys=False, width=10_000, default_flow_style=False)


def build(pairs: Sequence[tuple[Slo, Mapping[str, Any]]], names: Mapping[str, str]) -> Rules:
    """Rules for objectives and their judged rows. Raises :class:`UsageError` where not one alert is left."""
    rules = Rules([], [], [])
    taken: set[str] = set()
    for slo, row in pairs:
        label = _unique(slug(slo.name), taken)
        alerts = [a for a in row.get("alerts", []) if a["feasible"]]
        rules.refused += [f"{label}: {alert_name(a)}: {a['reason']}" for a in row.get("alerts", []) if not a["feasible"]]
        bucket: Mapping[str, Any] = next((c for c in row.get("feasibility", []) if c["check"] == "bucket"), {})
        if bucket.get("ok") is False:
            rules.refused.append(f"{label}: the rule would be silent: {bucket['detail']}")
            continue
        recorded = bucket.get("metric", "")
        own = recorded and names["durations"] == METRICS["durations"]
        counted = counts(slo, {**names, "durations": recorded} if own else names)
        if isinstance(counted, str):
            rules.refused.append(f"{label}: {counted}")
            continue
        rules.notes += [f"{label}: {counted.note}"] if counted.note else []
        rules.notes += [f"{label}: {check['detail']}" for check in [bucket] if check and not check["ok"]]
        if alerts:
            rules.groups.append({"name": f"slo-{label}", "rules": [*_recorded(slo, label, counted, alerts), *(_alerting(slo, label, counted, a) for a in alerts)]})
    if not rules.groups:
        raise UsageError("not one alert rule can be made", where="; ".join(rules.refused)[:600] or "no objectives", todo="change the target, the windows or the query that it names")
    return rules


def slug(name: str) -> str:
    """``name`` as a label value in which nothing acts, neither in YAML, nor PromQL, nor the templates of annotations."""
    said = name.replace("<", " under ").replace("%", " percent")
    return re.sub(r"[^A-Za-z0-9_.:/-]+", "-", said).strip("-")[:120] or "slo"


def _unique(name: str, taken: set[str]) -> str:
    numbered = (name, *(f"{name}-{i}" for i in range(2, len(taken) + 3)))
    out = next(n for n in numbered if n not in taken)
    taken.add(out)
    return out


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)

def _labels(slo: Slo, label: str) -> dict[str, str]:
    return {"slo": label} | ({"service": slug(slo.service)} if slo.service else {})


def _recorded(slo: Slo, label: str, counted: Counted, alerts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Recording rules: the error ratio of every window, the bad events of every long one."""
    labels, out = _labels(slo, label), []
    if slo.method != "occurrences":
        out.append({"record": RATIO + shorthand(slo.slice_s), "expr": counted.over(counted.ratio, slo.slice_s), "labels": labels})
        counted = sliced(slo, f"{RATIO}{shorthand(slo.slice_s)}{{slo={selectors.string(label)}}}")
    prefix = "slo:bad_slices:ratio" if slo.method != "occurrences" else RATIO
    windows = sorted({w for a in alerts for w in (a["long_s"], a["short_s"]) if w})
    out += [{"record": prefix + shorthand(w), "expr": counted.over(counted.ratio, w), "labels": labels} for w in windows]
    if counted.bad:
        out += [{"record": BAD + shorthand(w), "expr": counted.over(counted.bad, w), "labels": labels} for w in sorted({a["long_s"] for a in alerts})]
    return out


def _alerting(slo: Slo, label: str, counted: Counted, alert: Mapping[str, Any]) -> dict[str, Any]:
    """One alert: long and short window above the threshold, and enough bad events in the long one."""
    series = f"{{slo={selectors.string(label)}}}"
    prefix = "slo:bad_slices:ratio" if slo.method != "occurrences" else RATIO
    bound = f"({alert['factor']:.10g} * {1 - slo.target:.10g})"
    windows = [w for w in (alert["long_s"], alert["short_s"]) if w]
    parts = [f"{prefix}{shorthand(w)}{series} > {bound}" for w in windows]
    if counted.bad:
        parts.append(f"{BAD}{shorthand(alert['long_s'])}{series} >= {alert['minimum_bad']}")
    long = shorthand(alert["long_s"])
    rule: dict[str, Any] = {"alert": "SloBudgetBurn", "expr": "\nand ".join(parts)}
    if alert["after_s"]:
        rule["for"] = shorthand(alert["after_s"])
    rule["labels"] = _labels(slo, label) | {"severity": slug(alert["severity"]), "window": long}
    left = slo.period_s / alert["factor"] / DAY
    rule["annotations"] = {
        "summary": f"{label}: the error budget goes {alert['factor']:.4g} times faster than allowed",
        "description": f"In the last {long} the error ratio was above {alert['threshold']:.4%}. At this rate the budget of {shorthand(slo.period_s)} is gone in {left:.3g} days;"
        f" {alert['budget_share']:.0%} of it goes within {long}. The ratio now: {{{{ $value | humanizePercentage }}}}.",
    }
    return rule
