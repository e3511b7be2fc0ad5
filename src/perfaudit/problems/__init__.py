"""Phase 4, constraint identification: one file per problem class, each decided by a test that separates it from its look-alikes.

A check is a module ``problems/<area>/<name>.py`` (not starting with ``_``) with:

``NEEDS``    tables without which it cannot speak; ``"sessions|lock_events"`` means any of them
``HELPS``    tables that raise its confidence
``RIVALS``   the look-alikes that it rules out
``WANTED``   what to collect when ``NEEDS`` is missing (:class:`perfaudit.model.Wanted`)
``examine(evidence, account) -> Outcome``

Its docstring has a title line and five headings (:data:`HEADINGS`) and is the page that ``perfaudit explain`` shows. The name is
the file's, with hyphens. It never opens a file, prints, sleeps, or raises for missing data; it is handed only what it
declares. An exception inside it becomes an ``error`` outcome and the audit goes on.

Chapter "Phase 4" of ``docs/audit-playbook.md``; command ``perfaudit diagnose``.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from perfaudit.errors import UsageError
from perfaudit.model import Outcome, Status, Wanted

if TYPE_CHECKING:
    from perfaudit.evidence.store import Evidence
    from perfaudit.paths.account import TimeAccount

AREAS = ("latency", "throughput", "database", "caching", "architecture")
#: Sources further apart than this, µs, do not speak of the same time: less than the least step between time zones (15 minutes).
APART = 14 * 60 * 1_000_000
HEADINGS = ("What it sees", "Why it hurts", "What it needs", "When it is wrong", "What to try")


@dataclass(frozen=True)
class Check:
    """A discovered check."""

    name: str
    area: str
    module: ModuleType

    @property
    def needs(self) -> tuple[str, ...]:
        """``NEEDS`` as declared."""
        return tuple(self.module.NEEDS)

    @property
    def tables(self) -> frozenset[str]:
        """Every table that it may ask for."""
        return frozenset(t for need in (*self.module.NEEDS, *self.module.HELPS) for t in need.split("|"))

    @property
    def rivals(self) -> tuple[str, ...]:
        """``RIVALS`` as declared."""
        return tuple(self.module.RIVALS)

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """``WANTED`` as declared."""
        return tuple(self.module.WANTED)

    @property
    def page(self) -> str:
        """The docstring as Markdown, with the headings as headings."""
        text = re.sub(r"^(%s)\n-+\n" % "|".join(HEADINGS), r"## \1\n\n", self.module.__doc__ or "", flags=re.M)  # noqa: UP031
        title, _, rest = text.partition("\n")
        return f"# {self.name}\n\n{title.strip()}\n{rest.rstrip()}\n"

    def run(self, evidence: Evidence, account: TimeAccount) -> Outcome:
        """The outcome, whatever happens inside."""
        missing = [need for need in self.needs if not any(evidence.has(t) for t in need.split("|"))]
        if missing:
            return Outcome.no_evidence(f"needs {' and '.join(m.replace('|', ' or ') for m in missing)}: none was read", *self.wanted)
        apart = [need for need in self.needs if not any(_near(evidence, account, t) for t in need.split("|"))]
        if apart:
            return Outcome.no_evidence(f"{' and '.join(a.replace('|', ' or ') for a in apart)} does not overlap the recording in time: a wrong clock or time zone?", *self.wanted)
        try:
            outcome: Outcome = self.module.examine(evidence.restricted(self.tables), account)
        except Exception as error:
            if os.environ.get("PERFAUDIT_DEBUG"):
                raise
            return Outcome(Status.ERROR, f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'no message'}")
        return outcome


def _near(evidence: Evidence, account: TimeAccount, table: str) -> bool:
    """Whether a source of ``table`` lies in the time of the recording (a quiet log may begin before it and say nothing since)."""
    whole = account.windows.whole
    if table == "requests" and not evidence.bundle.rows("requests"):
        table = "spans"  # their roots stand for the requests
    spans = [(s["first"], s["last"]) for s in evidence.bundle.sources if table in s["tables"]]
    return any(first is None or (first <= whole.end + APART and last >= whole.start - APART) for first, last in spans)


@cache
def discover() -> dict[str, Check]:
    """Every check by name: areas in the catalogue's order, names in alphabetical order."""
    found: dict[str, Check] = {}
    for area in AREAS:
        package = importlib.import_module(f"{__name__}.{area}")
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda i: i.name):
            if not info.name.startswith("_"):
                name = info.name.replace("_", "-")
                found[name] = Check(name, area, importlib.import_module(f"{package.__name__}.{info.name}"))
    return found


def get(name: str) -> Check:
    """The check called ``name``. Raises :class:`UsageError` with the names that exist."""
    checks = discover()
    if name not in checks:
        import difflib

        near = difflib.get_close_matches(name, checks, 1)
        raise UsageError(f"there is no problem class “{name}”", todo=f"did you mean {near[0]}?" if near else "perfaudit explain lists them")
    return checks[name]


def names(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
