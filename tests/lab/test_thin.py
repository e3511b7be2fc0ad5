"""Cases are thinned as telemetry is sampled: whole traces, longer intervals, nothing torn."""

import json
import random
import shutil
from pathlib import Path

import pytest

from lab import case, thin


def spans(rng: random.Random, traces: int) -> list[dict[str, str]]:
    ids = [f"{rng.getrandbits(128):032x}" for _ in range(traces)]
    return [{"traceId": t, "id": f"{rng.getrandbits(64):016x}"} for t in ids for _ in range(4)]


def test_traces_are_kept_whole_and_smaller_shares_are_subsets(tmp_path: Path) -> None:
    made = spans(random.Random(1), 500)
    zipkin, otlp = tmp_path / "z.json", tmp_path / "o.jsonl"
    zipkin.write_text(json.dumps(made))
    otlp.write_text("".join(json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": made[i : i + 7]}]}]}) + "\n" for i in range(0, len(made), 7)))
    thin.zipkin(zipkin, 0.6)
    thin.otlp(otlp, 0.6)
    left = json.loads(zipkin.read_text())
    also = [s for line in otlp.read_text().splitlines() for r in json.loads(line)["resourceSpans"] for c in r["scopeSpans"] for s in c["spans"]]
    assert left == also
    kept = {s["traceId"] for s in left}
    assert len(left) == 4 * len(kept)
    assert 250 < len(kept) < 350
    thin.zipkin(zipkin, 0.3)
    assert {s["traceId"] for s in json.loads(zipkin.read_text())} < kept


def test_metrics_at_a_longer_interval(tmp_path: Path) -> None:
    file = tmp_path / "p.prom"
    file.write_text("# TYPE up gauge\n" + "".join(f'up{{job="a b"}} 1 {1000 + i}.25\n' for i in range(8)) + "# EOF\n")
    thin.prometheus(file, 4)
    assert file.read_text() == '# TYPE up gauge\nup{job="a b"} 1 1000.25\nup{job="a b"} 1 1004.25\n# EOF\n'


def test_every_other_export_of_each_process(tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    made = [{"resourceMetrics": [{"resource": {"id": who}, "scopeMetrics": [i]}]} for i, who in enumerate("abbabaab")]
    file.write_text("".join(json.dumps(m) + "\n" for m in made))
    thin.otlp_metrics(file, 2)
    assert [json.loads(line) for line in file.read_text().splitlines()] == [made[i] for i in (0, 1, 4, 5)]


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
def test_a_case_is_thinned_only_until_it_fits(tmp_path: Path) -> None:
    rng = random.Random(2)
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "zipkin-spans.json").write_text(json.dumps(spans(rng, 300)))
    (folder / "access.log").write_text("x\n" * 50)
    whole = tmp_path / "copy"
    shutil.copytree(folder, whole)
    assert case.fit([whole], 1 << 30) == []
    assert case.fit([folder], int(case.size(whole) * 0.8)) == ["evidence/zipkin-spans.json"]
    assert case.size(folder) <= case.size(whole) * 0.8
    assert sorted(p.name for p in folder.iterdir()) == ["access.log.zst", "zipkin-spans.json.zst"]
