"""Batch jobs, one a module: ``python -m app.jobs.<name> ARGUMENTS``, a process of its own with a connection of its own."""

from __future__ import annotations

from typing import Any

import pymysql
from app import settings


def connect(**more: Any) -> pymysql.connections.Connection:
    """A connection of the application's user, by the application's way (through the proxy); it commits each statement by itself."""
    return pymysql.connect(host=settings.DB_HOST, port=settings.DB_PORT, user=settings.DB_USER, database=settings.DB_NAME, autocommit=True, **more)


def sql(text: str) -> str:
    """A statement with the names of this installation."""
    return text.format_map(settings.WORDS)
