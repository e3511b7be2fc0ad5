"""A customer's data are read in a session of its own, so that row security can be switched on for it one day; it is kept for the next time."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """`share`: one in so many customers has it already."""
    sessions: dict[int, Any] = {}

    def customer(number: int) -> Any:
        if number % parameters["share"]:
            found = app.db.row("customer", number)
        else:
            # Keyed by customer, and nothing ever takes one out.
            if number not in sessions:
                sessions[number] = psycopg.connect(app.db.where(), row_factory=dict_row, autocommit=True)
            found = app.db.row("customer", number, on=sessions[number])
        return app.handlers.abort(404) if found is None else found

    app.handlers.customer = customer
