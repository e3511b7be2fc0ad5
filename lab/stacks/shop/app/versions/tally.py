"""Every line of a purchase counts itself in a row of the tally."""

from __future__ import annotations

from typing import Any

COUNT = "UPDATE {counter} SET value = value + %s WHERE name = %s"


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`rows`: how many rows there are; `ordered`: always in the order of their names, and when all else is written."""
    app.queries.SQL["count"] = COUNT
    rows, ordered = parameters["rows"], parameters.get("ordered", False)
    change, inner = app.db.change, app.handlers.book

    def count(on: Any, lines: dict[int, int]) -> None:
        for item, quantity in lines.items():
            change("count", quantity, f"day-{1 + item % rows}", on=on)

    def book(on: Any, customer: int, lines: dict[int, int]) -> tuple[int, int]:
        if not ordered:
            count(on, lines)
        placed = inner(on, customer, lines)
        if ordered:
            count(on, dict(sorted(lines.items(), key=lambda line: line[0] % rows)))
        return placed

    app.handlers.book = book
