"""Every check survives traces with all oddities of real ones: it may say anything but that it broke."""

from __future__ import annotations

import random

import pytest

from perfaudit.audit import Audit, Request
from perfaudit.model import Status
from perfaudit.problems import discover
from perfaudit.testing import evidence
from tests.spans import odd_trace
from tests.traffic import START


@pytest.mark.parametrize("seed", range(3))
def test_oddities_break_no_check(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFAUDIT_DEBUG", "1")
    rng = random.Random(seed)
    rows = []
    for i in range(150):
        shift = START + rng.randrange(60_000_000)
        for row in odd_trace(rng, f"{i:032x}"):
            row["time"] = shift + row["time"] % 1_000_000
            row["operation"] = rng.choice(("SELECT", "GET /x", "lock.wait", "mutex.acquire", "pool.acquire", "connect"))
            row["system"] = rng.choice((None, "postgresql", "redis", "http"))
            row["statement"] = rng.choice((None, "select a from t where id = $1", ""))
            row["status"] = rng.choice((None, "ok", "error"))
            row["peer"] = rng.choice((None, "b", "postgresql/main"))
            row["instance"] = rng.choice((None, "a-1"))
            for size in ("rows", "response_bytes", "request_bytes", "resend_count", "http_status"):
                row[size] = rng.choice((None, -1, 0, 1, 7, 100, 2**40))
            row["attributes"] = rng.choice((None, {"items": "7"}, {"items": "1e400"}, {"items": "nan"}, {"items": str(rng.randrange(900))}))
            rows.append(row)
    audit = Audit(evidence(spans=rows).bundle, Request(name="odd"))
    account = audit.prepare().account
    said = {name: check.run(audit.evidence, account).status for name, check in discover().items()}
    assert Status.ERROR not in said.values(), said
