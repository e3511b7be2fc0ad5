"""Who looked at which account is written to a trail, a file for each look; the files are opened and left open."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`routes`: the handlers that write a trail."""
    folder = Path("trail")
    folder.mkdir(exist_ok=True)
    trails: list[Any] = []

    def trailed(handler: Any) -> Any:
        async def seen(request: Any) -> Any:
            trail = (folder / uuid.uuid4().hex).open("w")
            trails.append(trail)
            trail.write(f"{time.time():.3f} {request.path}\n")
            trail.flush()
            return await handler(request)

        return seen

    for name in parameters["routes"]:
        setattr(app.handlers, name, trailed(getattr(app.handlers, name)))
