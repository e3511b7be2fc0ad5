"""What happened in the interval in which the affected window began: deploys, changes of configuration, restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from perfaudit.evidence.store import Evidence
from perfaudit.model import Windows, iso

#: Kinds that change what runs. A commit counts where no deploy is recorded: teams that deploy each commit have only these.
CHANGES = frozenset({"deploy", "deployment", "release", "rollout", "rollback", "config", "configuration", "flag", "feature-flag", "feature_flag", "migration", "change", "upgrade", "scale", "commit"})
#: An event counts this long before the earliest beginning: a deploy takes time to roll out and to warm up, seconds.
LEAD = 5.0


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    time: int
    kind: str
    service: str
    name: str
    version: str
    commit: str

    def words(self) -> str:
        """``deploy of shop 1.4.2``."""
        if self.kind == "commit":
            return f"commit {self.commit[:12]}"
        what = " ".join(p for p in (self.service, self.version or self.name or self.commit[:12]) if p)
        return f"{self.kind} of {what}" if what else self.kind

    def to_json(self) -> dict[str, Any]:
        """The form of ``verdict.trigger``."""
        out: dict[str, Any] = {"time": iso(self.time), "kind": self.kind}
        out |= {k: v for k in ("service", "version", "commit", "name") if (v := getattr(self, k))}
        return out


def candidates(evidence: Evidence, windows: Windows) -> list[Event]:
    """Events in the interval in which the affected window began, oldest first; commits only where there is nothing else.

    With a separate baseline and no beginning inside the recording, the interval lies between the two.
    """
    if not evidence.has("events"):
        return []
    if windows.onset:
        low, high = windows.onset[1], windows.onset[2]
    elif windows.source == "baseline" and windows.reference and windows.reference.end <= windows.affected.start:
        low, high = windows.reference.end, windows.affected.start
    else:
        return []
    rows = evidence.rows(
        f"SELECT epoch_us(time), kind, service, name, version, commit FROM events WHERE epoch_us(time) BETWEEN {int(low - LEAD * 1e6)} AND {high} ORDER BY time, kind, service, version"
    )
    found = [Event(t, *(str(v or "") for v in rest)) for t, *rest in rows]
    return [e for e in found if e.kind != "commit"] or found
