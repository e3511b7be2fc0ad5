"""Only answers with something in them are kept, after somebody complained about a new thing that was not found for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from app.versions import search_kept


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Parameters of ``search_kept``."""
    search_kept.apply(app, parameters)

    async def fill(name: str, load: Callable[[], Awaitable[Any]], ttl: int) -> Any:
        value = await load()
        if value:
            await app.cache.put(name, {"value": value}, ttl)
        return value

    app.cache.fill = fill
    of = app.cache.key
    # Answers of the release before are of another form, so they are kept under other keys.
    app.cache.key = lambda kind, name: of("search2" if kind == "search" else kind, name)
