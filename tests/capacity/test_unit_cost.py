"""Cost of a request: series with known changes, weeks, credits, currencies, and traffic from logs or from the table itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perfaudit.capacity import unit_cost
from perfaudit.capacity.ledger import Ledger
from perfaudit.model import iso
from perfaudit.testing import evidence

DAY = 86_400_000_000
START = 1_788_220_800_000_000  # 2026-09-01T00:00:00Z, a Tuesday


def charges(days: int = 60, *, grows: float = 1.0, at: int = 35, traffic: float = 1.0, fixed: bool = True, seed: int = 1, **more: Any) -> list[dict[str, Any]]:
    """Daily charges of two services with quiet weekends. From day ``at`` the database costs ``grows`` times as much and requests come ``traffic``
    times as often; without ``fixed`` cost follows the requests."""
    rng = np.random.default_rng(seed)
    rows = []
    for day in range(days):
        busy = (0.6 if (day + 1) % 7 in (5, 6) else 1.0) * (traffic if day >= at else 1.0) * float(rng.lognormal(0, 0.04))
        scale = 1.0 if fixed else busy
        for service, amount in (("web", 100.0), ("database", 40.0 * (grows if day >= at else 1.0))):
            rows.append({"time": START + day * DAY, "duration_us": DAY, "service": service, "amount": amount * scale * float(rng.lognormal(0, 0.02)), "currency": "EUR", "requests": int(1e6 * busy), "lines": 1} | more)
    return rows


def judged(rows: list[dict[str, Any]], **tables: Any) -> dict[str, Any]:
    return unit_cost.judge(evidence(**tables), evidence(costs=rows))


def test_cost_that_grows_without_traffic_is_dated_and_split() -> None:
    deploy = {"time": START + 34 * DAY + DAY // 2, "kind": "deploy", "service": "database", "version": "9"}
    far = {"time": START + 10 * DAY, "kind": "deploy", "service": "web", "version": "1"}
    found = judged(charges(grows=2.25), events=[deploy, far])
    assert found["answer"] == "cost grows without traffic"
    assert abs(round((np.datetime64(found["since"][:19], "us").astype(int) - START) / DAY) - 35) <= 2
    low, high = found["change"]["unit"]["ci"]
    assert low < 190 / 140 < high and high - low < 0.3
    assert [s["service"] for s in found["services"]] == ["database", "web"] and found["services"][0]["difference"] > 5 * abs(found["services"][1]["difference"])
    assert [e["version"] for e in found["events"]] == ["9"]


def test_cost_that_follows_traffic() -> None:
    found = judged(charges(traffic=1.6, fixed=False))
    assert found["answer"] == "cost follows traffic" and found["change"]["requests"]["value"] == pytest.approx(1.6, rel=0.1)
    assert judged(charges())["answer"] == "cost is steady"
    assert judged(charges(traffic=1.6))["answer"] == "cost per request fell"
    assert judged(charges(traffic=0.6))["answer"] == "traffic fell, cost did not"


def test_the_label_is_decided_from_cost_and_traffic() -> None:
    """Cost and requests each change by a known factor."""

    def label(cost: float, requests: float) -> str:
        rows = [{**r, "amount": r["amount"] * (cost if r["time"] >= START + 35 * DAY else 1.0)} for r in charges(traffic=requests)]
        return str(judged(rows)["answer"])

    assert label(4.0, 3.0) == "cost grows faster than traffic"
    assert label(1.4, 1.0) == "cost grows without traffic"
    assert label(1.0, 0.5) == "traffic fell, cost did not"
    assert label(0.8, 0.5) == "cost fell less than traffic"


@pytest.mark.parametrize("missing", [[25], [0, 1, 30, 31], [12, 29]])
def test_days_that_are_not_on_the_bill_are_unknown(missing: list[int]) -> None:
    """A gap is no free day, even where a charge of the month covers it; the days around it are judged."""
    rows = [r for r in charges(40) if (r["time"] - START) // DAY not in missing]
    rows.append({"time": START, "duration_us": 30 * DAY, "service": "support", "amount": 30.0, "currency": "EUR"})
    found = judged(rows)
    assert found["answer"] == "cost is steady" and found["change"]["unit"]["ci"][1] < 1.2
    inside = [d for d in missing if 0 < d < 39 and d not in (0, 1)]
    assert found["period"]["known"] == found["period"]["periods"] - len(inside) and any(f"{len(inside)} of" in n for n in found["notes"])


def test_a_last_day_that_is_billed_in_part_is_left_out() -> None:
    rows = charges(40)
    for r in rows[-2:]:
        r["amount"] *= 0.2
    found = judged(rows)
    assert found["answer"] == "cost is steady" and found["period"]["known"] == 39 and any("billed in part" in n for n in found["notes"])


def test_days_begin_where_the_bill_begins() -> None:
    """Days of Berlin, with the 25 hours of 2026-10-25, and a log of the same days."""
    begin = START - 2 * 3_600_000_000
    starts = [begin + d * DAY + (3_600_000_000 if d > 54 else 0) for d in range(60)]
    at = np.arange(starts[0], starts[-1] + DAY, 60_000_000)
    log = {"time": at.tolist(), "duration_us": 1_000, "status": 200, "route": "/", "method": "GET", "service": "web"}
    found = judged([{"time": t, "duration_us": DAY, "service": "web", "amount": 100.0, "currency": "EUR"} for t in starts], requests=log)
    assert (found["period"]["periods"], found["period"]["known"]) == (60, 60) and found["series"]["start"][0] == "2026-08-31T22:00:00Z"
    assert sorted(set(found["series"]["requests"])) == [1440.0, 1500.0]
    hours = [{"time": START + h * 3_600_000_000 + 15 * 3_600_000_000, "duration_us": 3_600_000_000, "service": "web", "amount": 4.0, "currency": "EUR", "requests": 1000} for h in range(480)]
    assert judged(hours)["answer"] == "cost is steady" and set(judged(hours)["series"]["cost"]) == {96.0}


def test_numerals_of_several_currencies_are_not_compared() -> None:
    """15,000 yen are less than 4,000 dollars; 9 dollars beside 2,800 euros may be left out."""
    yen = [{"time": START + d * DAY, "duration_us": DAY, "service": "dns", "amount": 400.0, "currency": "JPY"} for d in range(30)]
    found = judged([*charges(30), *yen])
    assert found["answer"] == "cannot tell" and "12,000.00 JPY" in found["reason"] and "EUR" in found["reason"] and "per_request" not in found
    assert judged([*charges(30), *({**r, "currency": "USD", "amount": 100.0} for r in yen)])["answer"] == "cannot tell"


def test_no_change_is_seldom_called_one() -> None:
    """Weekly traffic over fixed cost, 60 series without a change."""
    wrong = [judged_offline(charges(seed=seed))["answer"] for seed in range(60)]
    assert sum(a not in ("cost is steady", "inconclusive") for a in wrong) <= 3


def judged_offline(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Without a bundle: sixty of them would take a minute."""
    days = sorted({r["time"] for r in rows})
    edges = np.array([*days, days[-1] + DAY], np.int64)
    cost = np.array([sum(r["amount"] for r in rows if r["time"] == d) for d in days])
    asked = np.array([next(float(r["requests"]) for r in rows if r["time"] == d) for d in days])
    return unit_cost.of_ledger(Ledger(edges, cost, cost * 0, asked, {"all": cost}, "EUR", source="the cost table"))


def test_credits_and_other_currencies_are_told_apart() -> None:
    rows = charges(20)
    rows += [{"time": START, "duration_us": DAY, "service": "web", "kind": "credit", "amount": -500.0, "currency": "EUR"}, {"time": START, "duration_us": DAY, "service": "x", "amount": 9.0, "currency": "USD"}]
    found = judged(rows)
    assert found["credits"]["value"] == -500 and found["cost"]["value"] == pytest.approx(20 * 140, rel=0.05) and found["currency"] == "EUR"
    assert any("USD are left out" in n for n in found["notes"]) and any("500.00 EUR" in n for n in found["notes"])


def test_charges_of_a_month_are_spread_over_its_days() -> None:
    rows = [r for r in charges(30) if r["service"] == "web"]
    rows.append({"time": START, "duration_us": 30 * DAY, "service": "support", "amount": 300.0, "currency": "EUR"})
    found = judged(rows)
    assert found["period"]["periods"] == 30 and found["series"]["cost"][7] == pytest.approx(110, rel=0.1)


def test_months_are_periods_of_their_own() -> None:
    lengths = [30, 31, 30, 31, 31, 28, 31, 30]
    starts = np.cumsum([0, *lengths[:-1]])
    rows = [{"time": START + int(s) * DAY, "duration_us": n * DAY, "service": "all", "amount": 1000.0, "currency": "EUR", "requests": 5_000_000} for s, n in zip(starts, lengths, strict=True)]
    found = judged(rows)
    assert (found["period"]["periods"], found["period"]["known"]) == (8, 8) and found["per_request"]["value"] == pytest.approx(0.2)
    assert [s[:10] for s in found["series"]["start"][:3]] == ["2026-09-01", "2026-10-01", "2026-11-01"]


def test_requests_from_the_log_where_it_covers_the_period() -> None:
    at = np.arange(START - DAY // 2, START + 8 * DAY + DAY // 2, 60_000_000)  # one a minute; the first and last day only in part
    log = {"time": at.tolist(), "duration_us": 1_000, "status": 200, "route": "/", "method": "GET", "service": "web"}
    found = judged([r | {"requests": None} for r in charges(10)], requests=log)
    assert found["requests_from"] == "access logs" and found["period"]["known"] == 8
    assert set(found["series"]["requests"]) == {1440.0}
    assert found["per_request"]["value"] == pytest.approx(140 / 1.44, rel=0.03)


def test_a_short_log_gives_a_rate_and_no_trend() -> None:
    at = np.arange(START + DAY // 2, START + DAY // 2 + 600_000_000, 100_000)  # ten a second for ten minutes
    log = {"time": at.tolist(), "duration_us": 1_000, "status": 200, "route": "/", "method": "GET", "service": "web"}
    found = judged([r | {"requests": None} for r in charges(10)], requests=log)
    assert found["answer"] == "cannot tell" and found["per_request"]["value"] == pytest.approx(140 / 864, rel=0.05)


def test_without_requests_there_is_no_cost_of_one() -> None:
    found = judged([r | {"requests": None} for r in charges(10)])
    assert found["answer"] == "cannot tell" and "per_request" not in found and found["cost"]["value"] > 0 and "no requests" in found["reason"]


def test_a_cost_per_hour_of_the_configuration() -> None:
    at = np.arange(START, START + 3_600_000_000, 100_000)
    log = evidence(requests={"time": at.tolist(), "duration_us": 1_000, "status": 200, "route": "/", "method": "GET", "service": "web"})
    found = unit_cost.judge(log, log, per_hour=36.0, currency="EUR")
    assert found["per_request"]["value"] == pytest.approx(1.0, rel=1e-3) and found["per_request"]["unit"] == "EUR per 1,000 requests"
    assert unit_cost.judge(log, log) == {}


@pytest.mark.parametrize("days", [1, 2, 5, 11])
def test_few_periods_give_no_trend(days: int) -> None:
    found = judged(charges(days))
    assert found["period"]["periods"] == days and found["answer"] in ("cannot tell", "inconclusive")


def test_the_same_charges_give_the_same_answer_in_any_order() -> None:
    rows = charges(40, grows=1.5)
    assert judged(rows) == judged(rows[::-1])
    assert iso(START) == "2026-09-01T00:00:00Z"
