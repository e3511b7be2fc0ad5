"""As ``critical_path``, to the end of the last work that a root set off (the completion horizon), consumers and followers too.

The time between the end of a producer and the beginning of its consumer is the producer's: it was queued.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfaudit.evidence.views import critical_path

if TYPE_CHECKING:
    from pathlib import Path

    from perfaudit.evidence.bundle import Bundle

READS = critical_path.READS
COLUMNS = critical_path.COLUMNS


def write(bundle: Bundle, path: Path) -> None:
    """As :func:`perfaudit.evidence.views.critical_path.write`."""
    critical_path.write(bundle, path, completion=True)
