"""The published JSON Schema of ``result.json`` (``assets/result-schema.json``, the one copy; also ``docs/reference/``)."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from perfaudit.errors import ContractError

VERSION = 1


@cache
def text() -> str:
    """The schema as it is published (JSON Schema 2020-12)."""
    return (files("perfaudit.report") / "assets" / "result-schema.json").read_text("utf-8")


def validate(result: dict[str, Any]) -> None:
    """Check ``result`` against the schema; needs the development dependency ``jsonschema``.

    Raises :class:`~perfaudit.errors.ContractError` that names each place and what is wrong there.
    """
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    errors = sorted(Draft202012Validator(json.loads(text())).iter_errors(result), key=lambda e: list(map(str, e.absolute_path)))
    if errors:
        places = "; ".join(f"{e.json_path}: {e.message[:160]}" for e in errors[:5])
        raise ContractError(f"The result breaks its schema in {len(errors)} places: {places}")
