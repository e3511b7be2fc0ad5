"""The result itself: sorted keys, one space of indent, UTF-8, a newline at the end."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

NAME = "JSON"
SUFFIXES = (".json",)
PREFIX = "json"


def _finite(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _finite(child) for key, child in node.items()}
    if isinstance(node, list | tuple):
        return [_finite(child) for child in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node


def render(result: Mapping[str, Any]) -> str:
    """``result`` as JSON. NaN and infinities, which JSON has no word for, become null; lone surrogates stay escapes."""
    body = json.dumps(_finite(result), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return body.encode("utf-8", "backslashreplace").decode() + "\n"
