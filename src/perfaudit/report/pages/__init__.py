"""Pages: the parts of a report that answer one question each, beside the verdict. One question per module, discovered by folder.

A page module (not starting with ``_``) has ``page(result) -> Page | None``: it reads the result object, nothing else, and is None where the
result does not hold its part. Every renderer shows every page; texts are raw and escaped by the renderer.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

Cell = Any
"""A cell of a table: text, a number, or a measurement (shown with its interval; its query is linked)."""


@dataclass(frozen=True)
class Table:
    """Rows of cells under ``heads``; ``note`` says what was left out or how to read it. Numbers stand to the right."""

    title: str
    heads: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart as SVG (:mod:`perfaudit.report.charts`); ``said`` is what it shows, in words, where no picture can be shown."""

    title: str
    svg: str
    said: str


@dataclass(frozen=True)
class Page:
    """One question and its answer. ``tone``: good, bad or open. ``facts``: label and text or measurement, in the order a person asks."""

    key: str
    title: str
    question: str
    answer: str
    tone: str = "open"
    facts: tuple[tuple[str, Cell], ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


@cache
def discover() -> dict[str, ModuleType]:
    """Every page module by its name, in alphabetical order."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}


def of(result: Mapping[str, Any]) -> list[Page]:
    """The pages that a result has something to say on."""
    return [page for module in discover().values() if (page := module.page(result)) is not None]
