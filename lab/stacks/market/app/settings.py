"""What this replica was told by its environment; a version of the code may set other values before the server starts."""

from __future__ import annotations

import json
import os

_given = json.loads(os.environ.get("APP_SETTINGS", "{}"))

#: Names of tables, columns, path segments and services; SQL and routes are written with them.
WORDS: dict[str, str] = json.loads(os.environ.get("APP_WORDS", "{}"))

RELEASE = os.environ.get("APP_RELEASE", "0")
REPLICA = os.environ.get("APP_REPLICA", "0")
PORT = int(os.environ.get("APP_PORT", "8080"))
BACKLOG: int = _given.get("backlog", 256)

DB_HOST, DB_PORT = "127.0.0.1", int(_given.get("db_port", 3306))
DB_USER, DB_NAME = WORDS.get("user", "app"), WORDS.get("database", "app")
#: Connections of this replica's pool, kept open from the start.
POOL: int = _given.get("pool", 10)
#: Seconds after which a request gives up waiting for a connection.
POOL_TIMEOUT_S: float = _given.get("pool_timeout_s", 15.0)

CACHE_PORT = int(_given.get("cache_port", 11211))
CACHE_CONNECTIONS: int = _given.get("cache_connections", 8)
CACHE_PREFIX = WORDS.get("prefix", "app")
#: Seconds for which a page is kept.
TTL_S: int = _given.get("ttl_s", 30)

PARTNER_URL = f"http://127.0.0.1:{_given.get('partner_port', 9000)}"
#: Seconds for one call of the partner, how often a failed one is tried again, and connections to it.
PARTNER_TIMEOUT_S: float = _given.get("partner_timeout_s", 5.0)
PARTNER_RETRIES: int = _given.get("partner_retries", 1)
PARTNER_CONNECTIONS: int = _given.get("partner_connections", 40)

#: Requests that this replica works on at the same time; the others wait.
LIMIT: int = _given.get("limit", 48)
#: Threads that write statements.
WORKERS: int = _given.get("workers", 2)

ZIPKIN_URL = _given.get("zipkin_url", "")
SAMPLING: float = _given.get("sampling", 0.2)
