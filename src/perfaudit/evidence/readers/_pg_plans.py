"""Plans that auto_explain logged: parsed from JSON or text, without literals, with a hash of their shape."""

from __future__ import annotations

import hashlib
import re
from typing import Any, NamedTuple

import msgspec

from perfaudit.evidence.sql import Statement, fingerprint
from perfaudit.evidence.sql import expression as _expression

#: Strings of these keys are names of PostgreSQL's own or identifiers; every other string is an expression.
_NAMES = frozenset({
    "Node Type", "Relation Name", "Schema", "Alias", "Index Name", "Strategy", "Partial Mode", "Parent Relationship", "Join Type",
    "Scan Direction", "Operation", "CTE Name", "Subplan Name", "Sort Method", "Sort Space Type", "Command", "Function Name", "Cache Mode",
})  # fmt: skip
_SHAPE = ("Node Type", "Strategy", "Join Type", "Operation", "Relation Name", "Index Name")
_DROPPED = frozenset({"Query Text", "Query Parameters", "Query Identifier", "Settings"})
#: Deeper trees are cut: a real plan has tens of levels.
_DEPTH = 200
#: What is looked at of a line of a text plan.
_LINE = 2_000
#: A node of a text plan: ``  ->  Index Scan using i on t a  (cost=0.1..2.3 rows=4 width=5) (actual time=0.1..0.2 rows=1 loops=1)``.
_COST = r"(?P<startup>\d+\.\d+)\.\.(?P<total>\d+\.\d+) rows=(?P<rows>\d+) width=(?P<width>\d+)"
_ACTUAL = r"actual (?:time=(?P<first>\d+\.\d+)\.\.(?P<last>\d+\.\d+) )?rows=(?P<got>\d+(?:\.\d+)?) loops=(?P<loops>\d+)"
_NODE = re.compile(rf"^(?P<indent>\s*)(?:->\s+)?(?P<what>[A-Z][^(]*?)\s+\((?:cost={_COST}\)|(?=actual))(?:\s*\((?:{_ACTUAL}|never executed)\))?")
_WHAT = re.compile(r"(?P<type>.*?)(?: using (?P<index>\S+))?(?: on (?P<relation>\S+)(?: (?P<alias>\S+))?)?$")
_KEY = re.compile(r"^\s*([A-Z][A-Za-z ]{1,40}): (.*)")
_NUMBERS = (("startup", "Startup Cost"), ("total", "Total Cost"), ("rows", "Plan Rows"), ("width", "Plan Width"), ("first", "Actual Startup Time"),
            ("last", "Actual Total Time"), ("got", "Actual Rows"), ("loops", "Actual Loops"))  # fmt: skip


class Plan(NamedTuple):
    """A plan without literals: its statement, its shape and its JSON."""

    statement: Statement
    shape: str
    text: str


def plan(body: str) -> Plan | None:
    """The plan behind ``duration: … plan:``, in JSON or text form; None when it is neither."""
    body = body.lstrip()
    if body.startswith(("{", "[")):
        try:
            tree = msgspec.json.decode(body.encode("utf-8", "replace"))
        except (msgspec.DecodeError, RecursionError):
            return None
        tree = tree[0] if isinstance(tree, list) and tree else tree
        root = tree.get("Plan") if isinstance(tree, dict) else None
        query = tree.get("Query Text") if isinstance(tree, dict) else None
    elif body.startswith("Query Text: "):
        query, root = _text_plan(body[12:])
    else:
        return None
    if not isinstance(root, dict) or not root:
        return None
    safe = {"Plan": _safe(root, 0)}
    digest = hashlib.blake2b("\n".join(_outline(root, 0)).encode("utf-8", "replace"), digest_size=8).hexdigest()
    statement = fingerprint(query) if isinstance(query, str) else Statement("", "")
    return Plan(statement, digest, msgspec.json.encode(safe).decode("utf-8", "replace"))


def _safe(node: dict[str, Any], depth: int) -> dict[str, Any]:
    """A node without literals. Numbers are costs, rows and times, and stay."""
    out: dict[str, Any] = {}
    for key, value in node.items():
        kind = type(value)
        if kind is str:
            if key not in _DROPPED:
                out[_name(key)] = value[:200] if key in _NAMES and "'" not in value else _expression(value)
        elif kind is list:
            out[_name(key)] = [_safe(v, depth + 1) if type(v) is dict else _expression(str(v)) for v in value] if depth < _DEPTH else []
        elif kind is dict:
            if key not in _DROPPED:
                out[_name(key)] = _safe(value, depth + 1) if depth < _DEPTH else {}
        else:
            out[key if len(key) <= 60 else _name(key)] = value
    return out


def _name(key: str) -> str:
    return key if len(key) <= 60 else key[:59] + "…"


def _outline(node: dict[str, Any], depth: int) -> list[str]:
    """A line per node: depth and what makes it another plan; costs, rows and times do not."""
    lines = [f"{depth} " + "|".join(str(node.get(key, "")) for key in _SHAPE)]
    children = node.get("Plans")
    if isinstance(children, list) and depth < _DEPTH:
        for child in children:
            if isinstance(child, dict):
                lines += _outline(child, depth + 1)
    return lines


def _text_plan(body: str) -> tuple[str, dict[str, Any]]:
    lines = body.split("\n")
    first = next((i for i, line in enumerate(lines) if _NODE.match(line[:_LINE])), len(lines))
    root: dict[str, Any] = {}
    above: list[tuple[int, dict[str, Any]]] = []
    for line in lines[first:]:
        if match := _NODE.match(line[:_LINE]):
            node = _text_node(match)
            indent = len(match["indent"])
            while above and above[-1][0] >= indent:
                above.pop()
            if above:
                above[-1][1].setdefault("Plans", []).append(node)
            root = root or node
            above.append((indent, node))
        elif above and (detail := _KEY.match(line)):
            above[-1][1].setdefault(detail[1], detail[2])
    return "\n".join(lines[:first]), root


def _text_node(match: re.Match[str]) -> dict[str, Any]:
    what = _WHAT.match(match["what"])
    assert what is not None  # the pattern matches any text
    named = (("Node Type", "type"), ("Index Name", "index"), ("Relation Name", "relation"), ("Alias", "alias"))
    node: dict[str, Any] = {key: what[group] for key, group in named if what[group]}
    return node | {key: float(match[group]) for group, key in _NUMBERS if match[group]}
