"""Kubernetes manifests (YAML, or JSON as kubectl writes it) and Spring's ``application.yml``.

Of a workload: replicas, limits and requests of its containers, its environment and Gunicorn's arguments; of an autoscaler: the most replicas.
Sources: Kubernetes API reference (apps/v1, autoscaling/v2), "Resource Management for Pods and Containers"; Spring Boot, "Externalized Configuration".
YAML comes from strangers: only nodes are composed, nothing is constructed, and size, depth and what aliases expand to are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from perfaudit.evidence.readers import Recognised
from perfaudit.evidence.readers._settings import Settings, spring, text

if TYPE_CHECKING:
    from perfaudit.evidence.readers import ReadOptions, Sample, Sink
    from perfaudit.evidence.source import Source

NAME = "Kubernetes manifest or application.yml"
VERSION = 1
TABLES = ("settings",)
_KINDS = r"(?:Deployment|StatefulSet|DaemonSet|ReplicaSet|HorizontalPodAutoscaler|Pod)\b"
_MANIFEST = re.compile(rf'(?m)(?:^[ \t]*+(?:- )?|[{{,]\s*)"?kind"?\s*:\s*"?{_KINDS}'.encode())
_SPRING = re.compile(rb"(?m)^(?:spring|server|resilience4j)[\w.-]*:\s*$")
_LEAF = re.compile(rb"(?m)^[ \t]++(?:maximum-?pool-?size|maximumPoolSize|hikari|max-?attempts|threads|keep-alive-timeout|connection-timeout)\s*:")
#: Depth and values of a document once its aliases are written out; a manifest of an application has a depth of 12 and some 1,000 values.
DEEPEST, MOST_VALUES = 60, 60_000


def sniff(sample: Sample) -> Recognised | None:
    """By apiVersion and the kind of a workload (not events about one), or by Spring's first keys and a leaf that is known."""
    head = sample.head
    if b"apiVersion" in head and _MANIFEST.search(head) and b"involvedObject" not in head:
        return Recognised(0.9, "kubernetes")
    if _SPRING.search(head) and _LEAF.search(head):
        fitting = sum(re.match(rb"\s*(?:#|-|[\w.\"'${}-]+\s*:)", line) is not None for line in sample.lines)
        return Recognised(0.8, "spring") if fitting >= 0.9 * len(sample.lines) else None
    return None


def read(source: Source, sink: Sink, recognised: Recognised, options: ReadOptions) -> None:
    """Rows for what is known in each document; one that is no YAML ends the file."""
    import yaml

    lines = text(source, sink)
    found = Settings(source, sink, options, recognised.detail)
    try:
        for node in yaml.compose_all("\n".join(lines), Loader=yaml.SafeLoader):
            if node is not None:
                _bounded(node)
                (_spring if recognised.detail == "spring" else _object)(found, node)
    except (yaml.YAMLError, RecursionError, ValueError):
        sink.reject("this is no YAML that can be used (templates are not filled in)", len(lines))
    else:
        sink.parsed(len(lines))
    found.close()


def _bounded(root: Any) -> None:
    """Raises ``ValueError`` for a document that is too deep, refers to itself or expands to too much."""
    left = MOST_VALUES
    stack = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        left -= 1
        if left < 0 or depth > DEEPEST:
            raise ValueError("too large")
        if node.id != "scalar":
            stack.extend((child, depth + 1) for part in node.value for child in (part if node.id == "mapping" else (part,)))


def _pairs(node: Any) -> Iterator[tuple[str, Any]]:
    if node is not None and node.id == "mapping":
        yield from ((str(k.value), v) for k, v in node.value if k.id == "scalar")


def _at(node: Any, *keys: str) -> Any:
    for key in keys:
        node = next((v for k, v in _pairs(node) if k == key), None)
    return node


def _items(node: Any) -> list[Any]:
    return list(node.value) if node is not None and node.id == "sequence" else []


def _plain(node: Any) -> str:
    return str(node.value) if node is not None and node.id == "scalar" else ""


def _object(found: Settings, node: Any) -> None:
    for item in _items(_at(node, "items")):
        _object(found, item)
    kind = _plain(_at(node, "kind"))
    if kind == "HorizontalPodAutoscaler":
        most, target = _at(node, "spec", "maxReplicas"), _plain(_at(node, "spec", "scaleTargetRef", "name"))
        if most is not None:
            found.add("maxReplicas", _plain(most), most.start_mark.line + 1, scope=kind, service=target)
        return
    if not re.fullmatch(_KINDS, kind):
        return
    service = _plain(_at(node, "metadata", "name"))
    replicas = _at(node, "spec", "replicas")
    if replicas is not None:
        found.add("replicas", _plain(replicas), replicas.start_mark.line + 1, scope=f"{kind} {service}", service=service)
    pod = _at(node, "spec") if kind == "Pod" else _at(node, "spec", "template", "spec")
    for container in _items(_at(pod, "containers")):
        _container(found, container, service)


def _container(found: Settings, container: Any, service: str) -> None:
    scope = f"container {_plain(_at(container, 'name'))}"
    for side in ("limits", "requests"):
        for key, value in _pairs(_at(container, "resources", side)):
            if key in ("cpu", "memory"):
                found.add(f"{side}.{key}", _plain(value), value.start_mark.line + 1, scope=scope, service=service)
    for variable in _items(_at(container, "env")):
        value = _at(variable, "value")
        if value is not None:  # valueFrom names a secret or a ConfigMap: not here
            found.environment(_plain(_at(variable, "name")), _plain(value), value.start_mark.line + 1, scope=scope, service=service)
    words = [w for key in ("command", "args") for w in _items(_at(container, key))]
    if words and any("gunicorn" in _plain(w) for w in words):
        found.gunicorn(" ".join(map(_plain, words)), words[0].start_mark.line + 1, scope=scope, service=service)


def _spring(found: Settings, root: Any) -> None:
    stack = [("", root)]
    while stack:
        path, node = stack.pop()
        for key, value in reversed(list(_pairs(node))):
            name = f"{path}.{key}" if path else key
            if value.id == "mapping":
                stack.append((name, value))
            elif value.id == "scalar" and spring(name)[0]:
                component, known = spring(name)
                filled = re.fullmatch(r"\$\{[^:{}]*:?([^{}]*)\}", str(value.value))
                found.add(known, filled[1] if filled else str(value.value), value.start_mark.line + 1, component=component, scope=name)
