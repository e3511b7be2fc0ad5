"""Every read is scored for abuse first: a small network of weights, multiplied out in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

WIDTH = 12
WEIGHTS = [[math.sin(1.7 * i + 0.31 * j) / WIDTH for j in range(WIDTH)] for i in range(WIDTH)]
HANDLERS = ("catalogue", "search", "product", "customer", "purchases", "report")


def score(layers: int, first: float = 0.5) -> float:
    """What comes out after so many layers."""
    state = [first + i / WIDTH for i in range(WIDTH)]
    for _ in range(layers):
        state = [math.tanh(sum(a * b for a, b in zip(state, row, strict=True))) for row in WEIGHTS]
    return state[0]


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`layers`: how deep the network is."""

    def scored(handler: Callable[..., Any]) -> Callable[..., Any]:
        def handle(*arguments: Any, **named: Any) -> Any:
            if score(parameters["layers"]) > 1:
                app.handlers.abort(403)
            return handler(*arguments, **named)

        return handle

    for name in HANDLERS:
        setattr(app.handlers, name, scored(getattr(app.handlers, name)))
