"""Pages are kept under the address that was asked for, with all of its query: the same page under ever new keys."""

from __future__ import annotations

from typing import Any

from app.versions import page_similar


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Parameters of ``page_similar``."""
    page_similar.apply(app, parameters)

    async def page(request: Any) -> Any:
        item = app.handlers.number(request)
        found = await app.cache.through("page", request.path_qs, lambda: app.handlers.load_page(item))
        if found is None:
            raise app.handlers.web.HTTPNotFound
        return found

    app.handlers.page = page
