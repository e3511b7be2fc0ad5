"""A page of the catalogue shows what is looked at just now: the last ticks, summed up."""

from __future__ import annotations

from typing import Any

PULSE = "SELECT {product_id}, count(*) AS ticks, max(price_cents) AS high FROM {product}_ticks GROUP BY {product_id} ORDER BY ticks DESC LIMIT 10"


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Takes no parameters."""
    app.queries.SQL["pulse"] = PULSE
    inner = app.handlers.catalogue
    app.handlers.catalogue = lambda: {"page": inner(), "pulse": app.db.rows("pulse")}
