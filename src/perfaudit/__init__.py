"""perfaudit: what constraint limits this system now, and what decision should be made next?

The public API, loaded when it is used::

    from perfaudit import audit
    result = audit("evidence/", baseline="healthy/")
    result["verdict"]["problem"]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Audit", "Evidence", "Finding", "Verdict", "audit"]

if TYPE_CHECKING:
    from perfaudit.audit import Audit, audit
    from perfaudit.evidence.store import Evidence
    from perfaudit.model import Finding, Verdict

_HOMES = {"Audit": "perfaudit.audit", "audit": "perfaudit.audit", "Evidence": "perfaudit.evidence.store", "Finding": "perfaudit.model", "Verdict": "perfaudit.model"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'perfaudit' has no attribute {name!r}")
