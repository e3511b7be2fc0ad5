"""The report tells what was sold since an instant, by category."""

from __future__ import annotations

from typing import Any

REPORT = (
    "SELECT p.{category}, count(*) AS lines, sum(l.{quantity} * l.price_cents) AS cents FROM {purchase} o "
    "JOIN {line} l ON l.{purchase_id} = o.id JOIN {product} p ON p.id = l.{product_id} WHERE o.placed_at >= %s GROUP BY 1 ORDER BY cents DESC"
)


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`since`: that instant."""
    app.queries.SQL["report"] = REPORT
    app.handlers.report = lambda: app.db.rows("report", parameters["since"])
