"""The locks of the cache's helper are gone, as somebody suspected them of a leak: each request that misses makes the value by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.versions import ranking


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Parameters of ``ranking``."""
    ranking.apply(app, parameters)

    def through(kind: str, name: object, load: Callable[[], Any], ttl: int | None = None) -> Any:
        full = app.cache.key(kind, name)
        kept = app.cache.get(full)
        if kept is None:
            return app.cache.fill(full, load, app.settings.TTL_S if ttl is None else ttl)
        return kept["value"]

    app.cache.through = through
