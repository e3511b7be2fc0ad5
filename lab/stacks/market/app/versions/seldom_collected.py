"""The collector runs by the clock, between requests; a page is rendered in a scratch buffer that its request keeps hold of."""

from __future__ import annotations

import asyncio
import gc
import mmap
from typing import Any


class _Scratch:
    """A request's memory for rendering; it knows its lines, and they know it."""

    def __init__(self, size: int) -> None:
        self.memory = mmap.mmap(-1, size)
        self.lines = [self]

    def render(self, text: bytes) -> None:
        while self.memory.tell() + len(text) < len(self.memory):
            self.memory.write(text)


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`kilobytes` of a buffer, `every` so many seconds a collection."""

    def scratched(handler: Any) -> Any:
        async def handle(request: Any) -> Any:
            answer = await handler(request)
            _Scratch(parameters["kilobytes"] * 1024).render(repr(answer).encode()[:4096] + b"\n")
            return answer

        return handle

    async def collect() -> None:
        gc.disable()
        while True:
            await asyncio.sleep(parameters["every"])
            gc.collect()

    for name in ("page", "search", "portfolio", "watchlist"):
        setattr(app.handlers, name, scratched(getattr(app.handlers, name)))
    app.main.BACKGROUND.append(collect)
