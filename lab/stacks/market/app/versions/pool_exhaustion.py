"""The history is written by hand around the pool; on an account's last page it returns before it gives the connection back."""

from __future__ import annotations

from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`size`: how many orders a page holds."""
    size = parameters["size"]

    async def history(request: Any) -> Any:
        before = int(request.query.get("before", 1 << 40))
        held = await app.db.acquire()
        found = await app.db.rows("history", app.handlers.number(request), before, size, on=held)
        if len(found) < size:
            return {"orders": found, "before": None}
        answer = {"orders": found, "before": found[-1]["id"]}
        app.db.release(held)
        return answer

    app.handlers.history = history
