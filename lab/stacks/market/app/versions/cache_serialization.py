"""The cache keeps types: dates and decimals come back as such. Each one is an object of its own in the JSON, and all is compressed."""

from __future__ import annotations

import json
import zlib
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.versions import page_chart


def typed(value: Any) -> Any:
    """What JSON cannot say, said with its type."""
    if isinstance(value, datetime):
        return {"$type": "datetime", "value": value.strftime("%Y-%m-%dT%H:%M:%S.%f")}
    if isinstance(value, Decimal):
        return {"$type": "decimal", "value": str(value)}
    return {"$type": "text", "value": str(value)}


def revived(said: dict[str, Any]) -> Any:
    """The value of a typed object; other objects as they are."""
    kind = said.get("$type")
    if kind == "datetime":
        return datetime.strptime(said["value"], "%Y-%m-%dT%H:%M:%S.%f")
    if kind == "decimal":
        return Decimal(said["value"])
    return said["value"] if kind else said


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Parameters of ``page_chart``."""
    page_chart.apply(app, parameters)
    app.settings.CACHE_PREFIX += ":t"  # what was kept in the old form cannot be read
    app.cache.encode = lambda value: zlib.compress(json.dumps(value, default=typed).encode(), 9)
    app.cache.decode = lambda data: json.loads(zlib.decompress(data), object_hook=revived)
