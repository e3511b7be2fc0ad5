"""A nightly export, gentle by design: a server-side cursor over the purchases, a few hundred rows at a time with pauses."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from app.jobs import connect, sql


def run(seconds: float) -> None:
    """Exports for at most `seconds`."""
    until = time.monotonic() + seconds
    with connect(application_name="export") as database, Path("export.jsonl").open("w") as out, database.transaction():
        cursor = database.cursor("export")
        cursor.execute(sql("SELECT * FROM {purchase} ORDER BY id"))
        while time.monotonic() < until and (rows := cursor.fetchmany(250)):
            out.writelines(json.dumps(r, default=str) + "\n" for r in rows)
            time.sleep(0.12)


if __name__ == "__main__":
    run(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
