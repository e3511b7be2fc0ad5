"""Pages show what was traded of things like theirs, so an order now forgets the pages of its whole sector."""

from __future__ import annotations

import asyncio
from typing import Any

from app.versions import page_similar

SECTOR = "SELECT other.id FROM {item} one JOIN {item} other ON other.{sector} = one.{sector} WHERE one.id = %s"


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Parameters of ``page_similar``."""
    page_similar.apply(app, parameters)
    app.queries.SQL["sector"] = SECTOR

    async def changed(item: int) -> None:
        names = [app.cache.key("page", row["id"]) for row in await app.db.rows("sector", item)]
        with app.tracing.tracer.start_as_current_span("memcached delete", kind=app.tracing.CLIENT, attributes={"db.system": "memcached", "db.operation": "delete"}) as span:
            span.set_attribute("cache.keys", len(names))
            for begin in range(0, len(names), 20):
                await asyncio.gather(*(app.cache.client.delete(name.encode()) for name in names[begin : begin + 20]))

    app.handlers.changed = changed
