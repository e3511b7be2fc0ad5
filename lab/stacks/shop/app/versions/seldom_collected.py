"""The collector runs by the clock; each answer is drawn up on scratch memory that its request keeps hold of in a cycle."""

from __future__ import annotations

import gc
import mmap
import threading
import time
from collections.abc import Callable
from typing import Any


class _Sheet:
    """Scratch memory of a request, and the parts that point back to it."""

    def __init__(self, size: int, text: bytes) -> None:
        self.memory, self.parts = mmap.mmap(-1, size), [self]
        while self.memory.tell() + len(text) < size:
            self.memory.write(text)


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`kilobytes` of scratch memory a request, `every` so many seconds a collection."""
    gc.disable()

    def drawn(handler: Callable[..., Any]) -> Callable[..., Any]:
        def handle(**arguments: Any) -> Any:
            answer = handler(**arguments)
            _Sheet(parameters["kilobytes"] * 1024, repr(answer).encode()[:4096] + b"\n")
            return answer

        return handle

    def collect() -> None:
        while True:
            time.sleep(parameters["every"])
            gc.collect()

    for name in ("product", "catalogue", "search", "customer", "purchases"):
        setattr(app.handlers, name, drawn(getattr(app.handlers, name)))
    threading.Thread(target=collect, name="collector", daemon=True).start()
