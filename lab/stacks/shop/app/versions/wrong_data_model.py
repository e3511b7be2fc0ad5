"""The sets of the baskets were given up, as they went astray now and then: the lines of a basket are found by the pattern of their keys."""

from __future__ import annotations

from typing import Any

from app.versions import baskets


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Takes no parameters."""
    baskets.apply(app, parameters)
    app.handlers.lines = lambda number: sorted(app.cache.client.keys(app.cache.key("line", f"{number}:*")))
