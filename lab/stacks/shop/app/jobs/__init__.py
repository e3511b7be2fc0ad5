"""Batch jobs, one a module: ``python -m app.jobs.<name> ARGUMENTS``, a process of its own with a connection of its own."""

from __future__ import annotations

from typing import Any

import psycopg
from app import settings


def connect(**more: Any) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection of the application's user, by the application's way (through the proxy); it commits each statement by itself."""
    words = settings.WORDS
    return psycopg.connect(host="127.0.0.1", port=settings.DB_PORT, user=words["user"], dbname=words["database"], autocommit=True, **{"application_name": "batch", **more})


def sql(text: str) -> str:
    """A statement with the names of this installation."""
    return text.format_map(settings.WORDS)
