"""A note on the fitness of a recording: what was tested, the number, its bound, and what it means in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Note:
    """``ok`` is None where the recording cannot tell. ``value`` in ``unit`` was held against ``least`` or ``most`` (either may be None)."""

    check: str
    ok: bool | None
    detail: str
    value: float | None = None
    unit: str = ""
    least: float | None = None
    most: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The form of ``baseline.validity``; keys that say nothing are absent."""
        out: dict[str, Any] = {"check": self.check, "ok": None if self.ok is None else bool(self.ok), "detail": self.detail}
        out |= {k: float(v) for k in ("value", "least", "most") if (v := getattr(self, k)) is not None}
        return out | ({"unit": self.unit} if self.unit else {})


def stretch(seconds: float) -> str:
    """A length in the unit in which people think of it: ``90 s``, ``4.5 h``, ``361 days``."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 3 * size:
            return f"{seconds / size:,.3g} {unit}"
    return f"{seconds:,.3g} s"
