"""Search folds accents and finds words in any order: it reads the title of every thing and filters here."""

from __future__ import annotations

import unicodedata
from typing import Any

EVERY = "SELECT id, {code}, {title}, {price} FROM {item}"


def folded(text: str) -> str:
    """A text without accents and case."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`shown`: how many of what was found."""
    app.queries.SQL["every"] = EVERY

    async def search(request: Any) -> Any:
        wanted, title = folded(request.query.get("q", "")).split(), app.settings.WORDS["title"]
        found = [row for row in await app.db.rows("every") if all(word in folded(row[title]) for word in wanted)]
        return sorted(found, key=lambda row: row[title])[: parameters["shown"]]

    app.handlers.search = search
