"""YAML from strangers: safe tags only, bounded in size and in what its aliases expand to, with the line of every value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfaudit.errors import ConfigError

#: A definition of hundreds of objectives has some 100 kB.
MOST_BYTES = 1_000_000
#: Values of a document once its aliases are written out; 1 MB of plain YAML holds fewer.
MOST_VALUES = 300_000
DEEPEST = 60
#: Digits of a number; YAML's sixties (1:30:00) could make one of any size.
LONGEST_NUMBER = 40


@dataclass(frozen=True)
class Document:
    """One document of a file: its value, and the line of each part of it."""

    path: str
    value: Any
    node: Any

    def where(self, *keys: str | int) -> str:
        """``file:line`` of the value under ``keys``, or of what lies nearest above it."""
        node = self.node
        for key in keys:
            below = _child(node, key)
            if below is None:
                break
            node = below
        return f"{self.path}:{node.start_mark.line + 1}"


def _child(node: Any, key: str | int) -> Any:
    if isinstance(key, int):
        return node.value[key] if node.id == "sequence" and key < len(node.value) else None
    return next((v for k, v in node.value if k.value == key), None) if node.id == "mapping" else None


def read(path: str) -> list[Document]:
    """Every document of a file that holds something. Raises :class:`ConfigError` with the line."""
    try:
        data = Path(path).read_bytes() if Path(path).stat().st_size <= MOST_BYTES else None
    except OSError as error:
        raise ConfigError(f"cannot read the definition: {error.strerror}", where=path, todo="check the path and its permissions") from None
    if data is None:
        raise ConfigError(f"the definition is larger than {MOST_BYTES:,} bytes", where=path, todo="split it into several files")
    return list(parse(data, path))


def parse(data: bytes, path: str) -> Iterator[Document]:
    """Every document in ``data``. Raises :class:`ConfigError` with the line."""
    import yaml

    loader: Any = None
    try:
        loader = yaml.SafeLoader(data)
        while loader.check_node():
            node = loader.get_node()
            _check(node, path)
            value = loader.construct_document(node)
            if value is not None:
                yield Document(path, value, node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(f"this is no YAML that can be used: {error.problem or error.context}", where=f"{path}:{mark.line + 1}" if mark else path, todo="mend that line") from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        said = str(error).splitlines()[0][:160] if not isinstance(error, RecursionError) else "it is nested too deeply"
        raise ConfigError(f"this is no YAML that can be used: {said}", where=path, todo="mend the file; OpenSLO v1 is plain YAML in UTF-8") from None


def _check(root: Any, path: str) -> None:
    """Refuses what expands beyond bounds, refers to itself, or names a key twice."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def refuse(what: str, node: Any) -> None:
        raise ConfigError(what, where=f"{path}:{node.start_mark.line + 1}", todo="write it out plainly")

    def size(node: Any, depth: int) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in open_nodes:
            refuse("an alias refers to what holds it", node)
        if depth > DEEPEST:
            refuse("it is nested too deeply", node)
        open_nodes.add(id(node))
        total = 1
        if node.id == "mapping":
            seen = set()
            for key, value in node.value:
                if key.id != "scalar":
                    refuse("a key is not a plain text", key)
                if key.value in seen:
                    refuse(f"the key “{key.value[:60]}” stands twice", key)
                seen.add(key.value)
                total += size(value, depth + 1)
        elif node.id == "scalar" and node.tag.endswith((":int", ":float")) and len(node.value) > LONGEST_NUMBER:
            refuse("a number is too long", node)
        elif node.id == "sequence":
            total += sum(size(child, depth + 1) for child in node.value)
        if total > MOST_VALUES:
            refuse("its aliases expand to too many values", node)
        open_nodes.discard(id(node))
        sizes[id(node)] = total
        return total

    size(root, 0)
