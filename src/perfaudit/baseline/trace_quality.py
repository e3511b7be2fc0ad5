"""Are the traces whole? Spans that were set aside, pieces whose parent is missing, clocks that disagree."""

from __future__ import annotations

from perfaudit.baseline.note import Note
from perfaudit.evidence import traces
from perfaudit.evidence.store import Evidence

#: As for lines: one in a hundred, and a share of time can be wrong by what matters (under 1 % of the time nothing is a finding).
MOST = 0.01
_SET_ASIDE = ("without trace id", "without span id", "without time", "duplicates")
_ODD = {"without duration": "have no duration", "negative durations": "end before they begin", "self-parents": "are their own parent", "cycles": "close a cycle of parents"}


def notes(evidence: Evidence, read: traces.Traces | None = None) -> list[Note]:
    """What is odd about the spans; nothing where there are none. ``read``: the traces, where they were read already (again only to know how far clocks differ)."""
    if not evidence.has("spans"):
        return []
    found = read or traces.read(evidence.bundle)
    if found.counts["skewed"] and "largest shift, µs" not in found.counts:
        found = traces.read(evidence.bundle, correct_skew=True)
    return told(found.counts)


def told(counts: dict[str, int]) -> list[Note]:
    """The notes for the counts of :class:`perfaudit.evidence.traces.Traces`, corrected for shifts of clocks so that these are known."""
    spans, rows = max(1, counts["spans"]), max(1, counts["rows"])
    odd = {f"{counts[name]:,} {said}": counts[name] for name, said in _ODD.items() if counts[name]}
    odd = {f"{counts[name]:,} {name} set aside": counts[name] for name in _SET_ASIDE if counts[name]} | odd
    lost, apart = counts["orphans"], counts["skewed"]
    said = f"{lost:,} of {spans:,} spans name a parent that was not recorded: the time around them is unknown" if lost else "every span's parent was recorded"
    clocks = f"{apart:,} spans lie outside a parent of another service though they would fit: clocks differ" if apart else "no service's clock puts its spans outside their parents"
    clocks += f" (up to {counts['largest shift, µs'] / 1e3:,.3g} ms; nothing was corrected)" if apart else ""
    return [
        Note("spans", sum(odd.values()) <= MOST * rows, "; ".join(odd) or f"nothing is odd about {spans:,} spans", sum(odd.values()) / rows, "share of spans", most=MOST),
        Note("whole traces", lost <= MOST * spans, said, lost / spans, "share of spans", most=MOST),
        Note("clocks of services", apart <= MOST * spans, clocks, apart / spans, "share of spans", most=MOST),
    ]
