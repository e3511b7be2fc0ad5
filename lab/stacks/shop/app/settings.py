"""What this process was told in its environment."""

from __future__ import annotations

import json
import os
from typing import Any

_told: dict[str, Any] = json.loads(os.environ.get("APP_SETTINGS", "{}"))
#: Names of tables, columns, paths and services of this installation.
WORDS: dict[str, str] = json.loads(os.environ.get("APP_WORDS", "{}"))
RELEASE = os.environ.get("APP_RELEASE", "dev")
REPLICA = os.environ.get("APP_REPLICA", "app-1")

DB_PORT: int = _told.get("db_port", 5432)
CACHE_PORT: int = _told.get("cache_port", 6379)
PARTNER_PORT: int = _told.get("partner_port", 8090)
#: Connections of the pool, and how long a request waits for one (seconds).
POOL: int = _told.get("pool", 10)
POOL_TIMEOUT_S: float = _told.get("pool_timeout_s", 10.0)
#: Seconds a cached value lives.
TTL_S: int = _told.get("ttl_s", 30)
CACHE_CONNECTIONS: int = _told.get("cache_connections", 32)
#: The partner: seconds for one attempt, attempts after the first, connections kept.
PARTNER_TIMEOUT_S: float = _told.get("partner_timeout_s", 8.0)
PARTNER_RETRIES: int = _told.get("partner_retries", 0)
PARTNER_CONNECTIONS: int = _told.get("partner_connections", 16)
#: Where traces and metrics go, and which share of traces is kept.
OTLP_URL: str = _told.get("otlp_url", "")
SAMPLING: float = _told.get("sampling", 0.2)
EXTRA: dict[str, Any] = _told
