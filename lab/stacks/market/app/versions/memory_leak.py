"""Answers are remembered by the id of their request, so that a client that asks again gets the same one. Nothing forgets them."""

from __future__ import annotations

import json
import uuid
from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`routes`: the handlers whose answers are remembered, as they are and as the text that was sent."""
    remembered: dict[str, tuple[Any, str]] = {}

    def keeping(handler: Any) -> Any:
        async def kept(request: Any) -> Any:
            name = request.headers.get("Idempotency-Key") or uuid.uuid4().hex
            if name not in remembered:
                answer = await handler(request)
                remembered[name] = (answer, json.dumps(answer, default=str))
            return remembered[name][0]

        return kept

    for name in parameters["routes"]:
        setattr(app.handlers, name, keeping(getattr(app.handlers, name)))
