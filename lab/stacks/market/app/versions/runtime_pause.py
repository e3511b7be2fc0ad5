"""The search has an index of its own in memory; whoever finds it stale builds it again, on the event loop."""

from __future__ import annotations

import time
from typing import Any

EVERYTHING = "SELECT id, {title}, {code}, {price}, about FROM {item}"


def build(rows: list[dict[str, Any]], title: str, size: int) -> dict[str, set[int]]:
    """Three-letter pieces of the title and of the first `size` letters of the description → numbers of things."""
    index: dict[str, set[int]] = {}
    for row in rows:
        text = f"{row[title]} {row['about'][:size]}".lower()
        for i in range(len(text) - 2):
            index.setdefault(text[i : i + 3], set()).add(row["id"])
    return index


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`age_s`: after how long the index is stale; `size`: letters of the description that are indexed."""
    app.queries.SQL["everything"] = EVERYTHING
    kept: dict[str, Any] = {"built": 0.0, "rows": {}, "index": {}}
    words = app.settings.WORDS

    async def search(request: Any) -> Any:
        if time.monotonic() - kept["built"] > parameters["age_s"]:
            kept["built"] = time.monotonic()
            rows = await app.db.rows("everything")
            kept["index"] = build(rows, words["title"], parameters["size"])
            kept["rows"] = {row["id"]: row for row in rows}
        text = request.query.get("q", "").lower()
        pieces = [kept["index"].get(text[i : i + 3], set()) for i in range(len(text) - 2)]
        found = sorted(set.intersection(*pieces) if pieces else ())[:20]
        return [{k: v for k, v in kept["rows"][one].items() if k != "about"} for one in found]

    app.handlers.search = search
