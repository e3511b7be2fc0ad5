"""Search finds words anywhere in titles and descriptions; what was found is kept for a while, nothing found as well."""

from __future__ import annotations

from typing import Any

ANYWHERE = (
    "SELECT id, sku, {title}, price_cents FROM {product} WHERE lower(concat_ws(' ', {title}, {category}, sku, about)) LIKE %s ORDER BY {title} LIMIT 20"
)


def asked(app: Any) -> str:
    """The text that is looked for."""
    return " ".join(app.handlers.request.args.get("q", "").replace("%", "").replace("_", "").lower().split())


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`ttl_s`: seconds for which an answer is kept."""
    app.queries.SQL["anywhere"] = ANYWHERE

    def search() -> Any:
        text = asked(app)
        return app.cache.through("search", text.replace(" ", "-"), lambda: app.db.rows("anywhere", f"%{text}%"), parameters["ttl_s"])

    app.handlers.search = search
