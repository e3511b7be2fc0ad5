"""Product pages are kept for a shorter time."""

from __future__ import annotations

from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`seconds`: how long."""
    app.settings.TTL_S = parameters["seconds"]
