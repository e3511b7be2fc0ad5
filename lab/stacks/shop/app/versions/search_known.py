"""As ``search_kept``, but words that are nowhere are known beforehand: all words of titles are in memory, read at the start."""

from __future__ import annotations

from typing import Any

from app.versions import search_kept

TITLES = "SELECT {title} FROM {product}"


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Parameters of ``search_kept``."""
    search_kept.apply(app, parameters)
    app.queries.SQL["titles"] = TITLES
    kept, known = app.handlers.search, set()

    def search() -> Any:
        if not known:
            title = app.settings.WORDS["title"]
            known.update(word for row in app.db.rows("titles") for word in row[title].lower().split() if not word.isdigit())
            known.add("")
        begins = search_kept.asked(app).split()
        return kept() if all(any(word.startswith(begin) for word in known) for begin in begins) else []

    app.handlers.search = search
