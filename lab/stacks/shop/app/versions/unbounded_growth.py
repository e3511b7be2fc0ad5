"""Who looks at an offer is told when it changes: a thread for each who looked, which waits for the news. None of them is ever told to end."""

from __future__ import annotations

import queue
import threading
from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`routes`: the handlers whose visitors are told."""
    waiting: list[queue.Queue[str]] = []

    def wait(news: queue.Queue[str], path: str) -> None:
        while (said := news.get()) != "end":
            app.main.log.info("told %s of %s", path, said)

    def telling(handler: Any) -> Any:
        def told(**arguments: Any) -> Any:
            waiting.append(queue.Queue())
            threading.Thread(target=wait, args=(waiting[-1], app.handlers.request.path), name="news", daemon=True).start()
            return handler(**arguments)

        return told

    for name in parameters["routes"]:
        setattr(app.handlers, name, telling(getattr(app.handlers, name)))
