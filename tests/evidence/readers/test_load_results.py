"""Results of load generators.

Recorded by the tools themselves against a server on the loopback that stood still once for two seconds, then cut to a few kB: k6 1.1, Locust
2.47, JMeter 2.13, wrk 4.1, and HdrHistogram's Python port 0.10. Written by hand from the documented formats, for want of the tools: Gatling,
Vegeta, wrk2, and JMeter's newer columns.
"""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

import pytest

from perfaudit.evidence.naming import LOAD_GENERATOR
from perfaudit.evidence.readers import Sample, gatling, hdr_log, hdr_text, jmeter, k6_csv, k6_json, k6_summary, locust, recognise, vegeta
from perfaudit.evidence.readers._hdr import decode

DATA = Path(__file__).parent / "load"
GATLING_3 = """RUN\tshop.Browse\tbrowse\t1795420800000\t \t3.9.5
USER\tBuyers\tSTART\t1795420800000
USER\tBuyers\tSTART\t1795420800100
REQUEST\t\tHome\t1795420800010\t1795420800060\tOK\t
REQUEST\tCheckout\t/cart/17?token=SECRET_CANARY\t1795420800100\t1795420802100\tKO\tstatus.find.in(200,201), but actually found 503
GROUP\tCheckout\t1795420800100\t1795420802100\t2000\tKO
REQUEST\t\tHome\t1795420800200\t1795420860200\tKO\tRequest timeout to localhost/127.0.0.1:8080 after 60000 ms
USER\tBuyers\tEND\t1795420802200
"""
GATLING_2 = """RUN\tshop.Browse\t\tbrowse\t1795420800000\tnull\t2.0
USER\tBuyers\t1\tSTART\t1795420800000\t1795420800000
REQUEST\tBuyers\t1\t\tHome\t1795420800010\t1795420800060\tOK
USER\tBuyers\t1\tEND\t1795420800000\t1795420800070
"""
GATLING_BINARY = b"\x00\x00\x00\x00\x063.13.1\x00\x00\x00\x00\x0bshop.Browse\n\x01\x02\x00\xff\nmore"
VEGETA_JSON = b"""{"attack":"","seq":0,"code":200,"timestamp":"2026-11-23T08:00:00.123456789Z","latency":48200000,"bytes_out":0,"bytes_in":3,"error":"","body":"b2sK","method":"GET","url":"http://127.0.0.1:8080/items/17?token=SECRET_CANARY","headers":{"Set-Cookie":["SECRET_CANARY"]}}
{"attack":"","seq":1,"code":0,"timestamp":"2026-11-23T09:00:00.223456789+01:00","latency":30000000000,"bytes_out":0,"bytes_in":0,"error":"dial tcp: timeout","body":null,"method":"POST","url":"http://127.0.0.1:8080/cart","headers":null}
{"attack":"","seq":2,"code":200,"timestamp":"2026-11-23T08:00:00.3Z","latency":-5,"bytes_out":0,"bytes_in":0,"error":"","method":"GET","url":"/"}
"""
VEGETA_CSV = b"""1795420800123456789,200,48200000,0,3,,b2sK,,0,GET,http://127.0.0.1:8080/items/17?token=SECRET_CANARY,U2V0
1795420800223456789,0,30000000000,0,0,"dial tcp: lookup, failed",,,1,POST,http://127.0.0.1:8080/cart,
1795420800323456789,200,nan,0,3,,b2sK,,2,GET,http://127.0.0.1:8080/,
"""
VEGETA_OLD = b"1795420800123456789,200,48200000,0,3,,b2sK,,0\n"
VEGETA_REPORT = b"""{"latencies":{"total":9640000000,"mean":48200000,"50th":47000000,"90th":59000000,"95th":63000000,"99th":72000000,"max":2040000000,"min":28000000},"bytes_in":{"total":600,"mean":3},"bytes_out":{"total":0,"mean":0},
"earliest":"2026-11-23T08:00:00Z","latest":"2026-11-23T08:00:19.995Z","end":"2026-11-23T08:00:20.04Z","duration":19995000000,"wait":45000000,"requests":200,"rate":10.0,"throughput":9.7,"success":0.99,"status_codes":{"200":198,"0":2},"errors":["x"]}
"""
WRK2 = b"""Running 30s test @ http://127.0.0.1:80/index.html?token=SECRET_CANARY
  2 threads and 100 connections
  Thread calibration: mean lat.: 10087 usec, rate sampling interval: 22 msec
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     6.60ms    1.92ms  12.50ms   68.46%
    Req/Sec     1.04k     1.08k    2.50k    64.84%
  Latency Distribution (HdrHistogram - Recorded Latency)
 50.000%    6.67ms
 99.000%   11.18ms
 99.900%   12.30ms
100.000%   12.50ms

  Detailed Percentile spectrum:
       Value   Percentile   TotalCount 1/(1-Percentile)

       0.921     0.000000            1         1.00
       6.671     0.500000        19783         2.00
      10.015     0.950000        37543        20.00
      11.207     0.990625        39135       106.67
      12.503     1.000000        39500          inf
#[Mean    =        6.602, StdDeviation   =        1.919]
#[Max     =       12.496, Total count    =        39500]
#[Buckets =           27, SubBuckets     =         2048]
----------------------------------------------------------
  60018 requests in 30.00s, 19.81MB read
Requests/sec:   2000.28
Transfer/sec:    676.18KB
"""


def sample(name: str) -> bytes:
    return (DATA / name).read_bytes()


def totals(sink) -> dict[str, float]:
    """Points without a time and a route, by name and statistic."""
    return {".".join([p["name"], *[v for k, v in dict(p["labels"]).items() if k == "stat"]]): p["value"] for p in sink.rows["load_points"] if p.get("time") is None and "route" not in dict(p["labels"])}


def no_secret(sink) -> None:
    assert "SECRET_CANARY" not in repr(sink.rows) + repr(sink.notes)
    assert "jane@example.org" not in repr(sink.rows)


@pytest.mark.parametrize(("module", "name"), [(k6_json, "k6.json"), (k6_csv, "k6.csv"), (k6_csv, "k6_ms.csv"), (k6_summary, "k6_summary.json"), (k6_summary, "k6_export.json"),
    (locust, "locust_stats.csv"), (locust, "locust_stats_history.csv"), (locust, "locust_failures.csv"), (locust, "locust_exceptions.csv"), (jmeter, "jmeter.csv"), (jmeter, "jmeter.xml"),
    (hdr_text, "wrk.txt"), (hdr_text, "sample.hgrm"), (hdr_log, "sample.hlog")])  # fmt: skip
def test_recordings_are_known_whole_and_hold_no_secret(read, module, name):
    found = recognise(Sample(name, sample(name)))
    assert found is not None and found[0] == module.__name__.rpartition(".")[2] and found[1].confidence >= 0.9
    sink = read(module, sample(name), name)
    assert sink.n_rejected == 0 and sink.n_lines == len(sample(name).splitlines())
    no_secret(sink)


@pytest.mark.parametrize(("module", "data"), [(gatling, GATLING_3.encode()), (gatling, GATLING_2.encode()), (gatling, GATLING_BINARY), (vegeta, VEGETA_JSON), (vegeta, VEGETA_CSV), (vegeta, VEGETA_OLD), (vegeta, VEGETA_REPORT), (hdr_text, WRK2)])
def test_documented_formats_are_known(read, module, data):
    found = recognise(Sample("result", data))
    assert found is not None and found[0] == module.__name__.rpartition(".")[2]
    no_secret(read(module, data))


# ------------------------------------------------------------------ k6


def test_k6_requests_begin_when_they_were_sent(read):
    sink = read(k6_json, sample("k6.json"), "k6.json")
    first = sink.rows["requests"][0]
    assert (first["route"], first["method"], first["status"], first["service"], first["instance"]) == ("/items/{id}", "GET", 200, LOAD_GENERATOR, "k6.json")
    assert first["duration_us"] == 48_200 and first["time"] + first["duration_us"] == pytest.approx(1_795_459_103_828_000, abs=1_000_000)
    refused = next(r for r in sink.rows["requests"] if r["route"] == "/refused")
    assert refused["status"] == 0
    assert {p["name"] for p in sink.rows["load_points"]} == {"http_req_failed", "basket_size", "sold"}


def test_k6_csv_says_that_whole_seconds_hide_stalls(read):
    coarse, fine = read(k6_csv, sample("k6.csv")), read(k6_csv, sample("k6_ms.csv"))
    assert any("whole seconds" in note for note in coarse.notes) and not fine.notes
    assert set(coarse.column("requests", "route")) <= {"/items/{id}", "/cart", "/refused"}
    assert coarse.column("requests", "duration_us")[0] == 48_200


def test_k6_tells_what_it_dropped(read):
    lines = [f'{{"metric":"iteration_duration","type":"Point","data":{{"time":"2026-11-23T08:00:{s:02d}.5Z","value":500,"tags":null}}}}' for s in range(20)]
    lines += [f'{{"type":"Point","data":{{"time":"2026-11-23T08:00:{s:02d}.9Z","value":3,"tags":{{}}}},"metric":"dropped_iterations"}}' for s in (4, 5)]
    sink = read(k6_json, "\n".join(lines).encode())
    stages = sink.rows["load_stages"]
    assert sum(s["dropped"] for s in stages) == 6 and len(stages) == 10
    assert stages[2] | {"time": 0} == {"time": 0, "duration_us": 2_000_000, "target_per_s": 4.0, "achieved_per_s": 1.0, "dropped": 6, "virtual_users": None, "test": "x.log"}


def test_k6_lines_that_are_broken(read):
    good = sample("k6.json").splitlines()[3]
    broken = [b'{"metric":"http_req_duration","type":"Point","data":{"time":"soon","value":1,"tags":{}}}', b'{"metric":"http_req_duration","type":"Point","data":{"time":"2026-11-23T08:00:00Z","value":-1}}',
              b'{"metric":"http_req_duration","type":"Point","data":{"time":"2026-11-23T08:00:00Z","value":1e300}}', b'{"metric":"http_req_duration","type":"Point","data":{"time":"2026-11-23T08:00:00Z","value":NaN}}',
              b'{"metric":"vus","type":"Point","data":', b"[" * 5000, b"\0\xff", b'{"metric":"x","type":"Other","data":{}}']  # fmt: skip
    sink = read(k6_json, b"\n".join([good, *broken, b"", good[: len(good) // 2]]))
    assert sink.n_rejected == len(broken) + 1 and len(sink.rows["requests"]) == 1
    assert sink.rejected["time cannot be read"] == 1 and sink.rejected["duration is negative, not a number, or longer than a day"] == 2


def test_k6_checks_are_counted(read):
    lines = b"".join(b'{"type":"Point","metric":"checks","data":{"time":"2026-11-23T08:00:%02dZ","value":%d,"tags":{"check":"fast"}}}\n' % (i, i % 3 == 0) for i in range(9))
    assert {k: v for k, v in totals(read(k6_json, lines)).items() if k.startswith("checks_")} == {"checks_failed": 6, "checks_passed": 3}


def test_the_export_has_its_booleans_inverted(read):
    """k6 1.1 wrote both files of one test: p(95)<500 held and p(99)<10 was crossed."""
    for name in ("k6_summary.json", "k6_export.json"):
        marks = {dict(p["labels"])["threshold"]: p["value"] for p in read(k6_summary, sample(name)).rows["load_points"] if p["name"] == "threshold"}
        assert marks == {"p(95)<500": 1.0, "p(99)<10": 0.0, "rate<0.01": 0.0, "max<1": 0.0}


def test_totals_of_a_k6_summary(read):
    sink = read(k6_summary, sample("k6_summary.json"))
    told = totals(sink)
    assert (told["requests"], told["failures"], told["iterations"], told["vus_max"]) == (60, 20, 20, 2)
    assert told["duration_us.p95"] == pytest.approx(66_463.459) and told["duration_us.p50"] == pytest.approx(44_550.78)
    assert sink.rows["load_stages"][0]["duration_us"] == 3_049_204
    dropped = read(k6_summary, sample("k6_dropped_summary.json")).rows["load_stages"][0]
    assert (dropped["dropped"], dropped["achieved_per_s"], dropped["target_per_s"]) == (391, pytest.approx(180.1, abs=0.1), pytest.approx(199.6, abs=0.1))


# ------------------------------------------------------------------ Locust, JMeter


def test_locust_totals_and_its_files_are_one_test(read):
    sink = read(locust, sample("locust_stats.csv"), "run/locust_stats.csv")
    told = totals(sink)
    assert (told["requests"], told["failures"], told["duration_us.p95"], told["duration_us.max"]) == (430, 88, 70_000, pytest.approx(2_041_870.3))
    assert {dict(p["labels"]).get("route") for p in sink.rows["load_points"]} == {None, "/cart/{id}", "/items/{id}", "/missing"}
    assert {locust.test_of(f"run/locust_{form}.csv") for form in ("stats", "stats_history", "failures", "exceptions")} == {"run/locust"}


def test_locust_history_is_arrivals_by_the_second(read):
    sink = read(locust, sample("locust_stats_history.csv"))
    arrived = [p["value"] for p in sink.rows["load_points"] if p["name"] == "arrivals"]
    assert arrived == [40, 76, 78, 80, 2, 0, 79, 75]  # the server stood still in the fifth and sixth second
    assert max(p["value"] for p in sink.rows["load_points"] if p["name"] == "virtual_users") == 8


def test_locust_rows_that_are_broken(read):
    head = sample("locust_stats_history.csv").splitlines()[0]
    sink = read(locust, b"\n".join([head, b"1795458172,0,,Aggregated" + b",N/A" * 20, b"then,1", b"1795458173,x,,Aggregated" + b",1" * 20, b"-5,1,,Aggregated" + b",1" * 20]))
    assert sink.n_rejected == 4 and "requests" not in sink.rows


@pytest.mark.parametrize("name", ["jmeter.csv", "jmeter.xml"])
def test_jmeter_samples(read, name):
    sink = read(jmeter, sample(name))
    assert set(sink.column("requests", "route")) == {"/items/{id}", "/refused"}  # a label that is no path gives way to the URL
    assert {(r["route"], r["status"]) for r in sink.rows["requests"]} == {("/items/{id}", 200), ("/refused", 0)}
    assert max(p["value"] for p in sink.rows["load_points"] if p["name"] == "virtual_users") == 4
    first = sink.rows["requests"][0]
    assert (first["time"], first["duration_us"], first["response_bytes"]) == ((1795459560043_000, 155_000, 67) if name == "jmeter.csv" else (1795459569615_000, 149_000, 67))


def test_jmeter_newer_columns_transactions_and_what_is_broken(read):
    rows = b"""1795420800000,120,Buy,200,"Number of samples in transaction : 2, number of failing samples : 0",Shop 1-1,,true,,900,300,2,2,null,0,20,0
1795420800000,50,POST /cart/17?token=SECRET_CANARY,201,Created,Shop 1-1,text,true,,450,150,2,2,http://shop.example/cart/17?token=SECRET_CANARY,50,0,1
1795420800060,-50,Home,200,OK,Shop 1-1,text,true,,450,150,2,2,null,50,0,1
1795420800060,NaN,Home,200,OK,Shop 1-1,text,true,,450,150,2,2,null,50,0,1
1795420800070,70,Home,200,OK,Shop 1-2,text
1795420800080,70,Home 4711,500,,Shop 1-2,text,false,,450,150,2,2,null,70,0,1
"""
    sink = read(jmeter, rows)
    assert [(r["method"], r["route"], r["status"], r["request_bytes"]) for r in sink.rows["requests"]] == [("POST", "/cart/{id}", 201, 150), (None, "Home 4711", 500, 150)]
    assert dict(sink.rejected) == {"duration is negative, not a number, or longer than a day": 1, "time or elapsed cannot be read": 1, "7 columns where the header has 17": 1}
    no_secret(sink)
    head = b"timeStamp;elapsed;label;responseCode\n2026/11/23 08:00:00.250;50;/a/1;200\n"
    assert read(jmeter, head).rows["requests"][0] | {"service": 0, "instance": 0} == {"time": 1795420800250000, "duration_us": 50_000, "status": 200, "method": None, "route": "/a/{id}", "response_bytes": None, "request_bytes": None, "service": 0, "instance": 0}


JTL = b"timeStamp,elapsed,label,responseCode,responseMessage,success,failureMessage\n"


def test_a_response_that_an_assertion_refused_is_no_good_answer(read):
    rows = b"1795420800000,50,/a,200,OK,false,Test failed: text expected to contain /Welcome/\n1795420800100,50,/a,200,OK,true,\n"
    rows += b'1795420800200,950,/a,200,OK,false,"The operation lasted too long: It took 950 milliseconds"\n1795420800300,50,/a,404,Not found,false,\n1795420800400,50,/a,404,Not found,true,\n'
    sink = read(jmeter, JTL + rows)
    assert sink.column("requests", "status") == [0, 200, 200, 404, 404]
    assert any("1 samples failed in JMeter with a status below 400" in n for n in sink.notes)
    xml = b"""<testResults version="1.2">
<httpSample t="90" ts="1795420800000" s="false" lb="/a" rc="200" rm="OK">
  <assertionResult><name>welcome</name><failure>true</failure>
  <failureMessage>Test failed</failureMessage></assertionResult>
</httpSample>
<httpSample t="90" ts="1795420800100" s="false" lb="/a" rc="200" rm="OK">
  <assertionResult><failureMessage>The operation lasted too long: It took 90 milliseconds</failureMessage></assertionResult>
</httpSample>
</testResults>
"""
    assert read(jmeter, xml).column("requests", "status") == [0, 200]


@pytest.mark.parametrize("n", [3, 2500])
def test_transactions_are_used_where_nothing_else_is_there(read, n):
    rows = b"".join(b'%d,%d,checkout,200,"Number of samples in transaction : 3, number of failing samples : 0",true,\n' % (1795420800000 + i, 100 + i % 7) for i in range(n))
    sink = read(jmeter, JTL + rows)
    assert sink.column("requests", "route") == ["checkout"] * n and sink.n_parsed == n + 1
    assert any("transactions only" in note for note in sink.notes)
    single = b"1795420800000,50,/a,200,OK,true,\n"
    assert read(jmeter, JTL + single + rows).column("requests", "route") == ["/a"]


def test_jmeter_xml_nests(read):
    """Redirects inside a request are not counted again; requests inside a transaction are counted, and it is not."""
    data = b"""<?xml version="1.0" encoding="UTF-8"?>
<testResults version="1.2">
<httpSample t="90" ts="1795420800000" s="true" lb="/old" rc="200" rm="OK" tn="T 1-1" by="9" ng="1" na="1">
  <httpSample t="40" ts="1795420800000" s="true" lb="/old-0" rc="302" rm="Found" tn="T 1-1"/>
</httpSample>
<sample t="99" ts="1795420801000" s="true" lb="Buy" rc="200" rm="Number of samples in transaction : 1, number of failing samples : 0" tn="T 1-1">
  <httpSample t="60" ts="1795420801000" s="true" lb="Pay &lt;now&gt;" rc="200" rm="OK" tn="T 1-1">
    <java.net.URL>http://shop.example/pay/3?card=SECRET_CANARY</java.net.URL>
    <method class="java.lang.String">POST</method>
  </httpSample>
</sample>
garbage
</httpSample>
<httpSample t="60" ts="17954" s="true" lb="x" rc="200" rm="OK" tn="T 1-1"/>
<httpSample t="1" ts="1795420802000" s="true" lb="/open"
"""
    sink = read(jmeter, data)
    assert [(r["method"], r["route"], r["duration_us"]) for r in sink.rows["requests"]] == [(None, "/old", 90_000), ("POST", "/pay/{id}", 60_000)]
    assert dict(sink.rejected) == {"outside of any sample": 1, "an end without a beginning": 1, "time or elapsed cannot be read": 1}
    no_secret(sink)


# ------------------------------------------------------------------ Gatling, Vegeta


def test_gatling_of_three_versions(read):
    sink = read(gatling, GATLING_3.encode() + b"REQUEST\t\tHome\t1795420800300\t\tOK\nnoise\n")
    assert [(r["route"], r["status"], r["duration_us"]) for r in sink.rows["requests"]] == [("Home", None, 50_000), ("/cart/{id}", 503, 2_000_000), ("Home", 0, 60_000_000)]
    assert dict(sink.rejected) == {"no outcome behind two times": 1, "not a record of Gatling": 1}
    assert [p["value"] for p in sink.rows["load_points"] if p["name"] == "virtual_users"] == [2, 1]
    old = read(gatling, GATLING_2.encode()).rows["requests"]
    assert [(r["time"], r["route"], r["duration_us"]) for r in old] == [(1795420800010_000, "Home", 50_000)]
    oldest = b"Buyers\t1\tREQUEST\t\tHome\t1795420800010\t1795420800011\t1795420800050\t1795420800060\tOK\t\nBuyers\t1\tUSER\tSTART\t1795420800000\t\n"
    assert read(gatling, oldest).rows["requests"][0]["duration_us"] == 50_000


def test_gatling_binary_is_refused_by_name(tmp_path):
    from perfaudit.errors import NothingReadable
    from perfaudit.evidence import intake
    from perfaudit.evidence.bundle import Bundle
    from perfaudit.evidence.readers import ReadOptions

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "simulation.log").write_bytes(GATLING_BINARY)
    with pytest.raises(NothingReadable) as refused:
        intake.add(Bundle.create(tmp_path / "one", durable=False), [tmp_path / "in"], ReadOptions())
    assert "access log" in refused.value.todo
    (tmp_path / "in" / "jmeter.csv").write_bytes(sample("jmeter.csv"))
    report = intake.add(Bundle.create(tmp_path / "two", durable=False), [tmp_path / "in"], ReadOptions())
    (reason,) = [r["reason"] for r in report.not_read]
    assert "binary simulation.log of Gatling 3.13.1" in reason and "access log" in reason


def test_vegeta(read):
    sink = read(vegeta, VEGETA_JSON)
    assert [(r["time"], r["method"], r["route"], r["status"], r["duration_us"]) for r in sink.rows["requests"]] == [
        (1795420800123456, "GET", "/items/{id}", 200, 48_200), (1795420800223456, "POST", "/cart", 0, 30_000_000)]  # fmt: skip
    assert sum(sink.rejected.values()) == 1
    table = read(vegeta, VEGETA_CSV)
    assert table.column("requests", "time") == sink.column("requests", "time") and table.column("requests", "duration_us") == sink.column("requests", "duration_us")
    assert dict(table.rejected) == {"time, status, latency or bytes cannot be read": 1}
    assert read(vegeta, VEGETA_OLD).column("requests", "route") == ["other"]
    told = read(vegeta, VEGETA_REPORT)
    assert totals(told) | {} == totals(told) and (totals(told)["requests"], totals(told)["failures"], totals(told)["duration_us.p99"]) == (200, 2, 72_000)
    assert told.rows["load_stages"][0]["time"] == 1795420800000000


def test_vegeta_binary_says_what_to_do():
    claim = vegeta.sniff(Sample("results.bin", b"\x7f\xff\x81\x03\x01\x01\x06Result\x01\xff\x82\x00\x01\x0c\x01\x06Attack\x01\x0c\x00\x01\x08BytesOut\x01\x06\x00"))
    assert claim is not None and "vegeta encode" in claim.hint


# ------------------------------------------------------------------ wrk, HdrHistogram


def test_wrk_and_wrk2(read):
    old = read(hdr_text, sample("wrk.txt"))
    told = totals(old)
    assert (told["requests"], told["failures"], told["duration_us.p99"]) == (649, 8, pytest.approx(71_000))
    assert old.rows["load_stages"][0]["virtual_users"] == 8
    new = read(hdr_text, WRK2)
    buckets = [(float(dict(p["labels"])["value_us"]), p["value"]) for p in new.rows["load_points"] if p["name"] == "duration_bucket"]
    assert buckets == [(921.0, 1), (6671.0, 19782), (10015.0, 17760), (11207.0, 1592), (12503.0, 365)]
    models = [dict(p["labels"])["model"] for sink in (old, new) for p in sink.rows["load_points"] if p["name"] == "arrival_model"]
    assert models == ["closed", "open"]
    assert totals(new)["requests"] == 60018


def test_histogram_log_and_distribution_agree(read):
    """The Python port wrote both from the same 1,000 values: p50 50.079, p95 68.031, p99 77.503, max 104.063 ms at the top of their slots."""
    import numpy as np

    from perfaudit.stats.percentile import Distribution

    for module, name in ((hdr_log, "sample.hlog"), (hdr_text, "sample.hgrm")):
        sink = read(module, sample(name))
        buckets = [(float(dict(p["labels"])["value_us"]), int(p["value"])) for p in sink.rows["load_points"] if p["name"] == "duration_bucket"]
        found = Distribution(np.array([v for v, _ in buckets]), np.array([n for _, n in buckets]))
        assert found.n == 1000
        assert [found.percentile(q).value / 1e3 for q in (0.5, 0.95, 0.99, 1.0)] == pytest.approx([50.079, 68.031, 77.503, 104.063], rel=0.012 if name.endswith("hgrm") else 0.001)
    assert [s["achieved_per_s"] for s in read(hdr_log, sample("sample.hlog")).rows["load_stages"]] == [200.0] * 5


def encoded(payload: bytes, *, digits: int = 3, lowest: int = 1, cookie: int = 0x1C849303, outer: int = 0x1C849304) -> str:
    body = zlib.compress(struct.pack(">IIIIqqd", cookie, len(payload), 0, digits, lowest, 10_000_000, 1.0) + payload)
    return base64.b64encode(struct.pack(">II", outer, len(body)) + body).decode()


def test_encoded_histograms():
    # ZigZag: 2 → one count, 3 → skip two slots, 20 → ten counts; with three digits, values below 2,048 have slots of width one.
    assert decode(encoded(bytes([2, 3, 20]))) == [(0, 1), (3, 10)]
    assert decode(encoded(b"\xff\x1f\x02")) == [(2048 + 1, 1)]  # skips 2,048 slots: the second bucket, whose slots are two wide
    for damaged in ("AAAA", "!", encoded(b"\xff"), encoded(b"\x02", digits=9), encoded(b"\x02", cookie=1), encoded(b"\x02", outer=7), encoded(b"\x02")[:-8], encoded(b"\xff\xff\xff\xff\x0f\x02")):
        with pytest.raises(ValueError):
            decode(damaged)


def test_a_histogram_log_that_is_broken(read):
    line = sample("sample.hlog").splitlines()[3]
    sink = read(hdr_log, b"#[Histogram log format version 1.3]\n#[BaseTime: 1795458180.5 (seconds since epoch)]\nTag=a@b.example," + line + b"\n" + line[:-40] + b"\n1,2,3\nnoise\n")
    assert sink.n_parsed == 3 and sink.n_rejected == 3
    assert sink.rows["load_stages"][0]["time"] == 1795458180_500000
    assert "a@b.example" not in repr(sink.rows)


@pytest.mark.parametrize("module", [k6_json, k6_csv, k6_summary, locust, jmeter, gatling, vegeta, hdr_text, hdr_log])
@pytest.mark.parametrize("data", [b"", b"\0\1\2", b"{" * 1000, b"[" * 100_000, b"time,kind\n1,deploy\n", b'{"time":1795420943,"kind":"deploy"}\n', b'127.0.0.1 - - [23/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5\n', b'{"metrics":{}}', b"<html>"])
def test_other_files_are_left_alone(module, data):
    assert module.sniff(Sample("x", data)) is None


def test_hostile_names_and_times_stay_bounded(read):
    """A name for each request, and times that are years apart: neither makes a table of its own."""
    from perfaudit.evidence.readers import _load

    rows = "".join(f"{1_000_000_000_000 + i * 86_400_000 * 10},5,order {i} of bob,200,true\n" for i in range(_load.MOST_NAMES + 50))
    sink = read(jmeter, ("timeStamp,elapsed,label,responseCode,success\n" + rows).encode())
    assert len(set(sink.column("requests", "route"))) == _load.MOST_NAMES + 1 and any("distinct names" in note for note in sink.notes)
    assert len(sink.rows["load_stages"]) <= _load.MOST_INTERVALS


def test_names_hold_no_control_characters(read):
    data = 'timeStamp,elapsed,label,responseCode,success\n1795420800000,5,"Pay \x1b[2J\u202enow password=hunter2 bob@example.org",200,true\n'.encode()
    (name,) = read(jmeter, data).column("requests", "route")
    assert name.startswith("Pay ") and not {"\x1b", "\u202e"} & set(name) and "hunter2" not in name and "bob@" not in name
