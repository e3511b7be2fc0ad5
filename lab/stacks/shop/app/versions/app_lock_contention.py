"""The session to the partner is said not to be safe for threads; one lock around each call keeps them apart and numbers them."""

from __future__ import annotations

import itertools
import threading
from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`first`: the number of the first call."""
    numbers = itertools.count(parameters.get("first", 1))
    turn = threading.Lock()
    attempt = app.partner.attempt

    def in_order(method: str, path: str, body: Any = None) -> Any:
        with turn:
            return attempt(method, path, {**(body or {}), "number": next(numbers)})

    app.partner.attempt = in_order
