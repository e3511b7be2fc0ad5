"""Search finds words anywhere in titles and descriptions; what was found is kept for a while, nothing found as well."""

from __future__ import annotations

from typing import Any

ANYWHERE = (
    "SELECT id, {code}, {title}, {price} FROM {item} WHERE LOWER(CONCAT_WS(' ', {title}, {sector}, {code}, about)) LIKE %s ORDER BY {title} LIMIT 20"
)


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`ttl_s`: seconds for which an answer is kept."""
    app.queries.SQL["anywhere"] = ANYWHERE

    async def search(request: Any) -> Any:
        text = request.query.get("q", "").replace("%", "").replace("_", "").strip().lower()
        name = "-".join(text.split()) or "all"
        return await app.cache.through("search", name, lambda: app.db.rows("anywhere", f"%{text}%"), parameters["ttl_s"])

    app.handlers.search = search
