"""Each line of a statement tells what was held after it: counted anew from all orders before, for every line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`digits`: of the mean cost in a line."""
    digits = parameters["digits"]
    write = app.reports.write

    def held(trade: dict[str, Any], trades: Sequence[dict[str, Any]], words: dict[str, str]) -> tuple[int, float]:
        units, cost = 0, 0.0
        for earlier in trades:
            if earlier[words["placed_at"]] <= trade[words["placed_at"]]:
                sign = 1 if earlier["side"] == "buy" else -1
                units += sign * int(earlier[words["quantity"]])
                cost += sign * int(earlier[words["quantity"]]) * float(earlier[words["price"]])
        return units, round(cost / units, digits) if units else 0.0

    def longer(account: dict[str, Any], trades: Sequence[dict[str, Any]], words: dict[str, str]) -> dict[str, Any]:
        return {**write(account, trades, words), "held": [held(trade, trades, words) for trade in trades]}

    app.reports.write = longer
