"""What a recording shows, read straight from its raw files: the ground on which a case is accepted or refused.

It knows nothing of the product. ``Observed(folder)`` has three parts, `healthy`, `fault` and `fixed`, each a :class:`Phase`
over one cut of all sources and what the clients saw. Readings are tolerant: what was not recorded is empty, never an error.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from lab.observed.clients import Times, write_clients
from lab.observed.phase import Phase
from lab.observed.spans import Span
from lab.observed.stores import Counters, Sessions, Statement

__all__ = ["Counters", "Observed", "Phase", "Sessions", "Span", "Statement", "Times", "write_clients"]


class Observed:
    """The three parts of a recording."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def healthy(self) -> Phase:
        """Before the fault."""
        return Phase(self.folder / "healthy")

    @cached_property
    def fault(self) -> Phase:
        """Under the fault."""
        return Phase(self.folder / "fault")

    @cached_property
    def fixed(self) -> Phase:
        """After the fix."""
        return Phase(self.folder / "fixed")
