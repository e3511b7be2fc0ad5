"""The cache's helper was written anew, shorter: each request that misses makes the value by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from app.versions import ranking


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Parameters of ``ranking``."""
    ranking.apply(app, parameters)

    async def through(kind: str, name: object, load: Callable[[], Awaitable[Any]], ttl: int | None = None) -> Any:
        full = app.cache.key(kind, name)
        kept = await app.cache.get(full)
        if kept is None:
            return await app.cache.fill(full, load, app.settings.TTL_S if ttl is None else ttl)
        return kept["value"]

    app.cache.through = through
