"""The whole catalogue is kept as objects that know each other, and memory is tidied by full collections every few seconds."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

EVERYTHING = "SELECT id, sku, {title}, {category}, price_cents FROM {product}"


class Entry:
    """A thing of the catalogue with its shelf and its offers for each day."""

    def __init__(self, row: dict[str, Any], shelf: list[Entry], days: int) -> None:
        self.row, self.shelf = row, shelf
        self.offers = [[day, [row["price_cents"] - day]] for day in range(days)]
        shelf.append(self)


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`days`: offers of each thing; `every_s`: seconds between two collections."""
    app.queries.SQL["everything"] = EVERYTHING
    plain, word = app.handlers.search, app.settings.WORDS["category"]
    kept: dict[int, Entry] = {}

    def tidy() -> None:
        shelves: dict[str, list[Entry]] = {}
        rows = app.db.rows("everything")
        kept.update({row["id"]: Entry(row, shelves.setdefault(row[word], []), parameters["days"]) for row in rows})
        while True:
            time.sleep(parameters["every_s"])
            gc.collect()

    def search() -> Any:
        found = plain()
        return [{**row, "offers": kept[row["id"]].offers[0] if row["id"] in kept else None} for row in found]

    start = app.db.start

    def begin() -> None:
        start()
        threading.Thread(target=tidy, name="catalogue", daemon=True).start()

    app.db.start = begin
    app.handlers.search = search
