"""Who calls whom, drawn: nodes in columns by their distance from the users, edges as wide as the share of the time that passes through them.

The heaviest edge of each node on the way from the root makes the path that is highlighted. No script, no layout engine: columns by breadth-first distance,
within a column the node with the most time stands on top.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from perfaudit.report import charts, text

#: Nodes that are drawn at most, those with the most time; the table below holds all.
MOST = 24
_WIDE, _HIGH, _GAP, _TOP = 178.0, 48.0, 26.0, 12.0
#: From column to column at most and at least (a label must find room between two), and columns: what lies deeper stands in the last.
_FAR, _NEAR, _COLUMNS = 390.0, 306.0, 6
_STRIPES = {"service": "k0", "database": "k1", "cache": "k6", "queue": "k7", "external": "k3"}
#: Stroke of an edge that carries nothing, and what a share of 1 adds.
_THIN, _THICK = 1.2, 9.0
#: Retries under one in a thousand calls are not worth a mark.
_AGAIN = 0.001


def draw(graph: Mapping[str, Any], *, title: str, desc: str) -> str:
    """The graph as SVG; "" without an edge."""
    edges = [edge for edge in graph["edges"] if edge.get("affected") or edge.get("reference")]
    if not edges:
        return ""
    weight = {node["name"]: max([node["own"], *(_share(e) for e in edges if node["name"] in (e["caller"], e["callee"]))]) for node in graph["nodes"]}
    nodes = sorted(graph["nodes"], key=lambda n: (not n["root"], -weight[n["name"]], n["name"]))[:MOST]
    names = {node["name"] for node in nodes}
    edges = [edge for edge in edges if edge["caller"] in names and edge["callee"] in names]
    layers = _layers(nodes, edges)
    places = _places(nodes, layers, weight)
    hot = _heaviest(nodes, edges)
    width = max(charts.WIDTH, max(x for x, _ in places.values()) + _WIDE + 2)
    height = max(y for _, y in places.values()) + _HIGH + _TOP
    body = [_edge(edge, places, id(edge) in hot) for edge in sorted(edges, key=_share)]
    body += [_node(node, places[node["name"]]) for node in nodes]
    body += _labels(edges, places, hot)
    return charts.figure(body, width=width, height=height, title=title, desc=desc)


def _share(edge: Mapping[str, Any]) -> float:
    return text.value_of(edge["share"]) or 0.0


def _layers(nodes: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Column of each node: its distance from the nearest root that nobody calls (else from all roots); what none reaches stands first."""
    roots = [node["name"] for node in nodes if node["root"]]
    called = {e["callee"] for e in edges}
    front = [name for name in roots if name not in called] or roots
    layers = dict.fromkeys(front, 0)
    while front:
        found = sorted({e["callee"] for e in edges if e["caller"] in front and e["callee"] not in layers})
        layers |= dict.fromkeys(found, layers[front[0]] + 1)
        front = found
    return {node["name"]: min(layers.get(node["name"], 0), _COLUMNS - 1) for node in nodes}


def _places(nodes: Sequence[Mapping[str, Any]], layers: Mapping[str, int], weight: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Upper left corner of each node; columns are centred on the longest."""
    columns: dict[int, list[str]] = {}
    for node in sorted(nodes, key=lambda n: (-weight[n["name"]], n["name"])):
        columns.setdefault(layers[node["name"]], []).append(node["name"])
    most, last = max(map(len, columns.values())), max(columns)
    step = max(_NEAR, min(_FAR, (charts.WIDTH - _WIDE - 4) / max(last, 1)))
    left = max(2.0, (charts.WIDTH - _WIDE - step * last) / 2)
    out = {}
    for column, names in columns.items():
        down = (most - len(names)) * (_HIGH + _GAP) / 2
        for row, name in enumerate(names):
            out[name] = (left + step * column, _TOP + down + row * (_HIGH + _GAP))
    return out


def _heaviest(nodes: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]]) -> set[int]:
    """Ids of the edges on the heaviest way from the root that owns most."""
    out: set[int] = set()
    here = max((n["name"] for n in nodes if n["root"]), key=lambda name: sum(_share(e) for e in edges if e["caller"] == name), default=None)
    seen = {here}
    while nearest := [e for e in edges if e["caller"] == here and e["callee"] not in seen and _share(e) >= 0.01]:
        best = max(nearest, key=_share)
        out.add(id(best))
        here = best["callee"]
        seen.add(here)
    return out


def _node(node: Mapping[str, Any], place: tuple[float, float]) -> str:
    x, y = place
    said = f"owns {text.percent(node['own'])}" + ("" if node["kind"] == "service" else f" · {node['kind']}")
    box = f'<rect class="node" x="{charts.number(x)}" y="{charts.number(y)}" width="{_WIDE:g}" height="{_HIGH:g}" rx="5"><title>{escape(text.plain(node["name"]))}: {escape(said)}</title></rect>'
    stripe = f'<rect class="{_STRIPES[node["kind"]]}" x="{charts.number(x)}" y="{charts.number(y)}" width="6" height="{_HIGH:g}" rx="2"/>'
    return box + stripe + charts.label(x + 16, y + 20, text.cut(node["name"], 21), "node-name") + charts.label(x + 16, y + 37, said, "tick")


def _ends(edge: Mapping[str, Any], places: Mapping[str, tuple[float, float]]) -> tuple[float, float, float, float, int]:
    """From where to where an edge goes, and which way its head points: 1 to a column further right, −1 back or within a column."""
    (ax, ay), (bx, by) = places[edge["caller"]], places[edge["callee"]]
    if bx > ax:
        return ax + _WIDE, ay + _HIGH / 2, bx - 8, by + _HIGH / 2, 1
    return ax + (_WIDE if bx == ax else 0.0), ay + _HIGH / 2 + 8, bx + _WIDE + 8, by + _HIGH / 2 + 8, -1


def _edge(edge: Mapping[str, Any], places: Mapping[str, tuple[float, float]], hot: bool) -> str:
    x, y, to_x, to_y, way = _ends(edge, places)
    reach = max(40.0, abs(to_x - x) / 2)
    out = reach if places[edge["callee"]][0] >= places[edge["caller"]][0] else -reach
    n = charts.number
    path = f"M{n(x)} {n(y)}C{n(x + out)} {n(y)} {n(to_x - way * reach)} {n(to_y)} {n(to_x)} {n(to_y)}"
    head = f"M{n(to_x)} {n(to_y - 5)}l{8 * way} 5l{-8 * way} 5z"
    css = "edge hot" if hot else "edge"
    now = edge.get("affected") or edge["reference"]
    said = f"{edge['caller']} → {edge['callee']}: {text.percent(_share(edge))} of the time, {_told(now)}"
    said += f"; in the reference {_told(edge['reference'])}" if edge.get("affected") and edge.get("reference") else ""
    return f'<path class="{css}" stroke-width="{n(_THIN + _THICK * min(1.0, _share(edge)))}" d="{path}"><title>{escape(text.plain(said))}</title></path><path class="{css} head" d="{head}"/>'


def _told(side: Mapping[str, Any]) -> str:
    """The calls of an edge in one window, in words."""
    return f"{text.trimmed(side['per_request'])} calls per request, p50 {text.duration(side['p50'])}, p95 {text.duration(side['p95'])}, {text.percent(side['failed'])} failed, {text.percent(side['again'])} repeated"


def _labels(edges: Sequence[Mapping[str, Any]], places: Mapping[str, tuple[float, float]], hot: set[int]) -> Iterator[str]:
    """Share and calls per request before the arrow's head, moved away until none covers another."""
    taken: list[tuple[float, float]] = []
    for edge in sorted(edges, key=lambda e: (-_share(e), e["caller"], e["callee"])):
        _, y, to_x, to_y, way = _ends(edge, places)
        down = 1 if way > 0 and y < to_y else -1  # the side of the head on which the edge does not come in
        x, y, anchor = (to_x - 8, to_y - 9 if down < 0 else to_y + 17, "end") if way > 0 else (to_x + 6, to_y + 17, "start")
        while any(abs(x - a) < 140 and abs(y - b) < 14 for a, b in taken):
            y += 15 * down
        taken.append((x, y))
        now = edge.get("affected")
        said = f"{text.percent(_share(edge))} · ×{text.trimmed(now['per_request'], 2)}" if now else "no calls any more"
        if now and now["again"] >= _AGAIN:
            said += f" ↻ {text.percent(now['again'])}"
        yield charts.label(x, y, said, "edge-name hot" if id(edge) in hot else "edge-name", anchor)
