"""What is kept is XML now, which the warehouse can read too: every value is an element that says its type."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

from app.versions import page_prices

READERS = {"int": int, "float": float, "Decimal": Decimal, "str": str, "datetime": datetime.fromisoformat, "bool": "True".__eq__, "NoneType": lambda _: None}


def written(value: Any, tag: str = "value") -> ElementTree.Element:
    """A value as an element."""
    element = ElementTree.Element(tag, {"type": type(value).__name__})
    if isinstance(value, dict):
        element.extend(written(v, str(k)) for k, v in value.items())
    elif isinstance(value, list):
        element.extend(written(v, "item") for v in value)
    else:
        element.text = str(value)
    return element


def read(element: ElementTree.Element) -> Any:
    """The value of an element."""
    kind = element.get("type", "str")
    if kind == "dict":
        return {child.tag: read(child) for child in element}
    return [read(child) for child in element] if kind == "list" else READERS[kind](element.text or "")


def apply(app: Any, parameters: dict[str, Any]) -> None:
    """Parameters of ``page_prices``."""
    page_prices.apply(app, parameters)
    app.settings.WORDS["prefix"] += ":x"  # what was kept in the old form cannot be read
    app.cache.encode = lambda value: ElementTree.tostring(written(value))
    app.cache.decode = lambda data: read(ElementTree.fromstring(data))
