"""Lists are remembered in the process for five seconds, under their address and the time; what is older is never looked at again, nor removed."""

from __future__ import annotations

import json
import time
from typing import Any

FRESH_S = 5


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`routes`: the handlers whose answers are remembered, as they are and as the text that is sent."""
    remembered: dict[tuple[str, int], tuple[Any, str]] = {}

    def keeping(handler: Any) -> Any:
        def kept(**arguments: Any) -> Any:
            name = (app.handlers.request.full_path, int(time.time() / FRESH_S))
            if name not in remembered:
                answer = handler(**arguments)
                remembered[name] = (answer, json.dumps(answer, default=str))
            return remembered[name][0]

        return kept

    for name in parameters["routes"]:
        setattr(app.handlers, name, keeping(getattr(app.handlers, name)))
