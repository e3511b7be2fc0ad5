"""Does the configuration of the tiers fit together?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfaudit.report import text
from perfaudit.report.pages import Page, Table

_SAID = {True: "holds", False: "does not hold", None: "open"}


def page(result: Mapping[str, Any]) -> Page | None:
    """The page of ``configuration``; None where no rule could be judged or left open."""
    rules = result.get("configuration") or []
    if not rules:
        return None
    broken = [r for r in rules if r["holds"] is False]
    unknown = [r for r in rules if r["holds"] is None]
    kept = len(rules) - len(broken) - len(unknown)
    said = f"{text.plural(len(broken), 'rule')} of {len(rules)} {'does' if len(broken) == 1 else 'do'} not hold" if broken else f"No rule is broken: {kept} of {len(rules)} hold"
    said += f", {len(unknown)} cannot be judged." if unknown else "."
    if broken:
        said += f" {text.cut(broken[0]['arithmetic'], 200)}."
    order = sorted(rules, key=lambda r: (r["holds"] is not False, r["holds"] is None))
    body = [(r["statement"], _SAID[r["holds"]], r["scope"], text.cut(r["arithmetic"], 240)) for r in order]
    missing = [(r["statement"], r["scope"], "; ".join(r["missing"])) for r in unknown if r["missing"]]
    values = list(dict.fromkeys((v["name"], _value(v), v["source"]) for r in order for v in r["values"]))
    tables = (
        Table("Rules", ("What should hold", "Result", "Where", "Arithmetic"), body),
        Table("What is not known", ("What should hold", "Where", "Missing"), missing),
        Table("Values", ("Setting", "Value", "Source"), values, "“default” is what the product's manual says where its configuration names no other."),
    )
    facts = (("Do not hold", str(len(broken))), ("Hold", str(kept)), ("Open", str(len(unknown))))
    tone = "bad" if broken else "open" if unknown else "good"
    return Page("configuration", "Configuration", "Does the configuration of the tiers fit together?", said, tone, facts, (), tuple(t for t in tables if t.rows), (
        "What the files say, not what happened: a rule that does not hold is a risk, and the verdict says what limits the system.",
    ))  # fmt: skip


def _value(value: Mapping[str, Any]) -> str:
    return text.number(value["value"], value.get("unit", ""))
