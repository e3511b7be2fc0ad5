"""Carriage is split over the lines of a purchase after the first, in proportion to what they cost. Nobody tried it with one line."""

from __future__ import annotations

from typing import Any


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`cents`: carriage of a purchase."""
    book = app.handlers.book

    def booked(on: Any, customer: int, lines: dict[int, int]) -> tuple[int, int]:
        placed, total = book(on, customer, lines)
        _, *others = sorted(lines.values(), reverse=True)
        shares = [parameters["cents"] * n // sum(others) for n in others]
        return placed, total + shares[0] + sum(shares[1:])

    app.handlers.book = booked
