"""A page tells which titles read alike: each is compared with a list of known ones, in the process's one thread."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any

KNOWN = ("Amber Field 118", "Cobalt Works 2041", "Hazel Bridge 77", "Juniper Moor 903", "Kestrel Dale 15", "Rowan Gate 4410", "Teal Vale 1", "Umber Cross 620")


def alike(count: int, title: str = "Garnet Mill 3120") -> list[tuple[float, str]]:
    """The five best of `count` comparisons."""
    scores = [(SequenceMatcher(None, title, f"{KNOWN[i % len(KNOWN)]}{i}").ratio(), f"{KNOWN[i % len(KNOWN)]}{i}") for i in range(count)]
    return sorted(scores, reverse=True)[:5]


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`known`: how many titles are compared."""
    page = app.handlers.page

    async def handle(request: Any) -> Any:
        found = await page(request)
        return {**found, "alike": alike(parameters["known"], str(found[app.settings.WORDS["title"]]))}

    app.handlers.page = handle
