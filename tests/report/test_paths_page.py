"""The page of ``paths``: the flow graph, the waterfalls, its tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from perfaudit.report import charts, pages, schema
from perfaudit.report.pages import _components, _graph, _waterfall

from .sample import HOSTILE, m
from .test_html import SVG

PATHS = pages.discover()["paths"]


def side(calls: int = 100, per_request: float = 1.0, again: float = 0.0) -> dict[str, Any]:
    return {"calls": calls, "per_request": per_request, "p50": 12.0, "p95": 40.0, "failed": again, "again": again}


def edge(caller: str, callee: str, share: float, **given: Any) -> dict[str, Any]:
    return {"caller": caller, "callee": callee, "share": m(share, "share of request-seconds"), "affected": side(**given)}


def graph(*edges: dict[str, Any], roots: tuple[str, ...] = ("web",), kinds: dict[str, str] | None = None) -> dict[str, Any]:
    names = sorted({e[k] for e in edges for k in ("caller", "callee")})
    return {"nodes": [{"name": n, "kind": (kinds or {}).get(n, "service"), "root": n in roots, "own": 0.1} for n in names], "edges": list(edges), "left_out": 0}


def parsed(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    assert {element.tag for element in root.iter()} <= SVG
    assert root.find("title") is not None and root.find("desc") is not None
    return root


def boxes(root: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    return [tuple(float(r.attrib[k]) for k in ("x", "y", "width", "height")) for r in root.iter("rect") if r.attrib["class"] == "node"]  # type: ignore[misc]


def labels(root: ElementTree.Element, css: str) -> Iterator[tuple[float, float, str]]:
    """Left end (7 units a letter at most), baseline and text of the labels of a class."""
    for text in root.iter("text"):
        if css in text.attrib["class"]:
            said, x = text.text or "", float(text.attrib["x"])
            yield x - {"start": 0.0, "middle": 3.5, "end": 7.0}[text.attrib["text-anchor"]] * len(said), float(text.attrib["y"]), said


# ------------------------------------------------------------ flow graph


def test_nodes_stand_in_columns_by_distance_and_never_overlap() -> None:
    edges = [edge("web", f"s{i}", 0.1) for i in range(8)] + [edge("s1", "db", 0.05), edge("s2", "db", 0.05), edge("db", "disk", 0.01)]
    root = parsed(_graph.draw(graph(*edges, kinds={"db": "database"}), title="t", desc="d"))
    found = boxes(root)
    assert len(found) == 11 and len({x for x, *_ in found}) == 4
    for i, (ax, ay, w, h) in enumerate(found):
        for bx, by, *_ in found[i + 1 :]:
            assert abs(ax - bx) >= w or abs(ay - by) >= h
    width, height = (float(v) for v in root.attrib["viewBox"].split()[2:])
    assert all(x >= 0 and x + w <= width and y >= 0 and y + h <= height for x, y, w, h in found)


def test_labels_of_edges_do_not_cover_each_other() -> None:
    edges = [edge(f"a{i}", "db", 0.1) for i in range(6)] + [edge("web", f"a{i}", 0.12) for i in range(6)]
    found = sorted(labels(parsed(_graph.draw(graph(*edges), title="t", desc="d")), "edge-name"))
    assert len(found) == 12
    for i, (x, y, _) in enumerate(found):
        for other, height, _ in found[i + 1 :]:
            assert abs(x - other) >= 60 or abs(y - height) >= 14


def test_the_heaviest_way_is_highlighted_widths_follow_shares_and_retries_are_marked() -> None:
    drawn = graph(edge("web", "pay", 0.7, again=0.2), edge("web", "stock", 0.2), edge("pay", "bank", 0.6), edge("stock", "db", 0.1))
    root = parsed(_graph.draw(drawn, title="t", desc="d"))
    lines = [p for p in root.iter("path") if "head" not in p.attrib["class"]]
    hot = {(p.findtext("title") or "").split(":")[0] for p in lines if "hot" in p.attrib["class"]}
    assert hot == {"web → pay", "pay → bank"}
    widths = {(p.findtext("title") or "").split(":")[0]: float(p.attrib["stroke-width"]) for p in lines}
    assert widths["web → pay"] > widths["pay → bank"] > widths["web → stock"] > widths["stock → db"]
    assert [said for _, _, said in labels(root, "edge-name") if "↻" in said] == ["70 % · ×1 ↻ 20 %"]


@pytest.mark.parametrize(
    "edges",
    [
        [edge("web", "a", 0.5), edge("a", "b", 0.4), edge("b", "a", 0.1)],
        [edge("a", "b", 0.5), edge("b", "a", 0.4)],
        [edge("web", "a", 0.0)],
        [edge(f"n{i}", f"n{i + 1}", 0.5) for i in range(30)],
        [edge("x" * 300, "y" * 300, 1.4)],
    ],
    ids=["back", "cycle", "nothing", "deep", "long"],
)
def test_odd_graphs_are_drawn(edges: list[dict[str, Any]]) -> None:
    root = parsed(_graph.draw(graph(*edges, roots=(edges[0]["caller"],)), title="t", desc="d"))
    assert 0 < len(boxes(root)) <= _graph.MOST
    for x, y, w, h in boxes(root):
        assert x >= 0 and y >= 0 and x + w <= float(root.attrib["viewBox"].split()[2]) and y + h <= float(root.attrib["viewBox"].split()[3])


def test_without_an_edge_there_is_no_picture_and_a_lost_edge_is_told() -> None:
    assert _graph.draw(graph(roots=()), title="t", desc="d") == ""
    gone = edge("web", "a", 0.0)
    gone["reference"] = gone.pop("affected")
    assert "no calls any more" in _graph.draw(graph(gone), title="t", desc="d")


# ------------------------------------------------------------ waterfall


def row(depth: int, operation: str, begin: int, end: int, **more: Any) -> dict[str, Any]:
    out = {"depth": depth, "service": "shop", "operation": operation, "component": "self: shop", "times": 1, "failed": False, "again": False, "spans": [[begin, end]], "critical": [[begin, end]]}
    return out | more


def example(*rows: dict[str, Any], duration: int = 100_000) -> dict[str, Any]:
    return {"flow": "GET /x", "what": "median", "trace_id": "ab", "duration": duration, "left_out": 0, "rows": list(rows)}


def test_bars_stand_where_the_spans_were_and_rows_below_each_other() -> None:
    drawn = example(row(0, "GET /x", 0, 100_000, critical=[[0, 20_000]]), row(1, "SELECT", 20_000, 100_000, component="database", times=37, failed=True, again=True))
    root = parsed(_waterfall.draw(drawn, title="t", desc="d"))
    bars = [(r.attrib["class"], float(r.attrib["x"]), float(r.attrib["width"]), float(r.attrib["y"])) for r in root.iter("rect") if r.find("title") is not None]
    (_, left, whole, top), (css, x, w, _), (_, x2, w2, top2), (css2, *_) = bars
    assert (css, css2) == (_components.css("self: shop"), _components.css("database"))
    assert x == left and w == pytest.approx(0.2 * whole, abs=0.2)
    assert x2 == pytest.approx(left + 0.2 * whole, abs=0.2) and w2 == pytest.approx(0.8 * whole, abs=0.2)
    assert top2 > top
    said = [t.text or "" for t in root.iter("text")]
    assert "SELECT ×37 ↻ failed" in said and "100 ms" in said


def test_long_and_deep_names_stay_left_of_the_bars() -> None:
    root = parsed(_waterfall.draw(example(*(row(d, "operation " * 30, 0, 100_000, service=f"s{d}") for d in range(40))), title="t", desc="d"))
    bars = min(float(r.attrib["x"]) for r in root.iter("rect") if r.attrib["class"] == "span")
    for text in root.iter("text"):
        if text.attrib["text-anchor"] == "start" and "operation" in (text.text or ""):
            assert float(text.attrib["x"]) + 6.3 * len(text.text or "") <= bars


def test_a_trace_without_length_or_rows_breaks_nothing() -> None:
    assert _waterfall.draw(example(), title="t", desc="d") == ""
    parsed(_waterfall.draw(example(row(0, "x", 0, 0, critical=[]), duration=0), title="t", desc="d"))


@pytest.mark.parametrize("component", ["self: shop", "downstream: x", "database", "database lock wait", "cache", "pool wait: shop", "application lock or wait", "connection set-up", "retries", "messages", "queue for a worker", "something new"])
def test_every_component_has_a_colour_with_a_name(component: str) -> None:
    (swatch, *_) = _components.legend([_components.css(component)], 0, 20)
    assert _components.css(component) in swatch


# ------------------------------------------------------------ page


def part() -> dict[str, Any]:
    """A small ``paths`` part with everything in it."""
    share = m(0.6, "share of request-seconds", 0.5, 0.7, 100)
    return {
        "blind_spots": [{"what": "pool", "inside": "self: shop", "share": share, "collect": "a span"}],
        "traces": {"affected": 1500, "reference": 0, "spans": 9000},
        "quality": {"orphans": 3, "rows": 9000, "spans": 9000, "traces": 1500, "roots": 1500},
        "sampling": "12 of 1,500 traces were kept by a tail sampler",
        "flows": [
            {"flow": "POST /x", "key": {"service": "shop"}, "traces": [1500, 800], "requests": 1500.0, "seconds": 90.0, "share": share, "affected": m(60.0, "ms"), "reference": m(20.0, "ms"), "added": m(60.0, "s", 50.0, 70.0), "pieces": [
                {"component": "database", "share": m(0.9, "share of the flow's time"), "affected": 54.0, "reference": 14.0, "difference": m(40.0, "ms", 38.0, 42.0)}]}
        ],
        "hot": [{"steps": [{"service": "shop", "operation": f"s{i}", "again": 1 + (i == 3)} for i in range(9)], "component": "database", "seconds": 80.0, "share": share}],
        "own": [{"service": "shop", "operation": "", "kind": "client", "component": "database", "seconds": 80.0, "share": share, "reference": share, "calls": [1.2, None]}],
        "graph": graph(edge("web", "pay", 0.7)),
        "percentiles": [{"flow": "POST /x", "bands": [{"percentile": "p95", "threshold": 80.0, "traces": 75, "difference": m(50.0, "ms", 40.0, 60.0), "left_out": 0, "parts": [{"component": "database", "difference": m(49.0, "ms", 39.0, 59.0), "slow": 90.0, "middle": 41.0}]}], "note": "few"}],
        "attributes": [{"flow": "POST /x", "slow": 150, "fast": 750, "tested": 12, "left_out": 0, "values": [{"attribute": "instance", "value": "pod-3", "slow": 90, "fast": 40, "odds": [26.0, 17.0, 41.0], "p": 1e-9}]}],
        "examples": [example(row(0, "POST /x", 0, 100_000))],
        "left_out": {"flows": 4, "hot": 0, "own": 0},
    }  # fmt: skip


def result(**more: Any) -> dict[str, Any]:
    account = [{"component": "database", "share": m(0.7, "share of request-seconds", 0.6, 0.8), "seconds": 70.0, "evidence": "traces"}, {"component": "unexplained", "share": m(0.3, "share of request-seconds"), "seconds": 30.0, "evidence": "none"}]
    return {"schema_version": 1, "audit": {"question": "?"}, "time_account": account, "paths": part()} | more


def test_the_page_holds_every_table_and_says_what_is_left_out() -> None:
    schema.validate(result())
    page = PATHS.page(result())
    tables = {t.title: t for t in page.tables}
    assert list(tables) == [
        "Account of time", "What cannot be told apart", "Flows by root operation", "What flows wait for", "Hot paths", "What slow requests wait for", "What slow traces have in common", "Calls", "Time that operations own",
    ]  # fmt: skip
    assert "1 of 5" in tables["Flows by root operation"].note
    assert tables["Hot paths"].rows[0][0] == "shop: s0 → s1 → … 4 more … → s6 → s7 → s8"
    assert tables["What slow traces have in common"].rows[0][1:4] == ("instance pod-3", "90 of 150", "40 of 750")
    assert dict(page.facts)["Sampling"].startswith("12 of")
    assert any("3 orphans" in note for note in page.notes)
    assert page.answer.endswith("POST /x takes 40 ms longer than in the reference, 40 ms of that in database.")


@pytest.mark.parametrize(("now", "low", "told"), [(60.0, 50.0, True), (60.0, -1.0, False), (21.0, 1.0, False)])
def test_a_flow_is_only_slower_beyond_chance_and_by_what_matters(now: float, low: float, told: bool) -> None:
    given = result()
    given["paths"]["flows"][0] |= {"affected": m(now, "ms"), "added": m(60.0, "s", low, 70.0)}
    assert ("longer than in the reference" in PATHS.page(given).answer) == told


def test_values_of_the_same_traces_stand_together() -> None:
    given = result()
    flow = given["paths"]["attributes"][0]
    flow["values"] = [flow["values"][0] | {"value": f"v{i}"} for i in range(5)] + [flow["values"][0] | {"value": "other", "fast": 41}]
    rows = next(t for t in PATHS.page(given).tables if t.title == "What slow traces have in common").rows
    assert [row[1] for row in rows] == ["instance v0; instance v1; instance v2; 2 more", "instance other"]


def test_beside_a_verdict_the_bar_is_not_drawn_twice() -> None:
    titles = [chart.title for chart in PATHS.page(result()).charts]
    assert titles[0] == "Account of time" and titles[1] == "Who calls whom"
    assert "Account of time" not in [chart.title for chart in PATHS.page(result(verdict={})).charts]


def test_without_traces_only_the_account_and_what_would_split_it() -> None:
    page = PATHS.page(result(paths={"blind_spots": part()["blind_spots"]}))
    assert page.tone == "open" and [t.title for t in page.tables] == ["Account of time", "What cannot be told apart"]


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_names_are_text_in_every_picture(payload: str) -> None:
    bad = part()
    bad["graph"] = graph(edge(payload, payload + "2", 0.5, again=0.1), roots=(payload,))
    bad["examples"] = [example(row(0, payload, 0, 10, service=payload, component=payload)) | {"flow": payload, "trace_id": payload}]
    bad["flows"][0]["flow"] = payload
    for chart in PATHS.page(result(paths=bad)).charts:
        root = parsed(chart.svg)
        assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", "".join(root.itertext()))
        assert isinstance(chart, pages.Chart) and charts.WIDTH
