"""FOCUS exports and plain tables of charges, as people have them, and broken ones."""

from __future__ import annotations

import csv
import io
import random

import pytest

from perfaudit.evidence.clock import Clock
from perfaudit.evidence.readers import ReadOptions, Sample, cost_table, events, focus, recognise
from perfaudit.evidence.readers._charges import amount, period
from perfaudit.model import iso

HEADER = ("BilledCost,BillingAccountId,BillingAccountName,BillingCurrency,BillingPeriodEnd,BillingPeriodStart,ChargeCategory,ChargeClass,ChargeDescription,"
          "ChargePeriodEnd,ChargePeriodStart,EffectiveCost,ProviderName,ResourceId,ServiceCategory,ServiceName,SubAccountId,Tags")  # fmt: skip


def focus_line(day: int, cost: str, *, effective: str | None = None, category: str = "Usage", service: str = "Compute, virtual machines", tags: str = '{"team": "shop"}', currency: str = "USD") -> str:
    cells = (cost, "111122223333", "Example Ltd", currency, "2026-12-01T00:00:00Z", "2026-11-01T00:00:00Z", category, "", "hours of a machine",
             f"2026-11-{day + 1:02d}T00:00:00Z", f"2026-11-{day:02d}T00:00:00Z", cost if effective is None else effective, "Example", "arn:aws:ec2:eu:111122223333:i-0abc", "Compute", service, "444455556666", tags)  # fmt: skip
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


def test_focus_sums_the_charges_of_a_period_and_keeps_no_account(read) -> None:  # type: ignore[no-untyped-def]
    lines = [HEADER, focus_line(1, "1.10"), focus_line(1, "2.20"), focus_line(1, "-0.5", category="Credit"), focus_line(2, "9", effective="3"), focus_line(2, "1e-3", service="Storage")]
    sink = read(focus, ("\ufeff" + "\r\n".join(lines) + "\r\n").encode())
    rows = sorted((iso(r["time"]), r["service"], r["kind"], r["amount"], r["lines"]) for r in sink.rows["costs"])
    assert rows == [
        ("2026-11-01T00:00:00Z", "Compute, virtual machines", "credit", -0.5, 1), ("2026-11-01T00:00:00Z", "Compute, virtual machines", "usage", 3.3, 2),
        ("2026-11-02T00:00:00Z", "Compute, virtual machines", "usage", 3.0, 1), ("2026-11-02T00:00:00Z", "Storage", "usage", 0.001, 1),
    ]  # fmt: skip
    assert set(sink.column("costs", "duration_us")) == {86_400_000_000} and set(sink.column("costs", "currency")) == {"USD"}
    assert (sink.n_lines, sink.n_parsed, sink.n_rejected) == (6, 6, 0)
    assert not any(secret in str(sink.rows) for secret in ("1111", "4444", "arn:", "Example Ltd"))


def test_focus_rejects_with_a_reason_and_shows_no_account(read) -> None:  # type: ignore[no-untyped-def]
    broken = [focus_line(1, "1"), focus_line(1, "1").replace("2026-11-01T00:00:00Z,1,Example", "yesterday,1,Example"), focus_line(1, "n/a"), "1,111122223333", focus_line(1, "nan"), '"' + focus_line(3, "5")]
    sink = read(focus, "\n".join([HEADER, *broken]).encode())
    assert dict(sink.rejected) == {"ChargePeriodStart cannot be read": 1, "no EffectiveCost or BilledCost that can be read": 2, "2 columns where the header has 18": 1, "quotes that never end": 1}
    assert sink.n_parsed + sink.n_rejected == sink.n_lines == 7
    assert not any(b"1111" in example for example, _ in sink.examples.values())
    assert sink.column("costs", "amount") == [1.0]


def test_focus_falls_back_to_billed_cost_and_says_so(read) -> None:  # type: ignore[no-untyped-def]
    sink = read(focus, "\n".join([HEADER, focus_line(1, "4", effective=""), focus_line(1, "5", effective="null")]).encode())
    assert sink.column("costs", "amount") == [9.0] and any("2 charges have no EffectiveCost" in note for note in sink.notes)


def test_currencies_are_kept_apart(read) -> None:  # type: ignore[no-untyped-def]
    sink = read(focus, "\n".join([HEADER, focus_line(1, "4"), focus_line(1, "5", currency="EUR")]).encode())
    assert sorted(zip(sink.column("costs", "currency"), sink.column("costs", "amount"), strict=True)) == [("EUR", 5.0), ("USD", 4.0)]
    assert any("EUR, USD" in note for note in sink.notes)


def test_thousands_of_lines_a_day_become_a_row_with_the_exact_sum(read) -> None:  # type: ignore[no-untyped-def]
    rng = random.Random(4)
    cents = [rng.randrange(1, 500) for _ in range(6_000)]
    sink = read(focus, "\n".join([HEADER, *(focus_line(1 + i % 2, f"{c / 100:.2f}") for i, c in enumerate(cents))]).encode())
    assert sink.column("costs", "amount") == [sum(cents[0::2]) / 100, sum(cents[1::2]) / 100]
    assert sink.column("costs", "lines") == [3_000, 3_000]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("date,service,cost,currency\n2026-11-01,web,12.50,EUR\n2026-11-02,web,-2,EUR\n", [("2026-11-01T00:00:00Z", 86_400, "web", None, 12.5, "EUR"), ("2026-11-02T00:00:00Z", 86_400, "web", "credit", -2.0, "EUR")]),
        ("Month,Total cost (USD)\n2026-02,1000\n2026-03,1100.5\n", [("2026-02-01T00:00:00Z", 28 * 86_400, None, None, 1000.0, "USD"), ("2026-03-01T00:00:00Z", 31 * 86_400, None, None, 1100.5, "USD")]),
        ("Datum;x\n", []),
        ("day;service;cost_eur\n2026-11-01;db;1.234,50\n2026-11-02;db;7,5\n", [("2026-11-01T00:00:00Z", 86_400, "db", None, 1234.5, "EUR"), ("2026-11-02T00:00:00Z", 86_400, "db", None, 7.5, "EUR")]),
        ('time,cost,product\n2026-11-01T00:00:00Z,"$1,234.00",a\n2026-11-01T01:00:00Z,($4.00),a\n', [("2026-11-01T00:00:00Z", 3_600, "a", None, 1234.0, "USD"), ("2026-11-01T01:00:00Z", 3_600, "a", "credit", -4.0, "USD")]),
        ("line_item_usage_start_date,line_item_usage_end_date,line_item_unblended_cost,line_item_currency_code,line_item_product_code,line_item_usage_account_id\n2026-11-01T00:00:00Z,2026-11-01T01:00:00Z,0.25,USD,AmazonEC2,111122223333\n",
         [("2026-11-01T00:00:00Z", 3_600, "AmazonEC2", None, 0.25, "USD")]),
    ],
)  # fmt: skip
def test_plain_tables(read, text: str, rows: list[tuple[object, ...]]) -> None:  # type: ignore[no-untyped-def]
    if not rows:
        assert cost_table.sniff(Sample("x.csv", text.encode())) is None
        return
    sink = read(cost_table, text.encode())
    assert [(iso(r["time"]), r["duration_us"] // 1_000_000, r["service"], r["kind"], r["amount"], r["currency"]) for r in sink.rows["costs"]] == rows


def test_requests_beside_the_cost(read) -> None:  # type: ignore[no-untyped-def]
    sink = read(cost_table, b"date,cost,currency,requests\n2026-11-01,10,USD,1000000\n2026-11-02,11,USD,\"1,100,000\"\n2026-11-03,11,USD,many\n")
    assert sink.column("costs", "requests") == [1_000_000, 1_100_000, None]


def test_a_plain_table_with_broken_lines(read) -> None:  # type: ignore[no-untyped-def]
    text = "date,service,cost,currency,account\n2026-11-01,a,1,USD,111122223333\n01/11/2026,a,1,USD,1\n,a,1,USD,1\n2026-11-02,a,free,USD,1\n2026-11-03,a\n2026-13-01,a,1,USD,1\n2026-11-04,a,1e99,USD,1\ndate,service,cost,currency,account\n\n"
    sink = read(cost_table, text.encode())
    assert sink.column("costs", "amount") == [1.0]
    assert dict(sink.rejected) == {"the date cannot be read (write 2026-11-30)": 2, "no date": 1, "the cost is no number": 2, "2 columns where the header has 5": 1}
    assert "1111" not in str(sink.rows) + str(sink.examples)


@pytest.mark.parametrize("junk", [b"", b"\x00\xff\xfe", b"date,cost\n", b'date,cost\n"', b"date,cost,cost\n2026-11-01,1,2\n", b"cost\n1\n", b"date;cost\n" + b"2026-11-01;" + b"9" * 5_000 + b"\n"])
def test_hostile_bytes_are_counted(read, junk: bytes) -> None:  # type: ignore[no-untyped-def]
    for reader in (focus, cost_table):
        claim = reader.sniff(Sample("x.csv", junk))
        if claim:
            sink = read(reader, junk)
            assert sink.n_parsed + sink.n_rejected == sink.n_lines


def test_who_takes_what() -> None:
    def taken(text: str) -> str | None:
        found = recognise(Sample("x.csv", text.encode(), ReadOptions()))
        return found[0] if found else None

    assert taken("\n".join([HEADER, focus_line(1, "1")])) == "focus"
    assert taken("date,service,amount,currency\n2026-11-01,web,3,USD\n") == "cost_table"
    assert taken("time,kind,service,version\n2026-11-01T00:00:00Z,deploy,web,1.2\n") == "events"
    assert taken("load,throughput\n1,2\n") is None
    assert events.NAME


@pytest.mark.parametrize(("text", "value"), [("1,234,567.8", "1234567.8"), ("−3", "-3"), ("12 USD", "12"), ("1,23", None), ("12-3", None), ("Infinity", None), ("--3", None)])
def test_amounts(text: str, value: str | None) -> None:
    found = amount(text)
    assert (found and str(found[0])) == value


def test_periods() -> None:
    assert [period(t, Clock()) is None for t in ("2026-11-31", "2026", "", "11/01/2026", "20261101", "2026-11")] == [True, True, True, True, False, False]
